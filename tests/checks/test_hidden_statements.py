"""SQL where agents put it: nested arguments, JSON bodies, notebook cells, literals that are run."""

from __future__ import annotations

from typing import Any

import pytest

from skilltrace_mlflow.commands.shell import read_script
from skilltrace_mlflow.errors import ParameterError
from tests.builders import make_call
from tests.checks.judging import bash, parse, sql, verdict

DROP = "DROP DATABASE x"


@pytest.mark.parametrize(
    "query",
    [
        "EXECUTE IMMEDIATE 'DROP ' || 'DATABASE x'",
        "EXECUTE IMMEDIATE CONCAT('DROP DATABASE ', x)",
        "EXEC('DROP DATABASE x')",
        "EXEC sp_executesql N'DROP DATABASE x'",
        "PREPARE s FROM 'DROP DATABASE x'; EXECUTE s",
        "SELECT 1\nGO\nDROP DATABASE x",
        "%sql\nDROP DATABASE x",
        "\ufeffDROP DATABASE x",
        "{{ config() }} DROP DATABASE x",
        "DELIMITER //\nDROP DATABASE x//",
        "BEGIN TRY DROP DATABASE x END TRY",
        "DO $$ BEGIN EXECUTE 'DROP DATABASE x'; END $$",
        "\\c a\nDROP DATABASE x",
    ],
)
def test_statements_behind_what_is_no_statement(query: str) -> None:
    assert verdict("banned_tools", ["DROP DATABASE"], sql(query)) == "fail"


def test_a_statement_in_a_variable_is_unknown() -> None:
    query = "DECLARE q STRING DEFAULT concat('DROP', ' DATABASE x'); EXECUTE IMMEDIATE q"
    assert verdict("banned_tools", ["DROP DATABASE"], sql(query)) == "unknown"
    assert verdict("banned_tools", ["DROP DATABASE"], sql("EXECUTE IMMEDIATE q")) == "unknown"
    assert verdict("banned_tools", ["DROP DATABASE"], sql("EXECUTE IMMEDIATE 'SELECT 1'")) == "pass"


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("mcp__databricks__execute_sql", {"query_text": DROP}),
        ("mcp__databricks__execute_sql", {"queryText": DROP}),
        ("mcp__databricks__execute_sql", {"text": DROP}),
        ("mcp__databricks__execute_sql", {"body": {"statement": DROP}}),
        ("mcp__databricks__execute_sql", {"params": [{"query": DROP}]}),
        ("mcp__databricks__execute_sql", {"request": '{"statement": "DROP DATABASE x"}'}),
        ("mcp__databricks__execute_sql", {"query": '{"statement": "DROP DATABASE x"}'}),
        ("mcp__databricks__execute_code", {"code": DROP, "language": "sql"}),
        ("mcp__databricks__execute_code", {"code": 'df = spark.sql("DROP DATABASE x")'}),
        ("mcp__databricks__execute_code", {"code": "spark.sql(f'''\nDROP DATABASE {x}\n''')"}),
        ("mcp__jupyter__execute_cell", {"source": "%sql\nDROP DATABASE x"}),
        ("mcp__ide__executeCode", {"code": "spark.sql('DROP DATABASE x')"}),
    ],
)
def test_arguments_that_hold_sql(name: str, given: dict[str, Any]) -> None:
    assert verdict("banned_tools", ["DROP DATABASE"], make_call(name, given)) == "fail"


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("mcp__databricks__execute_sql", {"query": "SELECT 1", "description": "Drop database x"}),
        ("mcp__databricks__execute_code", {"code": "print('DROP DATABASE x')"}),
        ("mcp__files__write_file", {"content": "spark.sql('DROP DATABASE x')"}),
        ("mcp__genie__ask", {"query": DROP}),
        ("NotebookEdit", {"new_source": "spark.sql('DROP DATABASE x')"}),
    ],
)
def test_arguments_that_run_none(name: str, given: dict[str, Any]) -> None:
    assert verdict("banned_tools", ["DROP DATABASE"], make_call(name, given)) == "pass"


@pytest.mark.parametrize(
    "command",
    [
        "cat > d.sql <<'EOF'\nDROP DATABASE x\nEOF\npsql -f d.sql",
        "echo 'DROP DATABASE x' > d.sql && mysql < d.sql",
        "databricks api post /api/2.0/sql/statements --json @- <<'EOF'\n"
        '{"statement": "DROP SCHEMA x"}\nEOF',
        'curl -X POST https://h/api/2.0/sql/statements -d \'{"statement": "DROP SCHEMA x"}\'',
        "psql -c 'DO $$ BEGIN DROP DATABASE x; END $$'",
        "sqlplus u/p <<< 'DROP DATABASE x'",
        "mycli -e 'DROP DATABASE x'",
        "aws rds-data execute-statement --sql 'DROP DATABASE x'",
        "aws athena start-query-execution --query-string 'DROP DATABASE x'",
        "wrangler d1 execute db --command 'DROP DATABASE x'",
        "python -c \"spark.sql('DROP DATABASE x')\"",
        "python3 - <<'EOF'\nspark.sql('DROP DATABASE x')\nEOF",
        'for d in a b; do psql -c "DROP DATABASE $d"; done',
    ],
)
def test_clients_and_bodies(command: str) -> None:
    assert verdict("banned_tools", ["DROP DATABASE"], bash(command)) == "fail"


@pytest.mark.parametrize(
    "command",
    [
        "cat > d.sql <<'EOF'\nDROP DATABASE x\nEOF\npsql -f other.sql",
        "cat > x.py <<'EOF'\nspark.sql('DROP DATABASE x')\nEOF",
        'curl -d \'{"text": "DROP DATABASE x"}\' https://chat.example/query',
        "python -c \"print('DROP DATABASE x')\"",
    ],
)
def test_clients_and_bodies_that_do_not(command: str) -> None:
    assert verdict("banned_tools", ["DROP DATABASE"], bash(command)) == "pass"


@pytest.mark.parametrize(
    ("entry", "query", "expected"),
    [
        # words that may be left out, further names of a list
        ("TRUNCATE TABLE", "TRUNCATE x", "fail"),
        ("DELETE FROM", "DELETE x WHERE 1 = 1", "fail"),
        ("DELETE FROM", "MERGE INTO t USING s ON a = b WHEN MATCHED THEN DELETE", "pass"),
        ("INSERT INTO x", "INSERT INTO TABLE x SELECT 1", "fail"),
        ("INSERT INTO", "FROM a INSERT INTO b SELECT *", "fail"),
        ("INSERT INTO", "INSERT OVERWRITE x SELECT 1", "pass"),
        ("GRANT ALL PRIVILEGES", "GRANT ALL ON x TO y", "fail"),
        ("GRANT MODIFY", "GRANT SELECT, MODIFY ON x TO y", "fail"),
        ("DROP TABLE users", "DROP TABLE IF EXISTS a, main.users", "fail"),
        ("DROP TABLE prod.users", "DROP TABLE prod.a, dev.users", "pass"),
        # stars, semicolons, quotes
        ("DROP DATABASE x;", "DROP DATABASE x", "fail"),
        ("DROP DATABASE *", "DROP DATABASE x", "fail"),
        ("DROP TABLE prod.*", "DROP TABLE main.prod.x", "fail"),
        ("DROP TABLE prod.*", "DROP TABLE dev.x", "pass"),
        ("DROP TABLE *_prod", "DROP TABLE a_prod", "fail"),
        ("DELETE FROM x", 'DELETE FROM "x"', "fail"),
        # all that can begin a statement, and what begins none
        ("EXPLAIN", "EXPLAIN SELECT 1", "fail"),
        ("explain", "SELECT 1; EXPLAIN SELECT 2", "fail"),
        ("EXPLAIN", "SELECT explain FROM t -- EXPLAIN", "pass"),
        ("DESCRIBE", "DESCRIBE TABLE x", "fail"),
        ("KILL", "KILL 5", "fail"),
        ("kill", "KILL 5", "pass"),
        ("COMMENT ON", "COMMENT ON TABLE x IS 'a'", "fail"),
        ("CROSS JOIN", "SELECT * FROM a CROSS JOIN b", "fail"),
        ("CROSS JOIN", "SELECT 'CROSS JOIN' FROM a JOIN b -- CROSS JOIN", "pass"),
        ("WHERE 1=1", "DELETE FROM t WHERE 1 = 1", "fail"),
        # columns, aliases and functions of such a name
        ("DROP", "SELECT CASE WHEN a THEN drop ELSE b END AS drop FROM t", "pass"),
        ("DROP", "INSERT INTO t (drop) VALUES (1)", "pass"),
        ("TRUNCATE", "SELECT (TRUNCATE(1.5, 1))", "pass"),
        ("SELECT", "CREATE TABLE x AS SELECT 'a'", "fail"),
    ],
)
def test_what_a_pattern_means(entry: str, query: str, expected: str) -> None:
    assert verdict("banned_tools", [entry], sql(query)) == expected


@pytest.mark.parametrize(
    ("entry", "query", "expected"),
    [
        ("DROP DATABASE", "DROP $KIND x", "unknown"),
        ("DROP DATABASE", "DROP TABLE $X", "pass"),
        ("DROP DATABASE", "DROP DATABASE $X", "fail"),
        ("DROP DATABASE prod", "DROP DATABASE p$X", "unknown"),
        ("DROP DATABASE prod", "DROP DATABASE dev_$X", "pass"),
        ("DELETE FROM users", "DELETE FROM $CATALOG.users", "fail"),
    ],
)
def test_names_that_are_filled_in_at_run_time(entry: str, query: str, expected: str) -> None:
    assert verdict("banned_tools", [entry], bash(f'psql -c "{query}"')) == expected
    code = query.replace("$KIND", "{k}").replace("$X", "{x}").replace("$CATALOG", "{c}")
    call = make_call("mcp__databricks__execute_code", {"code": f'spark.sql(f"{code}")'})
    assert verdict("banned_tools", [entry], call) == expected


@pytest.mark.parametrize(
    "command",
    [
        "databricks experimental aitools tools query 'DROP DATABASE x'",
        "databricks sql execute --query 'DROP DATABASE x'",
        "spark-sql --execute 'DROP DATABASE x'",
        "beeline -u j --query 'DROP DATABASE x'",
        "mysql --init-command='DROP DATABASE x' db",
        "sqlite3 a.db '-- tidy\nDROP DATABASE x'",
        "echo 'DROP DATABASE x' > x.sql; mysql -e 'source x.sql'",
        "echo 'DROP DATABASE x' > x.sql; psql --file=x.sql",
        "echo 'DROP DATABASE x' > x.sql; psql -fx.sql",
        "echo 'DROP DATABASE x' > x.sql; sqlplus u/p @x.sql",
    ],
)
def test_further_ways_to_give_a_client_its_sql(command: str) -> None:
    assert verdict("banned_tools", ["DROP DATABASE"], bash(command)) == "fail"


def test_other_texts_of_a_client_that_does_more() -> None:
    command = "databricks jobs create --name 'DROP DATABASE x'"
    assert verdict("banned_tools", ["DROP DATABASE"], bash(command)) == "pass"


@pytest.mark.parametrize("key", ["text", "q", "body", "input"])
def test_arguments_of_a_tool_that_is_named_after_queries(key: str) -> None:
    assert verdict("banned_tools", ["DROP DATABASE"], make_call("mcp__pg__query", {key: DROP})) == (
        "fail"
    )


@pytest.mark.parametrize("server", ["postgres", "pg", "my-neon", "supabase"])
def test_servers_are_known_by_their_dialect(server: str) -> None:
    call = make_call(f"mcp__{server}__query", {"sql": "SELECT $$; DROP DATABASE x$$"})
    assert verdict("banned_tools", ["DROP DATABASE"], call) == "pass"
    call = make_call(f"mcp__{server}__query", {"sql": "SELECT $$a;$$; DROP DATABASE x"})
    assert verdict("banned_tools", ["DROP DATABASE"], call) == "fail"


@pytest.mark.parametrize(
    ("name", "given", "right"),
    [
        # words of a name, not letters that stand in it
        ("mcp__databricks__create_task", {"sql": DROP}, "fail"),
        ("mcp__databricks__submit_task", {"statement": DROP}, "fail"),
        ("mcp__db__refinding", {"sql": DROP}, "fail"),
        ("mcp__db__docsify", {"query": DROP}, "fail"),
        # a search is given words; what is named sql runs all the same
        ("mcp__db__find", {"sql": DROP}, "fail"),
        ("mcp__db__search_docs", {"query": DROP}, "pass"),
        ("mcp__genie__askQuestion", {"query": DROP}, "pass"),
        # what only speaks of a statement, and data
        ("mcp__db__execute_sql", {"query": "SELECT 1", "query_description": DROP}, "pass"),
        ("mcp__db__execute_sql", {"query": "SELECT 1", "thought": DROP}, "pass"),
        ("mcp__db__execute_sql", {"query": "SELECT 1", "sqlComment": DROP}, "pass"),
        ("mcp__db__execute_sql", {"query": "SELECT 1", "expected_output": DROP}, "pass"),
        ("mcp__db__execute_sql", {"query": "SELECT ?", "params": [DROP]}, "pass"),
        ("mcp__db__execute_sql", {"query": "SELECT :a", "parameters": {"a": DROP}}, "pass"),
        ("mcp__postgres__execute", {"raw": DROP}, "fail"),
        ("mcp__nb__run", {"cells": [{"language": "sql", "source": DROP}]}, "fail"),
        ("mcp__nb__run", {"cells": [{"language": "python", "source": f"'{DROP}'"}]}, "pass"),
    ],
)
def test_what_a_tool_executes(name: str, given: dict[str, Any], right: str) -> None:
    assert verdict("banned_tools", ["DROP DATABASE"], make_call(name, given)) == right


@pytest.mark.parametrize(
    ("code", "right"),
    [
        ("spark.sql('DROP ' + 'DATABASE x')", "fail"),
        ("spark.sql('DROP '\n          'DATABASE x')", "fail"),
        ("spark.sql(sqlQuery='DROP DATABASE x')", "fail"),
        ("spark.sql(args={}, sqlQuery='DROP DATABASE x')", "fail"),
        ('spark.sql(s"DROP DATABASE $name")', "fail"),
        ('spark.sql(s"""DROP\n ${what} x""")', "unknown"),
        ("q = 'DROP DATABASE x'\nspark.sql(q)", "fail"),
        ("q = 'SELECT 1'\nspark.sql(q)", "pass"),
        ("q = 'SELECT 1'\nq = other\nspark.sql(q)", "unknown"),
        ("q = 'SELECT 1'\ndef f(q):\n    spark.sql(q)", "unknown"),
        ("for q in queries:\n    spark.sql(q)", "unknown"),
        ("spark.sql(open('a.sql').read())", "unknown"),
        ("spark.sql('{} DATABASE x'.format(verb))", "unknown"),
        ("spark.sql('%s DATABASE x' % verb)", "unknown"),
        ("spark.sql('SELECT %s' % x)", "pass"),
        ("x = 1\n%sql DROP DATABASE x", "fail"),
        ("df = %sql DROP DATABASE x", "fail"),
        ("# MAGIC %sql\n# MAGIC DROP DATABASE x", "fail"),
        ("%%sql postgresql://h/d\nDROP DATABASE x", "fail"),
        ('sql(paste0("DROP ", "DATABASE x"))', "fail"),
        ('dbExecute(con, "DROP DATABASE x")', "fail"),
        ("conn.cursor().execute('DROP DATABASE x')", "fail"),
        ("pd.read_sql(f'{statement}', con)", "unknown"),
        ("executor.execute(task)", "pass"),
        ("# spark.sql('DROP DATABASE x')\nprint(1)", "pass"),
        ("'''spark.sql('DROP DATABASE x')'''\nprint(1)", "pass"),
        ("print('DROP DATABASE x'); spark.sql('SELECT 1')", "pass"),
        ("def sql(q):\n    return q", "pass"),
    ],
)
def test_sql_in_program_text(code: str, right: str) -> None:
    call = make_call("mcp__databricks__execute_code", {"code": code})
    assert verdict("banned_tools", ["DROP DATABASE"], call) == right
    line = f"pyspark <<'END'\n{code}\nEND"
    assert verdict("banned_tools", ["DROP DATABASE"], bash(line)) == right


@pytest.mark.parametrize("language", ["scala", "javascript"])
def test_comments_are_the_languages_own(language: str) -> None:
    given = {"code": "// spark.sql('DROP DATABASE x')", "language": language}
    call = make_call("mcp__databricks__execute_code", given)
    assert verdict("banned_tools", ["DROP DATABASE"], call) == "pass"
    python = {"code": "y = 7 // 2; spark.sql('DROP DATABASE x')", "language": "python"}
    call = make_call("mcp__databricks__execute_code", python)
    assert verdict("banned_tools", ["DROP DATABASE"], call) == "fail"


@pytest.mark.parametrize(
    ("ban", "query", "right"),
    [
        ("DELETE FROM", "DELETE /*+ PARALLEL(4) */ FROM t", "fail"),
        ("DELETE FROM", "DELETE TOP (10) FROM t", "fail"),
        ("VACUUM RETAIN 0 HOURS", "VACUUM t RETAIN 0 HOURS", "fail"),
        ("VACUUM RETAIN 0 HOURS", "VACUUM t RETAIN 168 HOURS", "pass"),
        ("DROP SCHEMA CASCADE", "DROP SCHEMA IF EXISTS a.b CASCADE", "fail"),
        ("DROP SCHEMA CASCADE", "DROP SCHEMA a.b; SELECT cascade FROM t", "pass"),
        ("ALTER TABLE ... DROP", "ALTER TABLE t DROP COLUMN c", "fail"),
        ("DROP * users", "DROP VIEW users", "fail"),
        ("USE prod", "USE SCHEMA prod", "fail"),
        ("DROP TABLE", "DROP TABLE ${catalog}.t", "fail"),
        ("DROP TABLE users", "DROP TABLE ${name}", "unknown"),
        ("DROP TABLE users", "DROP TABLE {{ name }}", "unknown"),
        ("DROP TABLE users", "DROP TABLE IDENTIFIER(:name)", "unknown"),
        ("DROP TABLE users", "DROP TABLE IDENTIFIER('main.users')", "fail"),
        ("DROP TABLE users", "DROP TABLE IDENTIFIER('main.orders')", "pass"),
        ("DROP TABLE users", "DROP TABLE IDENTIFIER(:c || '.users')", "fail"),
        ("DROP TABLE users", "DROP TABLE :name", "unknown"),
        ("DROP TABLE users", "DROP TABLE $name", "unknown"),
        ("DROP TABLE", "${statement}", "unknown"),
        ("DROP TABLE", "DROP ${what} users", "unknown"),
        ("DELETE", "ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES c ON DELETE CASCADE", "pass"),
        ("DELETE", "CREATE TABLE a (b INT REFERENCES c (d) ON DELETE CASCADE)", "pass"),
        ("DELETE", "ALTER TABLE a ADD CONSTRAINT k CHECK (b); DELETE FROM t", "fail"),
        ("DELETE FROM", "SELECT * FROM dblink('c', 'DELETE FROM t') AS x(a int)", "fail"),
        ("DROP TABLE", "SELECT * FROM remote_query('c', query => 'DROP TABLE t')", "fail"),
    ],
)
def test_words_that_stand_apart(ban: str, query: str, right: str) -> None:
    assert verdict("banned_tools", [ban], sql(query)) == right


def test_what_psql_executes_of_a_result_is_unknown() -> None:
    line = "psql <<'E'\nSELECT format('DROP TABLE %I', t) FROM x \\gexec\nE"
    assert verdict("banned_tools", ["DROP TABLE"], bash(line)) == "unknown"
    assert verdict("banned_tools", ["DROP VIEW"], bash(line)) == "pass"


@pytest.mark.parametrize("pattern", ["DR*P TABLE", "* TABLE", "*DROP TABLE", "DROP*", "TRUNC* X"])
def test_a_glob_for_the_verb_is_refused(pattern: str) -> None:
    with pytest.raises(ParameterError, match="can never be met"):
        parse("banned_tools", [pattern])


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("psql -f <(echo 'DROP DATABASE x')", "unknown"),
        ("psql -f <(./generate)", "unknown"),
        ("./generate | psql", "unknown"),
        ("impala-shell -q 'DROP DATABASE x'", "fail"),
        ("impala-shell --query='DROP DATABASE x'", "fail"),
        ("beeline -u jdbc:hive2://h -e 'drop database x'", "fail"),
        ("duckdb a.db 'DROP SCHEMA x'", "fail"),
        ("clickhouse-client --query 'DROP DATABASE x'", "fail"),
        ("snowsql -q 'DROP DATABASE x'", "fail"),
        ("bq query --use_legacy_sql=false 'DROP SCHEMA x'", "fail"),
        ("trino --execute 'DROP SCHEMA x'", "fail"),
        ("usql pg://h/d -c 'DROP DATABASE x'", "fail"),
        ("mariadb -e 'DROP DATABASE x'", "fail"),
        ("mysqlsh --sql -e 'DROP DATABASE x'", "fail"),
        ("vsql -c 'DROP SCHEMA x'", "fail"),
        ("npx prisma db execute --stdin <<< 'DROP DATABASE x'", "fail"),
        ("ipython -c \"spark.sql('DROP DATABASE x')\"", "fail"),
        ("spark-shell <<'E'\nspark.sql(s\"DROP DATABASE $x\")\nE", "fail"),
        ("Rscript -e 'sparkR::sql(\"DROP DATABASE x\")'", "fail"),
        ("python -c 'spark.sql(q)'", "unknown"),
        ("python -c \"# spark.sql('DROP DATABASE x')\"", "pass"),
        ("echo 'DROP DATABASE x' | sqlfluff lint -", "pass"),
        ("grep 'DROP DATABASE' psql.log", "pass"),
    ],
)
def test_clients_and_programs_on_the_command_line(line: str, right: str) -> None:
    assert verdict("banned_tools", ["DROP DATABASE"], bash(line)) == right


@pytest.mark.parametrize(
    "code",
    [
        """python3 -c 'import os; os.system("psql -c \\"DROP TABLE t\\"")'""",
        "python3 - <<'PY'\nimport subprocess\nsubprocess.run(['psql', '-c', 'DROP TABLE t'])\nPY",
        """node -e 'require("child_process").execSync("mysql -e \\"DROP TABLE t\\"")'""",
        """perl -e 'system("sqlite3 a.db \\"DROP TABLE t\\"")'""",
        """ruby -e 'system("psql -c \\"DROP TABLE t\\"")'""",
        """awk 'BEGIN{system("psql -c \\"DROP TABLE t\\"")}'""",
    ],
)
def test_statements_in_commands_of_program_text(code: str) -> None:
    assert verdict("banned_tools", ["DROP TABLE"], bash(code)) == "fail"
    assert verdict("banned_tools", ["DROP TABLE"], bash(code.replace("DROP", "FROM"))) == "pass"


def test_statements_in_commands_of_a_notebook() -> None:
    code = "import os\nos.system('psql -c \"DROP TABLE t\"')"
    call = make_call("mcp__jupyter__execute_code", {"code": code})
    assert verdict("banned_tools", ["DROP TABLE"], call) == "fail"


@pytest.mark.parametrize("frame", ["{}", "while read -r x; do {}\ndone < l", "echo a | ( {} )"])
def test_a_file_that_is_posted_is_read_whatever_flows_in(frame: str) -> None:
    post = "curl -X POST https://h/api/2.0/sql/statements -d @p.json"
    line = "cat > p.json <<'E'\n" + '{"statement":"DROP TABLE t"}\nE\n' + post
    assert verdict("banned_tools", ["DROP TABLE"], bash(frame.format(line))) == "fail"


def test_a_heredoc_keeps_its_backslashes() -> None:
    post = 'curl https://h/api/2.0/sql/statements -d "{\\"statement\\": \\"DROP TABLE t\\"}"'
    for start in ("'EOF'", "EOF", "\\EOF"):
        line = f"bash <<{start}\n{post}\nEOF"
        assert verdict("banned_tools", ["DROP TABLE"], bash(line)) == "fail"
    assert read_script("cat <<'EOF'\na\\$b \\\\ \\` \\\"\nEOF").commands[0].stdin == (
        'a\\$b \\\\ \\` \\"\n'
    )
    assert read_script('cat <<EOF\na\\$b \\\\ \\"\nEOF').commands[0].stdin == 'a$b \\ \\"\n'
