"""What a person reads on the terminal. No value of an item is in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table as Grid

from pipeline.ledger.loads import Load, Validated
from pipeline.outcome.result import LoadStatus, TableResult
from pipeline.outcome.verdict import NO_MANIFEST
from pipeline.source.bare import is_bare

CONCLUDE: Final = (
    "every table is loaded; to prove it all and to have the report, give the same command without --no_wait in a place that waits "
    "(--runner may be left out: only what has dead letters or notices is read again)"
)
_VALIDATED: Final = {Validated.QUICK: "a sample of rows", Validated.FULL: "every row"}


def print_result(console: Console, result: TableResult) -> None:
    """One table, as soon as it is done."""
    totals = result.totals
    rate = f", {result.loaded_now / result.seconds:,.0f} items/s" if result.seconds else ""
    if result.loaded_now:
        did = f"{result.loaded_now:,} items loaded in {result.seconds:.1f} s{rate}"
    else:
        did = "nothing to do: all of it was loaded before" if result.is_proved else "nothing was loaded"
    console.print(f"{result.source_table} -> {result.target_table}: {did}", highlight=False)
    if result.is_proved:
        counted = "in the manifest" if result.has_manifest else "counted in the data files"
        console.print(
            f"  {result.manifest_items:,} items {counted} = {totals.items:,} read = "
            f"{totals.rows:,} rows + {totals.dead_letters:,} dead letters",
            highlight=False,
        )
        if not result.has_manifest:
            console.print(f"  {NO_MANIFEST}", style="bold yellow", highlight=False)
    for problem in result.problems:
        console.print(f"  NOT PROVED: {problem}", style="bold red", highlight=False, markup=False)


def print_not_begun(console: Console, tables: Sequence[str]) -> None:
    """The tables that wait for the one that may not go on."""
    if tables:
        console.print(f"not begun: {', '.join(tables)}", highlight=False, markup=False)


def print_sent(console: Console, table: str, whereabouts: str, left: Sequence[str]) -> None:
    """The job of a table, which nobody waits for."""
    console.print(f"{table}: sent; {whereabouts}", highlight=False, markup=False)
    following = f"sends the next table (left: {', '.join(left)})" if left else "says what is left to do"
    console.print(f"when it has ended, give the same command again: it proves this table and {following}", highlight=False, markup=False)


def print_summary(console: Console, results: Sequence[TableResult]) -> None:
    """All tables, with what was refused and noted."""
    grid = Grid(title=_verdict(results))
    grid.add_column("table")
    for heading in ("items", "rows", "dead letters", "notices"):
        grid.add_column(heading, justify="right")
    for result in results:
        totals = result.totals
        figures = (result.manifest_items, totals.rows, totals.dead_letters, totals.notices)
        grid.add_row(result.source_table, *(f"{figure:,}" for figure in figures))
    console.print(grid)
    for name in ("dead_letter_codes", "notice_codes"):
        _print_codes(console, name, results)


def _verdict(results: Sequence[TableResult]) -> str:
    if not all(result.is_proved for result in results):
        return "NOT every item is accounted for"
    return "Every item is accounted for" + ("" if all(result.may_go_on for result in results) else ", but NOT as its export has it")


def _print_codes(console: Console, name: str, results: Iterable[TableResult]) -> None:
    rows = [(result.source_table, code, count) for result in results for code, count in getattr(result, name).items()]
    if not rows:
        return
    grid = Grid(title={"dead_letter_codes": "Dead letters by code", "notice_codes": "Notices by code"}[name])
    grid.add_column("table")
    grid.add_column("code")
    grid.add_column("items" if name == "dead_letter_codes" else "notices", justify="right")
    for table, code, count in rows:
        grid.add_row(table, code, f"{count:,}")
    console.print(grid)


def print_status(console: Console, loads: Iterable[LoadStatus]) -> None:
    """The loads of a ledger."""
    for status in loads:
        load, totals = status.load, status.totals
        state = _state_of(load)
        share = 100 * totals.items / load.manifest_items if load.manifest_items else 100
        console.print(f"{load.source_table} -> {load.target_table}: {state}")
        manifest = " (no manifest)" if is_bare(load.export_id) else ""
        console.print(f"  export {load.export_id}{manifest}, load {load.load_id}, begun {load.started_at:%Y-%m-%d %H:%M} UTC")
        console.print(
            f"  {totals.items:,} of {load.manifest_items:,} items ({share:.0f} %) = "
            f"{totals.rows:,} rows + {totals.dead_letters:,} dead letters; {totals.notices:,} notices"
        )
        for code, count in status.dead_letter_codes.items():
            console.print(f"    {code}: {count:,}")
        if status.rollback:
            gone = status.rollback
            console.print(f"  of {gone.rows:,} rows {gone.deleted:,} deleted, {gone.gone:,} gone before, {gone.kept:,} left")


def _state_of(load: Load) -> str:
    if load.rolled_back_at:
        return f"rolled back {load.rolled_back_at:%Y-%m-%d %H:%M} UTC"
    if load.rollback_started_at:
        return "rollback begun: run rollback --yes again to finish it"
    if not load.finished_at:
        return "unfinished: run migrate again to go on"
    validated = f", {_VALIDATED[load.validated]} compared {load.validated_at:%Y-%m-%d %H:%M} UTC" if load.validated else ", not validated"
    return f"finished {load.finished_at:%Y-%m-%d %H:%M} UTC{validated}"
