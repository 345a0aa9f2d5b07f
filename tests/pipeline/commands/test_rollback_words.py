"""What a person reads of a rollback, in each state that it can be in."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console

from pipeline.outcome.outcome import Check, Outcome, Part, PartKind, Run, Verdict
from pipeline.outcome.report import end_run
from pipeline.outcome.terminal import print_outcome

LOOK = Outcome(
    source_table="things",
    target_table="public.thing",
    export_id="1",
    counted="row",
    total=100,
    total_words="loaded",
    seen=100,
    seen_words="looked at",
    parts=(
        Part("to_delete", "would be deleted", 50, PartKind.GOOD),
        Part("deleted", "are deleted already", 40, PartKind.BEFORE),
        Part("gone", "gone before", 2, PartKind.BEFORE),
        Part("kept", "would be left", 8, PartKind.DIFFERENT),
    ),
    tallies={"kept": {"different": 8}},
    done_now=50,
)


def words_of(outcome: Outcome, *, is_dry: bool = True) -> str:
    out = io.StringIO()
    print_outcome(Console(file=out, width=1_000), outcome, "rollback", is_dry=is_dry)
    return out.getvalue()


def end_of(outcomes: Sequence[Outcome], *, is_dry: bool) -> str:
    out = io.StringIO()
    end_run(Run("rollback", tuple(outcomes), is_dry=is_dry), Console(file=out, width=1_000))
    return out.getvalue()


def test_a_look_tells_what_is_to_do_from_what_is_done() -> None:
    words = words_of(LOOK)

    assert "50 rows would be deleted\n" in words
    assert "100 rows loaded = 100 looked at = 50 would be deleted + 40 are deleted already + 2 gone before + 8 would be left" in words
    assert "8 rows that were changed since the load (different)" in words
    assert "rolled back" not in words + end_of([LOOK], is_dry=True)
    assert "with --yes" in end_of([LOOK], is_dry=True)


def test_rows_that_are_left_and_nothing_left_to_do_are_not_said_together() -> None:
    """They may be the load's own, or those of others; no other load is let in while there are any."""
    parts = (Part("deleted", "deleted", 92, PartKind.GOOD), Part("kept", "left", 8, PartKind.DIFFERENT))
    left = replace(LOOK, parts=parts, warnings=("the load is closed, but the table still holds 60 rows, which keep another load out",))

    assert "still holds 60 rows, which keep another load out" in words_of(left, is_dry=False)
    assert "The loads are rolled back, and rows are left" in end_of([left], is_dry=False)
    assert "with --yes" not in end_of([left], is_dry=False)


def test_names_from_the_database_draw_nothing() -> None:
    assert "\x1b" not in words_of(replace(LOOK, checks=(Check("references", Verdict.FACT, "public.\x1b[2J"),)))
