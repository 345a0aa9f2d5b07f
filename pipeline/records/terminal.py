"""Dead letters as a person reads them. What is from outside is printed such that it cannot draw on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console

from pipeline.console import printable
from pipeline.records.forms import Record
from pipeline.records.item import line_of, parsed_item
from pipeline.records.show import Names, error_place, item_lines
from pipeline.records.summary import ErrorSummary, TableSummary

_MOST_PATTERNS: Final = 5


def print_summary(console: Console, tables: Sequence[TableSummary]) -> None:
    """All tables."""
    if not tables:
        _print(console, "no dead letters", "bold green")
    for table in tables:
        _print(console, f"{table.source_table}: {table.dead_letters:,} dead letters", "bold")
        for error in table.errors:
            _print_error(console, error)


def _print_error(console: Console, error: ErrorSummary) -> None:
    place = f"{error.attribute}: " if error.attribute else ""
    _print(console, f"  {place}{error.code}, {error.items:,} items ({error.share:.1%})", "red")
    told = [f"{pattern.count:,} x {pattern.shape}" for pattern in error.patterns[:_MOST_PATTERNS]]
    others = sum(pattern.count for pattern in error.patterns[_MOST_PATTERNS:])
    if others:
        told.append(f"{others:,} x others")
    if told:
        _print(console, f"    {', '.join(told)}")
    first = ", ".join(f"{place.data_file} item {place.item_number}" for place in error.first_places)
    _print(console, f"    first: {first}", "dim")


def print_dead_letter(console: Console, record: Record, names: Names) -> None:
    """One of them: where it stands, what is wrong, and its item with marks where it is wrong."""
    item = parsed_item(line_of(record))
    _print(console, f"\n{record['source_table']} item {record['item_number']} of {record['data_file']} ({record['stage']})", "bold")
    for error in record["errors"]:
        place = error_place(error, item, names)
        sqlstate = f" (SQLSTATE {error['sqlstate']})" if error["sqlstate"] else ""
        _print(console, f"  {error['code']}{f' {place}' if place else ''}: {error['message']}{sqlstate}", "red")
    lines = item_lines(record, names)
    width = max((2 * line.depth + len(printable(line.name)) for line in lines), default=0)
    for line in lines:
        name = f"{'  ' * line.depth}{printable(line.name)}".ljust(width)
        mark, fault = (">", f"   <- {', '.join(line.faults)}") if line.faults else (" ", "")
        _print(console, f"  {mark} {name}  {line.value}{fault}", "red" if line.faults else None)


def _print(console: Console, sentence: str, style: str | None = None) -> None:
    # A line break is ours alone.
    start = "\n" if sentence.startswith("\n") else ""
    console.print(start + printable(sentence.removeprefix("\n")), style=style, highlight=False, markup=False, soft_wrap=True)
