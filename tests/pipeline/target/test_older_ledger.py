"""A ledger that an older version made is brought up to date by the next command that writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import ledger
from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.pipeline.target.made_loads import Lab
from tests.postgres_server import Database

MADE_OLDER = """
    DROP TABLE ddb2pg.compared_chunk;
    DROP INDEX ddb2pg.load_is_open;
    ALTER TABLE ddb2pg.load DROP COLUMN rollback_started_at, DROP COLUMN rolled_back_at, ADD UNIQUE (export_id, target_table);
    ALTER TABLE ddb2pg.chunk DROP COLUMN rolled_back_at, DROP COLUMN rollback_pass, DROP COLUMN deleted, DROP COLUMN gone,
        DROP COLUMN kept, DROP COLUMN discrepancies, DROP COLUMN worker;
"""
"""What this version added, taken away."""


def columns(database: Database) -> list[tuple[str, str]]:
    return database.query(
        "SELECT attrelid::regclass::text, attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid "
        "WHERE relnamespace = 'ddb2pg'::regnamespace AND relkind IN ('r', 'i') AND attnum > 0 AND NOT attisdropped ORDER BY 1, 2"
    )


@pytest.mark.parametrize("command", ["migrate", "validate"])
def test_an_older_ledger_is_brought_up_to_date(tmp_path: Path, database: Database, run: CommandLine, command: str) -> None:
    """With all that is in it, and with the rule that only open loads exclude each other."""
    write_sample_exports(tmp_path / "export", items=50, seed=1, faulty=0, odd=0)
    assert run.migrate(tmp_path / "export").exit_code == 0
    current = columns(database)
    chunks = database.value("SELECT count(*) FROM ddb2pg.chunk")
    database.execute(MADE_OLDER)

    finished = run(command, "--export", tmp_path / "export", "--output", run.output)

    assert finished.exit_code == 0, finished.output
    assert columns(database) == current
    assert database.value("SELECT count(*) FROM ddb2pg.chunk") == chunks
    database.execute("UPDATE ddb2pg.load SET rolled_back_at = now()")
    database.execute(
        "INSERT INTO ddb2pg.load (export_id, source_table, target_table, export_digest, manifest_items, manifest_files, migration_time, "
        "chunk_items, chunk_bytes, split_items, most_splits, unmapped, definition) "
        "SELECT export_id, source_table, target_table, '', 0, 0, now(), 1, 1, 1, 1, 'notice', '' FROM ddb2pg.load"
    )


def test_status_of_an_older_ledger_says_what_to_do(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """It only reads, so it does not mend."""
    write_sample_exports(tmp_path / "export", items=50, seed=1, faulty=0, odd=0)
    assert run.migrate(tmp_path / "export").exit_code == 0
    database.execute(MADE_OLDER)

    finished = run("status")

    assert finished.exit_code == 2
    assert "made by an older ddb2pg" in finished.stderr
    assert database.value("SELECT to_regclass('ddb2pg.compared_chunk') IS NULL")


def test_a_current_ledger_is_left_alone(lab: Lab) -> None:
    with lab.session() as session:
        assert session.transact(ledger.is_current)
        session.transact(ledger.bring_up_to_date)
        assert session.transact(ledger.is_current)
