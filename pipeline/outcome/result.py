"""What became of one table: the figures that the summary, `status` and `report.json` show, and the equation that they must satisfy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.ledger.history import LoadingRun
from pipeline.ledger.loads import Load
from pipeline.ledger.rollbacks import RollbackTotals
from pipeline.ledger.totals import Totals
from pipeline.outcome.check_results import GateResult


@dataclass(frozen=True, slots=True)
class TableResult:
    """One table's load, as the ledger and the target have it."""

    source_table: str
    target_table: str
    export_id: str
    manifest_items: int
    has_manifest: bool
    """Without one, `manifest_items` were counted in the data files: whether those are all of the table, nobody knows."""
    totals: Totals
    target_rows: int
    """Rows in the target table, whoever wrote them."""
    dead_letter_codes: Mapping[str, int]
    notice_codes: Mapping[str, int]
    loaded_now: int
    """Items that this run committed."""
    seconds: float
    problems: tuple[str, ...] = field(default=())
    """Why the equation does not hold; empty when it does."""
    runs: tuple[LoadingRun, ...] = ()
    """The runs that committed chunks of it, the newest first."""
    gate: GateResult | None = None
    """None where it was not asked for, or the equation does not hold."""

    @property
    def is_proved(self) -> bool:
        """Whether every item is accounted for."""
        return not self.problems

    @property
    def may_go_on(self) -> bool:
        """Whether it is proved, and the gate holds where there is one."""
        return self.is_proved and (self.gate is None or self.gate.holds)


@dataclass(frozen=True, slots=True)
class LoadStatus:
    """One load, as the ledger has it."""

    load: Load
    totals: Totals
    dead_letter_codes: Mapping[str, int]
    notice_codes: Mapping[str, int]
    rollback: RollbackTotals | None = None
    """Once a rollback of it was begun."""
