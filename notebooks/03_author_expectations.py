# Databricks notebook source
# MAGIC %md
# MAGIC # Propose expectations from a recorded session
# MAGIC Takes a session that went well and proposes what to expect of the next one: every expectation
# MAGIC holds on it and fails on at least one mutation of it. Look it over before it becomes a test.

# COMMAND ----------

# MAGIC %pip install --quiet ..

# COMMAND ----------

dbutils.widgets.text(
    "trace", "../examples/skills/bronze-ingestion/traces/demo-good.jsonl", "Transcript"
)
dbutils.widgets.text("test_id", "recorded_001", "Id of the test case")

# COMMAND ----------

from skilltrace_mlflow import parse_transcript
from skilltrace_mlflow.proposals import propose, to_yaml
from skilltrace_mlflow.report import to_html_page

session = parse_transcript(dbutils.widgets.get("trace"))
displayHTML(to_html_page(session))

# COMMAND ----------

proposal = propose([session])
print(to_yaml(proposal, test_id=dbutils.widgets.get("test_id"), prompt=session.prompts[0]))
