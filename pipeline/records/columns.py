"""What the columns of a table got, counted over a sample of its items: a misspelt attribute or a wrong type is seen at a glance.

Counts and kinds of values only, never a value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from pipeline.inspection.names import shape_of
from pipeline.records.mask import value_by_names
from transforms.lines import read_full_export_line
from transforms.rejects import ReadRefused
from transforms.sources import Names, Whole, names_of
from transforms.table import Column, Table
from transforms.types import NULL, split_row
from transforms.values import is_attribute_value, is_missing

_MOST_SHAPES: Final = 4
"""Of one column; the others are added up."""
OTHER_SHAPES: Final = "other"


class ColumnSource(StrEnum):
    """What a column is made of."""

    ATTRIBUTES = "attributes"
    ITEM = "item"
    """The whole item."""
    REST = "rest"
    """What no other column takes."""
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class SampledColumn:
    """What one column got from the items of a sample."""

    name: str
    type: str
    source: ColumnSource
    attributes: Sequence[str]
    """Paths of the definition, where its source is attributes."""
    present: int | None
    """Items that have one of the attributes, not NULL; None where its source is no attribute."""
    null: int
    """Rows in which it is NULL."""
    defaulted: int
    """Rows in which it is not NULL though the item has none of the attributes."""
    refused: int
    """Items that are dead letters because of it."""
    shapes: Mapping[str, int]
    """The kinds of the values in the items, the most frequent first: `{"S uuid": 1990, "N": 3}`."""


@dataclass(frozen=True, slots=True)
class ColumnSample:
    """Of the items that are for the table."""

    items: int
    rows: int
    columns: Sequence[SampledColumn]


@dataclass(slots=True)
class _Counts:
    column: Column
    ways: Sequence[Names]
    name: str | None
    """Of the attribute, where one at the top feeds it."""
    present: int = 0
    null: int = 0
    defaulted: int = 0
    refused: int = 0
    shapes: Counter[str] = field(default_factory=Counter)

    def add(self, item: Mapping[str, Any], encoded: bytes | None) -> None:
        """`encoded` is the field of the row; None where the item is no row."""
        if self.name is None:
            values = [value for way in self.ways if (value := value_by_names(item, way)) is not None and not is_missing(value)]
        else:
            value = item.get(self.name)
            values = [] if value is None or is_missing(value) else [value]
        self.present += bool(values)
        for value in values:
            self.shapes[_kind_of(value)] += 1  # `update` takes four times as long for one value
        if encoded is None:
            return
        if encoded == NULL:
            self.null += 1
        elif self.ways and not values:
            self.defaulted += 1

    def result(self) -> SampledColumn:
        column, shapes = self.column, self.shapes.most_common()
        shown = dict(shapes[:_MOST_SHAPES])
        if len(shapes) > _MOST_SHAPES:
            shown[OTHER_SHAPES] = sum(count for _, count in shapes[_MOST_SHAPES:])
        source = ColumnSource.ATTRIBUTES if self.ways else ColumnSource.NOTHING
        if isinstance(column.source, Whole):
            source = ColumnSource(column.source.value)
        return SampledColumn(
            column.name,
            str(column.pg_type),
            source,
            column.paths,
            self.present if self.ways else None,
            self.null,
            self.defaulted,
            self.refused,
            shown,
        )


class CountColumns:
    """Takes the sampled lines of one table, and gives what its columns got."""

    def __init__(self, table: Table) -> None:
        self._items = 0
        self._rows = 0
        self._columns = [_counts_of(column) for column in table.columns]

    def add(self, line: bytes, row: bytes | None, refused: Collection[str | None]) -> None:
        """A line, its encoded row if it is one, and the columns because of which it is a dead letter.

        A line that is no item is left out.
        """
        try:
            item = read_full_export_line(line).item
        except ReadRefused:
            return
        self._items += 1
        self._rows += row is not None
        encoded: Sequence[bytes | None] = [None] * len(self._columns) if row is None else list(split_row(row))
        for counts, of_column in zip(self._columns, encoded, strict=True):
            counts.add(item, of_column)
            counts.refused += counts.column.name in refused

    def result(self) -> ColumnSample | None:
        """None where there were no items."""
        return ColumnSample(self._items, self._rows, [counts.result() for counts in self._columns]) if self._items else None


def _counts_of(column: Column) -> _Counts:
    ways = [names_of(path) for path in column.paths]
    name = ways[0][0] if len(ways) == 1 and len(ways[0]) == 1 else None
    return _Counts(column, ways, name if isinstance(name, str) else None)


def _kind_of(value: Any) -> str:
    """`S uuid`, `N`, `M`: the tag, and of a string its kind."""
    if not is_attribute_value(value):
        return "not an attribute value"
    [(tag, content)] = value.items()
    return f"S {shape_of(content)}" if tag == "S" else str(tag)
