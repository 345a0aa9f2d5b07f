"""What came of a run, in words, for the top of the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from pipeline.outcome.check_results import RollbackResult, SqlCheck, ValidationResult
from pipeline.outcome.kind_words import KIND_WORDS
from pipeline.outcome.replay_result import ReplayResult
from pipeline.outcome.result import TableResult
from pipeline.target.mismatch import MismatchKind

NO_MANIFEST: Final = "there is no manifest: every item of these files is accounted for, but nothing proves that they are all of the table"


_STOPPED: Final = "Tables after it were not begun. What is committed stays: mend what is named, run the same command again."


class Asked(Protocol):
    """What became of a request of the application."""

    @property
    def name(self) -> str:
        """As the file has it."""

    @property
    def is_as_expected(self) -> bool:
        """Whether every answer was."""


class Concluded(Protocol):
    """A result that may not be at its end."""

    @property
    def source_table(self) -> str:
        """Of which table."""

    @property
    def problems(self) -> Sequence[str]:
        """Why."""


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


def verdict_of(exit_code: int, results: Sequence[object], checks: Sequence[SqlCheck] = (), requests: Sequence[Asked] = ()) -> Verdict:
    """Of the results of one command; of those of a command that is not known here, what its exit code says."""
    loads = [result for result in results if isinstance(result, TableResult)]
    comparisons = [result for result in results if isinstance(result, ValidationResult)]
    rollbacks = [result for result in results if isinstance(result, RollbackResult)]
    replays = [result for result in results if isinstance(result, ReplayResult)]
    if loads:
        return _of_loads(loads)
    if comparisons:
        return _of_comparisons(comparisons, checks, requests)
    if rollbacks:
        return _of_rollbacks(rollbacks)
    if replays:
        return _of_replays(replays)
    return (
        Verdict(State.GOOD, "Done") if exit_code == 0 else Verdict(State.REVIEW if exit_code == 3 else State.BAD, f"Exit code {exit_code}")
    )


def _of_loads(results: Sequence[TableResult]) -> Verdict:
    if not all(result.is_proved for result in results):
        return Verdict(State.BAD, "Not every item is accounted for", (*_sentences(results), _STOPPED))
    if not all(result.may_go_on for result in results):
        return Verdict(State.BAD, "A table is not as its export has it", (*_of_gates(results), _STOPPED))
    items = sum(result.totals.items for result in results)
    dead_letters = sum(result.totals.dead_letters for result in results)
    unproved = tuple(f"{result.source_table}: {NO_MANIFEST}" for result in results if not result.has_manifest)
    if dead_letters:
        what = f"{items - dead_letters:,} of {items:,} items are rows, {dead_letters:,} are dead letters to review."
        return Verdict(State.REVIEW, "Every item is accounted for", (what, *unproved))
    return Verdict(State.REVIEW if unproved else State.GOOD, "Every item is a row", (f"{items:,} items, {items:,} rows.", *unproved))


def _of_gates(results: Sequence[TableResult]) -> Iterator[str]:
    """Why those that do not hold do not."""
    for result in results:
        if result.gate is not None and not result.gate.holds:
            for kind, count in result.gate.mismatches.items():
                yield f"{result.source_table}: {count:,} {KIND_WORDS[MismatchKind(kind)]}"
            for problem in result.gate.problems:
                yield f"{result.source_table}: {problem}"


def _of_comparisons(results: Sequence[ValidationResult], checks: Sequence[SqlCheck], requests: Sequence[Asked]) -> Verdict:
    more = tuple(_of_checks(checks, requests))
    if not all(result.is_whole for result in results):
        return Verdict(State.BAD, "Not everything was compared", (*_sentences(results), *more))
    items = sum(result.compared_items for result in results)
    compared = f"{items:,} items were compared with their rows, and every row with the items."
    hidden = tuple(f"{one.source_table}: row security hides rows from this role" for one in results if not one.sees_all_rows)
    if not all(result.is_equal for result in results):
        return Verdict(State.REVIEW, "There are differences", (compared, *hidden, *more))
    if more:
        return Verdict(State.REVIEW, "Every row is as the export makes it, but a check failed", (compared, *hidden, *more))
    return Verdict(State.REVIEW if hidden else State.GOOD, "Every row is as the export makes it", (compared, *hidden))


def _of_checks(checks: Sequence[SqlCheck], requests: Sequence[Asked]) -> Iterator[str]:
    failed = [check.check for check in checks if check.is_failed]
    if failed:
        yield f"SQL checks that failed: {', '.join(dict.fromkeys(failed))}"
    unexpected = [request.name for request in requests if not request.is_as_expected]
    if unexpected:
        yield f"requests that were not answered as expected: {', '.join(unexpected)}"


def _of_rollbacks(results: Sequence[RollbackResult]) -> Verdict:
    loaded, deleted, gone = (sum(getattr(result, name) for result in results) for name in ("loaded_rows", "deleted", "gone"))
    kept = sum(sum(result.kept.values()) for result in results)
    is_look = any(result.is_dry and not result.is_finished for result in results)
    did = "would be deleted or are deleted already" if is_look else "are deleted"
    left = "would be left" if is_look else "are left"
    counted = f"Of {loaded:,} rows that were loaded, {deleted:,} {did}, {gone:,} were gone before, {kept:,} {left}."
    hidden = tuple(f"{one.source_table}: row security hides rows from this role" for one in results if not one.sees_all_rows)
    if any(result.problems for result in results):
        return Verdict(State.BAD, "The rollback is not at its end", (*_sentences(results), counted, *hidden))
    if is_look:
        return Verdict(State.REVIEW, "A look: nothing was deleted", (counted, *hidden, "The same command with --yes does it."))
    if kept:
        return Verdict(State.REVIEW, "The loads are rolled back, and rows are left", (counted, *hidden))
    return Verdict(State.REVIEW if hidden else State.GOOD, "The loads are rolled back", (counted, *hidden))


def _of_replays(results: Sequence[ReplayResult]) -> Verdict:
    if any(result.problems for result in results):
        return Verdict(State.BAD, "Not every dead letter is accounted for", _sentences(results))
    given, rows, before, refused = (sum(getattr(one, name) for one in results) for name in ("given", "rows", "rows_before", "dead_letters"))
    counted = f"Of {given:,} dead letters, {rows:,} are rows now, {before:,} were before, {refused:,} are refused again."
    unread = tuple(
        f"{one.source_table}: {one.manifest_items - one.totals.items:,} items are not loaded yet: run migrate again to go on"
        for one in results
        if one.totals.items < one.manifest_items
    )
    sentence = "Some dead letters are refused again" if refused else "Every dead letter is a row"
    return Verdict(State.REVIEW if refused or unread else State.GOOD, sentence, (counted, *unread))


def _sentences(results: Sequence[Concluded]) -> tuple[str, ...]:
    return tuple(f"{result.source_table}: {problem}" for result in results for problem in result.problems)
