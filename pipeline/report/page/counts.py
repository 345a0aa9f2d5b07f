"""Records counted by code and attribute, as bars: the longest is the most frequent of all tables, so that tables can be compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.report.records.gather import DEAD_LETTERS, KINDS, MISMATCHES, NOTICES, RecordCount

MOST_BARS: Final = 10
"""Of one table at once; the rest can be opened."""
_HEADINGS: Final = {DEAD_LETTERS: "Dead letters by code", NOTICES: "Notices by code", MISMATCHES: "Mismatches by kind"}
_WHOLE: Final = {DEAD_LETTERS: "the whole item", NOTICES: "the whole item", MISMATCHES: "the whole row"}


@dataclass(frozen=True, slots=True)
class Bar:
    """One code and attribute; `share` in percent of the longest bar."""

    code: str
    attribute: str | None
    words: str
    """The attribute, or what stands for it."""
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class CountedTable:
    """One table, the most frequent first."""

    table: str
    bars: tuple[Bar, ...]
    more: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class CountedKind:
    """All tables with such records."""

    kind: str
    heading: str
    attribute_heading: str
    is_listed: bool
    tables: tuple[CountedTable, ...]


def counted_kinds(counts: Sequence[RecordCount], order: Sequence[str | None]) -> tuple[CountedKind, ...]:
    """What there is to chart; `order` is that of the tables in the report."""
    return tuple(_counted_kind(kind, [one for one in counts if one.kind == kind], order) for kind in KINDS if _has(counts, kind))


def _has(counts: Sequence[RecordCount], kind: str) -> bool:
    return any(one.kind == kind for one in counts)


def _counted_kind(kind: str, counts: Sequence[RecordCount], order: Sequence[str | None]) -> CountedKind:
    most = max(one.count for one in counts)
    tables = sorted({one.table for one in counts}, key=lambda table: (order.index(table) if table in order else len(order), table))
    return CountedKind(
        kind,
        _HEADINGS[kind],
        "Column" if kind == MISMATCHES else "Attribute",
        kind != NOTICES,
        tuple(_counted_table(table, list(_bars(kind, table, counts, most))) for table in tables),
    )


def _counted_table(table: str, bars: Sequence[Bar]) -> CountedTable:
    # One more is no reason to hide it.
    cut = MOST_BARS if len(bars) > MOST_BARS + 1 else len(bars)
    return CountedTable(table, tuple(bars[:cut]), tuple(bars[cut:]))


def _bars(kind: str, table: str, counts: Sequence[RecordCount], most: int) -> Iterator[Bar]:
    for one in counts:
        if one.table == table:
            words = _WHOLE[kind] if one.attribute is None else one.attribute
            yield Bar(one.code, one.attribute, words, one.count, round(100 * one.count / most, 2))
