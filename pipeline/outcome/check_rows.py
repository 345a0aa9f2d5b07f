"""What validate, and the gate of migrate, checked, as the rows that a report lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.ledger.loads import Validated
from pipeline.outcome.check_results import GateResult, ValidationResult
from pipeline.outcome.kind_words import KIND_WORDS
from pipeline.outcome.result import TableResult
from pipeline.outcome.run_facts import CheckRow
from pipeline.target.mismatch import MismatchKind

_OF_ITEMS = (MismatchKind.NOT_LOADED, MismatchKind.MISSING, MismatchKind.DIFFERENT)
_OF_ROWS = (MismatchKind.DEAD_LETTER_IN_TARGET, MismatchKind.ROW_WITHOUT_ITEM)


def validation_rows(results: Sequence[ValidationResult]) -> tuple[CheckRow, ...]:
    """The verdicts of a comparison, table by table."""
    return tuple(row for result in results for row in _rows_of(result))


def _rows_of(result: ValidationResult) -> Iterator[CheckRow]:
    table = result.source_table
    compared = f"{result.compared_items:,} of {result.manifest_items:,} items were compared"
    yield CheckRow("every item was compared", _verdict(result.is_whole), "; ".join((compared, *result.problems)), table)
    equal = f"{result.equal_rows:,} rows are as the export makes them"
    yield _mismatch_row("every item's row is there and equal", result, _OF_ITEMS, equal)
    accounted = f"{result.target_rows:,} rows in the target"
    yield _mismatch_row("every row has its item", result, _OF_ROWS, accounted)
    if not result.sees_all_rows:
        yield _hidden(table)


def _mismatch_row(check: str, result: ValidationResult, kinds: Sequence[MismatchKind], sound: str) -> CheckRow:
    found = [f"{result.mismatches[kind]:,} {KIND_WORDS[kind]}" for kind in kinds if result.mismatches.get(kind)]
    return CheckRow(check, _verdict(not found and result.is_whole), "; ".join((sound, *found)), result.source_table)


def _verdict(is_sound: bool) -> str:
    return "pass" if is_sound else "fail"


def gate_rows(results: Sequence[TableResult]) -> tuple[CheckRow, ...]:
    """The verdicts of the gate, for those tables that came to it."""
    return tuple(row for result in results if result.gate is not None for row in _rows_of_gate(result.source_table, result.gate))


def _rows_of_gate(table: str, gate: GateResult) -> Iterator[CheckRow]:
    check = "every item's row is equal" if gate.level is Validated.FULL else "a sample of rows is equal, and there are no others"
    if not gate.is_comparable:
        yield CheckRow(check, "warning", "not compared: the primary key does not tell of which item a row is", table)
        return
    if gate.is_of_before:
        yield CheckRow(check, "pass", "an earlier run compared it", table)
        return
    found = [f"{count:,} {KIND_WORDS[MismatchKind(kind)]}" for kind, count in gate.mismatches.items()]
    yield CheckRow(check, _verdict(gate.holds), "; ".join((f"{gate.compared_items:,} items were compared", *found, *gate.problems)), table)
    if not gate.sees_all_rows:
        yield _hidden(table)


def _hidden(table: str) -> CheckRow:
    return CheckRow("this role sees all rows", "warning", "row security hides some: they count as missing, or are not seen", table)
