"""Items to a proposal, without files."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipeline.definitions.find import find_tables
from pipeline.drafts.infer import KnownKey, Proposal, ProposedColumn, ProposedTable, TableName, infer
from pipeline.drafts.plan import make_plan
from pipeline.drafts.rehearsal import Tried
from pipeline.drafts.render import to_python
from pipeline.drafts.survey import Survey
from pipeline.inspection.evidence import KeepValues
from tests.pipeline.drafts.made_items import Item, line_of

NOT_ASKED = KnownKey((), "as nobody was asked")


def survey_of(items: Sequence[Item], known: KnownKey = NOT_ASKED, keep: KeepValues = KeepValues.DIGESTS) -> Survey:
    survey = Survey(make_plan(items, known.names, keep))
    for item in items:
        survey.add_line(line_of(item))
    return survey


def propose(
    items: Sequence[Item],
    source: str = "Items",
    target: str | None = None,
    known: KnownKey = NOT_ASKED,
    keep: KeepValues = KeepValues.DIGESTS,
) -> Proposal:
    return infer(survey_of(items, known, keep), source, TableName("public", target), known)


def table_of(proposal: Proposal, name: str) -> ProposedTable:
    [table] = [table for table in proposal.tables if table.name == name]
    return table


def column_of(table: ProposedTable, name: str) -> ProposedColumn:
    [column] = [column for column in table.columns if column.name == name]
    return column


def row_counts(proposal: Proposal, items: Sequence[Item]) -> list[int]:
    """How many rows each table makes of the items, by the definition as it would be loaded."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "drafted.py"
        file.write_text(to_python([proposal]), encoding="utf-8")
        tables = find_tables(str(file))
    tried = Tried(tables, dict.fromkeys((table.target for table in tables), 0))
    tried.add_lines([line_of(item) for item in items])
    return [table.rows for table in tried.tables]
