"""The gate of migrate: a table that differs from its export keeps the next one from being begun."""

from __future__ import annotations

from pathlib import Path

import pytest

from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.pipeline.planted import report_of
from tests.postgres_server import Database
from tests.truth import assert_equals_truth, records
from transforms.tables.medzen import TABLES, VIDEO_SESSIONS

pytestmark = pytest.mark.plain

SHIFTED = """
    CREATE FUNCTION shift() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.created_at := NEW.created_at + interval '1 microsecond'; RETURN NEW; END $$;
    CREATE TRIGGER shift BEFORE INSERT ON video_call_sessions FOR EACH ROW WHEN (NEW.created_at > {since}) EXECUTE FUNCTION shift()
"""
ALL = "'-infinity'"


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("gate") / "export"
    write_sample_exports(root, items=3_000, seed=5, faulty=0.05, odd=0.1, items_per_file=1_000)
    return root


@pytest.fixture(scope="module")
def timed_export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each item has a time of its own: none gets that of the load."""
    root = tmp_path_factory.mktemp("gate_timed") / "export"
    write_sample_exports(root, items=3_000, seed=5, faulty=0.05, odd=0, items_per_file=1_000)
    return root


@pytest.fixture
def changing(database: Database) -> Database:
    """Each session's time is a microsecond later than it should be."""
    database.execute(SHIFTED.format(since=ALL))
    return database


def test_a_sample_that_is_not_equal_ends_the_run_before_the_next_table(export: Path, run: CommandLine, changing: Database) -> None:
    """It says what is different, in which files that is, and how it goes on; no value."""
    finished = run.migrate(export)

    assert finished.exit_code == 1, finished.output
    assert "NOT VALIDATED" in finished.stdout
    assert "created_at" in finished.stdout
    assert "run the same command again" in finished.stdout
    assert f"not begun: {TABLES[1].source}, {TABLES[2].source}" in finished.stdout
    assert changing.value("SELECT count(*) FROM clinical_notes") == 0
    (folder,) = run.run_folders
    found = list(records(folder / "mismatches" / VIDEO_SESSIONS.source))
    table = report_of(folder)["tables"][0]
    [check] = table["checks"]
    assert len(found) == table["mismatches"]["different"] == table["columns"]["created_at"] > 1_500
    assert int(check["detail"].partition(" items were compared")[0].replace(",", "")) >= 2_000
    assert len({record["data_file"] for record in found}) == 3, "of all over the export"
    assert all(record["columns"] == ["created_at"] and "values" not in record for record in found)


def test_mended_it_goes_on(export: Path, run: CommandLine, changing: Database) -> None:
    """The same command compares again, and begins the next table only when it is equal."""
    assert run.migrate(export).exit_code == 1
    assert run.migrate(export).exit_code == 1
    changing.execute("UPDATE video_call_sessions SET created_at = created_at - interval '1 microsecond'")

    finished = run.migrate(export)

    assert finished.exit_code == 3, finished.output
    assert_equals_truth(export, changing, run.run_folders[-1])
    assert "a sample of rows compared" in run("status").stdout


@pytest.mark.usefixtures("changing")
def test_none_does_not_look(export: Path, run: CommandLine) -> None:
    finished = run.migrate(export, "--validate=none")

    assert finished.exit_code == 3, finished.output
    assert report_of(run.run_folders[-1])["tables"][0]["checks"] == []
    assert "not validated" in run("status").stdout


def test_full_finds_the_one_row_that_a_sample_does_not(timed_export: Path, run: CommandLine, database: Database) -> None:
    """One row, at the end of a file; what was found equal in full is not compared again."""
    assert run.migrate(timed_export).exit_code == 3
    far = database.value("SELECT max(created_at) FROM video_call_sessions")
    for target in ("video_call_sessions", "clinical_notes", "video_call_audit_log"):
        database.execute(f"TRUNCATE {target} CASCADE")
    database.execute("DROP SCHEMA ddb2pg CASCADE")
    database.execute(SHIFTED.format(since=f"'{far}'::timestamptz - interval '1 microsecond'"))

    finished = run.migrate(timed_export, "--validate=full")

    assert finished.exit_code == 1, finished.output
    assert report_of(run.run_folders[-1])["tables"][0]["mismatches"] == {"different": 1}
    database.execute("UPDATE video_call_sessions SET created_at = created_at - interval '1 microsecond' WHERE created_at > %s", far)
    assert run.migrate(timed_export, "--validate=full").exit_code == 3
    again = run.migrate(timed_export, "--validate=full")
    assert again.exit_code == 3
    assert again.stdout.count("compared with the export by an earlier run") == 3
    assert run("status").stdout.count("every row compared") == 3


def test_rows_of_others_do_not_pass(export: Path, run: CommandLine, database: Database) -> None:
    """A trigger that adds rows: the equation holds, the number does not."""
    database.execute("""
        CREATE FUNCTION once() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF pg_trigger_depth() = 1 THEN INSERT INTO video_call_sessions SELECT (jsonb_populate_record(s,
           jsonb_build_object('id', gen_random_uuid()))).* FROM video_call_sessions s LIMIT 1; END IF; RETURN NULL; END $$;
        CREATE TRIGGER once AFTER INSERT ON video_call_sessions FOR EACH STATEMENT EXECUTE FUNCTION once()
    """)

    finished = run.migrate(export)

    assert finished.exit_code == 1, finished.output
    assert "row_without_item" in finished.stdout
