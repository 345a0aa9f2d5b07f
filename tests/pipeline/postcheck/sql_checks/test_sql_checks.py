"""Every check of validate_migration.sql: it passes on a clean load, and a planted fault makes it fail, and no other."""

from __future__ import annotations

import pytest

from tests.pipeline.conftest import everything_in
from tests.pipeline.postcheck.sql_checks.loaded import (
    AUDIT,
    NOTES,
    PLAIN,
    SESSIONS,
    WORDS,
    Loaded,
    Verdicts,
    changed,
    psql,
    verdicts_of_psql,
)
from tests.postgres_server import Server
from transforms.tables.medzen import TABLES

PER_TABLE = {
    SESSIONS: ["counts", "spot checks", "instants", "timestamps", "enumerations"],
    NOTES: ["counts", "spot checks", "instants", "JSON content", "timestamps", "JSON types", "enumerations", "references"],
    AUDIT: ["counts", "spot checks", "instants", "JSON content", "timestamps", "JSON types", "enumerations", "references"],
}
CLEAN: Verdicts = {
    ("ledger", None): ["PASS"],
    **{(check, table): ["PASS"] for table, checks in PER_TABLE.items() for check in checks},
    **{(check, table): ["SKIP"] for table in PER_TABLE for check in ("policies", "row security")},
}


def test_a_clean_load_passes_every_check(loaded: Loaded, server: Server) -> None:
    """By validate's way and by psql; in psql without spot checks. Nothing is written, not even by a role that could."""
    before = everything_in(loaded.database)

    assert loaded.verdicts() == CLEAN
    plain = verdicts_of_psql(psql(server, loaded.database.url, PLAIN))
    emitted = verdicts_of_psql(psql(server, loaded.database.url, loaded.emit(loaded.folder / "checks.sql")))

    assert emitted == CLEAN
    skipped = {(check, table): ["SKIP"] for table in PER_TABLE for check in ("spot checks", "instants", "JSON content")}
    assert changed(CLEAN, plain) == skipped
    assert plain.keys() >= CLEAN.keys()
    assert everything_in(loaded.database) == before


def test_the_settings_of_a_session_do_not_matter(loaded: Loaded, server: Server) -> None:
    """Its time zone, its way to write dates, its quoting, its encoding, its search path."""
    options = " ".join(
        f"-c {setting}"
        for setting in (
            "TimeZone=Asia/Kolkata",
            "DateStyle=SQL,DMY",
            "IntervalStyle=sql_standard",
            "standard_conforming_strings=off",
            "search_path=pg_catalog",
            "statement_timeout=1000",
            "extra_float_digits=0",
        )
    )
    script = loaded.emit(loaded.folder / "checks.sql")

    found = verdicts_of_psql(psql(server, loaded.database.url, script, PGOPTIONS=options, PGCLIENTENCODING="LATIN1"))

    assert found == CLEAN


SPOT_AND_INSTANT = ["spot checks", "instants"]
SPOT_AND_JSON = ["spot checks", "JSON content"]
# {spot}: the id of a row that is looked for; {other}: of one that is not. Which checks then fail, of the table itself.
FAULTS = [
    (SESSIONS, "DELETE FROM {table} WHERE id = '{spot}'", {"counts", "spot checks"}),
    (AUDIT, "DELETE FROM {table} WHERE id = '{other}'", {"counts"}),
    (AUDIT, "UPDATE {table} SET session_id = (SELECT id FROM video_call_sessions LIMIT 1) WHERE id = '{spot}'", {"spot checks"}),
    (NOTES, "UPDATE {table} SET ai_model = ai_model || ' ' WHERE id = '{spot}'", {"spot checks"}),
    (SESSIONS, "UPDATE {table} SET start_time = start_time + interval '1 microsecond' WHERE id = '{spot}'", {*SPOT_AND_INSTANT}),
    (SESSIONS, "UPDATE {table} SET updated_at = updated_at - interval '1 hour' WHERE id = '{spot}'", {*SPOT_AND_INSTANT}),
    (AUDIT, "UPDATE {table} SET created_at = created_at AT TIME ZONE 'Asia/Kolkata' AT TIME ZONE 'UTC'", {*SPOT_AND_INSTANT}),
    (NOTES, "UPDATE {table} SET created_at = '1999-12-31 23:59:59.999999+00' WHERE id = '{other}'", {"timestamps"}),
    (NOTES, "UPDATE {table} SET ai_generated_at = '2100-01-01 00:00:00.000001+00' WHERE id = '{other}'", {"timestamps"}),
    (AUDIT, "ALTER TABLE {table} ALTER created_at TYPE timestamp", {"timestamps"}),
    (NOTES, """UPDATE {table} SET plan = jsonb_set(plan, '{{planted}}', '1') WHERE id = '{spot}'""", {*SPOT_AND_JSON}),
    (NOTES, "UPDATE {table} SET plan = NULL WHERE id = '{other}'", {"JSON types"}),
    (NOTES, "ALTER TABLE {table} ALTER plan TYPE json", {"JSON types"}),
    (SESSIONS, "UPDATE {table} SET status = 'active' WHERE id = '{other}'", {"enumerations"}),
    (NOTES, "UPDATE {table} SET status = 'ACTIVE' WHERE id = '{other}'", {"enumerations"}),
    (NOTES, "UPDATE {table} SET note_type = 'soap' WHERE id = '{other}'", {"enumerations"}),
    (AUDIT, "UPDATE {table} SET event_type = 'call_joined' WHERE id = '{other}'", {"enumerations"}),
    (AUDIT, "UPDATE {table} SET event_type = '' WHERE id = '{other}'", {"enumerations"}),
    (AUDIT, "UPDATE {table} SET event_type = 'CALL_DROPPED' WHERE id = '{other}'", {"enumerations"}),
    (NOTES, "UPDATE {table} SET session_id = gen_random_uuid() WHERE id = '{other}'", {"references"}),
    (AUDIT, "UPDATE {table} SET session_id = gen_random_uuid() WHERE id = '{other}'", {"references"}),
]


def plant(loaded: Loaded, table: str, statement: str) -> None:
    spots = next([row.values[0] for row in one.rows] for one in loaded.spot_checks() if one.target_table == table)
    other = loaded.database.value(f"SELECT id::text FROM {table} WHERE NOT id = ANY (%s::uuid[]) ORDER BY id LIMIT 1", spots)
    loaded.database.execute(statement.format(table=table, spot=spots[7], other=other))


@pytest.mark.parametrize(("table", "statement", "failing"), FAULTS)
def test_a_planted_fault_fails_its_checks_and_no_other(loaded: Loaded, table: str, statement: str, failing: set[str]) -> None:
    """Which check finds what."""
    plant(loaded, table, statement)

    after = changed(CLEAN, loaded.verdicts())

    references = {key for key in after if key[0] == "references" and table == SESSIONS}
    assert {key: after[key] for key in after.keys() - references} == {(check, table): ["FAIL"] for check in failing}
    assert all(after[key] == ["FAIL"] for key in references)


@pytest.mark.parametrize(
    "statement", ["UPDATE clinical_notes SET plan = '7' WHERE id = '{other}'", "UPDATE {table} SET created_at = NULL WHERE id = '{other}'"]
)
def test_what_an_application_may_have_written_is_a_warning(loaded: Loaded, statement: str) -> None:
    """A component that is no object could be so in the export; a NULL could be of a new row."""
    plant(loaded, NOTES, statement)

    (verdict,) = changed(CLEAN, loaded.verdicts()).values()

    assert verdict == ["WARN"]


def test_what_the_ledger_accounts_for_is_no_fault(loaded: Loaded) -> None:
    """As many missing sessions as dead letters, as many odd event types as notices; one more of either is one. Bounds are inside."""
    loaded.database.execute("UPDATE video_call_audit_log SET created_at = '2000-01-01 00:00:00+00' WHERE event_type = 'CALL_INITIATED'")
    plant(loaded, AUDIT, "UPDATE {table} SET event_type = 'CALL_DROPPED' WHERE id = '{other}'")
    plant(loaded, NOTES, "UPDATE {table} SET updated_at = '2100-01-01 00:00:00+00', session_id = gen_random_uuid() WHERE id = '{other}'")
    assert {key: value for key, value in changed(CLEAN, loaded.verdicts()).items() if key[0] not in ("spot checks", "instants")} == {
        ("enumerations", AUDIT): ["FAIL"],
        ("references", NOTES): ["FAIL"],
    }
    first = "WHERE ctid = (SELECT min(ctid) FROM ddb2pg.chunk WHERE load_id = {})"
    loaded.database.execute("UPDATE ddb2pg.chunk SET rows = rows - 1, dead_letters = 1 " + first.format(1))
    loaded.database.execute("""UPDATE ddb2pg.chunk SET notice_codes = '{"unknown_event_type": 1}' """ + first.format(3))

    found = loaded.verdicts()

    assert found["enumerations", AUDIT] == ["PASS"]
    assert found["references", NOTES] == ["WARN"]
    assert found["references", AUDIT] == found["counts", SESSIONS] == ["PASS"]
    loaded.database.execute("DELETE FROM video_call_sessions WHERE id = (SELECT session_id FROM clinical_notes ORDER BY id DESC LIMIT 1)")
    assert loaded.verdicts()["references", NOTES] == ["FAIL"]


def test_what_is_said_of_a_fault_holds_places_and_columns_and_no_value(loaded: Loaded) -> None:
    """The place of a row in the export, the columns that differ, and counts."""
    spot = loaded.spot_checks()[0].rows[3]
    loaded.database.execute("UPDATE video_call_sessions SET status = 'SECRET', created_at = '1990-01-01' WHERE id = %s", spot.values[0])
    checks = loaded.checks()

    details = {one.name: one.detail for one in checks if one.table == SESSIONS}

    place = f"item {spot.item_number} of {spot.data_file}"
    assert details["spot checks"] == f"of 20 rows of the export 0 are missing, 1 differ: {place} (status, created_at)"
    assert (
        details["instants"] == f"of 20 rows of the export 0 are missing, 1 differ in a timestamp, to the microsecond: {place} (created_at)"
    )
    assert details["timestamps"].startswith("outside 2000-01-01 to 2100-01-01 UTC: created_at in 1 rows;")
    text = " ".join(one.detail for one in checks)
    assert "SECRET" not in text
    assert not [
        value
        for one in loaded.spot_checks()
        for row in one.rows
        for value in row.values
        if isinstance(value, str) and len(value) > 9 and value in text
    ]


def test_sessions_that_are_not_there_are_listed_by_psql_alone(loaded: Loaded, server: Server) -> None:
    """Twenty at most of each table, with the count in words; validate shows counts only."""
    loaded.database.execute("DELETE FROM video_call_sessions WHERE id IN (SELECT session_id FROM clinical_notes ORDER BY id LIMIT 25)")
    gone = {
        row[0]
        for row in loaded.database.query("SELECT session_id::text FROM clinical_notes EXCEPT SELECT id::text FROM video_call_sessions")
    }
    assert len(gone) > 20

    finished = psql(server, loaded.database.url, PLAIN)

    listed = [line.split("\t") for line in finished.stdout.splitlines() if line.count("\t") == 1]
    of_notes = [identity for table, identity in listed if table == NOTES]
    assert of_notes == sorted(gone)[:20]
    (detail,) = loaded.details("references", NOTES)
    assert f"refer to {len(gone)} sessions that are not there, and only 0 sessions are dead letters" in detail
    assert not [identity for identity in gone if identity in " ".join(one.detail for one in loaded.checks())]


# -- targets and ledgers that are not as they should be ------------------------------------------------------------------------------------


def test_a_missing_table_is_told_and_ends_nothing(loaded: Loaded, server: Server) -> None:
    """All other checks go on."""
    loaded.database.execute("DROP TABLE video_call_sessions")

    found = verdicts_of_psql(psql(server, loaded.database.url, loaded.emit_from(loaded.spot_checks())))

    assert found["counts", SESSIONS] == ["FAIL"]
    assert found["spot checks", SESSIONS] == ["SKIP"]
    assert found["references", NOTES] == ["SKIP"]
    assert {key: value for key, value in found.items() if key[1] == AUDIT and key[0] != "references"} == {
        key: value for key, value in CLEAN.items() if key[1] == AUDIT and key[0] != "references"
    }


def test_without_a_ledger_what_can_be_checked_is(loaded: Loaded, server: Server) -> None:
    """The mapping's own checks, of tables on the search path; and in an empty database nothing, without an error."""
    loaded.database.execute("DROP SCHEMA ddb2pg CASCADE")

    found = verdicts_of_psql(psql(server, loaded.database.url, PLAIN))
    empty = verdicts_of_psql(psql(server, server.new_database(with_targets=False).url, PLAIN))

    assert found["ledger", None] == ["FAIL"]
    assert found["timestamps", SESSIONS] == found["JSON types", NOTES] == found["enumerations", AUDIT] == ["PASS"]
    assert found["references", NOTES] == ["SKIP"]
    assert not [key for key in found if key[0] in ("counts", "spot checks")]
    assert empty == {("ledger", None): ["FAIL"]}


@pytest.mark.parametrize(
    ("statement", "verdict", "words"),
    [
        (
            "DELETE FROM ddb2pg.chunk WHERE ctid = (SELECT min(ctid) FROM ddb2pg.chunk WHERE load_id = 1)",
            "FAIL",
            "run ddb2pg migrate again",
        ),
        ("UPDATE ddb2pg.load SET finished_at = NULL WHERE load_id = 1", "WARN", "not proved yet"),
        ("UPDATE ddb2pg.load SET rollback_started_at = now() WHERE load_id = 1", "WARN", "a rollback was begun"),
        (
            "INSERT INTO video_call_sessions SELECT gen_random_uuid(), id, id, id, 'ACTIVE' FROM clinical_notes LIMIT 3",
            "PASS",
            "3 are not of this",
        ),
        (
            "UPDATE ddb2pg.chunk SET rolled_back_at = now(), deleted = rows - 2, gone = 1, kept = 1 WHERE load_id = 1;"
            "UPDATE ddb2pg.load SET rollback_started_at = now(), rolled_back_at = now() WHERE load_id = 1",
            "PASS",
            "of 120 rows",
        ),
        (
            "UPDATE ddb2pg.chunk SET rolled_back_at = now(), deleted = rows - 2, gone = 1, kept = 0 WHERE load_id = 1;"
            "UPDATE ddb2pg.load SET rollback_started_at = now(), rolled_back_at = now() WHERE load_id = 1",
            "FAIL",
            "run ddb2pg rollback again",
        ),
        (
            "DELETE FROM video_call_sessions WHERE id IN (SELECT id FROM video_call_sessions LIMIT 5);"
            "UPDATE ddb2pg.chunk SET rolled_back_at = now(), deleted = rows, gone = 0, kept = 0 "
            "WHERE ctid = (SELECT min(ctid) FROM ddb2pg.chunk WHERE load_id = 1 AND rows = 7); "
            "UPDATE ddb2pg.load SET rollback_started_at = now() WHERE load_id = 1",
            "WARN",
            "a rollback was begun",
        ),
    ],
)
def test_counts_know_the_state_of_a_load(loaded: Loaded, statement: str, verdict: str, words: str) -> None:
    """Unfinished, being rolled back, rolled back; and rows of others beside it."""
    loaded.database.execute(statement)

    checks = [one for one in loaded.checks() if (one.name, one.table) == ("counts", SESSIONS)]

    assert [WORDS[one.verdict] for one in checks] == [verdict]
    assert words in checks[0].detail


def test_targets_are_found_by_the_ledger_wherever_they_lie(loaded: Loaded) -> None:
    """In a schema that is not on the search path, with a dot and a capital in its name."""
    loaded.database.execute('CREATE SCHEMA "Odd.one"')
    for table in TABLES:
        loaded.database.execute(f'ALTER TABLE {table.target} SET SCHEMA "Odd.one"')
    loaded.database.execute("UPDATE ddb2pg.load SET target_table = replace(target_table, 'public', 'Odd.one')")
    loaded.picked = [loaded.elsewhere(one, "Odd.one") for one in loaded.picked]

    found = loaded.verdicts()

    assert found == {(check, table and table.replace("public", "Odd.one")): verdict for (check, table), verdict in CLEAN.items()}
