"""What a report says of a run beside its results: by which command, when, of which database, with which settings, and what was checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline.postgres.database_facts import DatabaseFacts
from transforms.table import Table


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One thing that was checked. Every list of such rows in `report.json` becomes a table of the page, whoever wrote it."""

    check: str
    verdict: str
    """`pass`, `fail`, `problem`, `warning`, `fact`."""
    detail: str
    table: str | None = None


@dataclass(frozen=True, slots=True)
class RunFacts:
    """All that is known before the results are."""

    command: str
    started_at: datetime
    database: DatabaseFacts
    settings: Mapping[str, Any]
    """What was asked for. No secrets."""
    attributes: Mapping[str, Sequence[str]]
    """The paths that the definition of each source table names: these names are no data."""
    checks: Mapping[str, Sequence[CheckRow]]
    """What was checked, by the name of the field that `report.json` has it in."""


def attributes_of(tables: Sequence[Table]) -> dict[str, Sequence[str]]:
    """For `RunFacts`."""
    return {table.source: table.paths for table in tables}
