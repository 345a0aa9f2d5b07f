"""How runs end: the exit code and the words at the top of the report, for what the runs of other tests do not come to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.outcome.outcome import Check, Outcome, Part, PartKind, Run, Verdict
from pipeline.outcome.verdict import State, exit_code, verdict


def outcome(counted: str, total: int, *parts: Part) -> Outcome:
    return Outcome("things", "public.thing", "01", counted, total, "given", total, "seen", parts)


def good(words: str, count: int) -> Part:
    return Part(words, words, count, PartKind.GOOD)


LOADED = outcome("item", 10, good("rows", 9), Part("dead_letters", "dead letters", 1, PartKind.REVIEW))
COMPARED = outcome("item", 10, good("equal rows", 9), Part("dead_letters", "dead letters", 1, PartKind.BEFORE))
DELETED = outcome("row", 9, good("deleted", 9))
PARTLY_DELETED = outcome("row", 9, good("deleted", 8), Part("kept", "left", 1, PartKind.DIFFERENT))
REPLAYED = outcome("dead letter", 1, good("rows now", 1))
REFUSED_AGAIN = outcome("dead letter", 1, good("rows now", 0), Part("dead_letters", "refused again", 1, PartKind.REVIEW))
HOLDS, FAILED = (Check("a sample is equal", verdict, "2 items whose row is another") for verdict in (Verdict.PASS, Verdict.FAIL))
HIDDEN = ("row security hides rows from this role",)
REPLAY = "dead-letters replay"


def run_of(command: str, *outcomes: Outcome, is_dry: bool = False, **checks: list[Check]) -> Run:
    return Run(command, outcomes, checks, is_dry=is_dry)


@pytest.mark.parametrize(
    ("run", "code", "state", "sentence", "detail"),
    [
        (run_of("migrate", replace(LOADED, checks=(HOLDS,))), 3, State.REVIEW, "Every item is accounted for", "9 rows, 1 dead letter"),
        (
            run_of("migrate", replace(LOADED, checks=(FAILED,))),
            1,
            State.BAD,
            "A table differs from its export",
            "things: 2 items whose row is another",
        ),
        (run_of("migrate", replace(LOADED, problems=("p",))), 1, State.BAD, "Not every item is accounted for", "things: p"),
        (run_of("migrate", outcome("item", 9, good("rows", 9))), 0, State.GOOD, "Every item is a row", "9 rows"),
        (run_of("validate", COMPARED), 0, State.GOOD, "Every row equals its item", "1 dead letter"),
        (run_of("validate", replace(COMPARED, checks=(FAILED,))), 3, State.REVIEW, "There are differences", "whose row is another"),
        (
            run_of("validate", replace(COMPARED, problems=("p",), checks=(FAILED,))),
            1,
            State.BAD,
            "Not everything was compared",
            "things: p",
        ),
        (
            run_of("validate", replace(COMPARED, warnings=HIDDEN)),
            0,
            State.REVIEW,
            "No differences as far as this role sees: row security may hide rows from it",
            "things: row security hides rows",
        ),
        (run_of("rollback", DELETED), 0, State.GOOD, "The loads are rolled back", "9 deleted"),
        (
            run_of("rollback", replace(DELETED, warnings=HIDDEN)),
            0,
            State.REVIEW,
            "The loads are rolled back, but a table holds rows, or may hold rows that this role does not see",
            "row security hides rows",
        ),
        (run_of("rollback", PARTLY_DELETED), 3, State.REVIEW, "The loads are rolled back, and rows are left", "1 left"),
        (run_of("rollback", DELETED, is_dry=True), 0, State.REVIEW, "A look: nothing was deleted", "The same command with --yes does it."),
        (run_of("rollback", PARTLY_DELETED, is_dry=True), 3, State.REVIEW, "A look: nothing was deleted", "with --yes"),
        (run_of("rollback", replace(DELETED, problems=("p",))), 1, State.BAD, "The rollback is not at its end", "things: p"),
        (run_of(REPLAY, REPLAYED), 0, State.GOOD, "Every dead letter is a row", "1 row now"),
        (
            run_of(REPLAY, replace(REPLAYED, warnings=("1 items are not loaded yet",))),
            0,
            State.REVIEW,
            "Every dead letter is a row",
            "not loaded",
        ),
        (run_of(REPLAY, REFUSED_AGAIN), 3, State.REVIEW, "Some dead letters are refused again", "1 refused again"),
        (run_of(REPLAY, replace(REPLAYED, problems=("p",))), 1, State.BAD, "Not every dead letter is accounted for", "things: p"),
    ],
)
def test_the_exit_code_the_sentence_and_what_more_there_is_to_say(run: Run, code: int, state: State, sentence: str, detail: str) -> None:
    told = verdict(run)
    assert (exit_code(run), told.state, told.sentence) == (code, state, sentence)
    assert detail in " ".join(told.details)


def test_items_that_several_tables_look_at_are_not_said_to_be_more_than_there_are() -> None:
    """Three tables of a single-table design look at the same ten items."""
    of_three = [replace(LOADED, target_table=f"public.thing_{number}") for number in range(3)]
    beside = replace(LOADED, source_table="others")
    assert (
        "Of 40 items given (20, counted once for each of their tables): 36 rows, 4 dead letters."
        in verdict(run_of("migrate", *of_three, beside)).details
    )
    assert "Of 20 items given: 18 rows, 2 dead letters." in verdict(run_of("migrate", LOADED, beside)).details
    assert "Of 18 rows given: 18 deleted." in verdict(run_of("rollback", DELETED, replace(DELETED, target_table="public.more"))).details


def test_a_sql_check_that_failed_is_no_good_validation() -> None:
    """Though every row is equal; a warning is to be looked at, no more."""
    warned, failed = (Check("counts", verdict, "", "public.thing") for verdict in (Verdict.WARNING, Verdict.FAIL))
    assert verdict(run_of("validate", COMPARED, sql=[warned])).state is State.GOOD
    run = run_of("validate", COMPARED, sql=[warned, failed])
    told = verdict(run)
    assert (exit_code(run), told.state, told.sentence) == (3, State.REVIEW, "Every row equals its item, but a check failed")
    assert "SQL checks that failed: counts" in told.details
    of_some_rows = verdict(run_of("validate", replace(COMPARED, warnings=("rows may be hidden",)), sql=[failed]))
    assert of_some_rows.sentence == "No differences as far as this role sees, but a check failed"


def test_a_failed_check_is_no_good_end_of_any_command() -> None:
    """Also of those that have no words of their own for it."""
    failed = Check("counts", Verdict.FAIL, "")
    for command in ("migrate", "rollback", REPLAY, "unheard of"):
        told = verdict(run_of(command, DELETED, sql=[failed]))
        assert (told.state, told.sentence) == (State.REVIEW, "A check failed")


def test_a_total_that_is_not_its_parts_is_no_outcome() -> None:
    """Unless a problem says why: neither too few, nor too many, nor any that is lost."""
    assert outcome("item", 10, good("rows", 10))
    lost = Part("lost", "not accounted for", 1, PartKind.LOST)
    for parts in ((good("rows", 9),), (good("rows", 11),), (good("rows", 9), lost)):
        with pytest.raises(ValueError, match="things: 10 items"):
            outcome("item", 10, *parts)
    with pytest.raises(ValueError, match="9 read"):
        replace(LOADED, seen=9, seen_words="read")
    assert replace(LOADED, seen=9, parts=(good("rows", 9), lost), problems=("one file is missing",)).problems
