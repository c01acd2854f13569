"""The stores that the driver's tests use."""

from tests.driver.conftest import _traces_are_logged_at_once, store, template

__all__ = ["_traces_are_logged_at_once", "store", "template"]
