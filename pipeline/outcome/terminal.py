"""What a person reads of a run on the terminal. No value of an item is in it; names are shown as `PlainConsole` shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from pipeline.console import counted_in_words, printable
from pipeline.outcome.outcome import Check, Outcome, Run, Verdict
from pipeline.outcome.verdict import TALLIES, CommandWords, advice, heading_of, verdict, words_of

_STYLES: Final = {Verdict.PASS: "green", Verdict.FAIL: "bold red", Verdict.WARNING: "bold yellow"}
_SHOWN_EARLIER: Final = frozenset({"preflight", "requests"})
"""Checks of a run that were printed as they were made."""


def print_outcome(console: Console, outcome: Outcome, command: str, *, is_dry: bool = False) -> None:
    """A table, as soon as it is done."""
    words = words_of(command, is_dry=is_dry)
    _print(console, f"{outcome.source_table} -> {outcome.target_table}: {_done(outcome, words, is_dry=is_dry)}")
    _print(console, f"  {_equation(outcome)}")
    for name in words.tallies:
        for code, count in outcome.tallies.get(name, {}).items():
            _print(console, f"  {TALLIES[name].line(code, count)}")
    for warning in outcome.warnings:
        _print(console, f"  {warning}", _STYLES[Verdict.WARNING])
    for check in outcome.checks:
        _print_check(console, check, words)
    for problem in outcome.problems:
        _print(console, f"  {words.problem}: {problem}", _STYLES[Verdict.FAIL])


def _done(outcome: Outcome, words: CommandWords, *, is_dry: bool) -> str:
    counted = counted_in_words(outcome.done_now, outcome.counted)
    if not outcome.done_now:
        return f"{counted} {words.done}" if outcome.problems else words.nothing_done
    if is_dry or not outcome.seconds:
        return f"{counted} {words.done}"
    return f"{counted} {words.done} in {outcome.seconds:.1f} s, {outcome.done_now / outcome.seconds:,.0f} {outcome.counted}s/s"


def _equation(outcome: Outcome) -> str:
    """`50 items in the manifest = 50 read = 47 rows + 3 dead letters`; where it does not hold, without saying that it does."""
    parts = [f"{part.count:,} {part.words}" for part in outcome.parts]
    given = f"{counted_in_words(outcome.total, outcome.counted)} {outcome.total_words}"
    seen = f"{outcome.seen:,} {outcome.seen_words}"
    if outcome.problems:
        return f"of {given} {seen}: {', '.join(parts)}"
    return f"{given} = {seen} = {' + '.join(parts)}"


def _print_check(console: Console, check: Check, words: CommandWords) -> None:
    match check.verdict:
        case Verdict.FAIL:
            _print(console, f"  {words.failed_check}: {check.detail}", _STYLES[Verdict.FAIL])
        case Verdict.WARNING:
            _print(console, f"  {check.detail}", _STYLES[Verdict.WARNING])
        case Verdict.PASS:
            _print(console, f"  {check.name}: {check.detail}")
        case _:
            _print(console, f"  {check.detail}")


def print_run(console: Console, run: Run) -> None:
    """The end of a run: all tables beside each other, what is counted by code, the checks, and what to do next."""
    print_not_begun(console, run.not_begun)
    words = words_of(run.command, is_dry=run.is_dry)
    if run.outcomes:
        _print(console, f"\n{verdict(run).sentence}", "bold")
        console.print(_summary(run, words))
    for name in words.summed:
        _print_tally(console, name, run.outcomes)
    for name, checks in run.checks.items():
        if name not in _SHOWN_EARLIER:
            print_checks(console, heading_of(name), checks)
    next_step = advice(run)
    if next_step:
        _print(console, next_step, _STYLES[Verdict.WARNING])


def print_not_begun(console: Console, tables: Sequence[str]) -> None:
    """The tables that wait for the one that may not go on."""
    if tables:
        _print(console, f"not begun: {', '.join(tables)}")


def _summary(run: Run, words: CommandWords) -> Grid:
    parts = {part.name: part.words for outcome in run.outcomes for part in outcome.parts}
    grid = Grid()
    grid.add_column("table")
    for heading in (f"{run.outcomes[0].counted}s", *parts.values(), *(["notices"] if words.has_notices else [])):
        grid.add_column(heading, justify="right")
    for outcome in run.outcomes:
        figures = [outcome.total, *(outcome.count(name) for name in parts)]
        if words.has_notices:
            figures.append(outcome.tallies["totals"]["notices"])
        grid.add_row(outcome.source_table, *(f"{figure:,}" for figure in figures))
    return grid


def _print_tally(console: Console, name: str, outcomes: Sequence[Outcome]) -> None:
    rows = [(outcome.source_table, code, count) for outcome in outcomes for code, count in outcome.tallies.get(name, {}).items()]
    if not rows:
        return
    grid = Grid(title=TALLIES[name].heading)
    grid.add_column("table")
    grid.add_column("code")
    grid.add_column(TALLIES[name].counted, justify="right")
    for table, code, count in rows:
        grid.add_row(table, code, f"{count:,}")
    console.print(grid)


def print_checks(console: Console, heading: str, checks: Sequence[Check]) -> None:
    """A list of checks, each with its verdict."""
    failed = sum(check.verdict is Verdict.FAIL for check in checks)
    grid = Grid(title=f"{heading}: {f'{failed} FAILED' if failed else 'none failed'}")
    for column in ("check", "table", "verdict", "detail"):
        grid.add_column(column, overflow="fold")
    for check in checks:
        verdict_text = Text(check.verdict.upper(), _STYLES.get(check.verdict, ""))
        grid.add_row(check.name, *map(Text, (printable(check.table or ""),)), verdict_text, Text(printable(check.detail)))
    console.print(grid)


def _print(console: Console, line: str, style: str | None = None) -> None:
    console.print("\n".join(map(printable, line.split("\n"))), style=style, highlight=False, markup=False)
