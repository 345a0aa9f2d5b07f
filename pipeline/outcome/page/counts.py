"""Records counted by code and attribute, as bars: one a code, made of a segment for each attribute.

The longest bar is the most frequent code of all tables, so that tables can be compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.records.gather import RecordCount
from pipeline.records.kinds import RecordKind

MOST_NAMED: Final = 6
"""Attributes of one code at once; the rest can be opened."""
MOST_SEGMENTS: Final = 200
"""Where values are shown, names are not limited; those beyond are one segment."""
_HEADINGS: Final = {
    RecordKind.DEAD_LETTERS: "Dead letters by code",
    RecordKind.NOTICES: "Notices by code",
    RecordKind.MISMATCHES: "Mismatches by kind",
    RecordKind.DISCREPANCIES: "Rows that are left, by reason",
}
_COUNTED: Final = {
    RecordKind.DEAD_LETTERS: "Errors",
    RecordKind.NOTICES: "Notices",
    RecordKind.MISMATCHES: "Rows",
    RecordKind.DISCREPANCIES: "Rows",
}
_WHOLE: Final = {
    RecordKind.DEAD_LETTERS: "the whole item",
    RecordKind.NOTICES: "the whole item",
    RecordKind.MISMATCHES: "the whole row",
    RecordKind.DISCREPANCIES: "the whole row",
}


@dataclass(frozen=True, slots=True)
class Segment:
    """One attribute, or what stands for it; `start` and `width` in percent of the longest bar."""

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

    @property
    def segments(self) -> tuple[Segment, ...]:
        """All of them."""
        return self.named + self.more


@dataclass(frozen=True, slots=True)
class CountedTable:
    """One table, the most frequent first."""

    table: str
    bars: tuple[CodeBar, ...]


@dataclass(frozen=True, slots=True)
class CountedKind:
    """All tables with such records."""

    kind: str
    heading: str
    counted: str
    is_listed: bool
    tables: tuple[CountedTable, ...]


def counted_kinds(counts: Sequence[RecordCount], order: Sequence[str | None]) -> tuple[CountedKind, ...]:
    """What there is to chart; `order` is that of the tables in the report."""
    there = {one.kind for one in counts}
    return tuple(_counted_kind(kind, [one for one in counts if one.kind == kind], order) for kind in RecordKind if kind in there)


def _counted_kind(kind: RecordKind, counts: Sequence[RecordCount], order: Sequence[str | None]) -> CountedKind:
    codes: dict[tuple[str, str], list[RecordCount]] = defaultdict(list)
    for one in counts:
        codes[one.table, one.code].append(one)
    longest = max(_sum(found) for found in codes.values())
    tables = sorted({table for table, _ in codes}, key=lambda table: (order.index(table) if table in order else len(order), table))
    bars = {code: _bar(code[1], found, longest, _WHOLE[kind]) for code, found in codes.items()}
    return CountedKind(
        kind,
        _HEADINGS[kind],
        _COUNTED[kind],
        kind != RecordKind.NOTICES,
        tuple(CountedTable(table, _most_frequent(bar for (of, _), bar in bars.items() if of == table)) for table in tables),
    )


def _most_frequent(bars: Iterator[CodeBar]) -> tuple[CodeBar, ...]:
    return tuple(sorted(bars, key=lambda bar: (-bar.count, bar.code)))


def _bar(code: str, counts: Sequence[RecordCount], longest: int, whole: str) -> CodeBar:
    segments = list(_segments(sorted(counts, key=lambda one: -one.count), longest, whole))
    # One more is no reason to hide it.
    cut = MOST_NAMED if len(segments) > MOST_NAMED + 1 else len(segments)
    return CodeBar(code, _sum(counts), tuple(segments[:cut]), tuple(segments[cut:]))


def _segments(counts: Sequence[RecordCount], longest: int, whole: str) -> Iterator[Segment]:
    start = 0.0
    for one in counts[:MOST_SEGMENTS]:
        width = 100 * one.count / longest
        yield Segment(whole if one.attribute is None else one.attribute, one.count, round(start, 3), round(width, 3))
        start += width
    others = counts[MOST_SEGMENTS:]
    if others:
        yield Segment(f"{len(others):,} others", _sum(others), round(start, 3), round(100 * _sum(others) / longest, 3), is_many=True)


def _sum(counts: Sequence[RecordCount]) -> int:
    return sum(one.count for one in counts)
