"""The bars of the speed that was promised, as ratios of medians of one run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.contestants import OURS
from benchmarks.results import Results, median

MEMORY_LIMIT = 300_000_000
"""Bytes of any process of ours."""


@dataclass(frozen=True, slots=True)
class Bar:
    """What was found beside its limit; `found` is None where it was not measured."""

    name: str
    found: float | None
    limit: float
    unit: str = "x"
    is_least: bool = False
    """Whether the limit is the least that is wanted, not the most."""

    @property
    def verdict(self) -> str:
        """In a word."""
        if self.found is None:
            return "not measured"
        return "met" if (self.found >= self.limit if self.is_least else self.found <= self.limit) else "MISSED"

    def __str__(self) -> str:
        found = "-" if self.found is None else f"{self.found:.2f} {self.unit}"
        return f"{self.verdict:12}  {found:>10}  ({'at least' if self.is_least else 'at most'} {self.limit:g} {self.unit})  {self.name}"


def bars(results: Results, items: int) -> Iterator[Bar]:
    """All of them; `items` are those of the contenders' turns."""
    ours = results.seconds(OURS)
    yield Bar("all tables, beside psql with ready text, one session", _ratio(ours, results.seconds("psql-text")), 0.6)
    yield Bar("all tables, beside psql with ready binary, two sessions", _ratio(ours, results.seconds("psql-binary-2")), 1.45)
    yield Bar("all tables, CPU of ddb2pg for an item", _cpu_of_an_item(results, items), 6.0, "us")
    rate = results.rate(OURS, "sessions")
    for name, limit in (("duckdb", 1.5), ("by-hand", 2.0), ("dlt", 8.0)):
        yield Bar(f"sessions, as fast as {name}", _ratio(rate, results.rate(name, "sessions")), limit, is_least=True)
    yield from _growth(results, items)
    yield Bar("1,000 items, command to prompt", results.seconds("load", items=1_000), 2.0, "s")
    yield Bar("60,000 items of three tables, command to prompt", results.seconds("load", items=60_000), 5.0, "s")
    load = results.seconds("load", items=items)
    resume = _ratio(results.seconds("resume of a finished load", items=items), load)
    yield Bar("resume of a finished load, share of the load", _times(resume, 100), 5.0, "%")
    faulty = _ratio(results.seconds("load, 5 % faulty", items=items), load)
    yield Bar("5 % faulty items, more time", None if faulty is None else (faulty - 1) * 100, 15.0, "%")
    yield Bar("validate of everything, beside the load", _ratio(results.seconds("validate", items=items), load), 1.0)
    yield Bar("inspect --full, an item", _of_an_item(results, "inspect --full"), 3.0, "us")
    yield Bar("draft, an item", _of_an_item(results, "draft", "sessions"), 3.0, "us")
    of_loaded = _of_an_item(results, "load", items=items)
    yield Bar("replay of dead letters, an item, beside the load", _ratio(_of_an_item(results, "dead-letters replay"), of_loaded), 2.0)
    report = _of_an_item(results, "report")
    yield Bar("report of 100,000 dead letters", None if report is None else report * 100_000 / 1e6, 2.0, "s")


def _growth(results: Results, items: int) -> Iterator[Bar]:
    """Four times the items: the bar is 4.1 times the time, and the same memory."""
    growth = _ratio(results.seconds("load", items=4 * items), results.seconds("load", items=items))
    yield Bar(f"{4 * items:,} items beside {items:,}, time", growth, 4.1)
    memory = _ratio(peak_memory(results, 4 * items), peak_memory(results, items))
    yield Bar(f"{4 * items:,} items beside {items:,}, peak memory of a process", memory, 1.1)
    peaks = [run.peak_memory[0] for run in results.runs if run.what in (OURS, "load") and run.peak_memory]
    yield Bar("peak memory of any process of ours", max(peaks) / 1e6 if peaks else None, MEMORY_LIMIT / 1e6, "MB")


def _of_an_item(results: Results, what: str, tables: str = "all", items: int | None = None) -> float | None:
    """Microseconds from the command's start to its end, for each item."""
    return median(run.seconds / run.items * 1e6 for run in results.of(what, tables, items))


def _cpu_of_an_item(results: Results, items: int) -> float | None:
    """Microseconds of CPU of all processes of ours, from the command's start to its end."""
    runs = [*results.of(OURS, items=items), *results.of("load", items=items)]
    return median(run.cpu_seconds / run.items * 1e6 for run in runs)


def peak_memory(results: Results, items: int) -> float | None:
    """Of the largest process of a load, in bytes; the median of its rounds."""
    return median(run.peak_memory[0] for run in results.of("load", items=items) if run.peak_memory)


def _ratio(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one / other


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
