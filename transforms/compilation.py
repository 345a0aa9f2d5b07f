"""A table's definition, compiled once into one function from a line to a row.

Everything that does not depend on an item is prepared. A sound item then takes one pass over its columns; only an item that is refused is
gone through a second time, for all its errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from transforms.attribute_value import NOT_AN_ATTRIBUTE_VALUE, Item, is_attribute_value, is_missing, line_to_item
from transforms.column import CompiledColumn, EachRefused, compile_column
from transforms.maps import Map, join, maps_of, open_map, open_maps
from transforms.native import compile_sound_rows
from transforms.reject import ErrorCode, ItemError, ItemRefused, Notice, NoticeCode, ReadRefused, TransformRefused, ValueRefused
from transforms.table import Table, Unmapped

EncodedRow = bytes
ToRow = Callable[[bytes], tuple[EncodedRow, Sequence[Notice]]]


def compile_table(table: Table, *, migration_time: int, unmapped: Unmapped = Unmapped.NOTICE) -> ToRow:
    """The function that makes a row of a line.

    `migration_time` in microseconds since 1970-01-01 UTC. The encoded row is the fields of `table.columns` in binary COPY format, without
    the field count before them. The function raises `ReadRefused` and `TransformRefused`, and nothing else on any input.
    """
    maps = maps_of(table.columns)
    columns = [compile_column(column, migration_time) for column in table.columns]
    rejects_unmapped = unmapped is Unmapped.REJECT

    inner_maps = maps[1:]
    encode_sound = compile_sound_rows(columns, maps)
    encode_row = _compile_row(columns, maps)

    def to_row(line: bytes) -> tuple[EncodedRow, Sequence[Notice]]:
        notices: list[Notice] = []
        try:
            sound = encode_sound(line, notices)
        except (ValueRefused, EachRefused):
            sound = None
        if sound is not None and sound[1]:
            return sound[0], notices
        item = line_to_item(line)
        try:
            held = open_maps(item, inner_maps)
            if sound is None:
                notices = []
            encoded = encode_row(held, notices) if sound is None else sound[0]
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
    maps = maps_of(wanted)
    encode_row = _compile_row([compile_column(column, 0) for column in wanted], maps)

    def to_key(line: bytes) -> EncodedRow | None:
        try:
            return encode_row(open_maps(line_to_item(line), maps[1:]), [])
        except (ReadRefused, ValueRefused, EachRefused):
            return None

    return to_key


def _compile_row(columns: Sequence[CompiledColumn], maps: Sequence[Map]) -> Callable[[Sequence[Item], list[Notice]], EncodedRow]:
    """All fields of a row, of the maps that are open."""
    fields = [(column.to_field, _number_of_map(column, maps)) for column in columns]
    return lambda held, notices: b"".join([to_field(held[number], notices) for to_field, number in fields])


def _number_of_map(column: CompiledColumn, maps: Sequence[Map]) -> int:
    return next(number for number, map_ in enumerate(maps) if map_.path == column.map_path)


def _item_error(refused: ValueRefused, attribute: str | None, column: str | None) -> ItemError:
    """The error of a value at its place; a read-stage fault ends the item's conversion (`rulings.md`, "Edges")."""
    place = f"{attribute}{refused.path}"
    if refused.code is ErrorCode.INVALID_JSON:
        raise ReadRefused.because(refused.code, refused.message) from None
    if refused.code is ErrorCode.NOT_AN_ITEM:
        raise ReadRefused.because(refused.code, refused.message, place) from None
    return ItemError(refused.code, place, column, refused.message)


def _all_errors(item: Item, maps: Sequence[Map], columns: Sequence[CompiledColumn], unmapped: Unmapped) -> ItemRefused:
    """What is wrong with an item of which something is: the way of the sound ones again, but not ending at the first error."""
    errors: list[ItemError] = []
    held: list[Item | None] = [item]
    for map_ in maps[1:]:
        parent = held[map_.parent]
        try:
            held.append(None if parent is None else open_map(map_, parent))
        except ValueRefused as refused:
            held.append(None)
            errors.append(_item_error(refused, map_.path, None))
    for column in columns:
        holder = held[_number_of_map(column, maps)]
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


def _unmapped_attributes(map_: Map, holder: Item) -> Iterator[str]:
    """The path of each attribute of the map that no column takes; one that is NULL is missing, so it is not there."""
    for name, value in holder.items():
        if name not in map_.known:
            path = join(map_.path, name)
            _check_shape(value, path)
            if not is_missing(value):
                yield path


def _check_shape(value: object, path: str) -> None:
    if not is_attribute_value(value):
        raise ReadRefused.because(ErrorCode.NOT_AN_ITEM, NOT_AN_ATTRIBUTE_VALUE, path)
