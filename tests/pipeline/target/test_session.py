"""`Session.transact`: what commits, what does not, and what it says when it gives up."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.errors import Stopped
from pipeline.target.session import RetryLimit, RowsRefused
from tests.pipeline.target.made_loads import PLAIN, Lab, uuid
from tests.postgres_server import Database

MARKED = "Frau-Anna-Muster-1957"


def insert(number: int, name: str = "x") -> Callable[[Any], None]:
    return lambda cursor: cursor.execute("INSERT INTO thing (id, name) VALUES (%s, %s)", [uuid(number), name])


def test_what_the_work_returns_is_returned_once_it_is_committed(lab: Lab) -> None:
    """Another session sees the row as soon as `transact` is back."""
    with lab.session() as session:
        assert session.transact(lambda cursor: (insert(1)(cursor), "done")[1]) == "done"
        assert lab.names() == {1: "x"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, Stopped])
def test_any_exception_of_the_work_rolls_back_and_leaves_a_session_that_works(lab: Lab, error: type[BaseException]) -> None:
    """Nothing half done is committed by the next transaction."""

    def work(cursor: Any) -> None:
        insert(1)(cursor)
        raise error

    with lab.session() as session:
        with pytest.raises(error):
            session.transact(work)
        session.transact(insert(2))

    assert lab.names() == {2: "x"}


def test_rows_that_are_refused_roll_the_whole_transaction_back(lab: Lab) -> None:
    """`RowsRefused` holds the SQLSTATE; the session goes on to work."""

    def work(cursor: Any) -> None:
        insert(1)(cursor)
        insert(1)(cursor)

    with lab.session() as session:
        with pytest.raises(RowsRefused) as caught:
            session.transact(work)
        session.transact(insert(3))

    assert caught.value.sqlstate == "23505"
    assert lab.names() == {3: "x"}


def test_a_refusal_is_not_tried_again(lab: Lab) -> None:
    """What rows did wrong they would do wrong again."""
    calls = []
    with lab.session() as session, pytest.raises(RowsRefused):
        session.transact(lambda cursor: (calls.append(1), cursor.execute("SELECT 1/0")))

    assert len(calls) == 1


def test_a_refusal_at_commit_is_a_refusal(lab: Lab) -> None:
    """A deferred constraint speaks when the transaction ends."""
    lab.database.execute("ALTER TABLE thing ADD FOREIGN KEY (parent) REFERENCES thing DEFERRABLE INITIALLY DEFERRED")
    with lab.session() as session:
        with pytest.raises(RowsRefused) as caught:
            session.transact(lambda cursor: cursor.execute("INSERT INTO thing (id, parent) VALUES (%s, %s)", [uuid(1), uuid(9)]))
        assert session.transact(lambda cursor: cursor.execute("SELECT 1")) is None

    assert caught.value.sqlstate == "23503"
    assert lab.names() == {}


def test_each_transaction_has_its_settings(lab: Lab) -> None:
    """UTC and time limits, set for the transaction: behind a pooler nothing outlives one."""
    lab.database.execute(f"ALTER DATABASE {lab.database.value('SELECT current_database()')} SET TimeZone = 'Asia/Tokyo'")

    def settings(cursor: Any) -> list[str]:
        names = ("TimeZone", "statement_timeout", "lock_timeout", "transaction_isolation", "application_name", "client_encoding")
        found = []
        for name in names:
            cursor.execute(f"SHOW {name}")
            found.append(cursor.fetchone()[0])
        return found

    with lab.session() as session:
        for _ in range(2):
            assert session.transact(settings) == ["UTC", "5min", "1min", "read committed", "ddb2pg", "UTF8"]


# -- states in which nothing will work -----------------------------------------------------------------------------------------------------


def stop_of(lab: Lab, *statements: str) -> tuple[str, int]:
    """The sentence of a transaction that must stop, and how often its work was done."""
    calls = 0

    def work(cursor: Any) -> None:
        nonlocal calls
        calls += 1
        for statement in statements:
            cursor.execute(statement)

    with lab.session() as session:
        with pytest.raises(Stopped) as caught:
            session.transact(work)
        assert session.transact(lambda cursor: cursor.execute("SELECT 1")) is None, "the session is of no use after a stop"
    return str(caught.value), calls


def test_a_missing_privilege_stops(lab: Lab) -> None:
    """At once, with a sentence that says what is missing."""
    lab.database.execute("CREATE ROLE nobody_in_particular")
    sentence, calls = stop_of(lab, "SET LOCAL ROLE nobody_in_particular", "INSERT INTO thing (id) VALUES (gen_random_uuid())")
    lab.database.execute("DROP ROLE nobody_in_particular")

    assert "42501" in sentence
    assert "privilege" in sentence
    assert calls == 1


def test_a_missing_table_stops(lab: Lab) -> None:
    """A target that was dropped while its load ran."""
    sentence, calls = stop_of(lab, "INSERT INTO gone VALUES (1)")

    assert "42P01" in sentence
    assert calls == 1


def test_a_read_only_transaction_stops(lab: Lab) -> None:
    """As on a server that became a standby."""
    sentence, calls = stop_of(lab, "SET TRANSACTION READ ONLY", "INSERT INTO thing (id) VALUES (gen_random_uuid())")

    assert "25006" in sentence
    assert "read-only" in sentence
    assert calls == 1


# -- values ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT INTO thing (id, name) VALUES ('{uuid(1)}', '{MARKED}')",
        f"INSERT INTO thing (id, name, kind) VALUES ('{uuid(2)}', '{MARKED}', 'bad')",
        f"SELECT '{MARKED}'::uuid",
        f"SELECT '{MARKED}'::jsonb",
        f"DO $$ BEGIN RAISE EXCEPTION 'no {MARKED}'; END $$",
        f"DO $$ BEGIN RAISE EXCEPTION 'no {MARKED}' USING ERRCODE = 'XX001'; END $$",
        f"DO $$ BEGIN RAISE EXCEPTION 'no {MARKED}' USING ERRCODE = '40001'; END $$",
        f"DO $$ BEGIN RAISE EXCEPTION 'no {MARKED}' USING ERRCODE = '42501'; END $$",
        f'SELECT "{MARKED}"',
    ],
)
def test_no_message_holds_a_value(bare: Database, statement: str) -> None:
    """PostgreSQL quotes rows in its messages; what leaves `transact` does not, its traceback included."""
    lab = Lab(
        bare, PLAIN, "ALTER TABLE thing ADD UNIQUE (name), ADD CHECK (kind <> 'bad')", f"INSERT INTO thing VALUES ('{uuid(1)}', '{MARKED}')"
    )
    with lab.session(RetryLimit(seconds=0.05, first_wait=0.01)) as session, pytest.raises((RowsRefused, Stopped)) as caught:
        session.transact(lambda cursor: cursor.execute(statement))

    # The last line of each frame is the source, which here spells the statement by its name only.
    assert MARKED not in "".join(traceback.format_exception(caught.value))
    assert MARKED not in repr(caught.value)
