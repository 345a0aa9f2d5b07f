"""How a run ended: its exit code and the sentence that says so. What differs between commands is the table at the end.

A command that ends without a run was refused (`Refused`), or was stopped on the way (`Stopped`): `cli.py` says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from typing import Final

from pipeline.console import counted_in_words, counted_words
from pipeline.outcome.outcome import Outcome, Run, failed
from pipeline.records.kinds import KINDS, RecordKind


class ExitCode(IntEnum):
    DONE = 0
    FAILED = 1
    REFUSED = 2
    REVIEW = 3
    """At its end, and there is something to look at: dead letters, differences, rows that are left."""
    LATER = 75
    """There is nothing to do yet. EX_TEMPFAIL of sysexits.h, which systemd knows as TEMPFAIL."""


class End(StrEnum):
    """How a run can end; of several that hold, the first."""

    PROBLEM = "problem"
    """A table is not at its end."""
    CHECK_FAILED = "check_failed"
    """A check of a table failed."""
    LEFT_RUNNING = "left_running"
    """Something was started, and goes on elsewhere."""
    REVIEW = "review"
    """A part of a table is to be looked at."""
    LIMITED_CHECK_FAILED = "limited_check_failed"
    """A check of the run failed, and there are warnings."""
    RUN_CHECK_FAILED = "run_check_failed"
    """A check of the run failed."""
    LIMITED = "limited"
    """All is well, as far as can be seen: there are warnings."""
    NOTHING = "nothing"
    """All is well, and there is no table."""
    FILTERED = "filtered"
    """All is well, and some items are not for their table."""
    GOOD = "good"


class State(StrEnum):
    GOOD = "good"
    REVIEW = "review"
    """It ended well, and a person should look at something."""
    LATER = "later"
    """Nothing is wrong, and there is nothing to do yet."""
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
    """How the runs of one command end, and what a person reads of them."""

    ends: Mapping[End, tuple[ExitCode, str]]
    """The exit code and the sentence. Where there is none for `LIMITED`, that of `FILTERED` is used, or of `GOOD`, as for `NOTHING`."""
    done: str = "done"
    """What was done with `Outcome.done_now`."""
    nothing_done: str = "nothing to do"
    """In its place, where that was nothing, and nothing is left to do."""
    problem: str = "NOT FINISHED"
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
    has_summary: bool = True
    """Whether all tables are printed beside each other at the end."""
    shown_earlier: Sequence[str] = ()
    """The checks of the run that were printed as they were made."""
    is_stream: bool = False
    """Whether its results are many, and printed as they come: with `--json` one on a line, without a run around them."""
    early_ends: Sequence[ExitCode] = (ExitCode.REFUSED, ExitCode.FAILED)
    """The codes it can end with before there is a run."""


@dataclass(frozen=True, slots=True)
class TallyWords:
    """How a tally is printed."""

    heading: str
    codes: Mapping[str, str] = field(default_factory=dict)
    """The words for a code that does not explain itself."""

    def line(self, code: str, count: int) -> str:
        """Below a table."""
        return f"{count:,} {self.codes[code]} ({code})" if code in self.codes else f"  {code}: {count:,}"


TALLIES: Final = {
    "dead_letter_codes": TallyWords("Dead letters by code"),
    "filter_reasons": TallyWords("Filtered by reason: the condition of the definition that an item does not meet"),
    "notice_codes": TallyWords("Notices by code"),
    "child_rows": TallyWords("Rows of child tables"),
    "columns": TallyWords("Rows that are different, by column"),
    "kept": TallyWords(
        "Rows that are left, by reason",
        {**{str(kind): text.words for kind, text in KINDS.items()}, "different": "rows that were changed since the load"},
    ),
}

CHECK_HEADINGS: Final = {"sql": "SQL checks"}
"""Of the checks of a run; else their name."""

_RANKS: Final = {ExitCode.DONE: 0, ExitCode.REVIEW: 1, ExitCode.LATER: 1, ExitCode.FAILED: 2, ExitCode.REFUSED: 2}
"""How bad it is."""
_STATES: Final[Mapping[int, State]] = {ExitCode.DONE: State.GOOD, ExitCode.REVIEW: State.REVIEW, ExitCode.LATER: State.LATER}
_GOOD_ENDS: Final = frozenset([End.FILTERED, End.NOTHING, End.GOOD])
_OF_EXPORTS: Final = frozenset(["item", "record"])
"""What is counted that several tables may be made of."""
_LIMITED_ENDS: Final = frozenset([End.LIMITED, End.LIMITED_CHECK_FAILED])

EARLY_ENDS: Final = {
    ExitCode.LATER: "too early, nothing was started",
    ExitCode.REFUSED: "refused, nothing was written",
    ExitCode.FAILED: "stopped",
}
"""The words for a command that ends without a run."""

EXIT_CODES: Final = {
    ExitCode.DONE: "done, with nothing to review",
    ExitCode.REVIEW: "finished, with something to review",
    ExitCode.REFUSED: EARLY_ENDS[ExitCode.REFUSED],
    ExitCode.FAILED: "stopped on the way; what is committed stays, run the same command again",
    ExitCode.LATER: EARLY_ENDS[ExitCode.LATER],
}
"""Their words for any command, in the order in which they are told."""


def exit_code(run: Run) -> ExitCode:
    return _told(run)[0]


def state_of(code: int) -> State:
    """Of a run that has nothing more to say than its exit code."""
    return _STATES.get(code, State.BAD)


def exit_codes_of(command: str) -> dict[ExitCode, tuple[str, ...]]:
    """What each exit code of a command can mean: the sentences of its ends, the best first, and the words for an end without a run."""
    words = words_of(command)
    meanings: dict[ExitCode, dict[str, None]] = {code: {} for code in EXIT_CODES}
    see = f" (see the {words.records.words})" if words.records else ""
    for code, sentence in (words.ends[end] for end in reversed(End) if end in words.ends and end not in _LIMITED_ENDS):
        meanings[code][f"{sentence}{see}" if code is ExitCode.REVIEW else sentence] = None
    for code in words.early_ends:
        meanings[code][EARLY_ENDS[code].capitalize()] = None
    return {code: tuple(sentences) for code, sentences in meanings.items() if sentences}


def verdict(run: Run) -> RunVerdict:
    """For the top of the report."""
    words, end = _words(run), _end(run)
    code, sentence = _told(run)
    state = state_of(code)
    if state is State.GOOD and (end not in _GOOD_ENDS or run.is_dry):
        state = State.REVIEW
    details = [*_details(run), *sums_in_words(run.outcomes)]
    details += [f"{outcome.source_table}: {warning}" for outcome in run.outcomes for warning in outcome.warnings]
    for name, checks in run.checks.items():
        names = dict.fromkeys(check.name for check in failed(checks))
        if names:
            details.append(f"{heading_of(name)} that failed: {', '.join(names)}")
    if run.left_running:
        details.append(f"Still running: {', '.join(run.left_running)}")
    if end in words.advice:
        details.append(words.advice[end])
    return RunVerdict(state, sentence, tuple(details))


def advice(run: Run) -> str | None:
    """What to do next."""
    return _words(run).advice.get(_end(run))


def _words(run: Run) -> CommandWords:
    is_of_windows = any(outcome.window for outcome in run.outcomes)
    return words_of(run.command, is_dry=run.is_dry, is_of_windows=is_of_windows)


def _told(run: Run) -> tuple[ExitCode, str]:
    ends, end = _words(run).ends, _end(run)
    if end in (End.LIMITED, End.FILTERED, End.NOTHING) and end not in ends:
        is_filtered = any(outcome.has_filtered for outcome in run.outcomes)
        return ends[End.FILTERED if is_filtered and End.FILTERED in ends else End.GOOD]
    # A run with a failed check is never good, for any command.
    return ends.get(end) or _UNKNOWN.ends[end]


def _end(run: Run) -> End:
    is_limited = any(outcome.warnings for outcome in run.outcomes)
    is_check_failed = any(failed(checks) for checks in run.checks.values())
    # What is to be looked at must not hide what failed, for a command of which that is the worse end.
    ends = words_of(run.command, is_dry=run.is_dry).ends
    codes = [(ends.get(end) or _UNKNOWN.ends[end])[0] for end in (End.REVIEW, End.RUN_CHECK_FAILED)]
    is_hidden = is_check_failed and _RANKS[codes[0]] < _RANKS[codes[1]]
    holds = {
        End.PROBLEM: any(outcome.problems for outcome in run.outcomes),
        End.CHECK_FAILED: any(failed(outcome.checks) for outcome in run.outcomes),
        End.LEFT_RUNNING: bool(run.left_running) and not is_check_failed,
        End.REVIEW: any(outcome.needs_review for outcome in run.outcomes) and not is_hidden,
        End.LIMITED_CHECK_FAILED: is_limited and is_check_failed,
        End.RUN_CHECK_FAILED: is_check_failed,
        End.LIMITED: is_limited,
        End.NOTHING: not run.outcomes,
        End.FILTERED: any(outcome.has_filtered for outcome in run.outcomes),
        End.GOOD: True,
    }
    return next(end for end in End if holds[end])


def failures_of(run: Run) -> Iterator[str]:
    """Why it is not at its end, or what is wrong."""
    yield from _details(run)
    for checks in run.checks.values():
        yield from (check.line for check in failed(checks))


def _details(run: Run) -> Iterator[str]:
    """Of its tables."""
    for outcome in run.outcomes:
        yield from (f"{outcome.source_table}: {problem}" for problem in outcome.problems)
        if not outcome.problems:
            yield from (f"{outcome.source_table}: {check.detail}" for check in failed(outcome.checks))


def sums_in_words(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """`Of 50 items in the manifest: 47 rows, 3 dead letters`, of all tables together; of windows, which count records, another."""
    for counted in dict.fromkeys(outcome.counted for outcome in outcomes):
        of_kind = [outcome for outcome in outcomes if outcome.counted == counted]
        total = sum(outcome.total for outcome in of_kind)
        given = _given(of_kind)
        each = f" ({given:,}, counted once for each of their tables)" if given < total else ""
        words = {part.name: part.words for outcome in of_kind for part in outcome.parts}
        counts = {name: sum(outcome.count(name) for outcome in of_kind) for name in words}
        parts = ", ".join(counted_words(count, words[name]) for name, count in counts.items())
        yield f"Of {counted_in_words(total, counted)} {of_kind[0].total_words}{each}: {parts}."


def _given(outcomes: Sequence[Outcome]) -> int:
    """How many items or records there are: each table of one source looks at all of them, and counts them."""
    of_source: dict[tuple[str, int | None], set[int]] = {}
    for outcome in outcomes:
        of_source.setdefault((outcome.source_table, outcome.window), set()).add(outcome.total)
    is_of_exports = all(outcome.counted in _OF_EXPORTS for outcome in outcomes) and all(len(totals) == 1 for totals in of_source.values())
    return sum(max(totals) for totals in of_source.values()) if is_of_exports else sum(outcome.total for outcome in outcomes)


def heading_of(name: str) -> str:
    """Of a list of checks."""
    return CHECK_HEADINGS.get(name) or name.replace("_", " ").capitalize()


def words_of(command: str, *, is_dry: bool = False, is_of_windows: bool = False) -> CommandWords:
    """Those of a command, of one that applies windows; of an unknown command, the plainest ones."""
    ending = ", dry" if is_dry else ""
    of_windows = WORDS.get(f"{command}{ending}, windows") if is_of_windows else None
    return of_windows or WORDS.get(f"{command}{ending}", _UNKNOWN)


# -- what differs between commands ---------------------------------------------------------------------------------------------------------

_STOPPED: Final = "Tables after it were not begun. What is committed stays: fix what is named, run the same command again."

_STOPPED_WINDOW: Final = "Windows after it were not begun. What is committed stays: fix what is named, run the same command again."

_UNKNOWN: Final = CommandWords(
    ends={
        End.PROBLEM: (ExitCode.FAILED, "Not at its end"),
        End.CHECK_FAILED: (ExitCode.REVIEW, "A check failed"),
        End.LEFT_RUNNING: (ExitCode.DONE, "Started; it goes on without this command"),
        End.REVIEW: (ExitCode.REVIEW, "Done, with something to look at"),
        End.RUN_CHECK_FAILED: (ExitCode.REVIEW, "A check failed"),
        End.LIMITED_CHECK_FAILED: (ExitCode.REVIEW, "A check failed"),
        End.GOOD: (ExitCode.DONE, "Done"),
    },
)

_MIGRATE: Final = CommandWords(
    ends={
        End.PROBLEM: (ExitCode.FAILED, "Not every item is accounted for"),
        End.CHECK_FAILED: (ExitCode.FAILED, "A table differs from its export"),
        End.REVIEW: (ExitCode.REVIEW, "Every item is accounted for"),
        End.FILTERED: (ExitCode.DONE, "Every item is a row, or not for its table by the definition"),
        End.GOOD: (ExitCode.DONE, "Every item is a row"),
    },
    done="loaded",
    nothing_done="nothing to do: all of it was loaded before",
    problem="NOT PROVED",
    failed_check="NOT VALIDATED",
    advice={End.PROBLEM: _STOPPED, End.CHECK_FAILED: _STOPPED},
    records=RecordKind.DEAD_LETTERS,
    checks="Row comparison",
    tallies=("child_rows", "columns"),
    summed=("dead_letter_codes", "filter_reasons", "notice_codes"),
    has_notices=True,
    shown_earlier=("preflight",),
)
_WINDOWS: Final = replace(
    _MIGRATE,
    ends={
        End.PROBLEM: (ExitCode.FAILED, "Not every item and every change is accounted for"),
        End.CHECK_FAILED: (ExitCode.FAILED, "A table differs from its exports"),
        End.REVIEW: (ExitCode.REVIEW, "Every item and every change is accounted for"),
        End.FILTERED: (ExitCode.DONE, "Every item is a row, or not for its table by the definition, and every change is applied"),
        End.GOOD: (ExitCode.DONE, "Every item is a row, and every change is applied"),
    },
    done="applied",
    nothing_done="nothing to do: all of it was applied before",
    advice={End.PROBLEM: _STOPPED_WINDOW, End.CHECK_FAILED: _STOPPED_WINDOW},
)
_FOLLOW: Final = replace(
    _WINDOWS,
    ends={
        End.PROBLEM: (ExitCode.FAILED, "Not every change is accounted for"),
        End.CHECK_FAILED: (ExitCode.FAILED, "A table differs from its windows"),
        End.REVIEW: (ExitCode.REVIEW, "Every change is accounted for"),
        End.NOTHING: (ExitCode.DONE, "There was nothing to apply"),
        End.GOOD: (ExitCode.DONE, "Every change is applied"),
    },
    early_ends=(ExitCode.LATER, ExitCode.REFUSED, ExitCode.FAILED),
)
_CUTOVER: Final = replace(
    _FOLLOW,
    ends={
        End.PROBLEM: (ExitCode.FAILED, "NOT SAFE to switch: not every change is accounted for"),
        End.CHECK_FAILED: (ExitCode.FAILED, "NOT SAFE to switch: a table differs from its windows"),
        End.REVIEW: (ExitCode.REVIEW, "Safe to switch, with dead letters to review"),
        End.LIMITED_CHECK_FAILED: (ExitCode.FAILED, "NOT SAFE to switch: a check failed"),
        End.RUN_CHECK_FAILED: (ExitCode.FAILED, "NOT SAFE to switch: a check failed"),
        End.GOOD: (ExitCode.DONE, "Safe to switch"),
    },
    advice={},
    early_ends=(ExitCode.REFUSED, ExitCode.FAILED),
)
_STATUS: Final = CommandWords(
    # What it is asked is answered, whatever the answer.
    ends={
        End.PROBLEM: (ExitCode.DONE, "Not every load is at its end"),
        End.REVIEW: (ExitCode.DONE, "Every load is at its end, and there are dead letters to review"),
        End.NOTHING: (ExitCode.DONE, "No load was ever started in this database"),
        End.GOOD: (ExitCode.DONE, "Every load is at its end"),
    },
    has_summary=False,
    done="loaded",
    nothing_done="nothing is loaded",
    problem="state",
    tallies=("child_rows", "dead_letter_codes", "filter_reasons"),
)
_NO_JOB_LEFT: Final = (ExitCode.DONE, "No job is left to be sent: every table is loaded")

_ROLLBACK: Final = CommandWords(
    ends={
        End.PROBLEM: (ExitCode.FAILED, "The rollback is not at its end"),
        End.REVIEW: (ExitCode.REVIEW, "The loads are rolled back, and rows are left"),
        End.LIMITED: (ExitCode.DONE, "The loads are rolled back, but a table holds rows, or may hold rows that this role does not see"),
        End.GOOD: (ExitCode.DONE, "The loads are rolled back"),
    },
    done="deleted",
    nothing_done="no row was deleted now",
    problem="NOT FINISHED",
    records=RecordKind.DISCREPANCIES,
    tallies=("kept",),
)

_ROLLBACK_LOOK: Final = CommandWords(
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
)

WORDS: Final[Mapping[str, CommandWords]] = {
    "export": CommandWords(
        ends={
            End.LEFT_RUNNING: (ExitCode.DONE, "The exports are begun, and go on in AWS"),
            End.RUN_CHECK_FAILED: (ExitCode.FAILED, "Not every table is exported"),
            End.GOOD: (ExitCode.DONE, "Every table is exported"),
        },
        shown_earlier=("exports",),
        early_ends=(ExitCode.LATER, ExitCode.REFUSED, ExitCode.FAILED),
    ),
    "inspect": CommandWords(
        ends={
            End.PROBLEM: (ExitCode.FAILED, "An export is not what its manifest says"),
            End.RUN_CHECK_FAILED: (ExitCode.REFUSED, "An export cannot be read"),
            End.REVIEW: (ExitCode.DONE, "The exports are whole, but not every line is an item"),
            End.GOOD: (ExitCode.DONE, "Nothing wrong was found"),
        },
        has_summary=False,
    ),
    "draft": CommandWords(
        ends={
            End.RUN_CHECK_FAILED: (ExitCode.FAILED, "The draft is written, without the items of damaged data files"),
            End.GOOD: (ExitCode.DONE, "The draft is written"),
        },
        advice=dict.fromkeys(
            (End.NOTHING, End.RUN_CHECK_FAILED),
            "Read the definition, and correct what its comments doubt. Then: ddb2pg check-definition DEFINITION; "
            'psql "$DATABASE_URL" -f SQL; ddb2pg migrate --tables DEFINITION --export ...',
        ),
    ),
    "check-definition": CommandWords(
        ends={End.GOOD: (ExitCode.DONE, "Nothing is wrong with the definitions")},
        shown_earlier=("speed",),
    ),
    "preflight": CommandWords(
        ends={
            End.RUN_CHECK_FAILED: (ExitCode.REFUSED, "NOT READY: migrate refuses; nothing was written"),
            End.GOOD: (ExitCode.DONE, "READY: migrate would start"),
        },
    ),
    "migrate": _MIGRATE,
    "migrate --no_wait": replace(
        _MIGRATE,
        ends={
            End.PROBLEM: _MIGRATE.ends[End.PROBLEM],
            End.CHECK_FAILED: _MIGRATE.ends[End.CHECK_FAILED],
            End.LEFT_RUNNING: (ExitCode.DONE, "The job of the next table is sent, and goes on without this command"),
            End.REVIEW: _NO_JOB_LEFT,
            End.GOOD: _NO_JOB_LEFT,
        },
        advice={
            **_MIGRATE.advice,
            **dict.fromkeys(
                (End.REVIEW, End.LIMITED, End.FILTERED, End.GOOD),
                "To prove it all and to have the report, give the same command without --no_wait in a place that waits (--runner may be "
                "left out: only what has dead letters or notices is read again).",
            ),
        },
        has_summary=False,
    ),
    "migrate, windows": _WINDOWS,
    "follow": _FOLLOW,
    "follow, windows": _FOLLOW,
    "cutover": _CUTOVER,
    "cutover, windows": _CUTOVER,
    "cutover, dry": CommandWords(
        ends={
            End.RUN_CHECK_FAILED: (ExitCode.REFUSED, "NOT READY to switch; nothing was written"),
            End.GOOD: (ExitCode.DONE, "READY to switch: stop the writes"),
        }
    ),
    "validate": CommandWords(
        ends={
            End.PROBLEM: (ExitCode.FAILED, "Not everything was compared"),
            End.CHECK_FAILED: (ExitCode.REVIEW, "There are differences"),
            End.REVIEW: (ExitCode.REVIEW, "There are differences"),
            End.RUN_CHECK_FAILED: (ExitCode.REVIEW, "Every row equals its item, but a check failed"),
            End.LIMITED_CHECK_FAILED: (ExitCode.REVIEW, "No differences as far as this role sees, but a check failed"),
            End.LIMITED: (ExitCode.DONE, "No differences as far as this role sees: row security may hide rows from it"),
            End.GOOD: (ExitCode.DONE, "Every row equals its item"),
        },
        done="compared",
        nothing_done="nothing to compare",
        problem="NOT COMPLETE",
        failed_check="NOT EQUAL",
        records=RecordKind.MISMATCHES,
        checks="Comparison",
        tallies=("columns",),
        shown_earlier=("requests",),
    ),
    "validate --emit_sql": CommandWords(ends={End.GOOD: (ExitCode.DONE, "The SQL checks are written; nothing was compared")}),
    "rollback": _ROLLBACK,
    "rollback, windows": replace(
        _ROLLBACK,
        ends={end: (code, sentence.replace("loads are rolled", "windows are taken")) for end, (code, sentence) in _ROLLBACK.ends.items()},
        done="taken back",
        nothing_done="nothing was taken back now",
    ),
    "rollback, dry": _ROLLBACK_LOOK,
    "rollback, dry, windows": replace(
        _ROLLBACK_LOOK,
        ends={end: (code, sentence.replace("deleted", "changed")) for end, (code, sentence) in _ROLLBACK_LOOK.ends.items()},
        done="would be taken back",
        nothing_done="nothing would be taken back",
    ),
    "dead-letters replay": CommandWords(
        ends={
            End.PROBLEM: (ExitCode.FAILED, "Not every dead letter is accounted for"),
            End.REVIEW: (ExitCode.REVIEW, "Some dead letters are refused again"),
            End.FILTERED: (ExitCode.DONE, "Every dead letter is a row, or not for its table by the definition"),
            End.GOOD: (ExitCode.DONE, "Every dead letter is a row"),
        },
        done="brought in",
        nothing_done="no dead letter was brought in now",
        problem="NOT PROVED",
        records=RecordKind.DEAD_LETTERS,
        tallies=("dead_letter_codes", "filter_reasons"),
    ),
    "dead-letters summary": CommandWords(
        ends={
            End.REVIEW: (ExitCode.DONE, "There are dead letters to review"),
            End.GOOD: (ExitCode.DONE, "There are no dead letters"),
        },
        has_summary=False,
    ),
    "dead-letters show": CommandWords(
        ends={
            End.NOTHING: (ExitCode.DONE, "There is no such dead letter"),
            End.REVIEW: (ExitCode.DONE, "These dead letters are to be reviewed"),
            End.GOOD: (ExitCode.DONE, "There is no such dead letter"),
        },
        has_summary=False,
        is_stream=True,
    ),
    "report": CommandWords(ends={End.GOOD: (ExitCode.DONE, "The page is written")}),
    "sample-export": CommandWords(ends={End.GOOD: (ExitCode.DONE, "The exports are written")}),
    "status": _STATUS,
    "status, windows": replace(_STATUS, done="applied", nothing_done="nothing to apply"),
}
