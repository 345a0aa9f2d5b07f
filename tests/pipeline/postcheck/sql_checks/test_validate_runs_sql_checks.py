"""validate, as a user runs it: the SQL checks after its comparison, in its report and its exit code; and the script that it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.postcheck.sql_checks import run_script
from tests.command_line import CommandLine
from tests.pgbouncer import PgBouncer
from tests.pipeline.planted import report_of
from tests.pipeline.postcheck.sql_checks.loaded import NOTES, SESSIONS, Loaded, psql, verdicts_of, verdicts_of_psql
from tests.pipeline.target.made_loads import reference_to
from tests.postgres_server import Server

pytestmark = pytest.mark.plain


def test_a_check_that_fails_is_in_the_exit_code_and_the_report(loaded: Loaded, tmp_path: Path) -> None:
    """Though every row is equal. What is said of tables that were not asked for does not count."""
    run = CommandLine(loaded.database.url, tmp_path)
    notes = loaded.export / "medzen-soap-notes"
    assert run.validate(notes).exit_code == 0
    loaded.database.execute("""UPDATE ddb2pg.load SET row_security = '{"enabled": true, "forced": false, "policies": []}'""")

    finished = run.validate(notes)

    assert finished.exit_code == 3, finished.output
    assert "Every row equals its item" in finished.stdout
    assert "SQL checks: 1 FAILED" in finished.stdout
    report = report_of(run.run_folders[-1])
    assert report["exit_code"] == 3
    found = {(check["name"], check["table"]): check["verdict"] for check in report["checks"]["sql"]}
    assert found["policies", NOTES] == "fail"
    assert found["spot checks", NOTES] == found["ledger", None] == "pass"
    assert not [key for key in found if key[1] == SESSIONS]


def test_emit_sql_writes_the_script_and_shows_no_value(loaded: Loaded, server: Server, tmp_path: Path) -> None:
    """Nothing is compared; the file runs as it is."""
    run = CommandLine(loaded.database.url, tmp_path)

    emitted = run.validate(loaded.export, "--emit_sql", tmp_path / "checks.sql")

    assert emitted.exit_code == 0, emitted.output
    assert "HOLDS PATIENT DATA: the values of 60 rows" in emitted.stdout
    values = {
        value for one in loaded.spot_checks() for row in one.rows for value in row.values if isinstance(value, str) and len(value) > 9
    }
    assert not [value for value in values if value in emitted.output]
    assert not run.output.exists()
    verdicts = verdicts_of_psql(psql(server, loaded.database.url, tmp_path / "checks.sql"))
    assert verdicts["spot checks", SESSIONS] == ["PASS"]
    again = run.validate(loaded.export, "--emit_sql", tmp_path / "checks.sql", "--repair")
    assert again.exit_code == 2


def test_no_value_is_in_the_log_of_a_server_that_logs_every_statement(loaded: Loaded, server: Server, tmp_path: Path) -> None:
    """Neither of validate, nor of psql with the script."""
    name = loaded.database.value("SELECT current_database()")
    loaded.database.execute(f"ALTER DATABASE {name} SET log_statement = 'all'")
    run = CommandLine(loaded.database.url, tmp_path)
    before = len(server.log)

    assert run.validate(loaded.export).exit_code == 0
    assert verdicts_of_psql(psql(server, loaded.database.url, loaded.emit(tmp_path / "checks.sql")))["spot checks", NOTES] == ["PASS"]

    logged = server.log[before:]
    assert logged.count("statement: COPY pg_temp.ddb2pg_expected") == 2
    texts = {value for one in loaded.spot_checks() for row in one.rows for value in row.values if isinstance(value, str)}
    # A long word without a digit is one of the mapping's, which the script names.
    values = {value for value in texts if len(value) > 9 and not value.isalpha() and not value.replace("_", "").isupper()}
    assert len(values) > 100
    assert not [value for value in values if value in logged or json.dumps(value)[1:-1] in logged]


def test_through_a_pooler_in_transaction_mode(loaded: Loaded, server: Server) -> None:
    """All of it is one transaction; nothing is left behind in the server's connection."""
    expected = loaded.verdicts()
    with PgBouncer(loaded.database.url, "transaction", pool_size=1) as pooler:
        assert verdicts_of(run_script(reference_to(pooler.url), loaded.spot_checks())) == expected
        assert verdicts_of_psql(psql(server, pooler.url, loaded.emit_from(loaded.spot_checks()))) == expected
        left = psql(server, pooler.url, "SELECT coalesce(current_setting('ddb2pg.verdicts', true), ''), current_setting('row_security')")
    assert left.stdout == "\ton\n"
