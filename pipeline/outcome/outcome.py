"""What became of a run: for each table a total that equals the sum of its parts, problems and checks.

    items in the manifest = rows + dead letters + filtered
    records of a window   = inserted + updated + unchanged + deleted + absent + filtered + conflicts + dead letters
    items in the manifest = equal rows + missing or different + dead letters + filtered
    lines of a chain      = the same + outdated + deleted + those with a later record
    rows loaded           = deleted + gone before + left
    dead letters given    = rows now + rows before + refused again + filtered

Every command ends with one `Run`. Its exit code, the terminal, the JSON form, `report.json` and the page are functions of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from pipeline.ledger.history import LoadingRun
from pipeline.places.storage import OutputFolder
from pipeline.records.columns import ColumnSample
from pipeline.target.target import DatabaseFacts
from transforms.table import Table


class Verdict(StrEnum):
    """What a check says."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    """Something is wrong, and must be fixed."""
    WARNING = "warning"
    """Something that a person should read."""
    FACT = "fact"
    """Worth knowing, neither right nor wrong."""
    SKIP = "skip"
    """Could not be checked, or did not apply."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked. No value of an item is in it."""

    name: str
    verdict: Verdict
    detail: str
    table: str | None = None
    """None: of the run, the database, or the table that it is a check of."""

    @property
    def line(self) -> str:
        """The detail, with its table."""
        return f"{self.table}: {self.detail}" if self.table else self.detail


def failed(checks: Iterable[Check]) -> list[Check]:
    """Those that failed, in their order."""
    return [check for check in checks if check.verdict is Verdict.FAIL]


class PartKind(StrEnum):
    """What a part of a total is; decides its colour, and whether a person must look at it."""

    GOOD = "good"
    BEFORE = "before"
    """Settled before this run."""
    REVIEW = "review"
    """To be looked at: dead letters."""
    DIFFERENT = "different"
    """To be looked at: rows that are not as the load left them."""
    FILTERED = "filtered"
    """Not for this table, by its definition."""
    LOST = "lost"
    """Not accounted for; the outcome has a problem that says why."""


_TO_REVIEW = frozenset([PartKind.REVIEW, PartKind.DIFFERENT])


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a total: `Part("dead_letters", "dead letters", 3, PartKind.REVIEW)`."""

    name: str
    """For programs."""
    words: str
    """For people, after the count."""
    count: int
    kind: PartKind


def filtered_part(count: int) -> tuple[Part, ...]:
    """The part of items that are not for the table; none where the definition takes all."""
    return (Part("filtered", "filtered", count, PartKind.FILTERED),) if count else ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one table by one command. Raises `ValueError` when it has no problem, and is not the sum of its parts."""

    source_table: str
    target_table: str
    export_id: str
    counted: str
    """What the total counts: item, row, dead letter."""
    total: int
    total_words: str
    """Where the total comes from: in the manifest."""
    seen: int
    seen_words: str
    """What was done with so many: read, compared, tried."""
    parts: tuple[Part, ...]
    problems: tuple[str, ...] = ()
    """Why this is not at its end; empty when it is."""
    warnings: tuple[str, ...] = ()
    """What limits these results: no manifest, row security that hides rows."""
    checks: tuple[Check, ...] = ()
    """Of this table. Where one failed, the next table is not begun."""
    tallies: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Further counts, by name and code: `{"dead_letter_codes": {"invalid_uuid": 3}}`."""
    target_rows: int = 0
    """All rows in the target table, including those of others."""
    done_now: int = 0
    """How many of the total this run did; without `--yes`, how many it would do."""
    seconds: float = 0.0
    runs: tuple[LoadingRun, ...] = ()
    """The runs that committed chunks of it, the newest first."""
    window: int | None = None
    """Its number, where this is of a window of changes after a load."""
    changes_from: datetime | None = None
    """Of a window: it has the changes from this time on,"""
    changes_to: datetime | None = None
    """and up to this one, exclusive."""
    outdated: int = 0
    """Rows of the target that are older than their items, because later records of these are dead letters."""
    sample: ColumnSample | None = None
    """What the columns got from the items that the gate of a load read."""

    def __post_init__(self) -> None:
        counted = sum(part.count for part in self.parts)
        is_lost = any(part.count for part in self.parts if part.kind is PartKind.LOST)
        if not self.problems and (is_lost or not self.total == self.seen == counted):
            message = f"{self.source_table}: {self.total:,} {self.counted}s, {self.seen:,} {self.seen_words}, {counted:,} in parts"
            raise ValueError(message)

    @property
    def may_go_on(self) -> bool:
        """Whether the next table may be begun."""
        return not self.problems and not failed(self.checks)

    @property
    def needs_review(self) -> bool:
        """Whether a person must look at a part of it."""
        return bool(self.outdated) or any(part.count for part in self.parts if part.kind in _TO_REVIEW)

    @property
    def has_filtered(self) -> bool:
        """Whether items are not for the table."""
        return any(part.count for part in self.parts if part.kind is PartKind.FILTERED)

    def count(self, name: str) -> int:
        """Of the part of this name; 0 if there is none."""
        return sum(part.count for part in self.parts if part.name == name)


@dataclass(frozen=True, slots=True)
class Begun:
    """What is known at the beginning of a run that has a folder of its own, for its report."""

    run_id: str
    started_at: datetime
    folder: OutputFolder
    database: DatabaseFacts
    settings: Mapping[str, Any]
    """What was asked for. No secrets."""
    attributes: Mapping[str, Sequence[str]]
    """By folder of records the paths that the definition names: these names are no data."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a command did, or would do. Raises `ValueError` when tables were not begun, and none before them failed."""

    command: str
    outcomes: tuple[Outcome, ...] = ()
    checks: Mapping[str, Sequence[Check]] = field(default_factory=dict)
    """Of the run, by what they are about: preflight, sql, requests."""
    not_begun: tuple[str, ...] = ()
    """Source tables that were not begun because an earlier one failed."""
    left_running: tuple[str, ...] = ()
    """What goes on elsewhere when the command ends: exports in AWS, a job on Dataflow."""
    is_dry: bool = False
    """Whether nothing was done, and this is what would be."""
    results: Mapping[str, Any] = field(default_factory=dict)
    """What the command showed besides, by name, for programs."""
    places: Mapping[str, str] = field(default_factory=dict)
    """Where to look, by what is there: printed at the end."""
    begun: Begun | None = None
    """Of a run with a report."""

    def __post_init__(self) -> None:
        if self.not_begun and all(outcome.may_go_on for outcome in self.outcomes):
            message = f"{self.command}: {', '.join(self.not_begun)} not begun, though no table before failed"
            raise ValueError(message)


class Definition(Protocol):
    """A load, as far as a report needs its definition."""

    @property
    def folder(self) -> str:
        """The name of the folders with the run's records of it."""

    @property
    def table(self) -> Table: ...


class ReportedOptions(Protocol):
    """The options of a command whose runs have a report."""

    @property
    def output(self) -> OutputFolder: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...


def begin(run_id: str, started_at: datetime, options: ReportedOptions, database: DatabaseFacts, loads: Iterable[Definition]) -> Begun:
    """Make the folder of a run. Raises `Refused`, `StorageFailed`."""
    folder = options.output / run_id
    folder.make()
    return Begun(run_id, started_at, folder, database, options.settings, {load.folder: load.table.paths for load in loads})
