"""The moment at which a rollback begins: chunks of the load before it are seen by it, and after it there are none."""

from __future__ import annotations

import threading

import pytest

from pipeline.errors import Stopped
from pipeline.ledger.chunks import ChunkCounts, claim_chunk
from pipeline.ledger.loads import ChunkKey, all_loads
from pipeline.ledger.rollbacks import RolledBackChunk, begin_rollbacks, close_chunk, finish_rollback, hold_open, is_rolled_back, lock_chunk
from pipeline.target.session import Session
from tests.pipeline.target.made_loads import Lab, thing

COUNTS = ChunkCounts(1, 1, 0, {}, {})


def _blocked(lab: Lab) -> int:
    return lab.database.value("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


def test_it_waits_for_chunks_on_their_way_and_keeps_later_ones_out(lab: Lab) -> None:
    """A chunk that was claimed commits; then the rollback has begun; a chunk that waited meanwhile is not written."""
    plan = lab.plan()
    first = lab.database.connect()
    first.autocommit = False
    assert claim_chunk(first.cursor(), ChunkKey(plan.load.load_id, "a.json.gz", 0), "run", COUNTS)
    told: list[str] = []

    def begin() -> None:
        with lab.session() as session:
            session.transact(lambda cursor: begin_rollbacks(cursor, [plan.load.load_id]))
        told.append("begun")

    def load_late() -> None:
        try:
            lab.load([thing(1)], plan)
        except Stopped as stopped:
            told.append(str(stopped))

    threads = []
    for work in (begin, load_late):
        threads.append(threading.Thread(target=work))
        threads[-1].start()
        while _blocked(lab) < len(threads):
            assert threads[-1].is_alive(), "it did not wait"
    assert told == []
    first.commit()
    first.close()
    for thread in threads:
        thread.join(60)

    assert sorted(told)[1:] == ["begun"]
    assert "a rollback of this load was begun" in sorted(told)[0]
    assert lab.chunks() == [(0, 1, 1, 0)]
    assert lab.names() == {}


@pytest.mark.parametrize("lines", [[thing(1)], [thing(1), thing(2)]])
def test_after_it_nothing_of_the_load_is_written(lab: Lab, lines: list[bytes]) -> None:
    """Neither a new chunk nor one that is committed already is taken for done."""
    plan = lab.plan()
    lab.load([thing(1)], plan)
    with lab.session() as session:
        session.transact(lambda cursor: begin_rollbacks(cursor, [plan.load.load_id]))

    with pytest.raises(Stopped, match="a rollback of this load was begun"):
        lab.load(lines, plan, first=10)
    with lab.session() as session, pytest.raises(Stopped):
        session.transact(lambda cursor: claim_chunk(cursor, ChunkKey(plan.load.load_id, "some.json.gz", 0), "run", COUNTS))
    with lab.session() as session, pytest.raises(Stopped):
        session.transact(lambda cursor: hold_open(cursor, plan.load.load_id))
    assert lab.names().keys() == {1}


def test_another_load_is_not_kept_out(lab: Lab) -> None:
    plan, other = lab.plan(), lab.plan()
    with lab.session() as session:
        session.transact(lambda cursor: begin_rollbacks(cursor, [plan.load.load_id]))

    lab.load([thing(1)], other)

    assert lab.names().keys() == {1}


def test_chunks_of_a_load_do_not_wait_for_each_other(lab: Lab) -> None:
    """Two claims of one load, both open at once."""
    plan = lab.plan()
    connections = [lab.database.connect() for _ in range(2)]
    for number, connection in enumerate(connections):
        connection.autocommit = False
        cursor = connection.cursor()
        cursor.execute("SET LOCAL lock_timeout = '1s'")
        assert claim_chunk(cursor, ChunkKey(plan.load.load_id, "a.json.gz", number), "run", COUNTS)
    for connection in connections:
        connection.commit()
        connection.close()

    assert len(lab.chunks()) == 2


def test_it_begins_once(lab: Lab) -> None:
    """The time of the first beginning stays."""
    plan = lab.plan()
    times = []
    for _ in range(2):
        with Session(lab.reference) as session:
            session.transact(lambda cursor: begin_rollbacks(cursor, [plan.load.load_id]))
            times.append(session.transact(all_loads)[0].rollback_started_at)

    assert times[0] == times[1] is not None


def test_it_ends_when_no_other_is_at_a_chunk(lab: Lab) -> None:
    """A rollback that has locked a chunk keeps another from closing the load over it."""
    plan = lab.plan()
    lab.load([thing(1)], plan)
    key = ChunkKey(plan.load.load_id, "some.json.gz", 0)
    other = lab.database.connect()
    other.autocommit = False
    with lab.session() as session:
        session.transact(lambda cursor: close_chunk(cursor, key, RolledBackChunk(1, 0, (), 1)))
    lock_chunk(other.cursor(), key)
    with lab.session() as session:
        ended = threading.Thread(target=session.transact, args=[lambda cursor: finish_rollback(cursor, plan.load.load_id)])
        ended.start()
        while _blocked(lab) < 1:
            assert ended.is_alive(), "it did not wait"
        assert not is_rolled_back(other.cursor(), plan.load.load_id)
        other.commit()
        other.close()
        ended.join(60)
        assert session.transact(lambda cursor: is_rolled_back(cursor, plan.load.load_id))


def test_it_does_not_end_with_a_chunk_that_is_not_closed(lab: Lab) -> None:
    plan = lab.plan()
    lab.load([thing(1)], plan)
    with lab.session() as session:
        assert not session.transact(lambda cursor: finish_rollback(cursor, plan.load.load_id))
        assert not session.transact(lambda cursor: is_rolled_back(cursor, plan.load.load_id))
