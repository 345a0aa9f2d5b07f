"""What a person reads of validate and rollback. No value of an item is in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table as Grid

from pipeline.postgres.mismatch import MismatchKind
from pipeline.report.check_results import ValidationResult

_KINDS: Final = {
    MismatchKind.NOT_LOADED: "items that were not loaded: run migrate again to go on",
    MismatchKind.MISSING: "items whose row is missing",
    MismatchKind.REPAIRED: "items whose row was missing, and is there again",
    MismatchKind.DIFFERENT: "items whose row is another",
    MismatchKind.DEAD_LETTER_IN_TARGET: "dead letters whose key has a row all the same",
    MismatchKind.ROW_WITHOUT_ITEM: "rows that no item accounts for",
    MismatchKind.REFERENCED: "rows that others refer to, which deleting them would delete or change",
    MismatchKind.REFUSED: "rows that PostgreSQL refused to delete",
    MismatchKind.NOT_DELETED: "rows that a trigger or a policy kept",
}


def print_validation(console: Console, result: ValidationResult) -> None:
    """One table, as soon as it is done."""
    rate = f", {result.compared_items / result.seconds:,.0f} items/s" if result.seconds else ""
    console.print(
        f"{result.source_table} -> {result.target_table}: {result.compared_items:,} items compared in {result.seconds:.1f} s{rate}",
        highlight=False,
    )
    console.print(
        f"  {result.equal_rows:,} rows are as the export makes them, of {result.target_rows:,} in the target; "
        f"{result.dead_letters:,} items are dead letters",
        highlight=False,
    )
    if not result.sees_all_rows:
        console.print(
            "  row security applies to this role: rows that it hides count as missing, or are not seen at all; "
            "validate as the table's owner, or as a role with BYPASSRLS, to see all",
            style="bold yellow",
            highlight=False,
        )
    for kind, count in result.mismatches.items():
        style = None if kind == MismatchKind.REPAIRED else "bold red"
        console.print(f"  {count:,} {_KINDS[MismatchKind(kind)]} ({kind})", style=style, highlight=False)
    for column, count in result.columns.items():
        console.print(f"    {column}: {count:,}", highlight=False, markup=False)
    for problem in result.problems:
        console.print(f"  NOT WHOLE: {problem}", style="bold red", highlight=False, markup=False)


def print_validation_summary(console: Console, results: Sequence[ValidationResult]) -> None:
    """All tables."""
    grid = Grid(title=_title(results))
    grid.add_column("table")
    for heading in ("items", "dead letters", "equal rows", "differences"):
        grid.add_column(heading, justify="right")
    for result in results:
        differences = sum(count for kind, count in result.mismatches.items() if kind != MismatchKind.REPAIRED)
        figures = (result.compared_items, result.dead_letters, result.equal_rows, differences)
        grid.add_row(result.source_table, *(f"{figure:,}" for figure in figures))
    console.print(grid)


def _title(results: Sequence[ValidationResult]) -> str:
    if not all(result.is_whole for result in results):
        return "NOT everything was compared"
    if not all(result.is_equal for result in results):
        return "There are DIFFERENCES"
    if not all(result.sees_all_rows for result in results):
        return "NO DIFFERENCES as far as this role sees: row security may hide rows from it"
    return "Every row is as the export makes it"
