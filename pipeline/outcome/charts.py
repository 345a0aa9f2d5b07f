"""What the page draws: the bar of an equation, records counted by code and attribute, and how fast a table was loaded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pipeline.records.gather import RecordCount
from pipeline.records.kinds import OF_WINDOW, RecordKind

BAR: Final = 1000.0
"""The width of an equation's bar, in its own units."""
_LEAST: Final = 6.0
"""The width of what is there, however few."""
CURVE_WIDTH: Final = 600
CURVE_HEIGHT: Final = 96


def laid_out(counts: Sequence[int], total: int) -> list[tuple[float, float]]:
    """Start and width of each part of a bar; a small one gets a little of what is the largest one's.

    >>> laid_out([1, 1], 4)
    [(0.0, 250.0), (250.0, 250.0)]
    """
    widths = [max(_LEAST, BAR * count / total) if count and total else 0.0 for count in counts]
    if widths:
        largest = widths.index(max(widths))
        widths[largest] = max(0.0, widths[largest] - max(0.0, sum(widths) - BAR))
    return [(round(sum(widths[:number]), 2), round(width, 2)) for number, width in enumerate(widths)]


# -- records by code and attribute ---------------------------------------------------------------------------------------------------------

MOST_NAMED: Final = 6
"""Attributes of one code at once; the rest can be opened."""
MOST_SEGMENTS: Final = 200
"""Where values are shown, names are not limited; those beyond are one segment."""


@dataclass(frozen=True, slots=True)
class KindWords:
    """The words for the records of one kind."""

    heading: str
    counted: str
    whole: str
    """In place of an attribute, where a record is about all of them."""
    listed: str = ""
    """The heading of their list; empty where they are not listed."""


KIND_WORDS: Final = {
    RecordKind.DEAD_LETTERS: KindWords("Dead letters by code", "Errors", "the whole item", "Dead letters"),
    RecordKind.NOTICES: KindWords("Notices by code", "Notices", "the whole item"),
    RecordKind.MISMATCHES: KindWords("Mismatches by kind", "Rows", "the whole row", "Mismatches"),
    RecordKind.DISCREPANCIES: KindWords("Rows that are left, by reason", "Rows", "the whole row", "Rows that are left"),
}


@dataclass(frozen=True, slots=True)
class Segment:
    """One attribute, or the word in its place; `start` and `width` in percent of the longest bar."""

    words: str
    count: int
    start: float
    width: float
    is_many: bool = False


@dataclass(frozen=True, slots=True)
class CodeBar:
    """One code, its attributes the most frequent first."""

    code: str
    count: int
    named: tuple[Segment, ...]
    more: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class CountedKind:
    """The records of one kind: of each table its bars, the longest first. All tables have one scale."""

    kind: str
    words: KindWords
    tables: Mapping[str, Sequence[CodeBar]]


def counted_kinds(counts: Sequence[RecordCount], order: Sequence[str]) -> tuple[CountedKind, ...]:
    """What there is to chart; `order` is that of the tables in the report."""
    by_kind: dict[str, list[RecordCount]] = defaultdict(list)
    for count in counts:
        by_kind[count.kind].append(count)
    return tuple(_counted_kind(kind, by_kind[kind], order) for kind in RecordKind if kind in by_kind)


def _counted_kind(kind: RecordKind, counts: Sequence[RecordCount], order: Sequence[str]) -> CountedKind:
    codes: dict[tuple[str, str], list[RecordCount]] = defaultdict(list)
    for count in counts:
        codes[count.table, count.code].append(count)
    longest = max(map(_sum, codes.values()))
    tables = sorted({table for table, _ in codes}, key=lambda table: _place(table, order))
    bars: dict[str, list[CodeBar]] = {table: [] for table in tables}
    for (table, code), of_code in codes.items():
        bars[table].append(_bar(code, of_code, longest, KIND_WORDS[kind].whole))
    for of_table in bars.values():
        of_table.sort(key=lambda bar: (-bar.count, bar.code))
    return CountedKind(kind, KIND_WORDS[kind], bars)


def _place(folder: str, order: Sequence[str]) -> tuple[int, str, str]:
    """Tables in their order, each before its windows."""
    table, _, window = folder.partition(OF_WINDOW)
    return order.index(table) if table in order else len(order), window, table


def _bar(code: str, counts: Sequence[RecordCount], longest: int, whole: str) -> CodeBar:
    segments = list(_segments(sorted(counts, key=lambda count: -count.count), longest, whole))
    # One more is no reason to hide it.
    cut = MOST_NAMED if len(segments) > MOST_NAMED + 1 else len(segments)
    return CodeBar(code, _sum(counts), tuple(segments[:cut]), tuple(segments[cut:]))


def _segments(counts: Sequence[RecordCount], longest: int, whole: str) -> Iterator[Segment]:
    start = 0.0
    for count in counts[:MOST_SEGMENTS]:
        width = 100 * count.count / longest
        yield Segment(whole if count.attribute is None else count.attribute, count.count, round(start, 3), round(width, 3))
        start += width
    others = counts[MOST_SEGMENTS:]
    if others:
        yield Segment(f"{len(others):,} others", _sum(others), round(start, 3), round(100 * _sum(others) / longest, 3), is_many=True)


def _sum(counts: Sequence[RecordCount]) -> int:
    return sum(count.count for count in counts)


# -- the pace of a load --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Curve:
    """Items a second over the time of a run, as a polygon `CURVE_WIDTH` by `CURVE_HEIGHT`."""

    points: str
    fastest: str
    began: str
    took: str
    alternative: str


def curve(run: Mapping[str, Any]) -> Curve | None:
    """Of a run as `report.json` has it; None where it had too few chunks."""
    pace = run["pace"]
    if pace is None or not any(pace["items"]):
        return None
    rates = [items / pace["bucket_seconds"] for items in pace["items"]]
    top, step = max(rates), CURVE_WIDTH / len(rates)
    points = [f"0,{CURVE_HEIGHT}"]
    for number, rate in enumerate(rates):
        height = round(CURVE_HEIGHT - CURVE_HEIGHT * rate / top, 1)
        points += [f"{number * step:.1f},{height}", f"{(number + 1) * step:.1f},{height}"]
    took = duration(run["first_commit"], run["last_commit"])
    fastest = f"{top:,.0f} items/s"
    alternative = f"Items per second over {took}: at most {fastest}, at least {min(rates):,.0f}, {len(rates)} equal spans of time"
    return Curve(" ".join([*points, f"{CURVE_WIDTH},{CURVE_HEIGHT}"]), fastest, moment(run["first_commit"]), took, alternative)


# -- times ---------------------------------------------------------------------------------------------------------------------------------


def moment(text: str) -> str:
    """`2026-11-23 02:00:00 UTC`, of a time in UTC as JSON has it."""
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S} UTC"


def duration(began: str, ended: str) -> str:
    """Between two times as JSON has them."""
    return seconds_in_words((datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds())


def seconds_in_words(seconds: float) -> str:
    """`0.8 s`, `4 min 12 s`, `2 h 5 min`, `3 days 4 h`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min"
    return f"{hours // 24:,} days {hours % 24} h"
