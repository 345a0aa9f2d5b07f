"""Failures that pass, really caused: killed backends, deadlocks, locks, and a connection lost in the midst of COMMIT."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from pipeline import logs
from pipeline.errors import Stopped
from pipeline.target import session as session_module
from pipeline.target.rows import copy_stream
from pipeline.target.session import RetryLimit, Session
from tests.pipeline.target.made_loads import Lab, Loaded, chunk_of, reference_to, rows_of, thing, uuid
from tests.pipeline.target.made_loads import loader as loader_of
from tests.postgres_proxy import Lost, PostgresProxy

QUICK = RetryLimit(seconds=0.5, first_wait=0.01, longest_wait=0.05)


def insert(cursor: Any, number: int) -> None:
    cursor.execute("INSERT INTO thing (id, name) VALUES (%s, 'x')", [uuid(number)])


class Failing:
    """Work that has something done to it before it ends, the first `times` times."""

    def __init__(self, work: Callable[[Any], None], times: int = 1) -> None:
        self.calls = 0
        self._work = work
        self._times = times

    def __call__(self, cursor: Any) -> int:
        self.calls += 1
        insert(cursor, 1)
        if self.calls <= self._times:
            self._work(cursor)
        return self.calls


def kill(lab: Lab) -> Callable[[Any], None]:
    """End the backend of the cursor and use it again."""

    def work(cursor: Any) -> None:
        lab.database.query("SELECT pg_terminate_backend(%s, 10000)", cursor.connection.get_backend_pid())
        cursor.execute("SELECT 1")

    return work


@pytest.mark.parametrize("times", [1, 3])
def test_a_killed_backend_is_replaced_and_the_work_done_again(lab: Lab, times: int) -> None:
    """On a new connection, as often as need be; the row is there once."""
    work = Failing(kill(lab), times)
    with lab.session(QUICK) as session:
        assert session.transact(work) == times + 1

    assert lab.names() == {1: "x"}


def test_a_backend_killed_between_two_transactions_costs_one_try(lab: Lab) -> None:
    """A connection that broke while nobody looked is found out by its next use."""
    with lab.session(QUICK) as session:
        pid = session.transact(lambda cursor: cursor.connection.get_backend_pid())
        lab.database.query("SELECT pg_terminate_backend(%s, 10000)", pid)
        session.transact(lambda cursor: insert(cursor, 1))

    assert lab.names() == {1: "x"}


def test_a_backend_killed_in_the_midst_of_copy_is_retried(lab: Lab) -> None:
    """COPY reports a lost connection in ways of its own."""
    rows = rows_of([thing(number, name="y" * 3000) for number in range(2000)])
    calls = []

    class Stream(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if not self.tell() and len(calls) == 1:
                lab.database.query("SELECT pg_terminate_backend(%s, 10000)", calls[0])
            return super().read(size)

    def work(cursor: Any) -> None:
        calls.append(cursor.connection.get_backend_pid())
        cursor.copy_expert("COPY thing FROM STDIN (FORMAT BINARY)", Stream(b"".join(iter(copy_stream(rows, 5).read, b""))), 1 << 16)

    with lab.session(QUICK) as session:
        session.transact(work)

    assert len(calls) == 2
    assert len(lab.names()) == 2000


def test_a_server_that_closes_idle_transactions_is_retried(lab: Lab) -> None:
    """`idle_in_transaction_session_timeout` ends the connection; the next statement finds it gone."""

    def dawdle(cursor: Any) -> None:
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = '10ms'")
        pid = cursor.connection.get_backend_pid()
        while lab.database.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", pid):
            pass
        cursor.execute("SELECT 1")

    with lab.session(QUICK) as session:
        assert session.transact(Failing(dawdle)) == 2


def test_time_has_a_limit_and_tries_have_none() -> None:
    """The last try is at the end of the time, and the sentence says how many there were."""
    started = time.monotonic()
    limit = RetryLimit(seconds=2, first_wait=0.02, longest_wait=0.04)
    with Session(reference_to("postgresql://someone@127.0.0.1:1/db"), limit) as session, pytest.raises(Stopped) as caught:
        session.transact(lambda cursor: cursor.execute("SELECT 1"))

    sentence = str(caught.value)
    assert int(sentence.partition("failed (")[2].partition(" tries)")[0]) > 10
    assert sentence.endswith("run the same command again to go on")
    assert time.monotonic() - started >= 2


def test_the_time_counts_from_the_first_failure(lab: Lab) -> None:
    """Work that takes longer than the limit before its connection breaks is done again all the same."""

    def dawdle_and_break(cursor: Any) -> None:
        cursor.execute("SELECT pg_sleep(0.5)")
        kill(lab)(cursor)

    with lab.session(RetryLimit(seconds=0.4, first_wait=0.01, longest_wait=0.02)) as session:
        assert session.transact(Failing(dawdle_and_break)) == 2


def test_no_seconds_are_one_try(lab: Lab) -> None:
    """As the display of progress wants it, nearly."""
    work = Failing(kill(lab), times=9999)
    with lab.session(RetryLimit(seconds=0)) as session, pytest.raises(Stopped):
        session.transact(work)

    assert work.calls == 1


def test_what_is_waited_for_is_told_once(lab: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One line for all tries, as soon as a second has passed; what passes sooner is not told."""
    monkeypatch.setattr(logs, "_told", {})
    monkeypatch.setattr(session_module, "_TELL_AFTER", 0.3)
    with lab.session(QUICK) as session:
        session.transact(Failing(kill(lab)))
    assert capsys.readouterr().err == ""

    for _ in range(2):
        with Session(reference_to("postgresql://someone:t0psecret@127.0.0.1:1/db"), QUICK) as session, pytest.raises(Stopped):
            session.transact(lambda cursor: cursor.execute("SELECT 1"))

    assert capsys.readouterr().err == "ddb2pg: waiting: the connection to the database failed; trying again\n"


@pytest.mark.parametrize("failures", range(1, 40))
def test_waits_double_with_jitter_and_are_bounded(failures: int) -> None:
    """Half to all of 0.1 s, 0.2 s, 0.4 s ... 10 s."""
    longest = min(10.0, 0.1 * 2 ** (failures - 1))
    waits = {RetryLimit().wait(failures) for _ in range(50)}

    assert all(longest / 2 <= wait <= longest for wait in waits)
    assert len(waits) > 1


def test_a_deadlock_of_two_sessions_ends_with_both_committed(lab: Lab) -> None:
    """PostgreSQL picks one as victim; it is tried again after the other."""
    lab.database.execute(f"INSERT INTO thing (id, name) VALUES ('{uuid(1)}', ''), ('{uuid(2)}', '')")
    both_hold_one = threading.Barrier(2)
    calls: list[str] = []

    def run(name: str, first: int, second: int) -> None:
        is_first_try = True

        def work(cursor: Any) -> None:
            nonlocal is_first_try
            calls.append(name)
            cursor.execute("SET LOCAL deadlock_timeout = '20ms'")
            cursor.execute("UPDATE thing SET name = name || %s WHERE id = %s", [name, uuid(first)])
            if is_first_try:
                is_first_try = False
                both_hold_one.wait(300)
            cursor.execute("UPDATE thing SET name = name || %s WHERE id = %s", [name, uuid(second)])

        with lab.session(QUICK) as session:
            session.transact(work)

    threads = [threading.Thread(target=run, args=arguments) for arguments in (("a", 1, 2), ("b", 2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert [sorted(name) for name in lab.names().values()] == [["a", "b"], ["a", "b"]]
    assert len(calls) == 3


def test_a_lock_of_another_session_is_waited_for_again(lab: Lab) -> None:
    """`lock_timeout` ran out once; by the second try the other session has let go."""
    other = lab.database.connect()
    other.autocommit = False
    other.cursor().execute("LOCK TABLE thing")
    calls = []

    def work(cursor: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            other.rollback()
        cursor.execute("SET LOCAL lock_timeout = '30ms'")
        insert(cursor, 1)

    with lab.session(QUICK) as session:
        session.transact(work)
    other.close()

    assert len(calls) == 2
    assert lab.names() == {1: "x"}


def test_a_lock_that_stays_stops_with_a_sentence_about_locks(lab: Lab) -> None:
    """The person must know that another session is in the way."""
    other = lab.database.connect()
    other.autocommit = False
    other.cursor().execute("LOCK TABLE thing")

    def work(cursor: Any) -> None:
        cursor.execute("SET LOCAL lock_timeout = '10ms'")
        insert(cursor, 1)

    with lab.session(QUICK) as session, pytest.raises(Stopped, match=r"holds a lock .*\(55P03\) \(\d+ tries\)"):
        session.transact(work)
    other.close()


@pytest.mark.parametrize("lost", Lost, ids=["before the server has it", "after the server has done it"])
def test_a_connection_lost_during_commit_is_decided_by_the_ledger(lab: Lab, lost: Lost) -> None:
    """Whether or not the server had committed when the connection went: after the retry the chunk's rows are there once."""
    lines = [thing(number, name="x") for number in (1, 2, 2, 3)]
    plan = lab.plan()
    with PostgresProxy(lab.database.url) as proxy, Session(reference_to(proxy.url), QUICK) as session:
        loader = loader_of(plan, session)
        session.transact(lambda cursor: cursor.execute("SELECT 1"))
        loader._chunks.of(chunk_of(lines))
        proxy.lose_next_commit(lost)
        loaded = Loaded.of(loader.visit(chunk_of(lines)))

    assert sum(proxy.lost.values()) == 1
    assert loaded.dead_letters == {2: ("primary_key_conflict", "23505")}
    assert lab.names() == {1: "x", 2: "x", 3: "x"}
    assert lab.chunks() == [(0, 4, 3, 1)]


def test_a_database_that_is_not_there_is_tried_and_then_told(lab: Lab) -> None:
    """No server listens: the sentence is about the connection and holds no password."""
    del lab
    with (
        Session(reference_to("postgresql://someone:t0psecret@127.0.0.1:1/db"), QUICK) as session,
        pytest.raises(Stopped, match=r"connection to the database failed \(\d+ tries\)") as caught,
    ):
        session.transact(lambda cursor: cursor.execute("SELECT 1"))

    assert "t0psecret" not in str(caught.value)
