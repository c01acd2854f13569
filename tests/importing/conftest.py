"""A real MLflow store for the tests that read traces back from one."""

from __future__ import annotations

from tests.driver.conftest import (  # noqa: F401 - fixtures are found by their names
    _traces_are_logged_at_once,
    store,
    template,
)
