"""Every parser of strangers' text ends with a value or with an error that a user is told.

Here hypothesis throws a few inputs at each; `make fuzz` throws as many as are asked for, guided by
coverage. What was once found lies in `corpus/` and is tried every time.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import SEEDS, TARGETS, changed, run

CORPUS = Path(__file__).parent / "corpus"
KEPT = sorted(path for path in CORPUS.rglob("*") if path.is_file() and path.name != "README.md")


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.data())
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_no_input_ends_in_an_error_that_nobody_is_told(name: str, data: st.DataObject) -> None:
    seeds = SEEDS.get(name)
    if seeds is None:
        run(name, data.draw(st.binary(max_size=49)))
        return
    seed = bytearray(data.draw(st.sampled_from(seeds)))
    cut = data.draw(st.integers(0, len(seed)))
    noise = data.draw(st.binary(max_size=12) | st.text(max_size=6).map(str.encode))
    run(name, bytes(seed[:cut] + noise + seed[cut + data.draw(st.integers(0, 9)) :]))


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.name[:24]}")
def test_what_was_found_stays_mended(path: Path) -> None:
    run(path.parent.name, path.read_bytes())


def test_the_corpus_belongs_to_targets() -> None:
    assert {path.parent.name for path in KEPT} <= set(TARGETS)


def test_a_script_of_bytes_changes_a_document_and_leaves_the_first_alone() -> None:
    document = {"a": [1, {"b": 2}], "c": "x"}
    scripts = [bytes([0, place, action, 3]) for place in range(4) for action in range(4)]
    made = [changed(document, script) for script in scripts]
    assert all(one != document for one in made[:3])
    assert document == {"a": [1, {"b": 2}], "c": "x"}
    assert len({repr(one) for one in made}) > 8
