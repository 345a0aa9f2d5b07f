"""How a run ended: its exit code and the sentence that says so. What differs between commands is the table at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final

from pipeline.console import counted_in_words
from pipeline.outcome.outcome import Outcome, Run, failed
from pipeline.records.kinds import KINDS, RecordKind


class ExitCode(IntEnum):
    DONE = 0
    FAILED = 1
    REFUSED = 2
    REVIEW = 3
    """At its end, and there is something to look at: dead letters, differences, rows that are left."""


class End(StrEnum):
    """How a run can end; of several that hold, the first."""

    PROBLEM = "problem"
    """A table is not at its end."""
    CHECK_FAILED = "check_failed"
    """A check of a table failed."""
    REVIEW = "review"
    """A part of a table is to be looked at."""
    RUN_CHECK_FAILED = "run_check_failed"
    """A check of the run failed."""
    LIMITED_CHECK_FAILED = "limited_check_failed"
    """As above, with warnings."""
    LIMITED = "limited"
    """All is well, as far as can be seen: there are warnings."""
    GOOD = "good"


class State(StrEnum):
    GOOD = "good"
    REVIEW = "review"
    """It ended well, and a person should look at something."""
    BAD = "bad"
    """It did not end well."""


@dataclass(frozen=True, slots=True)
class RunVerdict:
    """The sentence, and what more there is to say."""

    state: State
    sentence: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CommandWords:
    """What a person reads of the runs of one command."""

    ends: Mapping[End, tuple[ExitCode, str]]
    """The exit code and the sentence. Where there is none for `LIMITED`, that of `GOOD` is used."""
    done: str
    """What was done with `Outcome.done_now`."""
    nothing_done: str
    """In its place, where that was nothing, and nothing is left to do."""
    problem: str
    failed_check: str = "FAILED"
    """Before each check of a table that failed."""
    advice: Mapping[End, str] = field(default_factory=dict)
    """What to do next."""
    records: RecordKind | None = None
    """The kind of records that are to be looked at."""
    checks: str = "Checks"
    """The heading of the checks of its tables."""
    tallies: Sequence[str] = ()
    """Printed with each table."""
    summed: Sequence[str] = ()
    """Printed at the end, of all tables."""
    has_notices: bool = False


@dataclass(frozen=True, slots=True)
class TallyWords:
    """How a tally is printed."""

    heading: str
    counted: str
    codes: Mapping[str, str] = field(default_factory=dict)
    """The words for a code that does not explain itself."""

    def line(self, code: str, count: int) -> str:
        """Below a table."""
        return f"{count:,} {self.codes[code]} ({code})" if code in self.codes else f"  {code}: {count:,}"


TALLIES: Final = {
    "dead_letter_codes": TallyWords("Dead letters by code", "items"),
    "notice_codes": TallyWords("Notices by code", "notices"),
    "columns": TallyWords("Rows that are different, by column", "rows"),
    "kept": TallyWords(
        "Rows that are left, by reason",
        "rows",
        {**{str(kind): text.words for kind, text in KINDS.items()}, "different": "rows that were changed since the load"},
    ),
}

CHECK_HEADINGS: Final = {"sql": "SQL checks"}
"""Of the checks of a run; else their name."""

EXIT_CODES: Final = {
    0: "done, with nothing to review",
    1: "stopped on the way; what is committed stays, run the same command again",
    2: "refused, nothing was written",
    3: "finished, with something to review",
}


def exit_code(run: Run) -> ExitCode:
    """0, 1 or 3: a run that is refused has no end."""
    return _told(run)[0]


def verdict(run: Run) -> RunVerdict:
    """For the top of the report."""
    words, end = words_of(run.command, is_dry=run.is_dry), _end(run)
    code, sentence = _told(run)
    state = {ExitCode.DONE: State.GOOD, ExitCode.REVIEW: State.REVIEW}.get(code, State.BAD)
    if state is State.GOOD and (end is End.LIMITED or run.is_dry):
        state = State.REVIEW
    details = [*_details(run), *sums_in_words(run.outcomes)]
    details += [f"{outcome.source_table}: {warning}" for outcome in run.outcomes for warning in outcome.warnings]
    for name, checks in run.checks.items():
        names = dict.fromkeys(check.name for check in failed(checks))
        if names:
            details.append(f"{heading_of(name)} that failed: {', '.join(names)}")
    if end in words.advice:
        details.append(words.advice[end])
    return RunVerdict(state, sentence, tuple(details))


def advice(run: Run) -> str | None:
    """What to do next."""
    return words_of(run.command, is_dry=run.is_dry).advice.get(_end(run))


def _told(run: Run) -> tuple[ExitCode, str]:
    ends, end = words_of(run.command, is_dry=run.is_dry).ends, _end(run)
    # A run with a failed check is never good, for any command.
    return ends.get(end) or (ends[End.GOOD] if end is End.LIMITED else _UNKNOWN.ends[end])


def _end(run: Run) -> End:
    if any(outcome.problems for outcome in run.outcomes):
        return End.PROBLEM
    if any(failed(outcome.checks) for outcome in run.outcomes):
        return End.CHECK_FAILED
    if any(outcome.needs_review for outcome in run.outcomes):
        return End.REVIEW
    is_limited = any(outcome.warnings for outcome in run.outcomes)
    if any(failed(checks) for checks in run.checks.values()):
        return End.LIMITED_CHECK_FAILED if is_limited else End.RUN_CHECK_FAILED
    return End.LIMITED if is_limited else End.GOOD


def _details(run: Run) -> Iterator[str]:
    """Why it is not at its end, or what is wrong."""
    for outcome in run.outcomes:
        yield from (f"{outcome.source_table}: {problem}" for problem in outcome.problems)
        if not outcome.problems:
            yield from (f"{outcome.source_table}: {check.detail}" for check in failed(outcome.checks))


def sums_in_words(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """`Of 50 items in the manifest: 47 rows, 3 dead letters`, of all tables together."""
    if outcomes:
        total = sum(outcome.total for outcome in outcomes)
        words = {part.name: part.words for outcome in outcomes for part in outcome.parts}
        counts = {name: sum(outcome.count(name) for outcome in outcomes) for name in words}
        parts = ", ".join(f"{count:,} {words[name]}" for name, count in counts.items())
        yield f"Of {counted_in_words(total, outcomes[0].counted)} {outcomes[0].total_words}: {parts}."


def heading_of(name: str) -> str:
    """Of a list of checks."""
    return CHECK_HEADINGS.get(name) or name.replace("_", " ").capitalize()


def words_of(command: str, *, is_dry: bool = False) -> CommandWords:
    """Those of a command; of an unknown command, the plainest ones."""
    return _WORDS.get(f"{command}, dry" if is_dry else command, _UNKNOWN)


# -- what differs between commands ---------------------------------------------------------------------------------------------------------

_STOPPED: Final = "Tables after it were not begun. What is committed stays: fix what is named, run the same command again."

_UNKNOWN: Final = CommandWords(
    ends={
        End.PROBLEM: (ExitCode.FAILED, "Not at its end"),
        End.CHECK_FAILED: (ExitCode.REVIEW, "A check failed"),
        End.REVIEW: (ExitCode.REVIEW, "Done, with something to look at"),
        End.RUN_CHECK_FAILED: (ExitCode.REVIEW, "A check failed"),
        End.LIMITED_CHECK_FAILED: (ExitCode.REVIEW, "A check failed"),
        End.GOOD: (ExitCode.DONE, "Done"),
    },
    done="done",
    nothing_done="nothing to do",
    problem="NOT FINISHED",
)

_WORDS: Final[Mapping[str, CommandWords]] = {
    "migrate": CommandWords(
        ends={
            End.PROBLEM: (ExitCode.FAILED, "Not every item is accounted for"),
            End.CHECK_FAILED: (ExitCode.FAILED, "A table is not as its export has it"),
            End.REVIEW: (ExitCode.REVIEW, "Every item is accounted for"),
            End.GOOD: (ExitCode.DONE, "Every item is a row"),
        },
        done="loaded",
        nothing_done="nothing to do: all of it was loaded before",
        problem="NOT PROVED",
        failed_check="NOT VALIDATED",
        advice={End.PROBLEM: _STOPPED, End.CHECK_FAILED: _STOPPED},
        records=RecordKind.DEAD_LETTERS,
        checks="Held against the export before the next table was begun",
        tallies=("columns",),
        summed=("dead_letter_codes", "notice_codes"),
        has_notices=True,
    ),
    "validate": CommandWords(
        ends={
            End.PROBLEM: (ExitCode.FAILED, "Not everything was compared"),
            End.CHECK_FAILED: (ExitCode.REVIEW, "There are differences"),
            End.REVIEW: (ExitCode.REVIEW, "There are differences"),
            End.RUN_CHECK_FAILED: (ExitCode.REVIEW, "Every row is as the export makes it, but a check failed"),
            End.LIMITED_CHECK_FAILED: (ExitCode.REVIEW, "No differences as far as this role sees, but a check failed"),
            End.LIMITED: (ExitCode.DONE, "No differences as far as this role sees: row security may hide rows from it"),
            End.GOOD: (ExitCode.DONE, "Every row is as the export makes it"),
        },
        done="compared",
        nothing_done="nothing to compare",
        problem="NOT WHOLE",
        failed_check="NOT EQUAL",
        records=RecordKind.MISMATCHES,
        checks="Comparison",
        tallies=("columns",),
    ),
    "rollback": CommandWords(
        ends={
            End.PROBLEM: (ExitCode.FAILED, "The rollback is not at its end"),
            End.REVIEW: (ExitCode.REVIEW, "The loads are rolled back, and rows are left"),
            End.GOOD: (ExitCode.DONE, "The loads are rolled back"),
        },
        done="deleted",
        nothing_done="no row was deleted now",
        problem="NOT FINISHED",
        records=RecordKind.DISCREPANCIES,
        tallies=("kept",),
    ),
    "rollback, dry": CommandWords(
        ends={
            End.PROBLEM: (ExitCode.FAILED, "Not all of it was looked at"),
            End.REVIEW: (ExitCode.REVIEW, "A look: nothing was deleted"),
            End.GOOD: (ExitCode.DONE, "A look: nothing was deleted"),
        },
        done="would be deleted",
        nothing_done="no row would be deleted",
        problem="NOT FINISHED",
        advice=dict.fromkeys((End.REVIEW, End.LIMITED, End.GOOD), "The same command with --yes does it."),
        records=RecordKind.DISCREPANCIES,
        tallies=("kept",),
    ),
    "dead-letters replay": CommandWords(
        ends={
            End.PROBLEM: (ExitCode.FAILED, "Not every dead letter is accounted for"),
            End.REVIEW: (ExitCode.REVIEW, "Some dead letters are refused again"),
            End.GOOD: (ExitCode.DONE, "Every dead letter is a row"),
        },
        done="brought in",
        nothing_done="no dead letter was brought in now",
        problem="NOT PROVED",
        records=RecordKind.DEAD_LETTERS,
        tallies=("dead_letter_codes",),
    ),
    "status": CommandWords(
        ends={End.GOOD: (ExitCode.DONE, "Done"), End.PROBLEM: (ExitCode.DONE, "Done"), End.REVIEW: (ExitCode.DONE, "Done")},
        done="loaded",
        nothing_done="nothing is loaded",
        problem="state",
        tallies=("dead_letter_codes",),
    ),
}
