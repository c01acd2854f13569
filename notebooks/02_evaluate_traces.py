# Databricks notebook source
# MAGIC %md
# MAGIC # Evaluate a skill on recorded traces
# MAGIC Judges recorded Claude Code traces by the expectations written next to the skill, logs the
# MAGIC verdicts to MLflow as assessments, and shows the matrix of tests and checks. As a scheduled
# MAGIC task it fails when a gate fails, unless `fail_job` is false.

# COMMAND ----------

# MAGIC %pip install --quiet ..

# COMMAND ----------

dbutils.widgets.text("skill", "bronze-ingestion", "Skill")
dbutils.widgets.text("skills_dir", "../examples/skills", "Folder of the skills")
dbutils.widgets.text("experiment", "", "MLflow experiment (empty: the default)")
dbutils.widgets.text("tracking_uri", "databricks", "MLflow tracking URI")
dbutils.widgets.text("fail_job", "true", "Fail the run when something failed")

# COMMAND ----------

from skilltrace_mlflow import evaluate_skill

evaluation = evaluate_skill(
    dbutils.widgets.get("skill"),
    skills_dir=dbutils.widgets.get("skills_dir"),
    experiment=dbutils.widgets.get("experiment") or None,
    tracking_uri=dbutils.widgets.get("tracking_uri"),
    include_traces=True,
    no_llm=True,
)

# COMMAND ----------

displayHTML(evaluation._repr_html_())

# COMMAND ----------

display(evaluation.to_pandas())

# COMMAND ----------

# `dbutils.notebook.exit` would end the run as a success, whatever it says.
if dbutils.widgets.get("fail_job").lower() == "true":
    evaluation.raise_for_exit_code()
