"""Tests on a real Spark, in an environment of their own: PySpark asks for an older pandas."""
