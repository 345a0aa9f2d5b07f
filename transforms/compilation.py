"""A table's definition, compiled once into one function from a line to a row.

Everything that does not depend on an item is prepared. A sound item then takes one pass over its columns; only an item that is refused is
gone through a second time, for all its errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from transforms import wire
from transforms.attribute_value import (
    ABSENT,
    JSON_TYPE_OF_TAG,
    NOT_AN_ATTRIBUTE_VALUE,
    Item,
    check_number,
    is_attribute_value,
    is_missing,
    line_to_item,
)
from transforms.convert import Encoder, Timestamp
from transforms.reject import ErrorCode, ItemError, ItemRefused, Notice, NoticeCode, ReadRefused, TransformRefused, ValueRefused
from transforms.table import Column, LaterOf, Missing, Otherwise, Table, Unmapped

EncodedRow = bytes
ToRow = Callable[[bytes], tuple[EncodedRow, Sequence[Notice]]]

# From the map that holds the attribute to the column's field.
_ToField = Callable[[Item, list[Notice]], bytes]
_IfMissing = Callable[[list[Notice]], bytes]


class _Map(NamedTuple):
    """A map that columns take their attributes from: the item itself, or a map inside it."""

    path: str
    parent: int
    name: str
    known: frozenset[str]


class _Field(NamedTuple):
    to_field: _ToField
    map_index: int
    attribute: str | None
    column: str


class _EachRefused(Exception):
    """One or both attributes of a `LaterOf` are refused."""

    def __init__(self, refusals: Mapping[str, ValueRefused]) -> None:
        super().__init__(refusals)
        self.refusals = refusals


def compile_table(table: Table, *, migration_time: int, unmapped: Unmapped = Unmapped.NOTICE) -> ToRow:
    """The function that makes a row of a line.

    `migration_time` in microseconds since 1970-01-01 UTC. The encoded row is the fields of `table.columns` in binary COPY format, without
    the field count before them. The function raises `ReadRefused` and `TransformRefused`, and nothing else on any input.
    """
    maps = _maps_of(table)
    fields_ = [_compile_column(column, maps, migration_time) for column in table.columns]
    rejects_unmapped = unmapped is Unmapped.REJECT

    to_fields = [(field.to_field, field.map_index) for field in fields_]
    inner_maps = maps[1:]

    def to_row(line: bytes) -> tuple[EncodedRow, Sequence[Notice]]:
        item = line_to_item(line)
        notices: list[Notice] = []
        try:
            held = _open_maps(item, inner_maps)
            encoded = b"".join([to_field(held[index], notices) for to_field, index in to_fields])
        except (ValueRefused, _EachRefused):
            raise _all_errors(item, maps, fields_, unmapped) from None
        for map_, holder in zip(maps, held, strict=True):
            if not map_.known.issuperset(holder):
                for path in _unmapped_attributes(map_, holder):
                    if rejects_unmapped:
                        raise _all_errors(item, maps, fields_, unmapped)
                    notices.append(Notice(NoticeCode.UNMAPPED_ATTRIBUTE, path))
        return encoded, notices

    return to_row


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
    raise _wrong_type(value, ("M",))


def _all_errors(item: Item, maps: Sequence[_Map], fields_: Sequence[_Field], unmapped: Unmapped) -> ItemRefused:
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
    for to_field, map_index, attribute, column in fields_:
        holder = held[map_index]
        if holder is None:
            continue
        try:
            to_field(holder, [])
        except ValueRefused as refused:
            errors.append(_item_error(refused, attribute, column))
        except _EachRefused as each:
            errors.extend(_item_error(refused, name, column) for name, refused in each.refusals.items())
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


# -- one column ----------------------------------------------------------------------------------------------------------------------------


def _compile_column(column: Column, maps: Sequence[_Map], migration_time: int) -> _Field:
    match column.attribute:
        case None:
            return _Field(_constant(column, migration_time), 0, None, column.name)
        case LaterOf(first, second):
            return _Field(_compile_later_of(column, first, second, migration_time), 0, first, column.name)
        case path:
            holder, _, name = path.rpartition(".")
            map_index = next(index for index, map_ in enumerate(maps) if map_.path == holder)
            to_field = _compile_attribute(column, path, name, migration_time)
            return _Field(to_field, map_index, path, column.name)


def _constant(column: Column, migration_time: int) -> _ToField:
    """The same in every row, so there is nothing to note."""
    if column.missing is Missing.REFUSED:
        message = f"{column.name}: no attribute feeds it, so it needs an Otherwise(...)"
        raise ValueError(message)
    field = _compile_missing(column, column.name, migration_time)([])
    return lambda _holder, _notices: field


def _field_if_missing(column: Column) -> bytes:
    """The field of a column whose missing rule does not depend on the load."""
    if isinstance(column.missing, Otherwise):
        return column.conversion.encoder("")(column.missing.content, [])
    return wire.NULL


def _compile_attribute(column: Column, path: str, name: str, migration_time: int) -> _ToField:
    encode = column.conversion.encoder(path)
    if_missing = _compile_missing(column, path, migration_time)
    tags = column.conversion.tags
    if not tags:
        return _any_tag(name, encode, if_missing)
    if any(JSON_TYPE_OF_TAG[tag] is not column.conversion.content_type for tag in tags):
        message = f"{column.name}: {type(column.conversion).__name__} cannot take all of the type tags {', '.join(tags)}"
        raise ValueError(message)
    if len(tags) > 1:
        return _several_tags(name, tags, encode, if_missing)
    return _one_tag(name, tags[0], encode, if_missing)


def _one_tag(name: str, tag: str, encode: Encoder, if_missing: _IfMissing) -> _ToField:
    """The way of nearly every column: everything that a sound value needs, and nothing else, before `encode`."""
    json_type = JSON_TYPE_OF_TAG[tag]

    def to_field(holder: Item, notices: list[Notice]) -> bytes:
        value = holder.get(name, ABSENT)
        if type(value) is dict and len(value) == 1:
            content = value.get(tag)
            if type(content) is json_type:
                return encode(content, notices)
        if is_missing(value):
            return if_missing(notices)
        raise _wrong_type(value, (tag,))

    return to_field


def _several_tags(name: str, tags: tuple[str, ...], encode: Encoder, if_missing: _IfMissing) -> _ToField:
    def to_field(holder: Item, notices: list[Notice]) -> bytes:
        value = holder.get(name, ABSENT)
        if is_missing(value):
            return if_missing(notices)
        if is_attribute_value(value) and not value.keys().isdisjoint(tags):
            ((tag, content),) = value.items()
            if tag == "N":
                check_number(content)
            return encode(content, notices)
        raise _wrong_type(value, tags)

    return to_field


def _any_tag(name: str, encode: Encoder, if_missing: _IfMissing) -> _ToField:
    def to_field(holder: Item, notices: list[Notice]) -> bytes:
        value = holder.get(name, ABSENT)
        return if_missing(notices) if is_missing(value) else encode(value, notices)

    return to_field


def _wrong_type(value: object, tags: Sequence[str]) -> ValueRefused:
    if not is_attribute_value(value):
        return ValueRefused(ErrorCode.NOT_AN_ITEM, NOT_AN_ATTRIBUTE_VALUE)
    return ValueRefused(ErrorCode.WRONG_TYPE, f"must have the type tag {' or '.join(tags)}")


def _compile_missing(column: Column, path: str, migration_time: int) -> _IfMissing:
    if column.missing is Missing.REFUSED:
        return _refuse_missing
    if column.missing is Missing.MIGRATION_TIME:
        notice = Notice(NoticeCode.TIMESTAMP_DEFAULTED, path)
        now = wire.timestamptz_field(migration_time)

        def default(notices: list[Notice]) -> bytes:
            notices.append(notice)
            return now

        return default
    field = _field_if_missing(column)
    return lambda _notices: field


def _refuse_missing(_notices: list[Notice]) -> bytes:
    message = "is missing, and its column takes no NULL"
    raise ValueRefused(ErrorCode.MISSING_REQUIRED, message)


def _compile_later_of(column: Column, first: str, second: str, migration_time: int) -> _ToField:
    if "." in first + second or column.conversion.sql_type != Timestamp.sql_type:
        message = f"{column.name}: LaterOf takes two timestamps at the top level of the item"
        raise ValueError(message)
    nothing = replace(column, missing=Missing.NULL)
    convert = {name: _compile_attribute(nothing, name, name, migration_time) for name in (first, second)}
    if_missing = _compile_missing(column, first, migration_time)

    def to_field(holder: Item, notices: list[Notice]) -> bytes:
        refusals = {}
        found = []
        for name, attribute_to_field in convert.items():
            try:
                found.append(attribute_to_field(holder, notices))
            except ValueRefused as refused:
                refusals[name] = refused
        if refusals:
            raise _EachRefused(refusals)
        present = [field for field in found if field != wire.NULL]
        return max(present, key=wire.timestamptz_of_field) if present else if_missing(notices)

    return to_field
