"""`store_errors` takes what the store raises, and nothing that is a mistake of this package."""

from __future__ import annotations

import pytest
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from requests import ConnectionError as Refused
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from skilltrace_mlflow.errors import EvaluationError, InputError, TraceNotFoundError
from skilltrace_mlflow.sources.load import short_name
from skilltrace_mlflow.sources.mlflow.store import store_errors


def raised(error: Exception) -> None:
    with store_errors("trace x", "sqlite:///a.db"):
        raise error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (Refused("no route"), "cannot be read: no route"),
        (TimeoutError("too slow"), "cannot be read: too slow"),
        (OperationalError("select", {}, Exception("locked")), "cannot be read: .*locked"),
        (MlflowException("quota"), "answered: quota"),
    ],
)
def test_the_stores_own_errors_become_ours(error: Exception, message: str) -> None:
    with pytest.raises(EvaluationError, match=rf"trace x: sqlite:///a.db {message}"):
        raised(error)


def test_what_is_not_there_is_told_apart() -> None:
    with pytest.raises(TraceNotFoundError, match="trace x: not found in"):
        raised(MlflowException("gone", RESOURCE_DOES_NOT_EXIST))


def test_an_error_that_is_ours_already_passes() -> None:
    with pytest.raises(InputError, match="bad file"):
        raised(InputError("bad file"))


def test_a_mistake_of_this_package_says_nothing_about_the_store() -> None:
    with pytest.raises(TypeError), store_errors("trace x", None):
        short_name(None)  # type: ignore[arg-type] # raised below a function of ours


def test_pythons_own_classes_are_the_stores_where_its_code_raised_them() -> None:
    with (
        pytest.raises(EvaluationError, match="cannot be read"),
        store_errors("trace x", "sqlite:///a.db"),
    ):
        Metric.from_proto(None)  # AttributeError, inside MLflow
    engine = create_engine("sqlite://")
    with (
        pytest.raises(EvaluationError, match="cannot be read"),
        store_errors("trace x", "sqlite:///a.db"),
        engine.connect() as connection,
    ):
        connection.execute(text("select * from nowhere"))
