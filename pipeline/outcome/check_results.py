"""What validate and rollback found of one table: the figures that the summary and `report.json` show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.ledger.loads import Validated
from pipeline.target.mismatch import MismatchKind


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """One table, every item of its export held against its row."""

    source_table: str
    target_table: str
    export_id: str
    manifest_items: int
    compared_items: int
    dead_letters: int
    equal_rows: int
    target_rows: int
    """Rows in the target table, whoever wrote them."""
    mismatches: Mapping[str, int]
    """How many, by kind."""
    columns: Mapping[str, int]
    """How many rows are different in a column."""
    listed_rows_without_item: int
    sees_all_rows: bool
    """Whether row security hides none from this role."""
    seconds: float
    problems: tuple[str, ...] = field(default=())
    """Why the comparison is not whole; empty when it is."""

    @property
    def is_whole(self) -> bool:
        """Whether every item and every row was looked at."""
        return not self.problems

    @property
    def is_equal(self) -> bool:
        """Whether all of it is as the export makes it, now."""
        return not self.mismatches.keys() - {MismatchKind.REPAIRED}


@dataclass(frozen=True, slots=True)
class GateResult:
    """What the gate of `migrate` found of one table, after its equation held."""

    level: Validated
    compared_items: int
    mismatches: Mapping[str, int]
    """How many, by kind; of a sample, but for rows without an item."""
    columns: Mapping[str, int]
    """How many rows are different in a column."""
    sees_all_rows: bool
    """Whether row security hides none from this role."""
    is_comparable: bool = True
    """Whether a row can be told to be that of an item, by its primary key; if not, nothing was compared."""
    is_of_before: bool = False
    """Whether an earlier run had compared it, and this one did not."""
    problems: tuple[str, ...] = field(default=())
    """Why the comparison is not whole; empty when it is."""

    @property
    def holds(self) -> bool:
        """Whether the next table may be begun."""
        return not self.mismatches and not self.problems


@dataclass(frozen=True, slots=True)
class RollbackResult:
    """One table's load taken back, or what that would come to: loaded rows = deleted + gone + kept."""

    source_table: str
    target_table: str
    export_id: str
    is_dry: bool
    """Whether nothing was done, and the figures are what would be."""
    loaded_rows: int
    deleted: int
    deleted_now: int
    """By this run; of a look, what a run would delete."""
    gone: int
    """Rows that somebody had deleted before."""
    kept: Mapping[str, int]
    """Rows that are still there, by the kind of the reason."""
    is_finished: bool
    """Whether the load is closed, and the table free for another."""
    target_rows: int
    """Rows in the target table, whoever wrote them."""
    referring: Sequence[str]
    """Tables with foreign keys to the target."""
    sees_all_rows: bool
    """Whether row security hides none from this role."""
    seconds: float
    problems: tuple[str, ...] = field(default=())
    """Why it is not at its end; empty when it is."""


@dataclass(frozen=True, slots=True)
class SqlCheck:
    """One line of what `validate_migration.sql` says."""

    check: str
    table: str | None
    """None: of the database."""
    verdict: str
    """PASS, FAIL, WARN or SKIP."""
    detail: str

    @property
    def is_failed(self) -> bool:
        """Whether something is wrong, rather than to be looked at."""
        return self.verdict == "FAIL"
