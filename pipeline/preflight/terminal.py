"""Findings as a person reads them at two in the morning: the verdict first, then what must be done, then the rest, table by table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from pipeline.console import printable
from pipeline.preflight.check import PreflightReport
from pipeline.preflight.findings import Finding, Level
from pipeline.preflight.sample import SampledItem, SampledRemark, TableSample

# A pipe or a file has no width of its own.
_WIDTH_WITHOUT_TERMINAL: Final = 120


def print_report(console: Console, report: PreflightReport) -> None:
    problems, warnings, facts = (report.of(level) for level in Level)
    if report.is_ready:
        console.print(f"READY: migrate would start ({_count(warnings, 'warning')})", style="bold green")
    else:
        verdict = f"NOT READY: {_count(problems, 'problem')}, {_count(warnings, 'warning')}; nothing was written"
        console.print(verdict, style="bold red")
    _print_lines(console, "Problems: migrate refuses until these are fixed", problems, "red")
    _print_lines(console, "Warnings", warnings, "yellow")
    # What is of no table first; tables in their order.
    for table in (None, *dict.fromkeys(finding.table for finding in facts if finding.table)):
        console.print(f"\n{table or 'The database, and the way to it'}", style="bold")
        for finding in (finding for finding in facts if finding.table == table):
            console.print(f"  {finding.sentence}")
    for sample in report.samples:
        _print_sample(console, sample)


def print_warnings(console: Console, findings: Iterable[Finding]) -> None:
    """What `migrate` says before it begins."""
    for finding in findings:
        if finding.level is Level.WARNING:
            console.print(f"warning: {finding.line}", style="yellow")


def _print_lines(console: Console, heading: str, findings: Sequence[Finding], style: str) -> None:
    if findings:
        console.print(f"\n{heading}", style="bold")
    for finding in findings:
        console.print(f"  - {finding.line} [{finding.code}]", style=style)


def _count(findings: Sequence[Finding], noun: str) -> str:
    return f"{len(findings) or 'no'} {noun}{'' if len(findings) == 1 else 's'}"


# -- items beside rows ---------------------------------------------------------------------------------------------------------------------


def _print_sample(console: Console, sample: TableSample) -> None:
    for item in sample.items:
        became = sample.target_table if item.is_row else "DEAD LETTER"
        console.print(f"\n{sample.source_table} item {item.item_number} of {item.data_file} -> {became}", style="bold")
        for remark in item.errors:
            console.print(f"  {_remark(remark)}", style="red")
        for remark in item.notices:
            console.print(f"  notice {_remark(remark)}", style="yellow")
        width = None if console.is_terminal else _WIDTH_WITHOUT_TERMINAL
        console.print(_grid(item, width), soft_wrap=False, crop=False, no_wrap=False, width=width)


def _remark(remark: SampledRemark) -> str:
    place = f" {printable(remark.attribute)}" if remark.attribute else ""
    return f"{remark.code}{place}{f': {remark.message}' if remark.message else ''}"


def _grid(item: SampledItem, width: int | None) -> Grid:
    grid = Grid(width=width, box=box.HORIZONTALS, pad_edge=False)
    for heading in ("attribute", "in DynamoDB", "column", "in PostgreSQL"):
        grid.add_column(heading, overflow="fold")
    for column in item.columns:
        row = column.row if column.row is not None else "NULL" if item.is_row else "-"
        cells = (column.attribute or "-", column.source or "-", column.column, row)
        # Text, not str: what is in it is no markup.
        grid.add_row(*(Text(printable(cell)) for cell in cells))
    return grid
