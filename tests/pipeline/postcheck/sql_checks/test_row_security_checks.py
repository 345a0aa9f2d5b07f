"""Row security after a load: whether it is as it was, and what the roles of a Supabase project see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg2.extensions import make_dsn

from tests.pipeline.postcheck.sql_checks.loaded import AUDIT, NOTES, PLAIN, SESSIONS, Loaded, Verdicts, psql, verdicts_of_psql
from tests.postgres_server import Database, Server
from transforms.tables.medzen import TABLES

MakeRoles = Callable[[Database], None]

SUB = "(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid"
OWN = f"provider_id = {SUB} OR patient_id = {SUB}"
OF_OWN_SESSION = f"session_id IN (SELECT id FROM video_call_sessions WHERE {OWN})"
POLICIES = {
    "video_call_sessions": f"CREATE POLICY own ON video_call_sessions FOR SELECT TO authenticated USING ({OWN})",
    "clinical_notes": f"CREATE POLICY own ON clinical_notes FOR SELECT TO authenticated USING ({OF_OWN_SESSION})",
    "video_call_audit_log": f"CREATE POLICY own ON video_call_audit_log TO authenticated USING ({OF_OWN_SESSION})",
}

RESET = f"""
    DROP POLICY IF EXISTS own ON clinical_notes; DROP POLICY IF EXISTS "b c" ON clinical_notes; DROP POLICY IF EXISTS s ON clinical_notes;
    DROP POLICY IF EXISTS c ON clinical_notes; DROP POLICY IF EXISTS r ON clinical_notes; {POLICIES["clinical_notes"]};
    ALTER TABLE clinical_notes ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY; GRANT SELECT ON clinical_notes TO authenticated;
"""


@pytest.fixture
def secured(server: Server, clean_load: Loaded, tmp_path: Path, roles: MakeRoles) -> Loaded:
    """The clean load again, as if row security with policies had been on before: by migrate, into another database."""
    database = server.new_database()
    roles(database)
    for table in TABLES:
        database.execute(f"ALTER TABLE {table.target} ENABLE ROW LEVEL SECURITY; {POLICIES[table.target]}")
    secured = Loaded(server, database, clean_load.export, tmp_path)
    secured.load(chunk_items=1000)
    return secured


def row_security(loaded: Loaded) -> Verdicts:
    return {key: verdict for key, verdict in loaded.verdicts().items() if key[0] in ("policies", "row security")}


GOOD = {(check, table): ["PASS"] * times for table in (SESSIONS, NOTES, AUDIT) for check, times in (("policies", 1), ("row security", 2))}


def test_policies_that_are_as_they_were_and_work_pass(secured: Loaded, server: Server) -> None:
    """Whom a row belongs to sees rows, a stranger none; afterwards role and claims are as they were, in psql and here."""
    assert row_security(secured) == GOOD
    script = PLAIN.replace(
        "\nROLLBACK;", "\nSELECT current_user, current_setting('request.jwt.claims'), current_setting('role');\nROLLBACK;"
    )
    finished = psql(server, secured.database.url, script)
    assert finished.stdout.splitlines()[-1].split("\t") == ["postgres", "", "none"]
    elsewhere = psql(server, secured.database.url, PLAIN, PGOPTIONS="-c search_path=pg_catalog")
    assert {key: value for key, value in verdicts_of_psql(elsewhere).items() if key in GOOD} == GOOD


def test_every_change_of_row_security_is_found(secured: Loaded) -> None:
    """Each in its own words; and what it makes of what the roles see."""
    on = "ALTER TABLE clinical_notes"
    secured.database.execute("CREATE SCHEMA auth; CREATE TABLE member (of uuid)")
    secured.database.execute("GRANT SELECT ON member TO authenticated")
    asks_for_more = f"EXISTS (SELECT FROM member m WHERE m.of = {SUB})"
    for statement, policies, seeing, words in (
        ("DROP POLICY own ON clinical_notes", ["FAIL"], ["SKIP"], "policies dropped own"),
        ("ALTER POLICY own ON clinical_notes USING (true)", ["FAIL"], ["PASS", "FAIL"], "policies altered own"),
        ("ALTER POLICY own ON clinical_notes TO PUBLIC", ["FAIL"], ["SKIP", "PASS", "PASS", "PASS"], "policies altered own"),
        (f"ALTER POLICY own ON clinical_notes USING (appointment_id = {SUB})", ["FAIL"], ["FAIL", "PASS"], "policies altered own"),
        (f"ALTER POLICY own ON clinical_notes USING ({asks_for_more})", ["FAIL"], ["WARN", "PASS"], "policies altered own"),
        ('CREATE POLICY "b c" ON clinical_notes FOR SELECT TO anon USING (true)', ["FAIL"], ["SKIP", "FAIL", "PASS", "PASS"], "added b c"),
        ("CREATE POLICY s ON clinical_notes TO service_role USING (true)", ["FAIL"], ["PASS", "PASS", "SKIP"], "added s"),
        ("CREATE POLICY c ON clinical_notes TO checker USING (true)", ["FAIL"], ["PASS", "PASS", "PASS", "SKIP"], "added c"),
        ("CREATE POLICY r ON clinical_notes AS RESTRICTIVE USING (false)", ["FAIL"], ["FAIL", "PASS"], "added r"),
        ("REVOKE SELECT ON clinical_notes FROM authenticated", ["PASS"], ["FAIL"], ""),
        ("ALTER POLICY own ON clinical_notes USING (1 / (length(status) - length(status)) = 1)", ["FAIL"], ["FAIL"], "altered"),
        (f"{on} FORCE ROW LEVEL SECURITY", ["FAIL"], ["PASS", "PASS"], "forced"),
        (f"{on} DISABLE ROW LEVEL SECURITY", ["FAIL"], ["SKIP"], "turned off; whoever has an API key may read the table"),
    ):
        secured.database.execute(RESET)
        secured.database.execute(statement)

        found = row_security(secured)

        assert found["policies", NOTES] == policies, statement
        assert found["row security", NOTES] == seeing, (statement, secured.details("row security", NOTES))
        assert words in secured.details("policies", NOTES)[0]
        assert {key: value for key, value in found.items() if key[1] != NOTES} == {
            key: value for key, value in GOOD.items() if key[1] != NOTES
        }


def test_row_security_that_came_after_the_load_is_a_warning(loaded: Loaded, roles: MakeRoles) -> None:
    """Off when the load began: that may be how it was meant. Off, and open to the API, is one before and after."""
    roles(loaded.database)
    assert [row_security(loaded)["policies", table] for table in (SESSIONS, NOTES, AUDIT)] == [["WARN"]] * 3
    loaded.database.execute(f"ALTER TABLE video_call_sessions ENABLE ROW LEVEL SECURITY; {POLICIES['video_call_sessions']}")

    assert row_security(loaded)["policies", SESSIONS] == ["WARN"]
    assert loaded.details("policies", SESSIONS) == ["row security is not what it was when the load began: policies added own; turned on"]
    assert row_security(loaded)["row security", SESSIONS] == ["PASS", "PASS"]


def test_a_role_with_few_rights_is_told_what_it_cannot_check(secured: Loaded, server: Server) -> None:
    """Not the ledger's owner: nothing can be told. With the ledger, but under row security: no count is told that would be too small."""
    as_checker = make_dsn(secured.database.url, user="checker")
    assert verdicts_of_psql(psql(server, as_checker, PLAIN)) == {("ledger", None): ["FAIL"]}
    secured.database.execute("ALTER SCHEMA ddb2pg OWNER TO checker")
    for (table,) in secured.database.query("SELECT relname FROM pg_class WHERE relnamespace = 'ddb2pg'::regnamespace AND relkind = 'r'"):
        secured.database.execute(f"ALTER TABLE ddb2pg.{table} OWNER TO checker")

    found = verdicts_of_psql(psql(server, as_checker, PLAIN))

    assert found["ledger", None] == ["PASS"]
    for check in ("counts", "timestamps", "enumerations"):
        assert found[check, SESSIONS] == ["SKIP"]
    assert found["policies", SESSIONS] == ["PASS"]
    assert found["row security", SESSIONS] == ["SKIP"]
