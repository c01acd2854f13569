"""The dashboard: laid out as Databricks asks for; its queries run and give what widgets show."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import sqlglot

from tests.bundle.tables import sample_tables
from tests.bundle.test_bundle import run

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "skilltrace_mlflow/databricks/templates/skilltrace.lvdash.json"
DASHBOARD: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
DATASETS = {item["name"]: "".join(item["queryLines"]) for item in DASHBOARD["datasets"]}
PLACED = [item for page in DASHBOARD["pages"] for item in page["layout"]]
WIDGETS = [item["widget"] for item in PLACED if "spec" in item["widget"]]
COLUMNS = 12
# Another version of a widget's specification shows nothing.
VERSIONS = {"counter": 2, "table": 2, "line": 3, "bar": 3}
NOW = datetime.now(timezone.utc)
ROWS = [
    ("tr-1", NOW - timedelta(days=1), "pass"),
    ("tr-2", NOW - timedelta(days=1), "fail"),
    ("tr-3", NOW - timedelta(days=2), "unknown"),
    ("tr-4", NOW - timedelta(days=40), "pass"),
]


def result(name: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    with sample_tables(ROWS) as connection:
        relation = run(connection, DATASETS[name])
        return relation.columns, relation.fetchall()


def test_pages_use_the_grid_of_twelve_columns() -> None:
    for page in DASHBOARD["pages"]:
        assert (page["pageType"], page["layoutVersion"]) == ("PAGE_TYPE_CANVAS", "GRID_V1")
    for item in PLACED:
        place = item["position"]
        assert place["x"] >= 0
        assert place["y"] >= 0
        assert place["height"] >= 1
        assert 1 <= place["width"] <= COLUMNS - place["x"]


def test_no_widget_lies_on_another_and_every_row_is_filled() -> None:
    cells: dict[tuple[int, int], str] = {}
    for item in PLACED:
        place = item["position"]
        for x in range(place["x"], place["x"] + place["width"]):
            for y in range(place["y"], place["y"] + place["height"]):
                assert (x, y) not in cells, (item["widget"]["name"], cells[x, y])
                cells[x, y] = item["widget"]["name"]
    assert len(cells) == COLUMNS * (1 + max(y for _, y in cells))


def test_names_are_unique() -> None:
    for names in (
        [item["name"] for item in DASHBOARD["datasets"]],
        [item["name"] for item in DASHBOARD["pages"]],
        [item["widget"]["name"] for item in PLACED],
    ):
        assert all(a != b for a, b in combinations(names, 2))


def fields_of(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["fieldName"]} if "fieldName" in node else set()
        return own.union(*(fields_of(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(fields_of(item) for item in node)) if node else set()
    return set()


@pytest.mark.parametrize("widget", WIDGETS, ids=lambda widget: widget["name"])
def test_widgets_show_fields_that_their_query_gives(widget: dict[str, Any]) -> None:
    spec = widget["spec"]
    assert spec["version"] == VERSIONS[spec["widgetType"]]
    assert spec["frame"]["title"]
    (query,) = widget["queries"]
    assert query["name"] == "main_query"
    named = {field["name"] for field in query["query"]["fields"]}
    assert fields_of(spec["encodings"]) == named
    columns, _ = result(query["query"]["datasetName"])
    assert named <= set(columns)
    assert all(field["expression"] == f"`{field['name']}`" for field in query["query"]["fields"])


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_is_databricks_sql_over_the_bundles_tables_and_is_shown(name: str) -> None:
    tree = sqlglot.parse_one(DATASETS[name], read="databricks")
    tables = {table.sql() for table in tree.find_all(sqlglot.exp.Table)} - {"by_trace"}
    assert tables <= {"outcomes", "outcomes_runs"}
    assert len(result(name)[1]) > 0
    assert name in {w["queries"][0]["query"]["datasetName"] for w in WIDGETS}


def test_figures_are_what_the_table_says() -> None:
    assert [tuple(float(v) for v in row) for row in result("totals")[1]] == [
        (3, pytest.approx(1 / 3), pytest.approx(2 / 3))
    ]
    days = {row[0]: float(row[2]) for row in result("pass_rate")[1]}
    # What could not be judged is no pass.
    assert sorted(days.values()) == [0.0, 0.5, 1.0]
    assert result("failures_by_tool")[1] == [("Bash", "tool_count", 1)]
    assert {(row[1], row[2]) for row in result("coverage")[1]} == {
        ("pass", 2),
        ("fail", 1),
        ("unknown", 1),
    }
    assert {row[4] for row in result("not_passed")[1]} == {"fail", "unknown"}


def test_a_trace_is_counted_once_however_many_checks_judged_it() -> None:
    day = NOW - timedelta(days=1)
    with sample_tables([("tr-1", day, "pass"), ("tr-1", day, "fail")]) as connection:
        ((_, _, traces, tokens, cost, _),) = run(connection, DATASETS["usage"]).fetchall()
    assert (traces, int(tokens), cost) == (1, 120, 0.5)
