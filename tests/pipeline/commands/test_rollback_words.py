"""What a person reads of a rollback, in each state that it can be in."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from pipeline.outcome.check_results import RollbackResult
from pipeline.outcome.check_terminal import print_rollback

LOOK = RollbackResult(
    source_table="things",
    target_table="public.thing",
    export_id="1",
    is_dry=True,
    loaded_rows=100,
    deleted=90,
    deleted_now=50,
    gone=2,
    kept={"different": 8},
    is_finished=False,
    target_rows=60,
    referring=("public.child",),
    sees_all_rows=True,
    seconds=1.0,
)


def words_of(result: RollbackResult) -> str:
    out = io.StringIO()
    print_rollback(Console(file=out, width=1_000), result)
    return out.getvalue()


def test_a_look_tells_what_is_to_do_from_what_is_done() -> None:
    words = words_of(LOOK)

    assert "of 100 rows that were loaded 50 would be deleted, 40 are deleted already" in words
    assert "8 would be left: rows that were changed since (different)" in words
    assert "rolled back" not in words
    assert "already" not in words_of(replace(LOOK, deleted=50))


def test_rows_that_are_left_are_not_called_those_of_others() -> None:
    """They may be the load's own; and no other load is let in while there are any."""
    done = replace(LOOK, is_dry=False, is_finished=True)

    assert "the load is closed; the table still holds 60 rows, which keep another load out" in words_of(done)
    assert "the load is closed; the table is empty\n" in words_of(replace(done, target_rows=0))
    assert "the table is empty, as far as this role sees" in words_of(replace(done, target_rows=0, sees_all_rows=False))


def test_row_security_is_warned_of_before_it_is_too_late() -> None:
    """A load is closed over rows that the role cannot see."""
    assert "roll back as the table's owner" in words_of(replace(LOOK, sees_all_rows=False))
    assert "row security" not in words_of(LOOK)


def test_names_from_the_database_draw_nothing() -> None:
    assert "\x1b" not in words_of(replace(LOOK, referring=("public.\x1b[2J",)))
