"""What a report says of a run beside its results: by which command, when, of which database, with which settings, and what was checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pipeline.target.session import Session
from pipeline.target.target import DatabaseFacts, describe_database
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
    checks: Mapping[str, Sequence[CheckRow]] = field(default_factory=dict)
    """What was checked, by the name of the field that `report.json` has it in."""


def read_facts(command: str, started_at: datetime, session: Session, settings: Mapping[str, Any], tables: Sequence[Table]) -> RunFacts:
    """Those of a run that begins now; nothing is checked yet."""
    return RunFacts(command, started_at, session.transact(describe_database), settings, attributes_of(tables))


def attributes_of(tables: Sequence[Table]) -> dict[str, Sequence[str]]:
    """For `RunFacts`."""
    return {table.source: table.paths for table in tables}
