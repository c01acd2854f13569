"""Command-line programs that are given SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["CLIENTS", "Client"]


@dataclass(frozen=True, kw_only=True)
class Client:
    """A command-line client: options that take SQL, and from which operand on operands are SQL.

    A client that does `more` than run SQL takes other texts, too; of the others every word of
    several words is a statement, whatever option it follows. `files` are options that name a file
    with statements, of interest where it is `<(…)` or written by the line itself.
    """

    dialect: str
    options: tuple[str, ...]
    operand: int | None = None
    more: bool = False


def _client(
    dialect: str, options: str = "", operand: int | None = None, *, more: bool = False
) -> Client:
    return Client(dialect=dialect, options=tuple(options.split()), operand=operand, more=more)


CLIENTS: Mapping[str, Client] = {
    "athenacli": _client("trino", "-e --execute"),
    "aws": _client(
        "databricks", "--sql --query-string --sqls --sql-statement --query-statement", more=True
    ),
    "az": _client("tsql", "--query-text --sql --querytext -q", more=True),
    "beeline": _client("hive", "-e --execute"),
    "bq": _client("bigquery", operand=1),
    "chdb": _client("clickhouse", operand=0),
    "clickhouse": _client("clickhouse", "-q --query"),
    "clickhouse-client": _client("clickhouse", "-q --query"),
    "clickhouse-local": _client("clickhouse", "-q --query"),
    "cockroach": _client("postgres", "-e --execute"),
    "cqlsh": _client("databricks", "-e --execute"),
    "crash": _client("postgres", "-c --command"),
    "databricks": _client(
        "databricks", "-e -c -q --execute --query --sql --statement --json", more=True
    ),
    "db2": _client("databricks", operand=0),
    "dbsqlcli": _client("databricks", "-e --execute"),
    "dbt": _client("databricks", "--inline --args", more=True),
    "dolt": _client("mysql", "-q --query", more=True),
    "drush": _client("mysql", operand=1, more=True),
    "duckdb": _client("duckdb", "-c -s -cmd", operand=1),
    "fisql": _client("tsql", "-Q -q"),
    "fly": _client("postgres", "-c --command", more=True),
    "flyctl": _client("postgres", "-c --command", more=True),
    "gcloud": _client("bigquery", "--sql --ddl", more=True),
    "gosqlcmd": _client("tsql", "-Q -q"),
    "heroku": _client("postgres", "-c --command", more=True),
    "hive": _client("hive", "-e"),
    "impala-shell": _client("hive", "-q --query"),
    "invoke-sqlcmd": _client("tsql", operand=0),
    "isql": _client("tsql"),
    "ksql": _client("databricks", "-e --execute"),
    "litecli": _client("sqlite", "-e --execute"),
    "mariadb": _client("mysql", "-e --execute"),
    "mclient": _client("postgres", "-s --statement"),
    "mssql-cli": _client("tsql", "-Q -q --query"),
    "mycli": _client("mysql", "-e --execute"),
    "mysql": _client("mysql", "-e --execute"),
    "mysqlsh": _client("mysql", "-e --execute"),
    "nzsql": _client("postgres", "-c"),
    "osql": _client("tsql", "-Q -q"),
    "pgcli": _client("postgres", "-c --command"),
    "phoenix-sqlline": _client("databricks", "-e"),
    "presto": _client("trino", "--execute"),
    "presto-cli": _client("trino", "--execute"),
    "prisma": _client("postgres", "--stdin", more=True),
    "pscale": _client("mysql", "-q --query --execute", more=True),
    "psql": _client("postgres", "-c --command"),
    "rpk": _client("postgres", more=True),
    "snow": _client("snowflake", "-q --query", more=True),
    "snowsql": _client("snowflake", "-q --query"),
    "spark-beeline": _client("hive", "-e"),
    "spark-sql": _client("databricks", "-e"),
    "sqlcl": _client("databricks"),
    "sqlcmd": _client("tsql", "-Q -q --query --initial-query"),
    "sqlite": _client("sqlite", "-cmd", operand=1),
    "sqlite-utils": _client("sqlite", operand=2, more=True),
    "sqlite3": _client("sqlite", "-cmd --cmd", operand=1),
    "sqlline": _client("databricks", "-e"),
    "sqlmesh": _client("databricks", operand=1, more=True),
    "sqlplus": _client("databricks"),
    "steampipe": _client("postgres", operand=1, more=True),
    "supabase": _client("postgres", operand=2, more=True),
    "trino": _client("trino", "--execute"),
    "trino-cli": _client("trino", "--execute"),
    "tsql": _client("tsql"),
    "turso": _client("sqlite", operand=3, more=True),
    "usql": _client("postgres", "-c --command"),
    "vsql": _client("postgres", "-c --command"),
    "wp": _client("mysql", operand=2, more=True),
    "wrangler": _client("sqlite", "--command", more=True),
    "ysqlsh": _client("postgres", "-c --command"),
}
