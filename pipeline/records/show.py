"""Single dead letters, filtered, as lines for a person or as JSON; values are masked unless they are asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from pipeline.records.forms import Record
from pipeline.records.item import line_of, parsed_item, shape_of_line
from pipeline.records.mask import MISSING, Step, masked_item, member_name, shape_of_value, shown_name, shown_place, steps_to
from transforms.values import Item, is_attribute_value

# DynamoDB nests 32 levels.
_DEEPEST: Final = 40


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


def choose(records: Iterable[Record], wanted: Filter) -> Iterator[Record]:
    """Those that are to be shown."""
    return (record for record in records if wanted.takes(record))


def record_to_json(record: Record, names: Names) -> Record:
    """The record for other programs: with its values as it is in the file, else with shapes."""
    if names.show_values:
        return record
    line = line_of(record)
    item = parsed_item(line)
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
    item = parsed_item(line)
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
        is_opened = bool(members or elements) and len(steps) < _DEEPEST and self._is_worth_opening(steps, path, members or {})
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
