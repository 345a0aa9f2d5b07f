"""What is shown while a load runs: how far it is, as the ledger has it."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.ledger.chunks import load_totals
from pipeline.ledger.loads import all_loads
from pipeline.outcome import progress
from pipeline.target.session import Session
from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.pipeline.target.made_loads import reference_to
from tests.postgres_server import Database
from transforms.tables.medzen import VIDEO_SESSIONS


def test_an_item_is_done_when_every_load_of_a_reading_has_it(tmp_path: Path, run: CommandLine, database: Database) -> None:
    """Dead letters are those of all."""
    write_sample_exports(tmp_path / "export", items=60, seed=3, faulty=0.2, odd=0)
    assert run.migrate(tmp_path / "export", "--chunk_items=10").exit_code == 3
    database.execute("DELETE FROM ddb2pg.chunk WHERE load_id = 2 AND first_item >= 40")
    with Session(reference_to(database.url)) as session:
        loads = session.transact(all_loads)

        totals = session.transact(lambda cursor: [load_totals(cursor, load.load_id) for load in loads[:2]])
    done = progress.done_by_all(totals)

    dead_letters = database.value("SELECT sum(dead_letters)::int FROM ddb2pg.chunk WHERE load_id <= 2")
    assert (done.items, done.dead_letters) == (40, dead_letters)
    assert dead_letters > database.value("SELECT sum(dead_letters)::int FROM ddb2pg.chunk WHERE load_id = 1") > 0


@pytest.mark.parametrize("is_terminal", [True, False])
def test_it_says_how_far_a_load_is_and_who_loads(
    tmp_path: Path, run: CommandLine, database: Database, monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    """A line at intervals, or a bar: items of the manifest's, rate, dead letters, workers."""
    write_sample_exports(tmp_path / "export", items=60, seed=3, faulty=0.2, odd=0, tables=[VIDEO_SESSIONS.source])
    assert run.migrate(tmp_path / "export", "--chunk_items=10").exit_code == 3
    database.execute("DELETE FROM ddb2pg.chunk WHERE first_item >= 40; UPDATE ddb2pg.chunk SET committed_at = clock_timestamp()")
    database.execute("UPDATE ddb2pg.chunk SET worker = 'host:2' WHERE first_item >= 20")
    dead_letters = database.value("SELECT sum(dead_letters)::int FROM ddb2pg.chunk")
    monkeypatch.setattr(progress, "_PLAIN_INTERVAL", 0.05)
    monkeypatch.setattr(progress, "_TERMINAL_INTERVAL", 0.05)
    reference = reference_to(database.url)
    with Session(reference) as session:
        [load] = session.transact(all_loads)
    told = io.StringIO()
    console = Console(file=told, force_terminal=is_terminal, width=200)

    with progress.shown_progress(console, reference, [load], 0):
        end = time.monotonic() + 60
        while "2 workers" not in told.getvalue():
            assert time.monotonic() < end, told.getvalue()
            time.sleep(0.01)  # between two looks, not for a state

    said = told.getvalue()
    assert ("40/60" if is_terminal else "40 of 60 items") in said
    assert f"{dead_letters} dead letters" in said
    assert "items/s" in said
