"""A network before PostgreSQL that loses, delays and swallows: each load ends at the truth, or with a sentence in bounded time."""

from __future__ import annotations

import random
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from pipeline import logs
from pipeline.errors import Stopped
from pipeline.target import session as session_module
from pipeline.target.session import Cursor, RetryLimit, Session
from tests.faults.conclusion import Conclude
from tests.faults.jobs import Job, chunks, meanwhile, wait_until
from tests.pipeline.target.made_loads import reference_to
from tests.postgres_proxy import Lost, PostgresProxy
from tests.postgres_server import Database


@pytest.fixture
def short_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks at what takes long every tenth of a second instead of every twenty seconds."""
    monkeypatch.setattr(session_module, "_SILENCE_INTERVAL", 0.1)


def _first_try_lost(number: int) -> Lost | None:
    """Of each chunk the first COMMIT, before and after the server has it by turns; the next passes."""
    return None if number % 2 == 0 else Lost.BEFORE if number % 4 == 1 else Lost.AFTER


def test_a_commit_whose_answer_is_lost_changes_nothing(audit_export: Path, database: Database, job: Job, conclude: Conclude) -> None:
    """Every chunk of a load loses its connection at its first COMMIT: the row set is that of the truth."""
    with PostgresProxy(database.url, _first_try_lost) as proxy:
        exit_code = job.migrate(proxy.url, audit_export, "--chunk_items=20")

    assert exit_code == 3, job.stderr
    assert min(proxy.lost.values()) >= 10
    _conclude_losses(conclude, proxy, audit_export, database, job)


def _conclude_losses(conclude: Conclude, proxy: PostgresProxy, export: Path, database: Database, job: Job) -> None:
    for lost, times in proxy.lost.items():
        conclude(f"connection lost {lost.name.lower()} the server has a COMMIT", times, export, database, job.last_run, job.printed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(3))
def test_commits_lost_at_random_change_nothing(audit_export: Path, database: Database, job: Job, conclude: Conclude, seed: int) -> None:
    """Half of all COMMITs, one item a chunk: more than 300 losses a load."""
    chance = random.Random(seed)
    with PostgresProxy(database.url, lambda _: chance.choice([None, None, *Lost])) as proxy:
        exit_code = job.migrate(proxy.url, audit_export, "--chunk_items=1")

    assert exit_code == 3, job.stderr
    assert sum(proxy.lost.values()) > 300
    _conclude_losses(conclude, proxy, audit_export, database, job)


@pytest.mark.parametrize("seconds", [0.03, pytest.param(0.2, marks=pytest.mark.soak)])
def test_a_slow_network_costs_time_and_nothing_else(
    audit_export: Path, database: Database, job: Job, conclude: Conclude, seconds: float
) -> None:
    """So long for every message."""
    with PostgresProxy(database.url) as proxy:
        proxy.delay = seconds
        exit_code = job.migrate(proxy.url, audit_export, "--chunk_items=150", "--validate=none")

    assert exit_code == 3, job.stderr
    assert proxy.delayed > 20
    conclude(f"message late by {seconds * 1000:.0f} ms", proxy.delayed, audit_export, database, job.last_run, job.printed)


def test_a_database_that_is_away_for_a_while_is_waited_for(audit_export: Path, database: Database, job: Job, conclude: Conclude) -> None:
    """In the middle all connections are reset and new ones refused; then it is back. Three times."""
    with PostgresProxy(database.url) as proxy:

        def go_away(is_over: threading.Event) -> None:
            for more in (3, 8, 8):
                until = chunks(database) + more
                wait_until(lambda until=until: chunks(database) >= until or is_over.is_set())
                proxy.refuse()
                is_over.wait(0.7)
                proxy.listen_again()

        with meanwhile(go_away):
            exit_code = job.migrate(proxy.url, audit_export, "--chunk_items=10")

        assert exit_code == 3, job.stderr
        assert proxy.refusals == 3
    conclude("all connections reset, new ones refused for 0.7 s", 3, audit_export, database, job.last_run, job.printed)


def test_a_database_that_is_away_for_longer_than_ten_tries_is_waited_for(
    audit_export: Path, database: Database, job: Job, conclude: Conclude, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a tenth of the time: away for 50 s of two minutes; ten tries would be used up in 17 to 33 s. It is told once."""
    monkeypatch.setattr(session_module, "RetryLimit", partial(RetryLimit, seconds=120 / 10, first_wait=0.1 / 10, longest_wait=10 / 10))
    monkeypatch.setattr(logs, "_told", {})
    with PostgresProxy(database.url) as proxy:

        def go_away(is_over: threading.Event) -> None:
            wait_until(lambda: chunks(database) >= 5 or is_over.is_set())
            proxy.refuse()
            is_over.wait(50 / 10)
            proxy.listen_again()

        with meanwhile(go_away):
            exit_code = job.migrate(proxy.url, audit_export, "--chunk_items=10")

    assert exit_code == 3, job.stderr
    assert job.stderr == "ddb2pg: waiting: the connection to the database failed; trying again\n"
    conclude("new connections refused for 5 s of 12 s", 1, audit_export, database, job.last_run, job.printed)


@pytest.mark.usefixtures("short_silence")
def test_an_answer_that_is_swallowed_is_no_hang(audit_export: Path, database: Database, job: Job, conclude: Conclude) -> None:
    """Something between us takes a COPY and is silent from then on, its own TCP being sound: the chunk is tried again elsewhere."""
    seen = []

    def swallows(message: bytes) -> bool:
        seen.append(b"COPY " in message)
        return seen[-1] and sum(seen) in (3, 9)

    with PostgresProxy(database.url) as proxy:
        proxy.swallows = swallows
        exit_code = job.migrate(proxy.url, audit_export, "--chunk_items=20")

    assert exit_code == 3, job.stderr
    assert proxy.swallowed == 2
    conclude("all swallowed from some message on, TCP being sound", 2, audit_export, database, job.last_run, job.printed)


@pytest.mark.usefixtures("short_silence")
@pytest.mark.parametrize("at", [b"SET LOCAL", b"SELECT 1", b"COMMIT\0"], ids=["begin", "statement", "commit"])
def test_a_network_that_swallows_everything_ends_in_bounded_time(database: Database, conclude: Conclude, at: bytes) -> None:
    """From some message on nothing passes, on no connection: a sentence, not a hang."""
    with PostgresProxy(database.url) as proxy, Session(reference_to(proxy.url), RetryLimit(seconds=0)) as session:
        session.transact(lambda cursor: cursor.execute("SELECT 2"))
        is_down = threading.Event()

        def swallows(message: bytes) -> bool:
            if at in message:
                is_down.set()
            return is_down.is_set()

        proxy.swallows = swallows
        # The looks are swallowed as well.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pipeline.target.session._LONGEST_LOOK", 0.3)
            with pytest.raises(Stopped, match="connection to the database failed"):
                session.transact(lambda cursor: cursor.execute("SELECT 1"))

        assert proxy.swallowed >= 1
    conclude.note("all swallowed on every connection: a sentence", 1, 0)


@pytest.mark.usefixtures("short_silence")
def test_a_statement_that_takes_long_is_left_to_take_it(database: Database) -> None:
    """Ten times as long as it takes to cut what is silent."""
    with Session(reference_to(database.url), RetryLimit(seconds=0)) as session:
        assert session.transact(lambda cursor: (cursor.execute("SELECT pg_sleep(3), 7"), cursor.fetchone()[1])[1]) == 7


def test_a_server_that_accepts_and_never_answers_is_given_up(database: Database, conclude: Conclude) -> None:
    """`connect_timeout` counts for all of the greeting, not for TCP alone."""
    with PostgresProxy(database.url) as proxy, pytest.MonkeyPatch.context() as patch:
        proxy.swallows = lambda _: True
        patch.setattr("pipeline.target.connection._CONNECT_TIMEOUT", 2)  # libpq takes no less
        with (
            Session(reference_to(proxy.url), RetryLimit(seconds=1, first_wait=0.01, longest_wait=0.01)) as session,
            pytest.raises(Stopped, match="2 tries"),
        ):
            session.transact(lambda cursor: cursor.execute("SELECT 1"))

    assert proxy.swallowed == 2
    conclude.note("server accepts and never answers: a sentence", 2, 0)


@pytest.mark.usefixtures("short_silence")
def test_work_of_ours_within_a_transaction_is_no_silence(database: Database) -> None:
    """The server waits for us all that time; the transaction is committed, at its first try."""
    tries = []

    def work(cursor: Cursor) -> None:
        tries.append(1)
        end = time.monotonic() + 3
        while time.monotonic() < end:
            pass
        cursor.execute("CREATE TABLE slow_work ()")

    with Session(reference_to(database.url)) as session:
        session.transact(work)

    assert tries == [1]
    assert database.value("SELECT to_regclass('slow_work') IS NOT NULL")
