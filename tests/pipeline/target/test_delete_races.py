"""The application at work while rows are deleted: what it commits counts, and nothing of it is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.pipeline.target.made_loads import PLAIN, Lab, thing, uuid
from tests.pipeline.target.made_rollbacks import CHILDREN, LINES, Rollback
from tests.postgres_server import Database


def while_open(database: Database, statements: list[str], work: Callable[[], Any]) -> Any:
    """What `work` returns, which waits for a transaction of others with these statements to be committed."""
    others = database.connect()
    others.autocommit = False
    for statement in statements:
        others.cursor().execute(statement)
    told: list[Any] = []
    thread = threading.Thread(target=lambda: told.append(work()))
    thread.start()
    while not database.value("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"):
        assert thread.is_alive(), f"it did not wait: {told}"
    others.commit()
    others.close()
    thread.join(60)
    return told[0]


@pytest.mark.parametrize("rule", ["", "ON DELETE CASCADE"])
def test_rows_that_are_being_changed_or_deleted(bare: Database, rule: str) -> None:
    """A row is judged by what it is once the other transaction is through."""
    rollback = Rollback(Lab(bare, PLAIN, CHILDREN.format(rule), "ALTER TABLE thing ADD signed text"), LINES)
    statements = [
        f"UPDATE thing SET name = 'other' WHERE id = '{uuid(1)}'",
        f"UPDATE thing SET signed = 'Dr. X' WHERE id = '{uuid(3)}'",
        f"DELETE FROM thing WHERE id = '{uuid(5)}'",
    ]

    assert while_open(bare, statements, rollback.run) == {0: ("different", None), 2: ("different", None)}
    assert rollback.figures == (3, 1, 2)


@pytest.mark.parametrize(("rule", "left"), [("", ("refused", "23503")), ("ON DELETE CASCADE", ("referenced", None))])
def test_rows_to_which_a_row_is_being_added_that_refers_to_them(bare: Database, rule: str, left: tuple[str, str | None]) -> None:
    rollback = Rollback(Lab(bare, PLAIN, CHILDREN.format(rule)), LINES)

    assert while_open(bare, [f"INSERT INTO child VALUES (1, '{uuid(3)}')"], rollback.run) == {2: left}
    assert bare.query("SELECT thing::text FROM child") == [(uuid(3),)]


def test_two_rollbacks_at_the_same_chunk(lab: Lab) -> None:
    """The second waits and tells what the first did; rows that came meanwhile are not deleted by it."""
    rollback = Rollback(lab, LINES[:2])
    first = (
        f"UPDATE ddb2pg.chunk SET rolled_back_at = now(), deleted = 2, gone = 0, kept = 0, discrepancies = '[]', rollback_pass = 1 "
        f"WHERE load_id = {rollback.plan.load.load_id}"
    )

    assert while_open(lab.database, [first], rollback.run) == {}
    assert rollback.figures == (2, 0, 0)
    assert lab.names().keys() == {1, 2}


def test_rows_that_refer_to_their_own_table_while_one_is_added(bare: Database) -> None:
    """A row of somebody else that refers to one of ours is not set to NULL."""
    rollback = Rollback(
        Lab(bare, PLAIN, "ALTER TABLE thing ADD FOREIGN KEY (parent) REFERENCES thing ON DELETE SET NULL"), [thing(1), thing(2)]
    )

    assert while_open(bare, [f"INSERT INTO thing (id, parent) VALUES ('{uuid(9)}', '{uuid(1)}')"], rollback.run) == {
        0: ("referenced", None)
    }
    assert bare.query("SELECT parent::text FROM thing ORDER BY id") == [(None,), (uuid(1),)]
