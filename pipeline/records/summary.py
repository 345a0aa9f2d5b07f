"""The dead letters of a run, for people and programs: added up, which shows no value, or one by one, masked unless values are asked for.

One dead letter counts once for every code and attribute that is in its errors, so these counts add up to more than the dead letters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from rich.console import Console

from pipeline.console import counted_in_words, printable
from pipeline.records.lines import Record, line_of
from pipeline.records.mask import (
    DEEPEST,
    MISSING,
    Pattern,
    Patterns,
    Step,
    ValueShape,
    masked_item,
    member_name,
    shape_of_line,
    shape_of_value,
    shown_name,
    shown_place,
    steps_to,
    value_at,
)
from pipeline.source.chunks import ItemAddress
from transforms.lines import item_of_line
from transforms.values import Item, is_attribute_value

FIRST_PLACES: Final = 3
# A table whose items have attributes of ever new names must not fill the memory.
_MOST_ATTRIBUTES: Final = 1_000
_OTHER_ATTRIBUTES: Final = "(other attributes)"


@dataclass(frozen=True, slots=True)
class ErrorSummary:
    code: str
    attribute: str | None
    """None where the error is of the item as a whole."""
    items: int
    share: float
    first_places: tuple[ItemAddress, ...]
    patterns: tuple[Pattern, ...]
    """What the values at fault look like, the most frequent first."""


@dataclass(frozen=True, slots=True)
class TableSummary:
    """The dead letters of one target, of a line one; errors with the most items first."""

    source_table: str
    target_table: str
    dead_letters: int
    errors: tuple[ErrorSummary, ...]


@dataclass(slots=True)
class _Error:
    items: int = 0
    first_places: list[ItemAddress] = field(default_factory=list)
    patterns: Patterns = field(default_factory=Patterns)


@dataclass(slots=True)
class _Table:
    target_table: str
    dead_letters: int = 0
    errors: dict[tuple[str, str | None], _Error] = field(default_factory=dict)


def summarise(records: Iterable[Record], named: Mapping[str, Collection[str]]) -> list[TableSummary]:
    """The dead letters by source and target, code and attribute; `named` has the paths that each source's definitions name."""
    tables: dict[tuple[str, str], _Table] = {}
    for record in records:
        source, target = record["source_table"], record["target_table"]
        table = tables.setdefault((source, target), _Table(target))
        table.dead_letters += 1
        _count(table, record, named.get(source, ()))
    return [_summary(source, table) for (source, _), table in tables.items()]


def _count(table: _Table, record: Record, named: Collection[str]) -> None:
    line = line_of(record)
    item = item_of_line(line) or {}
    counted = set()
    for error in record["errors"]:
        code, attribute = error["code"], error["attribute"]
        key = code, None if attribute is None else shown_place(item, attribute, named)
        if key not in table.errors and len(table.errors) >= _MOST_ATTRIBUTES:
            key = code, _OTHER_ATTRIBUTES
        summed = table.errors.setdefault(key, _Error())
        if key not in counted:
            counted.add(key)
            summed.items += 1
            if len(summed.first_places) < FIRST_PLACES:
                summed.first_places.append(ItemAddress(record["data_file"], record["item_number"]))
        if attribute is not None:
            summed.patterns.add(_shape_at(item, attribute))
        elif record["stage"] == "read":
            summed.patterns.add(shape_of_line(line))


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


# -- single dead letters -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Filter:
    """Which dead letters are shown; None takes all."""

    table: str | None = None
    code: str | None = None
    attribute: str | None = None
    """With what is inside it: `eventData` finds `eventData.items[3]`."""

    def takes(self, record: Record) -> bool:
        """Whether one error has both, the code and the attribute."""
        if self.table not in (None, record["source_table"]):
            return False
        return any(self._takes_error(error) for error in record["errors"])

    def _takes_error(self, error: Mapping[str, Any]) -> bool:
        attribute = error["attribute"] or ""
        is_of_attribute = (
            self.attribute is None or attribute == self.attribute or attribute.startswith((f"{self.attribute}.", f"{self.attribute}["))
        )
        return self.code in (None, error["code"]) and is_of_attribute


@dataclass(frozen=True, slots=True)
class ShownLine:
    """One line of an item: an attribute, a member or an element."""

    depth: int
    name: str
    value: str
    faults: tuple[str, ...]
    """The codes of the errors that are about it."""


@dataclass(frozen=True, slots=True)
class Names:
    """What may be shown of a table's items."""

    named: Collection[str]
    """The paths that its definition names."""
    show_values: bool


def record_to_json(record: Record, names: Names) -> Record:
    """The record for other programs: with its values as it is in the file, else with shapes."""
    if names.show_values:
        return record
    line = line_of(record)
    item = item_of_line(line)
    errors = [{**error, "attribute": error_place(error, item, names)} for error in record["errors"]]
    shown = str(shape_of_line(line)) if item is None else masked_item(item, names.named)
    return {**record, "errors": errors, "item": shown, "item_encoding": "masked"}


def error_place(error: Mapping[str, Any], item: Item | None, names: Names) -> str | None:
    """The attribute that an error names, as it may be shown."""
    attribute: str | None = error["attribute"]
    return attribute if attribute is None or names.show_values else shown_place(item or {}, attribute, names.named)


def item_lines(record: Record, names: Names) -> list[ShownLine]:
    """The item of a dead letter, with the attributes at fault marked; attributes that are missing come last."""
    line = line_of(record)
    item = item_of_line(line)
    if item is None:
        text = repr(line)[2:-1] if names.show_values else str(shape_of_line(line))
        return [ShownLine(0, "", text, tuple(error["code"] for error in record["errors"]))]
    faults: dict[tuple[Step, ...], list[str]] = {}
    missing: dict[str, list[str]] = {}
    for error in record["errors"]:
        if error["attribute"] is not None:
            steps = steps_to(item, error["attribute"])
            if steps is None:
                missing.setdefault(error_place(error, item, names) or "", []).append(error["code"])
            else:
                faults.setdefault(steps, []).append(error["code"])
    shown = _Shown(names, faults)
    lines = [
        line for name, value in item.items() for line in shown.lines((name,), name if names.show_values else shown_name(name), name, value)
    ]
    return lines + [ShownLine(0, place, MISSING, tuple(codes)) for place, codes in missing.items()]


@dataclass(frozen=True, slots=True)
class _Shown:
    names: Names
    faults: Mapping[tuple[Step, ...], list[str]]

    def lines(self, steps: tuple[Step, ...], name: str, path: str, value: Any) -> Iterator[ShownLine]:
        """Of a value and all that is in it; `path` is as definitions write it."""
        is_sound = is_attribute_value(value)
        content = next(iter(value.values())) if is_sound else None
        members = content if is_sound and "M" in value else None
        elements = content if is_sound and "L" in value else None
        is_opened = bool(members or elements) and len(steps) < DEEPEST and self._is_worth_opening(steps, path, members or {})
        shown = str(shape_of_value(value)) if is_opened or not self.names.show_values else _in_full(value, is_sound=is_sound)
        yield ShownLine(len(steps) - 1, name, shown, tuple(self.faults.get(steps, ())))
        if not is_opened:
            return
        for number, (member, inner) in enumerate((members or {}).items(), 1):
            below = f"{path}.{member}"
            label = member if self.names.show_values else member_name(below, number, self.names.named)
            yield from self.lines((*steps, member), label, below, inner)
        for index, inner in enumerate(elements or ()):
            yield from self.lines((*steps, index), f"[{index}]", f"{path}[{index}]", inner)

    def _is_worth_opening(self, steps: tuple[Step, ...], path: str, members: Iterable[str]) -> bool:
        """Of what is masked, there is little to see where nothing is at fault and nothing has a name."""
        if self.names.show_values or any(fault[: len(steps)] == steps and len(fault) > len(steps) for fault in self.faults):
            return True
        return any(f"{path}.{member}" in self.names.named for member in members)


def _in_full(value: Any, *, is_sound: bool) -> str:
    """`S "abc"`, or the JSON that is no attribute value."""
    if not is_sound:
        return orjson.dumps(value).decode()
    [(tag, content)] = value.items()
    return f"{tag} {orjson.dumps(content).decode()}"


# -- on the terminal -----------------------------------------------------------------------------------------------------------------------

_MOST_PATTERNS: Final = 5


def print_summary(console: Console, tables: Sequence[TableSummary]) -> None:
    if not tables:
        _print(console, "no dead letters", "bold green")
    several = Counter(table.source_table for table in tables)
    for table in tables:
        into = f" -> {table.target_table}" if several[table.source_table] > 1 else ""
        _print(console, f"{table.source_table}{into}: {counted_in_words(table.dead_letters, 'dead letter')}", "bold")
        for error in table.errors:
            _print_error(console, error)


def _print_error(console: Console, error: ErrorSummary) -> None:
    place = f"{error.attribute}: " if error.attribute else ""
    _print(console, f"  {place}{error.code}, {counted_in_words(error.items, 'item')} ({error.share:.1%})", "red")
    patterns = [f"{pattern.count:,} x {pattern.shape}" for pattern in error.patterns[:_MOST_PATTERNS]]
    others = sum(pattern.count for pattern in error.patterns[_MOST_PATTERNS:])
    if others:
        patterns.append(f"{others:,} x others")
    if patterns:
        _print(console, f"    {', '.join(patterns)}")
    first = ", ".join(f"{place.data_file} item {place.item_number}" for place in error.first_places)
    _print(console, f"    first: {first}", "dim")


def print_dead_letter(console: Console, record: Record, names: Names) -> None:
    """One of them: where it stands, what is wrong, and its item with marks where it is wrong."""
    item = item_of_line(line_of(record))
    _print(console, f"\n{record['source_table']} item {record['item_number']} of {record['data_file']} ({record['stage']})", "bold")
    for error in record["errors"]:
        place = error_place(error, item, names)
        sqlstate = f" (SQLSTATE {error['sqlstate']})" if error["sqlstate"] else ""
        _print(console, f"  {error['code']}{f' {place}' if place else ''}: {error['message']}{sqlstate}", "red")
    lines = item_lines(record, names)
    width = max((2 * line.depth + len(printable(line.name)) for line in lines), default=0)
    for line in lines:
        name = f"{'  ' * line.depth}{printable(line.name)}".ljust(width)
        mark, fault = (">", f"   <- {', '.join(line.faults)}") if line.faults else (" ", "")
        _print(console, f"  {mark} {name}  {line.value}{fault}", "red" if line.faults else None)


def _print(console: Console, sentence: str, style: str | None = None) -> None:
    # A line break is ours alone.
    start = "\n" if sentence.startswith("\n") else ""
    console.print(start + printable(sentence.removeprefix("\n")), style=style, highlight=False, markup=False, soft_wrap=True)
