# Databricks notebook source
# MAGIC %md
# MAGIC # Evaluate a skill
# MAGIC Judges recorded Claude Code traces by the expectations written next to the skill, logs the
# MAGIC verdicts to MLflow as assessments, and shows the matrix of tests and checks.

# COMMAND ----------

# MAGIC %pip install --quiet ..

# COMMAND ----------

dbutils.widgets.text("skill", "bronze-ingestion", "Skill")
dbutils.widgets.text("skills_dir", "../examples/skills", "Folder of the skills")
dbutils.widgets.text("experiment", "", "MLflow experiment (empty: the default)")
dbutils.widgets.text("tracking_uri", "databricks", "MLflow tracking URI")

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

dbutils.notebook.exit(str(evaluation.exit_code))
