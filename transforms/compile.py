"""A table's definition, compiled once into one function from a line to a row.

Everything that does not depend on an item is prepared. Of a sound item the row is made by the compiled module (`transforms.native`); what
that is not sure of goes through its columns here, one by one, and ends as a row or with all its errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter

from transforms.columns import CompiledColumn, EachRefused, Map, compile_column, join, maps_of, open_map
from transforms.lines import Put, read_full_export_line
from transforms.native.plan import compile_sound_rows, never_sure
from transforms.rejects import ErrorCode, ItemError, Notice, NoticeCode, ReadRefused, TransformRefused, ValueRefused
from transforms.table import Table, Unmapped
from transforms.values import NOT_AN_ATTRIBUTE_VALUE, Item, is_attribute_value, is_missing

EncodedRow = bytes
ToRow = Callable[[bytes], tuple[EncodedRow, Sequence[Notice]]]
ReadPut = Callable[[bytes], Put]
"""Reads the lines of exports that hold items alone."""


def compile_table(
    table: Table, *, migration_time: int, unmapped: Unmapped = Unmapped.NOTICE, read: ReadPut = read_full_export_line
) -> ToRow:
    """The function that makes a row of a line.

    `migration_time` in microseconds since 1970-01-01 UTC. The encoded row is the fields of `table.columns` in binary COPY format, without
    the field count before them. The function raises `ReadRefused` and `TransformRefused`, and nothing else on any input.
    """
    maps = maps_of(table.columns)
    columns = _place([compile_column(column, migration_time) for column in table.columns], maps)
    # The compiled module knows the lines of full exports alone.
    is_full_export = read is read_full_export_line
    encode_sound = compile_sound_rows([column for column, _ in columns], maps) if is_full_export else never_sure

    def to_row(line: bytes) -> tuple[EncodedRow, Sequence[Notice]]:
        notices: list[Notice] = []
        sound = encode_sound(line, notices)
        if sound is not None:
            encoded, names = sound
            if names is not None:
                # In the order of the maps, as the conversion in Python reports them.
                by_map = sorted(names, key=itemgetter(0))
                paths = [join(maps[number].path, name) for number, name in by_map if not maps[number].is_covered]
                _tell_unmapped(paths, unmapped, notices, [])
            return encoded, notices
        notices, errors = [], list[ItemError]()
        held = _open_maps(read(line).item, maps, errors)
        encoded = _encode(held, columns, notices, errors)
        _tell_unmapped(_unmapped_attributes(held, maps), unmapped, notices, errors)
        return encoded, notices

    return to_row


def compile_key(table: Table, names: Sequence[str], read: ReadPut = read_full_export_line) -> Callable[[bytes], EncodedRow | None]:
    """The function that makes the fields of some columns of a line that need be no sound item; None where they cannot be read.

    A column that takes the load's time is no part of a key, so that time is no argument.
    """
    wanted = table.only(names).columns
    maps = maps_of(wanted)
    columns = _place([compile_column(column, 0) for column in wanted], maps)

    def to_key(line: bytes) -> EncodedRow | None:
        errors: list[ItemError] = []
        try:
            fields = _encode(_open_maps(read(line).item, maps, errors), columns, [], errors)
        except ReadRefused:
            return None
        return None if errors else fields

    return to_key


def _place(columns: Sequence[CompiledColumn], maps: Sequence[Map]) -> list[tuple[CompiledColumn, int]]:
    """Each column with the number of the map that holds its attribute."""
    numbers = {map_.names: number for number, map_ in enumerate(maps)}
    return [(column, numbers[column.map_names]) for column in columns]


def _open_maps(item: Item, maps: Sequence[Map], errors: list[ItemError]) -> list[Item | None]:
    """The item, then the members of each map inside it; None for one that is no map, which is an error, and for those inside of it."""
    held: list[Item | None] = [item]
    for map_ in maps[1:]:
        parent = held[map_.parent]
        try:
            held.append(None if parent is None else open_map(map_, parent))
        except ValueRefused as refused:
            held.append(None)
            errors.append(_item_error(refused, map_.path, None))
    return held


def _encode(
    held: Sequence[Item | None], columns: Sequence[tuple[CompiledColumn, int]], notices: list[Notice], errors: list[ItemError]
) -> EncodedRow:
    """The fields of a row, which is whole if there are no errors."""
    fields = []
    for column, number in columns:
        holder = held[number]
        if holder is None:
            continue
        try:
            fields.append(column.to_field(holder, notices))
        except ValueRefused as refused:
            errors.append(_item_error(refused, column.attribute, column.column))
        except EachRefused as each:
            errors.extend(_item_error(refused, name, column.column) for name, refused in each.refusals.items())
    return b"".join(fields)


def _item_error(refused: ValueRefused, attribute: str | None, column: str | None) -> ItemError:
    """The error of a value at its place; a read-stage fault ends the item's conversion (`docs/tables.md`)."""
    place = f"{attribute}{refused.path}"
    if refused.code is ErrorCode.INVALID_JSON:
        raise ReadRefused.because(refused.code, refused.message) from None
    if refused.code is ErrorCode.NOT_AN_ITEM:
        raise ReadRefused.because(refused.code, refused.message, place) from None
    return ItemError(refused.code, place, column, refused.message)


def _unmapped_attributes(held: Sequence[Item | None], maps: Sequence[Map]) -> Iterator[str]:
    """The path of each attribute that no column takes; one that is NULL is missing, so it is not there."""
    for map_, holder in zip(maps, held, strict=True):
        if holder is None or map_.known.issuperset(holder):
            continue
        for name, value in holder.items():
            if name not in map_.known:
                path = join(map_.path, name)
                _check_shape(value, path)
                if not map_.is_covered and not is_missing(value):
                    yield path


def _tell_unmapped(paths: Iterable[str], unmapped: Unmapped, notices: list[Notice], errors: list[ItemError]) -> None:
    """Add what is to be said of attributes that no column takes; raises `TransformRefused` if there are any errors then."""
    if unmapped is Unmapped.REJECT:
        errors += [ItemError(ErrorCode.UNMAPPED_ATTRIBUTE, path, None, "no column takes this attribute") for path in paths]
    else:
        notices += [Notice(NoticeCode.UNMAPPED_ATTRIBUTE, path) for path in paths]
    if errors:
        raise TransformRefused(tuple(errors))


def _check_shape(value: object, path: str) -> None:
    if not is_attribute_value(value):
        raise ReadRefused.because(ErrorCode.NOT_AN_ITEM, NOT_AN_ATTRIBUTE_VALUE, path)
