"""The results for the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from benchmarks.bars import bars
from benchmarks.contestants import CONTENDERS, OURS
from benchmarks.results import Results, Run, median


def print_tables(console: Console, results: Results, items: int) -> None:
    """Contenders, what ddb2pg alone does, and the bars."""
    surroundings = results.surroundings
    console.print(f"\n{surroundings['machine']['cores']} cores ({surroundings['machine']['processor']}), the server on the same ones")
    console.print(f"PostgreSQL {surroundings['server']['version']}, Python {surroundings['machine']['python']}\n")
    for tables in ("all", "sessions"):
        kinds = [kind for kind in results.kinds() if kind[0] in CONTENDERS and kind[1] == tables]
        if kinds:
            console.print(_contenders(results, tables, kinds))
    kinds = [kind for kind in results.kinds() if kind[0] not in CONTENDERS]
    if kinds:
        console.print(_alone(results, kinds))
    for bar in bars(results, items):
        console.print(str(bar), soft_wrap=True)


def _contenders(results: Results, tables: str, kinds: list[tuple[str, str, int]]) -> Table:
    title = "All three tables" if tables == "all" else "Sessions alone"
    columns = ("items", "median", "range", "items/s", f"time beside {OURS}", "CPU s/million", "server CPU s/million", "peak memory")
    table = _table(title, columns)
    ours = results.rate(OURS, tables)
    for what, _, items in kinds:
        name = CONTENDERS[what].title
        runs = results.of(what, tables, items)
        rate = results.rate(what, tables)
        if not runs or rate is None:
            faults = sorted({run.fault for run in results.runs if (run.what, run.tables) == (what, tables) and run.fault})
            table.add_row(name, f"{items:,}", *faults)
            continue
        table.add_row(name, f"{items:,}", *_times(runs), f"{rate:,.0f}", f"{ours / rate:.2f}" if ours else "", *_resources(runs, items))
    return table


def _alone(results: Results, kinds: list[tuple[str, str, int]]) -> Table:
    table = _table("ddb2pg", ("items", "median", "range", "items/s", "CPU s/million", "server CPU s/million", "peak memory"))
    for what, tables, items in kinds:
        runs = results.of(what, tables, items)
        if runs:
            rate = median(run.items_per_second for run in runs) or 0
            table.add_row(what, f"{items:,}", *_times(runs), f"{rate:,.0f}", *_resources(runs, items))
        else:
            table.add_row(what, f"{items:,}", *{run.fault for run in results.runs if (run.what, run.items) == (what, items) and run.fault})
    return table


def _table(title: str, columns: tuple[str, ...]) -> Table:
    table = Table("", title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _times(runs: list[Run]) -> tuple[str, str]:
    seconds = [run.seconds for run in runs]
    middle = f"{median(seconds):.2f} s"
    return middle, f"{min(seconds):.2f} to {max(seconds):.2f}" if len(runs) > 1 else "one round"


def _resources(runs: list[Run], items: int) -> tuple[str, str, str]:
    """Medians: CPU seconds a million items, and the largest process."""
    cpu = median(run.cpu_seconds / items * 1e6 for run in runs)
    server = median(run.server_cpu_seconds / items * 1e6 for run in runs)
    memory = median(run.peak_memory[0] / 1e6 for run in runs if run.peak_memory)
    return f"{cpu:.1f}", f"{server:.1f}", "-" if memory is None else f"{memory:,.0f} MB"
