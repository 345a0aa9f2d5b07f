"""What came of a run, in words, for the top of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pipeline.report.check_results import ValidationResult
from pipeline.report.result import TableResult

NO_MANIFEST: Final = "there is no manifest: every item of these files is accounted for, but nothing proves that they are all of the table"


class State(StrEnum):
    """What a person has to do about it."""

    GOOD = "good"
    """Nothing."""
    REVIEW = "review"
    """It ended as it should, and there is something to look at."""
    BAD = "bad"
    """It did not end as it should."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The sentence, and what more there is to say."""

    state: State
    sentence: str
    details: tuple[str, ...] = ()


def verdict_of(exit_code: int, results: Sequence[object]) -> Verdict:
    """Of the results of one command; of those of a command that is not known here, what its exit code says."""
    loads = [result for result in results if isinstance(result, TableResult)]
    comparisons = [result for result in results if isinstance(result, ValidationResult)]
    if loads:
        return _of_loads(loads)
    if comparisons:
        return _of_comparisons(comparisons)
    return (
        Verdict(State.GOOD, "Done") if exit_code == 0 else Verdict(State.REVIEW if exit_code == 3 else State.BAD, f"Exit code {exit_code}")
    )


def _of_loads(results: Sequence[TableResult]) -> Verdict:
    if not all(result.is_proved for result in results):
        after = (
            "Tables after the first that is not proved were not begun. What is committed stays: mend what is named, run the same again.",
        )
        return Verdict(State.BAD, "Not every item is accounted for", (*_sentences(results), *after))
    items = sum(result.totals.items for result in results)
    dead_letters = sum(result.totals.dead_letters for result in results)
    unproved = tuple(f"{result.source_table}: {NO_MANIFEST}" for result in results if not result.has_manifest)
    if dead_letters:
        what = f"{items - dead_letters:,} of {items:,} items are rows, {dead_letters:,} are dead letters to review."
        return Verdict(State.REVIEW, "Every item is accounted for", (what, *unproved))
    return Verdict(State.REVIEW if unproved else State.GOOD, "Every item is a row", (f"{items:,} items, {items:,} rows.", *unproved))


def _of_comparisons(results: Sequence[ValidationResult]) -> Verdict:
    if not all(result.is_whole for result in results):
        return Verdict(State.BAD, "Not everything was compared", _sentences(results))
    items = sum(result.compared_items for result in results)
    compared = f"{items:,} items were compared with their rows, and every row with the items."
    hidden = tuple(f"{one.source_table}: row security hides rows from this role" for one in results if not one.sees_all_rows)
    if all(result.is_equal for result in results):
        return Verdict(State.REVIEW if hidden else State.GOOD, "Every row is as the export makes it", (compared, *hidden))
    return Verdict(State.REVIEW, "There are differences", (compared, *hidden))


def _sentences(results: Sequence[TableResult] | Sequence[ValidationResult]) -> tuple[str, ...]:
    return tuple(f"{result.source_table}: {problem}" for result in results for problem in result.problems)
