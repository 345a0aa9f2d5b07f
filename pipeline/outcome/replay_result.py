"""What a replay of dead letters came to, one load: the figures that the terminal and `report.json` show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console

from pipeline.ledger.totals import Totals


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """One load: given = rows + rows before + dead letters still."""

    source_table: str
    target_table: str
    export_id: str
    given: int
    rows: int
    """Brought in by this run."""
    rows_before: int
    """Brought in by an earlier one."""
    dead_letters: int
    """Refused again."""
    dead_letter_codes: Mapping[str, int]
    """Of those; how many have a code."""
    totals: Totals
    """Of the whole load, as it is now."""
    manifest_items: int
    target_rows: int
    """Rows in the target table, whoever wrote them."""
    seconds: float
    problems: tuple[str, ...] = field(default=())
    """Why that does not add up; empty when it does."""


def print_replay(console: Console, results: Sequence[ReplayResult]) -> None:
    """Each load; no value of an item."""
    for result in results:
        before = f" ({result.rows_before:,} were before)" if result.rows_before else ""
        console.print(
            f"{result.source_table} -> {result.target_table}: of {result.given:,} dead letters {result.rows:,} are rows now{before}, "
            f"{result.dead_letters:,} are refused again",
            highlight=False,
            markup=False,
        )
        for code, count in result.dead_letter_codes.items():
            console.print(f"    {code}: {count:,}", highlight=False)
        totals = result.totals
        console.print(
            f"  export {result.export_id}: {totals.items:,} items loaded = {totals.rows:,} rows + {totals.dead_letters:,} dead letters",
            highlight=False,
            markup=False,
        )
        if totals.items < result.manifest_items:
            unread = result.manifest_items - totals.items
            console.print(f"  {unread:,} items are not loaded yet: run migrate again to go on", style="bold yellow", highlight=False)
        for problem in result.problems:
            console.print(f"  NOT PROVED: {problem}", style="bold red", highlight=False, markup=False)
