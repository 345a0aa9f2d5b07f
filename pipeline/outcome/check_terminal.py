"""What a person reads of validate and rollback. No value of an item is in it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from pipeline.console import printable
from pipeline.ledger.loads import Validated
from pipeline.outcome.check_results import GateResult, RollbackResult, SqlCheck, ValidationResult
from pipeline.outcome.kind_words import KIND_WORDS
from pipeline.places.output import OutputFolder
from pipeline.target.mismatch import MismatchKind

_HIDDEN: Final = (
    "row security applies to this role, so it may not see all rows; validate as the table's owner, or as a role with BYPASSRLS, to see them"
)


_HIDDEN_FROM_ROLLBACK: Final = (
    "row security applies to this role: rows that it hides count as gone here, and with --yes are left for good (not_seen); "
    "roll back as the table's owner, or as a role with BYPASSRLS, instead"
)


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
        console.print(f"  {_HIDDEN}: those that it hides count as missing, or are not seen at all", style="bold yellow", highlight=False)
    for kind, count in result.mismatches.items():
        style = None if kind == MismatchKind.REPAIRED else "bold red"
        console.print(f"  {count:,} {KIND_WORDS[MismatchKind(kind)]} ({kind})", style=style, highlight=False)
    for column, count in result.columns.items():
        console.print(f"    {column}: {count:,}", highlight=False, markup=False)
    for problem in result.problems:
        console.print(f"  NOT WHOLE: {problem}", style="bold red", highlight=False, markup=False)


def print_gate(console: Console, gate: GateResult | None, folder: OutputFolder) -> None:
    """One table's gate; `folder` has the mismatches."""
    if gate is None:
        return
    if not gate.is_comparable:
        console.print("  rows are not compared: the primary key does not tell of which item they are", style="bold yellow", highlight=False)
        return
    if gate.is_of_before:
        console.print("  compared with the export by an earlier run", highlight=False)
        return
    what = "every item" if gate.level is Validated.FULL else f"{gate.compared_items:,} sampled items"
    console.print(f"  {what} compared with the target: {'equal' if gate.holds else 'NOT equal'}", highlight=False)
    for kind, count in gate.mismatches.items():
        console.print(f"  NOT VALIDATED: {count:,} {KIND_WORDS[MismatchKind(kind)]} ({kind})", style="bold red", highlight=False)
    for column, count in gate.columns.items():
        console.print(f"    {column}: {count:,}", highlight=False, markup=False)
    for problem in gate.problems:
        console.print(f"  NOT VALIDATED: {problem}", style="bold red", highlight=False, markup=False)
    if not gate.holds:
        console.print(
            f"  see {folder}; `ddb2pg validate` compares every item. Mend the rows, or what changes them, and run the same command again; "
            "--validate=none goes on without",
            highlight=False,
            markup=False,
        )
    if not gate.sees_all_rows:
        console.print(f"  {_HIDDEN}", style="bold yellow", highlight=False)


def print_rollback(console: Console, result: RollbackResult) -> None:
    """One table, as soon as it is done."""
    is_to_do = result.is_dry and not result.is_finished
    if is_to_do:
        before = result.deleted - result.deleted_now
        deleted = f"{result.deleted_now:,} would be deleted" + (f", {before:,} are deleted already" if before else "")
    else:
        deleted = f"{result.deleted:,} are deleted" + ("" if result.is_dry else f" ({result.deleted_now:,} now, in {result.seconds:.1f} s)")
    console.print(
        f"{result.source_table} -> {result.target_table}: of {result.loaded_rows:,} rows that were loaded {deleted}",
        highlight=False,
        markup=False,
    )
    if not result.sees_all_rows and not result.is_finished:
        console.print(f"  {_HIDDEN_FROM_ROLLBACK}", style="bold yellow", highlight=False)
    if result.gone:
        console.print(f"  {result.gone:,} were gone before", highlight=False)
    for kind, count in result.kept.items():
        what = "rows that were changed since" if kind == MismatchKind.DIFFERENT else KIND_WORDS[MismatchKind(kind)]
        left = "would be left" if is_to_do else "left"
        console.print(f"  {count:,} {left}: {what} ({kind})", style="bold red", highlight=False)
    if is_to_do and result.referring:
        names = printable(", ".join(result.referring))
        console.print(f"  not looked at: rows that {names} refer to then may have to be left, too", highlight=False, markup=False)
    if result.is_finished:
        rest = f"still holds {result.target_rows:,} rows, which keep another load out" if result.target_rows else "is empty"
        if not result.sees_all_rows:
            rest += ", as far as this role sees"
        console.print(f"  rolled back, and the load is closed; the table {rest}", highlight=False)
    for problem in result.problems:
        console.print(f"  NOT FINISHED: {problem}", style="bold red", highlight=False, markup=False)


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
