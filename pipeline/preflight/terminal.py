"""Findings as a person reads them at two in the morning: the verdict first, then what must be done, then the rest, table by table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from pipeline.console import printable
from pipeline.preflight.findings import Finding, Level
from pipeline.preflight.report import PreflightReport
from pipeline.preflight.sample import SampledItem, SampledRemark, TableSample

# A pipe or a file has no width of its own.
_WIDTH_WITHOUT_TERMINAL: Final = 120


def print_report(console: Console, report: PreflightReport) -> None:
    """All of it."""
    problems, warnings = report.of(Level.PROBLEM), report.of(Level.WARNING)
    if report.is_ready:
        _print(console, f"READY: migrate would start ({_count(warnings, 'warning')})", "bold green")
    else:
        _print(console, f"NOT READY: {_count(problems, 'problem')}, {_count(warnings, 'warning')}; nothing was written", "bold red")
    _print_lines(console, "Problems: migrate refuses until these are mended", problems, "red")
    _print_lines(console, "Warnings", warnings, "yellow")
    _print_facts(console, report.of(Level.FACT))
    for sample in report.samples:
        _print_sample(console, sample)


def print_warnings(console: Console, findings: Iterable[Finding]) -> None:
    """What `migrate` says before it begins."""
    for finding in findings:
        if finding.level is Level.WARNING:
            _print(console, f"warning: {finding.line}", "yellow")


def _print_lines(console: Console, heading: str, findings: Sequence[Finding], style: str) -> None:
    if findings:
        _print(console, f"\n{heading}", "bold")
        for finding in findings:
            _print(console, f"  - {finding.line} [{finding.code}]", style)


def _print_facts(console: Console, facts: Sequence[Finding]) -> None:
    # What is of no table first; tables in their order.
    for table in (None, *dict.fromkeys(finding.table for finding in facts if finding.table)):
        _print(console, f"\n{table or 'The database, and the way to it'}", "bold")
        for finding in (finding for finding in facts if finding.table == table):
            _print(console, f"  {finding.sentence}", "")


def _count(findings: Sequence[Finding], what: str) -> str:
    return f"{len(findings) or 'no'} {what}{'' if len(findings) == 1 else 's'}"


def _print(console: Console, sentence: str, style: str) -> None:
    console.print(sentence, style=style or None, highlight=False, markup=False)


# -- items beside rows ---------------------------------------------------------------------------------------------------------------------


def _print_sample(console: Console, sample: TableSample) -> None:
    for item in sample.items:
        became = sample.target_table if item.is_row else "DEAD LETTER"
        _print(console, f"\n{sample.source_table} item {item.item_number} of {item.data_file} -> {became}", "bold")
        for remark in item.errors:
            _print(console, f"  {_remark(remark)}", "red")
        for remark in item.notices:
            _print(console, f"  notice {_remark(remark)}", "yellow")
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
