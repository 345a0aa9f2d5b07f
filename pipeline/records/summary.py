"""What was refused and why, added up over the dead letters of a run; no value is in it.

One dead letter counts once for every code and attribute that is in its errors, so these counts add up to more than the dead letters.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.records.forms import Record
from pipeline.records.item import line_of, parsed_item, shape_of_line
from pipeline.records.mask import MISSING, ValueShape, shape_of_value, shown_place, steps_to, value_at
from pipeline.records.patterns import Pattern, Patterns
from pipeline.source.chunks import ItemAddress

FIRST_PLACES: Final = 3
# A table whose items have attributes of ever new names must not fill the memory.
_MOST_ATTRIBUTES: Final = 1_000
_OTHER_ATTRIBUTES: Final = "(other attributes)"


@dataclass(frozen=True, slots=True)
class ErrorSummary:
    """One code for one attribute."""

    code: str
    attribute: str | None
    """None where the error is of the item as a whole."""
    items: int
    share: float
    """Of the table's dead letters."""
    first_places: tuple[ItemAddress, ...]
    patterns: tuple[Pattern, ...]
    """What the values at fault look like, the most frequent first."""


@dataclass(frozen=True, slots=True)
class TableSummary:
    """The dead letters of one table; errors with the most items first."""

    source_table: str
    target_table: str | None
    dead_letters: int
    errors: tuple[ErrorSummary, ...]


@dataclass(slots=True)
class _Error:
    items: int = 0
    first_places: list[ItemAddress] = field(default_factory=list)
    patterns: Patterns = field(default_factory=Patterns)


@dataclass(slots=True)
class _Table:
    target_table: str | None
    dead_letters: int = 0
    errors: dict[tuple[str, str | None], _Error] = field(default_factory=dict)


def summarise(records: Iterable[Record], named: Mapping[str, Collection[str]]) -> list[TableSummary]:
    """The dead letters by table, code and attribute; `named` has the paths that each table's definition names."""
    tables: dict[str, _Table] = {}
    for record in records:
        source = record["source_table"]
        table = tables.setdefault(source, _Table(record.get("target_table")))
        table.dead_letters += 1
        _count(table, record, named.get(source, ()))
    return [_summary(source, table) for source, table in tables.items()]


def _count(table: _Table, record: Record, named: Collection[str]) -> None:
    line = line_of(record)
    item = parsed_item(line) or {}
    told = set()
    for error in record["errors"]:
        code, attribute = error["code"], error["attribute"]
        key = code, None if attribute is None else shown_place(item, attribute, named)
        if key not in table.errors and len(table.errors) >= _MOST_ATTRIBUTES:
            key = code, _OTHER_ATTRIBUTES
        found = table.errors.setdefault(key, _Error())
        if key not in told:
            told.add(key)
            found.items += 1
            if len(found.first_places) < FIRST_PLACES:
                found.first_places.append(ItemAddress(record["data_file"], record["item_number"]))
        if attribute is not None:
            found.patterns.add(_shape_at(item, attribute))
        elif record["stage"] == "read":
            found.patterns.add(shape_of_line(line))


def _shape_at(item: Mapping[str, Any], attribute: str) -> ValueShape:
    steps = steps_to(item, attribute)
    return ValueShape(MISSING) if steps is None else shape_of_value(value_at(item, steps))


def _summary(source: str, table: _Table) -> TableSummary:
    errors = [
        ErrorSummary(
            code,
            attribute,
            error.items,
            round(error.items / table.dead_letters, 4),
            tuple(error.first_places),
            tuple(error.patterns.most_common()),
        )
        for (code, attribute), error in table.errors.items()
    ]
    errors.sort(key=lambda error: (-error.items, error.code, error.attribute or ""))
    return TableSummary(source, table.target_table, table.dead_letters, tuple(errors))
