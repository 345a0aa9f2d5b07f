"""A table's definition, compiled once into one function from a line to a row.

Everything that does not depend on an item is prepared. A sound item then takes one pass over its columns; only an item that is refused is
gone through a second time, for all its errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, cast

from transforms.attribute_value import (
    ABSENT,
    JSON_TYPE_OF_TAG,
    NOT_AN_ATTRIBUTE_VALUE,
    Item,
    is_attribute_value,
    is_missing,
    line_to_item,
)
from transforms.column import CompiledColumn, EachRefused, compile_column, wrong_type
from transforms.reject import ErrorCode, ItemError, ItemRefused, Notice, NoticeCode, ReadRefused, TransformRefused, ValueRefused
from transforms.table import Column, LaterOf, Table, Unmapped

EncodedRow = bytes
ToRow = Callable[[bytes], tuple[EncodedRow, Sequence[Notice]]]


class _Map(NamedTuple):
    """A map that columns take their attributes from: the item itself, or a map inside it."""

    path: str
    parent: int
    name: str
    known: frozenset[str]


def compile_table(table: Table, *, migration_time: int, unmapped: Unmapped = Unmapped.NOTICE) -> ToRow:
    """The function that makes a row of a line.

    `migration_time` in microseconds since 1970-01-01 UTC. The encoded row is the fields of `table.columns` in binary COPY format, without
    the field count before them. The function raises `ReadRefused` and `TransformRefused`, and nothing else on any input.
    """
    maps = _maps_of(table)
    columns = [compile_column(column, migration_time) for column in table.columns]
    rejects_unmapped = unmapped is Unmapped.REJECT

    inner_maps = maps[1:]
    encode_row = _generate(columns, maps)

    def to_row(line: bytes) -> tuple[EncodedRow, Sequence[Notice]]:
        item = line_to_item(line)
        notices: list[Notice] = []
        try:
            held = _open_maps(item, inner_maps)
            encoded = encode_row(held, notices)
        except (ValueRefused, EachRefused):
            raise _all_errors(item, maps, columns, unmapped) from None
        for map_, holder in zip(maps, held, strict=True):
            if not map_.known.issuperset(holder):
                for path in _unmapped_attributes(map_, holder):
                    if rejects_unmapped:
                        raise _all_errors(item, maps, columns, unmapped)
                    notices.append(Notice(NoticeCode.UNMAPPED_ATTRIBUTE, path))
        return encoded, notices

    return to_row


def compile_key(table: Table, names: Sequence[str]) -> Callable[[bytes], EncodedRow | None]:
    """The function that makes the fields of some columns of a line that need be no sound item; None where they cannot be read.

    A column that takes the load's time is no part of a key, so that time is no argument.
    """
    by_name = {column.name: column for column in table.columns}
    wanted = [by_name[name] for name in names]
    maps = _maps_of(replace(table, columns=tuple(wanted)))
    encode_row = _generate([compile_column(column, 0) for column in wanted], maps)

    def to_key(line: bytes) -> EncodedRow | None:
        try:
            return encode_row(_open_maps(line_to_item(line), maps[1:]), [])
        except (ReadRefused, ValueRefused, EachRefused):
            return None

    return to_key


def _generate(columns: Sequence[CompiledColumn], maps: Sequence[_Map]) -> Callable[[Sequence[Item], list[Notice]], EncodedRow]:
    """All fields of a row in one function, made of source: a loop over the columns takes a third longer.

    What it adds to `to_field` is the shortcut, which says nothing that `to_field` does not say too. Nothing of a definition goes into the
    source but numbers.
    """
    names: dict[str, object] = {}
    source = ["def encode_row(held, notices):"]
    for number, column in enumerate(columns):
        names[f"to_field_{number}"] = column.to_field
        held = f"held[{_index_of(column, maps)}]"
        call = f"field_{number} = to_field_{number}({held}, notices)"
        if column.shortcut is None:
            source.append(f"    {call}")
            continue
        name, tag, encode = column.shortcut
        names |= {f"name_{number}": name, f"tag_{number}": tag, f"type_{number}": JSON_TYPE_OF_TAG[tag], f"encode_{number}": encode}
        source += [
            f"    value = {held}.get(name_{number})",
            f"    if type(value) is dict and len(value) == 1 and type(content := value.get(tag_{number})) is type_{number}:",
            f"        field_{number} = encode_{number}(content, notices)",
            "    else:",
            f"        {call}",
        ]
    source.append(f"    return b''.join(({''.join(f'field_{number}, ' for number in range(len(columns)))}))")
    exec("\n".join(source), names)  # noqa: S102
    return cast("Callable[[Sequence[Item], list[Notice]], EncodedRow]", names["encode_row"])


def _index_of(column: CompiledColumn, maps: Sequence[_Map]) -> int:
    return next(index for index, map_ in enumerate(maps) if map_.path == column.map_path)


def _item_error(refused: ValueRefused, attribute: str | None, column: str | None) -> ItemError:
    """The error of a value at its place; a read-stage fault ends the item's conversion (`rulings.md`, "Edges")."""
    place = f"{attribute}{refused.path}"
    if refused.code is ErrorCode.INVALID_JSON:
        raise ReadRefused.because(refused.code, refused.message) from None
    if refused.code is ErrorCode.NOT_AN_ITEM:
        raise ReadRefused.because(refused.code, refused.message, place) from None
    return ItemError(refused.code, place, column, refused.message)


def _maps_of(table: Table) -> list[_Map]:
    """The item first, then every map inside it that a column's path goes through, parents before children."""
    names: dict[str, set[str]] = {"": set()}
    for path in _attribute_paths(table.columns):
        holder = ""
        for name in path.split("."):
            names.setdefault(holder, set()).add(name)
            holder = _join(holder, name)
    paths = list(names)
    return [
        _Map(
            path=path,
            parent=paths.index(path.rpartition(".")[0]) if path else 0,
            name=path.rpartition(".")[2],
            known=frozenset(known),
        )
        for path, known in names.items()
    ]


def _attribute_paths(columns: Iterable[Column]) -> Iterable[str]:
    for column in columns:
        match column.attribute:
            case LaterOf(first, second):
                yield from (first, second)
            case str(path):
                yield path


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _open_maps(item: Item, inner_maps: Sequence[_Map]) -> list[Item]:
    """The item, then the members of each map inside it, none where it is missing; raises `ValueRefused` at the first that is no map."""
    held = [item]
    for map_ in inner_maps:
        held.append(_open_map(map_, held[map_.parent]))
    return held


def _open_map(map_: _Map, parent: Item) -> Item:
    value = parent.get(map_.name, ABSENT)
    if is_missing(value):
        return {}
    if is_attribute_value(value) and "M" in value:
        members: Item = value["M"]
        return members
    raise wrong_type(value, ("M",))


def _all_errors(item: Item, maps: Sequence[_Map], columns: Sequence[CompiledColumn], unmapped: Unmapped) -> ItemRefused:
    """What is wrong with an item of which something is: the way of the sound ones again, but not ending at the first error."""
    errors: list[ItemError] = []
    held: list[Item | None] = [item]
    for map_ in maps[1:]:
        parent = held[map_.parent]
        try:
            held.append(None if parent is None else _open_map(map_, parent))
        except ValueRefused as refused:
            held.append(None)
            errors.append(_item_error(refused, map_.path, None))
    for column in columns:
        holder = held[_index_of(column, maps)]
        if holder is None:
            continue
        try:
            column.to_field(holder, [])
        except ValueRefused as refused:
            errors.append(_item_error(refused, column.attribute, column.column))
        except EachRefused as each:
            errors.extend(_item_error(refused, name, column.column) for name, refused in each.refusals.items())
    paths = [path for map_, holder in zip(maps, held, strict=True) if holder is not None for path in _unmapped_attributes(map_, holder)]
    if unmapped is Unmapped.REJECT:
        errors.extend(ItemError(ErrorCode.UNMAPPED_ATTRIBUTE, path, None, "no column takes this attribute") for path in paths)
    return TransformRefused(tuple(errors))


def _unmapped_attributes(map_: _Map, holder: Item) -> Iterator[str]:
    """The path of each attribute of the map that no column takes; one that is NULL is missing, so it is not there."""
    for name, value in holder.items():
        if name not in map_.known:
            path = _join(map_.path, name)
            _check_shape(value, path)
            if not is_missing(value):
                yield path


def _check_shape(value: object, path: str) -> None:
    if not is_attribute_value(value):
        raise ReadRefused.because(ErrorCode.NOT_AN_ITEM, NOT_AN_ATTRIBUTE_VALUE, path)
