"""How a load went, from the rows of its chunks."""

from __future__ import annotations

import os
import socket

import pytest

from pipeline.ledger.chunks import ChunkCounts, claim_chunk
from pipeline.ledger.history import LoadingRun, WorkerShare, loading_runs
from pipeline.ledger.loads import ChunkKey
from tests.pipeline.target.made_loads import PLAIN, Lab
from tests.postgres_server import Database


@pytest.fixture
def history(database: Database) -> Lab:
    return Lab(database, PLAIN)


def _note(lab: Lab, run_id: str, first_item: int, items: int, second: float, worker: str | None, load_id: int = 1) -> None:
    lab.database.execute(
        "INSERT INTO ddb2pg.chunk (load_id, data_file, first_item, items, rows, dead_letters, filtered, notices, dead_letter_codes, "
        "notice_codes, filter_reasons, write_rejects, run_id, committed_at, worker) "
        "VALUES (%s, 'a', %s, %s, %s, 0, 0, 0, '{}', '{}', '{}', '[]', %s, "
        "'2026-11-23 00:00:00Z'::timestamptz + %s * interval '1 second', %s)",
        load_id,
        first_item,
        items,
        items,
        run_id,
        second,
        worker,
    )


def _runs(lab: Lab) -> tuple[LoadingRun, ...]:
    with lab.session() as session:
        return session.transact(lambda cursor: loading_runs(cursor, 1))


def test_runs_are_told_apart_the_newest_first(history: Lab) -> None:
    """With who did how much, who did most first; another load's chunks do not count."""
    for number, (run_id, worker) in enumerate([("r1", "a:1"), ("r1", None), ("r2", "a:1"), ("r2", "b:1"), ("r2", "b:1")]):
        _note(history, run_id, number, 10, number, worker)
    _note(history, "r2", 99, 1_000, 50, "c:1", load_id=2)

    second, first = _runs(history)

    assert (second.run_id, second.chunks, second.items) == ("r2", 3, 30)
    assert second.workers == (WorkerShare("b:1", 2, 20), WorkerShare("a:1", 1, 10))
    assert (second.last_commit - second.first_commit).total_seconds() == 2
    assert {share.worker for share in first.workers} == {"a:1", None}
    assert second.pace is None, "too few chunks for a curve"


def test_the_pace_is_items_in_equal_spans_of_time(history: Lab) -> None:
    """Nothing is lost at either end, and a span in which nothing came is zero."""
    seconds = [0, 1, 2, 9, 10, 11, 12, 13, 14, 38, 39, 40]
    for number, second in enumerate(seconds):
        _note(history, "r1", number, 100 + number, second, "a:1")

    [run] = _runs(history)

    assert run.pace is not None
    assert run.pace.bucket_seconds == pytest.approx(40 / 3)
    assert run.pace.items == (sum(100 + number for number in range(8)), 108, sum(100 + number for number in (9, 10, 11)))


def test_a_claimed_chunk_names_its_worker(history: Lab) -> None:
    """This process, on this host."""
    counts = ChunkCounts(1, 1, 0, {}, {})
    with history.session() as session:
        assert session.transact(lambda cursor: claim_chunk(cursor, ChunkKey(1, "a", 0), "run", counts))
    assert _runs(history)[0].workers == (WorkerShare(f"{socket.gethostname()}:{os.getpid()}", 1, 1),)
