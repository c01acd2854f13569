# Databricks notebook source
# MAGIC %md
# MAGIC # Score what one machine cannot hold
# MAGIC Judges the traces of a table (`<prefix>_trace_unified`), or the transcripts of a folder on a
# MAGIC Volume, with Spark where they lie, merges the verdicts into the outcome table, and shows how
# MAGIC many passed. As a scheduled task it fails when fewer passed than `pass_rate` asks for,
# MAGIC unless `fail_job` is false.

# COMMAND ----------

# MAGIC %pip install --quiet ..

# COMMAND ----------

dbutils.widgets.text("source", "main.traces.agents_trace_unified", "Table, or folder of a Volume")
dbutils.widgets.text("where", "", "Condition in SQL (empty: all rows)")
dbutils.widgets.text("skill", "bronze-ingestion", "Skill")
dbutils.widgets.text("skills_dir", "../examples/skills", "Folder of the skills")
dbutils.widgets.text("table", "", "Outcome table (empty: nothing is written)")
dbutils.widgets.text("pass_rate", "1.0", "Share of verdicts that have to pass")
dbutils.widgets.text("fail_job", "true", "Fail the run when too few passed")

# COMMAND ----------

from skilltrace_mlflow.databricks.scale import score_at_scale

report = score_at_scale(
    dbutils.widgets.get("source"),
    dbutils.widgets.get("skill"),
    skills_dir=dbutils.widgets.get("skills_dir"),
    where=dbutils.widgets.get("where"),
    table=dbutils.widgets.get("table"),
    pass_rate=float(dbutils.widgets.get("pass_rate")),
    spark=spark,
)
print(report.line)

# COMMAND ----------

displayHTML(report._repr_html_())

# COMMAND ----------

display(report.to_pandas())

# COMMAND ----------

# `dbutils.notebook.exit` would end the run as a success, whatever it says.
if dbutils.widgets.get("fail_job").lower() == "true":
    report.raise_for_exit_code()
