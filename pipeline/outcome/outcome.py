"""What became of a run: for each table a total that equals the sum of its parts, problems and checks.

    items in the manifest = rows + dead letters
    items in the manifest = equal rows + missing or different + dead letters
    rows loaded           = deleted + gone before + left
    dead letters given    = rows now + rows before + refused again

Every command ends with one `Run`. Its exit code, the terminal, `report.json` and the page are functions of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from pipeline.ledger.history import LoadingRun
from pipeline.target.session import Session
from pipeline.target.target import DatabaseFacts, describe_database
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
        """The detail with its table."""
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
        return any(part.count for part in self.parts if part.kind in _TO_REVIEW)

    def count(self, name: str) -> int:
        """Of the part of this name; 0 if there is none."""
        return sum(part.count for part in self.parts if part.name == name)


@dataclass(frozen=True, slots=True)
class Run:
    """What a command did, or would do."""

    command: str
    run_id: str
    started_at: datetime
    database: DatabaseFacts
    settings: Mapping[str, Any]
    """What was asked for. No secrets."""
    attributes: Mapping[str, Sequence[str]]
    """By folder of records the paths that the definition names: these names are no data."""
    outcomes: tuple[Outcome, ...] = ()
    checks: Mapping[str, Sequence[Check]] = field(default_factory=dict)
    """Of the run, by what they are about: preflight, sql, requests."""
    not_begun: tuple[str, ...] = ()
    """Source tables that were not begun because an earlier one failed."""
    is_dry: bool = False
    """Whether nothing was done, and this is what would be."""

    def with_outcomes(self, outcomes: Iterable[Outcome], **others: Any) -> Run:
        """The same run at its end."""
        return replace(self, outcomes=tuple(outcomes), **others)


class Definition(Protocol):
    """A load, as far as a report needs its definition."""

    @property
    def folder(self) -> str:
        """The name of the folders with the run's records of it."""

    @property
    def table(self) -> Table: ...


def attributes_of(loads: Iterable[Definition]) -> dict[str, Sequence[str]]:
    """For `Run`."""
    return {load.folder: load.table.paths for load in loads}


def begin_run(
    command: str, run_id: str, started_at: datetime, session: Session, settings: Mapping[str, Any], loads: Iterable[Definition]
) -> Run:
    """A run at its beginning: only its options are known. Raises `Stopped`."""
    return Run(command, run_id, started_at, session.transact(describe_database), settings, attributes_of(loads))
