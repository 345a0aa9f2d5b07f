"""What a person reads of a run on the terminal. No value of an item is in it; names are shown as `PlainConsole` shows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table as Grid

from pipeline.console import counted_in_words, counted_words, print_if_fits, printable
from pipeline.outcome.outcome import Check, Outcome, Run, Verdict, failed
from pipeline.outcome.verdict import TALLIES, CommandWords, State, advice, failures_of, heading_of, sums_in_words, verdict, words_of

_STYLES: Final = {Verdict.PASS: "green", Verdict.FAIL: "bold red", Verdict.WARNING: "bold yellow"}
_STATE_STYLES: Final = {State.GOOD: "bold green", State.REVIEW: "bold yellow", State.LATER: "bold yellow", State.BAD: "bold red"}
_READ_FIRST: Final = (Verdict.FAIL, Verdict.WARNING)

_MOST_CODES: Final = 5
"""Of one table on the terminal; the report has all."""


def print_outcome(console: Console, outcome: Outcome, command: str, *, is_dry: bool = False) -> None:
    """A table, as soon as it is done."""
    words = words_of(command, is_dry=is_dry, is_of_windows=outcome.window is not None)
    window = f", window {outcome.window}" if outcome.window else ""
    _print(console, f"{outcome.source_table} -> {outcome.target_table}{window}: {_done(outcome, words, is_dry=is_dry)}")
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
    if not outcome.total:
        return f"has no {outcome.counted}s"
    if not outcome.done_now:
        return f"{counted} {words.done}" if outcome.problems else words.nothing_done
    if is_dry or not outcome.seconds:
        return f"{counted} {words.done}"
    return f"{counted} {words.done} in {outcome.seconds:.1f} s, {outcome.done_now / outcome.seconds:,.0f} {outcome.counted}s/s"


def _equation(outcome: Outcome) -> str:
    """`50 items in the manifest = 50 read = 47 rows + 3 dead letters`; where it does not hold, without saying that it does."""
    parts = [counted_words(part.count, part.words) for part in outcome.parts]
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
    """The end of a run, but for its verdict: all tables beside each other, counts by code, and the checks, failed ones first."""
    if run.not_begun:
        _print(console, f"not begun: {', '.join(run.not_begun)}")
    words = words_of(run.command, is_dry=run.is_dry)
    for counted in dict.fromkeys(outcome.counted for outcome in run.outcomes) if words.has_summary else ():
        _print(console, "")
        shown = [outcome for outcome in run.outcomes if outcome.counted == counted]
        grid = _summary(shown, run.outcomes, words)
        if not print_if_fits(console, grid):
            for line in _summary_lines(shown, run.outcomes, words):
                _print(console, line)
    for name in words.summed:
        _print_tally(console, name, run.outcomes)
    for name, checks in run.checks.items():
        if checks and name not in words.shown_earlier:
            _print_checks(console, heading_of(name), checks)


def print_place(console: Console, name: str, place: object) -> None:
    """Where something is: `report         ddb2pg-output/...`."""
    _print(console, f"{name:<15}{place}")


def print_advice(console: Console, run: Run) -> None:
    """What to do next."""
    next_step = advice(run)
    if next_step:
        _print(console, next_step, _STYLES[Verdict.WARNING])


def print_verdict(console: Console, run: Run) -> None:
    """The last line of a command: how it ended."""
    told = verdict(run)
    words = words_of(run.command, is_dry=run.is_dry)
    checks = [check.verdict for name, of_name in run.checks.items() for check in of_name if name not in words.shown_earlier]
    nouns = {Verdict.FAIL: "problem", Verdict.WARNING: "warning"}
    counts = [counted_in_words(checks.count(kind), noun) for kind, noun in nouns.items() if kind in checks]
    counted = f" ({', '.join(counts)})" if counts else ""
    sums = " ".join(sums_in_words(run.outcomes))
    _print(console, f"{told.sentence}{counted}{f'. {sums}' if sums else ''}", _STATE_STYLES[told.state])


def print_failures(console: Console, run: Run) -> None:
    """What is wrong, and nothing else: of --quiet."""
    for line in failures_of(run):
        _print(console, line, _STYLES[Verdict.FAIL])
    if run.not_begun:
        _print(console, f"not begun: {', '.join(run.not_begun)}")


def _summary(shown: Sequence[Outcome], outcomes: Sequence[Outcome], words: CommandWords) -> Grid:
    """Outcomes that count the same, as items of exports or records of windows; `outcomes` are all of the run."""
    parts = {part.name: part.words for outcome in shown for part in outcome.parts}
    grid = Grid()
    grid.add_column("table", overflow="fold")
    for heading in (f"{shown[0].counted}s", *parts.values(), *(["notices"] if words.has_notices else [])):
        grid.add_column(heading, justify="right")
    for outcome in shown:
        figures = [outcome.total, *(outcome.count(name) for name in parts)]
        if words.has_notices:
            figures.append(outcome.tallies["totals"]["notices"])
        grid.add_row(_name_of(outcome, outcomes), *(f"{figure:,}" for figure in figures))
    return grid


def _summary_lines(shown: Sequence[Outcome], outcomes: Sequence[Outcome], words: CommandWords) -> Iterator[str]:
    """The same where the terminal is too narrow for it, without what is 0: names are not cut."""
    for outcome in shown:
        parts = [counted_words(part.count, part.words) for part in outcome.parts if part.count]
        if words.has_notices and outcome.tallies["totals"]["notices"]:
            parts.append(counted_in_words(outcome.tallies["totals"]["notices"], "notice"))
        figures = f": {', '.join(parts)}" if parts else ""
        yield f"{_name_of(outcome, outcomes)}: {counted_in_words(outcome.total, outcome.counted)}{figures}"


def _name_of(outcome: Outcome, outcomes: Sequence[Outcome]) -> str:
    """The source table; with the target where several of the tables have one source, and with the number of a window."""
    is_one = len({other.target_table for other in outcomes if other.source_table == outcome.source_table}) == 1
    name = outcome.source_table if is_one else f"{outcome.source_table} -> {outcome.target_table}"
    return f"{name}, window {outcome.window}" if outcome.window else name


def _print_tally(console: Console, name: str, outcomes: Sequence[Outcome]) -> None:
    """A line for each table, with its most frequent codes: `orders   1,200 invalid_uuid, 3 missing_required`."""
    tallies = {_name_of(outcome, outcomes): outcome.tallies.get(name, {}) for outcome in outcomes}
    width = max(map(len, tallies), default=0)
    if any(tallies.values()):
        _print(console, TALLIES[name].heading, "bold")
    for table, tally in tallies.items():
        counts = sorted(tally.items(), key=lambda of_code: -of_code[1])
        shown = [f"{count:,} {code}" for code, count in counts[:_MOST_CODES]]
        left = counts[_MOST_CODES:]
        if left:
            shown.append(f"{sum(count for _, count in left):,} more of {counted_in_words(len(left), 'other code')}")
        if shown:
            _print(console, f"  {table:<{width}}  {', '.join(shown)}")


def print_warnings(console: Console, checks: Iterable[Check]) -> None:
    """Before a command begins its work."""
    for check in checks:
        if check.verdict is Verdict.WARNING:
            _print(console, f"warning: {check.line}", "yellow")


def _print_checks(console: Console, heading: str, checks: Sequence[Check]) -> None:
    """What failed, then what should be read, then the rest, table by table."""
    failures = len(failed(checks))
    _print(console, f"\n{heading}: {f'{failures} FAILED' if failures else 'none failed'}", "bold")
    for kind in _READ_FIRST:
        for check in (check for check in checks if check.verdict is kind):
            _print(console, f"  {kind.upper():<9}{check.line} [{check.name}]", _STYLES.get(kind))
    others = [check for check in checks if check.verdict not in _READ_FIRST]
    for table in dict.fromkeys([None, *(check.table for check in others)]):
        if table:
            _print(console, f"  {table}", "bold")
        for check in (check for check in others if check.table == table):
            name = "" if check.verdict is Verdict.FACT else f"{check.verdict.upper()}  {check.name}: "
            _print(console, f"{'    ' if table else '  '}{name}{check.detail}")


def _print(console: Console, line: str, style: str | None = None) -> None:
    console.print("\n".join(map(printable, line.split("\n"))), style=style, highlight=False, markup=False)
