"""The words at the top of the report, for what the runs of other tests do not come to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.ledger.loads import Validated
from pipeline.ledger.totals import Totals
from pipeline.outcome.check_results import GateResult, RollbackResult, SqlCheck, ValidationResult
from pipeline.outcome.check_rows import gate_rows
from pipeline.outcome.replay_result import ReplayResult
from pipeline.outcome.result import TableResult
from pipeline.outcome.verdict import State, verdict_of

TOTALS = Totals(10, 9, 1, 0)
LOADED = TableResult("things", "public.thing", "01", 10, True, TOTALS, 9, {}, {}, 10, 1.0)
COMPARED = ValidationResult("things", "public.thing", "01", 10, 10, 1, 9, 9, {}, {}, 0, True, 1.0)
ROLLED_BACK = RollbackResult("things", "public.thing", "01", False, 9, 9, 9, 0, {}, True, 0, (), True, 1.0)
REPLAYED = ReplayResult("things", "public.thing", "01", 1, 1, 0, 0, {}, Totals(10, 10, 0, 0), 10, 10, 1.0)
HOLDS = GateResult(Validated.QUICK, 10, {}, {}, sees_all_rows=True)
FAILED = replace(HOLDS, mismatches={"different": 2})


@pytest.mark.parametrize(
    ("result", "state", "sentence", "detail"),
    [
        (replace(LOADED, gate=HOLDS), State.REVIEW, "Every item is accounted for", "1 are dead letters to review"),
        (replace(LOADED, gate=FAILED), State.BAD, "A table is not as its export has it", "things: 2 items whose row is another"),
        (replace(LOADED, problems=("p",)), State.BAD, "Not every item is accounted for", "things: p"),
        (ROLLED_BACK, State.GOOD, "The loads are rolled back", "9 are deleted"),
        (replace(ROLLED_BACK, sees_all_rows=False), State.REVIEW, "The loads are rolled back", "row security hides rows"),
        (
            replace(ROLLED_BACK, deleted=8, kept={"referenced": 1}),
            State.REVIEW,
            "The loads are rolled back, and rows are left",
            "1 are left",
        ),
        (replace(ROLLED_BACK, is_dry=True, is_finished=False), State.REVIEW, "A look: nothing was deleted", "9 would be deleted"),
        (replace(ROLLED_BACK, is_finished=False, problems=("p",)), State.BAD, "The rollback is not at its end", "things: p"),
        (REPLAYED, State.GOOD, "Every dead letter is a row", "1 are rows now"),
        (replace(REPLAYED, manifest_items=11), State.REVIEW, "Every dead letter is a row", "1 items are not loaded yet"),
        (replace(REPLAYED, rows=0, dead_letters=1), State.REVIEW, "Some dead letters are refused again", "1 are refused again"),
        (replace(REPLAYED, problems=("p",)), State.BAD, "Not every dead letter is accounted for", "things: p"),
    ],
)
def test_the_sentence_and_what_more_there_is_to_say(result: object, state: State, sentence: str, detail: str) -> None:
    verdict = verdict_of(0, [result])
    assert (verdict.state, verdict.sentence) == (state, sentence)
    assert detail in " ".join(verdict.details)


def test_a_sql_check_that_failed_is_no_good_validation() -> None:
    """Though every row is equal; a warning is to be looked at, no more."""
    warned, failed = (SqlCheck("counts", "public.thing", verdict, "") for verdict in ("WARN", "FAIL"))
    assert verdict_of(0, [COMPARED], [warned]).state is State.GOOD
    verdict = verdict_of(3, [COMPARED], [warned, failed])
    assert (verdict.state, verdict.sentence) == (State.REVIEW, "Every row is as the export makes it, but a check failed")
    assert "SQL checks that failed: counts" in verdict.details


def test_the_gate_is_a_list_of_checks() -> None:
    """With what was found, of those tables that came to it."""
    gates = (
        HOLDS,
        FAILED,
        replace(HOLDS, is_comparable=False),
        replace(HOLDS, is_of_before=True),
        replace(HOLDS, sees_all_rows=False),
        None,
    )
    rows = gate_rows([replace(LOADED, gate=gate) for gate in gates])
    assert [row.verdict for row in rows] == ["pass", "fail", "warning", "pass", "pass", "warning"]
    assert "2 items whose row is another" in rows[1].detail
