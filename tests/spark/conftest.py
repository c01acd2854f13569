"""One Spark for all tests here: classic, or Spark Connect where SKILLTRACE_SPARK=connect."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

pyspark_sql = pytest.importorskip("pyspark.sql", reason="make test-spark runs these")


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = pyspark_sql.SparkSession.builder.config("spark.sql.shuffle.partitions", "2")
    builder = builder.config("spark.ui.enabled", "false")
    if os.environ.get("SKILLTRACE_SPARK") == "connect":
        # Its server takes any free port then, so that another one on this machine (of a process
        # that a test starts, of another checkout) is in nobody's way.
        os.environ["SPARK_TESTING"] = "1"
        session = builder.remote("local[2]").getOrCreate()
    else:
        session = builder.master("local[2]").getOrCreate()
    yield session
    session.stop()
