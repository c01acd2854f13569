"""Skilltrace at work on Databricks: the outcome table, scheduled jobs, monitoring."""
