# Databricks notebook source
# MAGIC %md
# MAGIC # Is Claude Code traced here?
# MAGIC Shows how a project's `.claude/settings.json` sends Claude Code's sessions to MLflow. Autolog
# MAGIC itself is set up where Claude Code runs, on the command line:
# MAGIC
# MAGIC     skilltrace-mlflow autolog setup --experiment-name /Shared/skilltrace --tracking-uri databricks

# COMMAND ----------

# MAGIC %pip install --quiet ..

# COMMAND ----------

dbutils.widgets.text("project", ".", "Folder of the project")

# COMMAND ----------

from skilltrace_mlflow.autolog import autolog_status

print(autolog_status(dbutils.widgets.get("project")))
