"""What a person reads of validate and rollback. No value of an item is in it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from pipeline.postgres.mismatch import MismatchKind
from pipeline.report.check_results import SqlCheck, ValidationResult

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
    if not all(result.is_whole for result in results):
        title = "NOT everything was compared"
    else:
        title = "Every row is as the export makes it" if all(result.is_equal for result in results) else "There are DIFFERENCES"
    grid = Grid(title=title)
    grid.add_column("table")
    for heading in ("items", "dead letters", "equal rows", "differences"):
        grid.add_column(heading, justify="right")
    for result in results:
        differences = sum(count for kind, count in result.mismatches.items() if kind != MismatchKind.REPAIRED)
        figures = (result.compared_items, result.dead_letters, result.equal_rows, differences)
        grid.add_row(result.source_table, *(f"{figure:,}" for figure in figures))
    console.print(grid)


_STYLES: Final = {"PASS": "green", "FAIL": "bold red", "WARN": "bold yellow"}


def print_sql_checks(console: Console, checks: Sequence[SqlCheck]) -> None:
    """What the SQL checks say."""
    failed = sum(check.is_failed for check in checks)
    grid = Grid(title=f"SQL checks: {failed} FAILED" if failed else "SQL checks: none failed")
    for heading in ("check", "table", "verdict", "detail"):
        grid.add_column(heading, overflow="fold")
    for check in checks:
        grid.add_row(check.check, _shown(check.table or ""), Text(check.verdict, _STYLES.get(check.verdict, "")), _shown(check.detail))
    console.print(grid)


def _shown(text: str) -> Text:
    """Names of tables, policies and roles may hold what would draw on a terminal."""
    return Text("".join(one if one.isprintable() else repr(one)[1:-1] for one in text))


def print_emitted(console: Console, path: Path, rows: int) -> None:
    """Where the script is, and what it is."""
    console.print(f"checks         {path}", highlight=False, markup=False)
    console.print(
        f"  IT HOLDS PATIENT DATA: the values of {rows:,} rows; only you can read it, delete it when it has been run", style="bold yellow"
    )
    console.print(f'run it         psql "$DATABASE_URL" -q -f {shlex.quote(str(path))}', highlight=False, markup=False)
