"""A chunk is claimed by one transaction: who comes second waits for the end of the first."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pipeline.ledger.chunks import ChunkCounts, claim_chunk, committed_chunk
from pipeline.ledger.loads import ChunkKey
from tests.pipeline.target.made_loads import Lab

KEY = ChunkKey(1, "a.json.gz", 0)
COUNTS = ChunkCounts(5, 5, 0, {}, {})


def claim(cursor: Any, run_id: str = "run") -> bool:
    return claim_chunk(cursor, KEY, run_id, COUNTS)


def test_a_chunk_is_claimed_once(lab: Lab) -> None:
    """In one transaction, in the next, and in another session."""
    with lab.session() as session, lab.session() as other:
        assert session.transact(lambda cursor: (claim(cursor), claim(cursor))) == (True, False)
        assert session.transact(claim) is False
        assert other.transact(claim) is False

    assert lab.chunks() == [(0, 5, 5, 0)]


@pytest.mark.parametrize("other", [ChunkKey(2, KEY.data_file, 0), ChunkKey(1, "b.json.gz", 0), ChunkKey(1, KEY.data_file, 5)])
def test_another_chunk_is_another_claim(lab: Lab, other: ChunkKey) -> None:
    """Load, data file and first item each make it another."""
    with lab.session() as session:
        assert session.transact(claim)
        assert session.transact(lambda cursor: claim_chunk(cursor, other, "run", COUNTS))


def test_a_claim_that_is_rolled_back_is_none(lab: Lab) -> None:
    """A worker that dies with its transaction leaves the chunk to the next."""

    def fail(cursor: Any) -> None:
        assert claim(cursor)
        raise KeyboardInterrupt

    with lab.session() as session:
        with pytest.raises(KeyboardInterrupt):
            session.transact(fail)
        assert session.transact(claim) is True


@pytest.mark.parametrize("first_commits", [True, False])
def test_a_second_session_waits_and_then_sees_what_became_of_the_first(lab: Lab, first_commits: bool) -> None:
    """Committed: it gets nothing, and reads the chunk in the same transaction. Rolled back: it gets the chunk."""
    first = lab.database.connect()
    first.autocommit = False
    assert claim(first.cursor(), "first")
    seen: list[tuple[bool, int]] = []

    def second() -> None:
        with lab.session() as session:
            seen.append(session.transact(lambda cursor: (claim(cursor, "second"), committed_chunk(cursor, KEY).items)))

    thread = threading.Thread(target=second)
    thread.start()
    while not lab.database.value("SELECT count(*) FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))", first.get_backend_pid()):
        assert thread.is_alive(), "the second did not wait"
    assert seen == []
    first.commit() if first_commits else first.rollback()
    first.close()
    thread.join(60)

    assert seen == [(not first_commits, 5)]
    assert lab.database.query("SELECT run_id FROM ddb2pg.chunk") == [("first" if first_commits else "second",)]
