# Databricks notebook source
# MAGIC %md
# MAGIC # How do the skills do, run by run?
# MAGIC Shows what the scheduled job has written to the outcome table: the pass rate and the tokens
# MAGIC over its runs, the verdicts by check, and the scorers that watch the experiment. As a
# MAGIC scheduled task it fails where the newest run did, unless `fail_job` is false.

# COMMAND ----------

# MAGIC %pip install --quiet ..

# COMMAND ----------

dbutils.widgets.text("table", "main.skilltrace.outcomes", "Outcome table")
dbutils.widgets.text("skill", "", "Skill (empty: all)")
dbutils.widgets.text("experiment", "/Shared/skilltrace", "MLflow experiment (empty: none)")
dbutils.widgets.text("tracking_uri", "databricks", "MLflow tracking URI")
dbutils.widgets.text("fail_job", "true", "Fail the run when the newest one failed")

# COMMAND ----------

from skilltrace_mlflow.databricks.history import outcome_history

history = outcome_history(dbutils.widgets.get("table"), skill=dbutils.widgets.get("skill") or None)

# COMMAND ----------

displayHTML(history.pass_rate().svg)

# COMMAND ----------

displayHTML(history.figure("total_tokens").svg)

# COMMAND ----------

display(history.to_pandas())

# COMMAND ----------

# Scorers are registered by `skilltrace-mlflow register SKILL`, or by the bundle's job.
from skilltrace_mlflow.databricks.monitoring import list_registered

if dbutils.widgets.get("experiment"):
    for scorer in list_registered(
        experiment=dbutils.widgets.get("experiment"),
        tracking_uri=dbutils.widgets.get("tracking_uri"),
    ):
        print(scorer.name, scorer.sample_rate, scorer.filter_string or "")

# COMMAND ----------

# `dbutils.notebook.exit` would end the run as a success, whatever it says.
if dbutils.widgets.get("fail_job").lower() == "true":
    history.raise_for_exit_code()
