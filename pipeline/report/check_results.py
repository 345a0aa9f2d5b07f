"""What validate and rollback found of one table: the figures that the summary and `report.json` show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.postgres.mismatch import MismatchKind


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
