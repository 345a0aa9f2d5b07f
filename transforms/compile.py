"""A table's definition, compiled once into one function from a line to a row.

Everything that does not depend on an item is prepared. Of a sound item the row is made by the compiled module (`transforms.native`). Of
another one it says which columns it is not sure of: if one of these refuses its value, so is the item, with all its errors. All other items
go through their columns here, one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NamedTuple

import orjson

from transforms.columns import CompiledColumn, EachRefused, Map, compile_column, compile_rest, maps_of, open_map
from transforms.lines import Put, parse_json, read_full_export_line
from transforms.native.plan import IS_BUILT, NEVER_SURE, Left, TryLines, compile_sound_rows, is_called, leave_lines, reasons_of
from transforms.rejects import (
    ErrorCode,
    ItemError,
    ItemFiltered,
    Notice,
    NoticeCode,
    ReadRefused,
    TransformRefused,
    ValueRefused,
    item_error,
)
from transforms.sources import OfElement, Parent, Whole, join, names_of
from transforms.table import Column, Table, Unmapped
from transforms.values import ABSENT, NOT_AN_ATTRIBUTE_VALUE, Item, is_attribute_value, is_missing
from transforms.where import IGNORED, Ignore, compile_condition, in_words, paths_told_by, reads_python

EncodedRow = bytes
ToRow = Callable[[bytes], tuple[EncodedRow, Sequence[Notice]]]
ReadPut = Callable[[bytes], Put]
"""Reads the lines of exports that hold items alone."""
Held = Sequence[Mapping[Any, Any] | None]
"""The item and what `maps_of` says is in it, opened; None for one that is no map or list, as it should be."""
ValuesOf = Callable[[Held], Sequence[object] | None]
"""The values that a column takes; None where they are in something that could not be opened."""


class CompiledTable(NamedTuple):
    """The functions of one definition."""

    to_row: ToRow
    take_absent: Callable[[], list[str]]
    """The paths of the definition that no item had since this was last called, in their order; one that is NULL is there."""
    try_lines: TryLines
    """What many lines become, without their rows; `to_row` must decide about those that are left."""


def compile_table(
    table: Table, *, migration_time: int, unmapped: Unmapped = Unmapped.NOTICE, read: ReadPut = read_full_export_line
) -> ToRow:
    """The function that makes a row of a line, as `compile_whole_table` says."""
    return compile_whole_table(table, migration_time=migration_time, unmapped=unmapped, read=read).to_row


def compile_whole_table(
    table: Table, *, migration_time: int, unmapped: Unmapped = Unmapped.NOTICE, read: ReadPut = read_full_export_line
) -> CompiledTable:
    """The function that makes a row of a line, and those that say which attributes none of the items had, and what many lines become.

    `migration_time` in microseconds since 1970-01-01 UTC. The encoded row is the fields of `table.columns` in binary COPY format, without
    the field count before them. The function raises `ReadRefused` and `TransformRefused`, and nothing else on any input; and, where the
    table has a condition, `ItemFiltered` for an item that is not for it. This raises `ValueError` for a definition that cannot be.
    """
    compiled = [compile_column(column, migration_time) for column in table.columns]
    maps = maps_of(table.columns, table.children, paths_told_by(table.where))
    columns = place_columns(compiled, maps)
    check_taken = compile_where(table)
    # The compiled module knows the lines of full exports alone.
    is_full_export = read is read_full_export_line
    others = [other for other in table.others if not isinstance(other, Ignore)]
    conditions = [] if table.where is None else [table.where, *others]
    # What is only ignored must be told apart from what is for no table; where another table takes an item, that is decided.
    is_alone = bool(table.others) and not others
    unmapped_paths = compile_unmapped(maps)
    is_checked_first = _is_checked_by_python(table)
    reasons = reasons_of(conditions)
    sound_functions = compile_sound_rows(compiled, maps, [] if is_checked_first else conditions) if is_full_export else NEVER_SURE
    encode_sound, find_left, take_unseen, try_lines = sound_functions
    places = _places_of(table.paths, maps)
    # Of each map and list what no item had, of those that were converted here.
    unseen = [set(map_.known) for map_ in maps]
    refuse_left = compile_refusal(compiled, unseen, unmapped_paths, unmapped)

    def to_row(line: bytes) -> tuple[EncodedRow, Sequence[Notice]]:
        if is_checked_first:
            check_taken(read(line).item)
        notices: list[Notice] = []
        sound = encode_sound(line, notices)
        if isinstance(sound, tuple):
            encoded, names = sound
            if names:
                paths, noticed = unmapped_paths(tuple(names))
                if paths and unmapped is Unmapped.REJECT:
                    _tell_unmapped(paths, unmapped, notices, [])
                notices += noticed
            return encoded, notices
        if sound is not None:
            if is_alone:
                check_taken(read(line).item)
            raise ItemFiltered(reasons[sound])
        refuse_left(find_left(line))
        notices, errors = [], list[ItemError]()
        item = read(line).item
        check_taken(item)
        held = open_maps(item, maps, errors)
        _note_seen(unseen, held)
        encoded = encode_columns(held, columns, notices, errors)
        _tell_unmapped(unmapped_attributes(held, maps), unmapped, notices, errors)
        return encoded, notices

    def take_absent() -> list[str]:
        left_out = None if take_unseen is None else frozenset(take_unseen())
        absent = [
            path for path, (number, name) in places.items() if name in unseen[number] and (left_out is None or (number, name) in left_out)
        ]
        for left, map_ in zip(unseen, maps, strict=True):
            left.update(map_.known)
        return absent

    is_sure = not is_checked_first and not is_alone and unmapped is not Unmapped.REJECT
    return CompiledTable(to_row, take_absent, try_lines if is_sure else leave_lines)


UnmappedPaths = Callable[[tuple[tuple[int, str], ...]], tuple[Sequence[str], Sequence[Notice]]]


def compile_refusal(
    compiled: Sequence[CompiledColumn], unseen: Sequence[set[str | int]], unmapped_paths: UnmappedPaths, unmapped: Unmapped
) -> Callable[[Left | None], None]:
    """The function that raises what an item is refused for, if one of the columns that are left refuses its values; all others are sound.

    What the item has is taken out of `unseen`. Where none refuses, or the line itself may be no JSON, it does nothing.
    """

    def refuse_left(left: Left | None) -> None:
        values = None if left is None else read_left(left.columns)
        if left is None or values is None:
            return
        for number, name in left.seen:
            unseen[number].discard(name)
        errors: list[ItemError] = []
        for (number, _), of_column in zip(left.columns, values, strict=True):
            encode_column(compiled[number], of_column, [], errors)
        if errors:
            _tell_unmapped(unmapped_paths(tuple(left.unmapped))[0], unmapped, [], errors)

    return refuse_left


def compile_unmapped(maps: Sequence[Map]) -> UnmappedPaths:
    """The function that makes paths, and notices, of what the compiled module says that no column takes."""

    # Most items of a table have the same ones, if any.
    @lru_cache(maxsize=1024)
    def unmapped_paths(names: tuple[tuple[int, str], ...]) -> tuple[Sequence[str], Sequence[Notice]]:
        # In the order of the maps, as the conversion in Python reports them.
        by_map = [(maps[number], name) for number, name in sorted(names, key=itemgetter(0))]
        paths = [
            map_.path if map_.is_list else join(map_.path, name)
            for map_, name in by_map
            # What only a child takes is none of the compiled module's attributes.
            if not map_.is_covered and (map_.is_list or name not in map_.known)
        ]
        return paths, [Notice(NoticeCode.UNMAPPED_ATTRIBUTE, path) for path in paths]

    return unmapped_paths


def _is_checked_by_python(table: Table) -> bool:
    """Whether its conditions, or those of others that it knows, call functions of Python."""
    ignored = (other.where for other in table.others if isinstance(other, Ignore))
    others = (other for other in table.others if not isinstance(other, Ignore))
    return any(map(reads_python, [*([] if table.where is None else [table.where, *others]), *ignored]))


def left_to_python(table: Table) -> list[Column | None]:
    """The columns whose values the compiled conversion asks Python for, then None where a condition is Python's.

    Nothing where the compiled module is not there, which leaves everything. Raises `ValueError` for a definition that cannot be.
    """
    if not IS_BUILT:
        return []
    compiled = [compile_column(column.with_default(), 0) for column in table.columns]
    return [*(column.definition for column in compiled if is_called(column)), *[None] * _is_checked_by_python(table)]


def compile_key(
    table: Table, names: Sequence[str], read: ReadPut = read_full_export_line, *, migration_time: int = 0
) -> Callable[[bytes], EncodedRow | None]:
    """The function that makes the fields of some columns of a line that need be no sound item; None where they cannot be read.

    `migration_time` as for `compile_table`, for a column that may take it.
    """
    wanted = table.only(names).columns
    maps = maps_of(wanted)
    columns = place_columns([compile_column(column, migration_time) for column in wanted], maps)

    def to_key(line: bytes) -> EncodedRow | None:
        errors: list[ItemError] = []
        try:
            fields = encode_columns(open_maps(read(line).item, maps, errors), columns, [], errors)
        except ReadRefused:
            return None
        return None if errors else fields

    return to_key


def compile_where(table: Table) -> Callable[[Item], None]:
    """The function that raises `ItemFiltered` for an item that is not for this table, and `TransformRefused` for one that is for none."""
    if table.where is None:
        return lambda _item: None
    why_not = compile_condition(table.where)
    others = [compile_condition(other) for other in table.others if not isinstance(other, Ignore)]
    ignored = [(compile_condition(other.where), in_words(other.where)) for other in table.others if isinstance(other, Ignore)]
    message = f"no definition takes this item of {table.source}; one more, or Ignore(...), would"
    no_table = ItemError(ErrorCode.NO_TABLE, None, None, message)

    def check_taken(item: Item) -> None:
        reason = why_not(item)
        if reason is None:
            return
        if not table.others or any(other(item) is None for other in others):
            raise ItemFiltered(reason)
        for is_not_ignored, words in ignored:
            if is_not_ignored(item) is None:
                raise ItemFiltered(f"{IGNORED}{words}")
        raise TransformRefused((no_table,))

    return check_taken


def place_columns(columns: Sequence[CompiledColumn], maps: Sequence[Map]) -> list[tuple[CompiledColumn, ValuesOf]]:
    """Each column with what finds its values."""
    numbers = {map_.names: number for number, map_ in enumerate(maps)}
    return [(column, _values_of(column, maps, numbers)) for column in columns]


def _values_of(column: CompiledColumn, maps: Sequence[Map], numbers: Mapping[Any, int]) -> ValuesOf:
    match column.definition.source:
        case Whole.ITEM:
            return lambda held: ({"M": held[0]},)
        case Whole.REST:
            rest_of = compile_rest(maps)
            return lambda held: ({"M": rest_of(dict(held[0] or {}))},)
        case Parent() | OfElement():
            message = f"{column.column}: ELEMENT, POSITION, MEMBER and Parent(...) are for the columns of a Child"
            raise ValueError(message)
    places = [(numbers[names[:-1]], names[-1]) for names in column.paths]
    if len(places) == 1:
        ((number, name),) = places
        return lambda held: None if (holder := held[number]) is None else (holder.get(name, ABSENT),)

    def values_of(held: Held) -> Sequence[object] | None:
        values: list[object] = []
        for number, name in places:
            holder = held[number]
            if holder is None:
                return None
            values.append(holder.get(name, ABSENT))
        return values

    return values_of


def open_maps(item: Item, maps: Sequence[Map], errors: list[ItemError]) -> Held:
    """The item, then the members of each map inside it; None for one that is no map, which is an error, and for those inside of it."""
    held: list[Mapping[Any, Any] | None] = [item]
    for map_ in maps[1:]:
        parent = held[map_.parent]
        try:
            held.append(None if parent is None else open_map(map_, parent))
        except ValueRefused as refused:
            held.append(None)
            errors.append(item_error(refused, map_.path, None))
    return held


def _places_of(paths: Iterable[str], maps: Sequence[Map]) -> dict[str, tuple[int, str | int]]:
    """Where each path is looked for: the number of the map or list, and the name or index in it."""
    numbers = {map_.names: number for number, map_ in enumerate(maps)}
    parted = ((path, names_of(path)) for path in paths)
    return {path: (numbers[names[:-1]], names[-1]) for path, names in parted if names and names[:-1] in numbers}


def _note_seen(unseen: Sequence[set[str | int]], held: Held) -> None:
    """Takes out of `unseen` what this item has: after the first items that is nearly nothing."""
    for left, holder in zip(unseen, held, strict=True):
        if left and holder:
            left.difference_update([name for name in left if name in holder])


def encode_columns(
    held: Held, columns: Sequence[tuple[CompiledColumn, ValuesOf]], notices: list[Notice], errors: list[ItemError]
) -> EncodedRow:
    """The fields of a row, which is whole if there are no errors."""
    each = ((column, values_of(held)) for column, values_of in columns)
    return b"".join([encode_column(column, values, notices, errors) for column, values in each if values is not None])


def encode_column(column: CompiledColumn, values: Sequence[object], notices: list[Notice], errors: list[ItemError]) -> bytes:
    """The field of one column; empty where that adds an error."""
    try:
        return column.to_field(values, notices)
    except ValueRefused as refused:
        errors.append(item_error(refused, column.attribute, column.column))
    except EachRefused as each:
        errors.extend(item_error(refused, name, column.column) for name, refused in each.refusals.items())
    return b""


# The parser has a limit, and a value is less deep than the line that it is in.
_SURELY_NOT_TOO_DEEP: Final = 500


def read_left(columns: Iterable[tuple[int, Sequence[bytes | None]]]) -> list[list[object]] | None:
    """The values of columns of their JSON, `ABSENT` for None; None where the whole line must be read to know what is wrong with it."""
    values: list[list[object]] = []
    for _, texts in columns:
        if any(text is not None and text.count(b"{") + text.count(b"[") > _SURELY_NOT_TOO_DEEP for text in texts):
            return None
        try:
            values.append([ABSENT if text is None else parse_json(text) for text in texts])
        except orjson.JSONDecodeError:
            return None
    return values


def unmapped_attributes(held: Held, maps: Sequence[Map]) -> Iterator[str]:
    """The path of each attribute that no column takes, and of each list of whose elements that is true; one that is NULL is missing."""
    for map_, holder in zip(maps, held, strict=True):
        if holder is None or map_.known.issuperset(holder):
            continue
        is_told = map_.is_covered
        for name, value in holder.items():
            if name not in map_.known:
                path = join(map_.path, name)
                _check_shape(value, path)
                if not is_told and not is_missing(value):
                    yield map_.path if map_.is_list else path
                    # A list may hold thousands.
                    is_told = map_.is_list


def _tell_unmapped(paths: Iterable[str], unmapped: Unmapped, notices: list[Notice], errors: list[ItemError]) -> None:
    """Add what is to be said of attributes that no column takes; raises `TransformRefused` if there are any errors then."""
    if unmapped is Unmapped.REJECT:
        errors += [ItemError(ErrorCode.UNMAPPED_ATTRIBUTE, path, None, "no column takes this attribute") for path in paths]
    else:
        notices += [Notice(NoticeCode.UNMAPPED_ATTRIBUTE, path) for path in paths]
    if errors:
        raise TransformRefused(one_for_each_attribute(errors))


_FIRST = (ErrorCode.MISSING_REQUIRED, ErrorCode.WRONG_TYPE, ErrorCode.NUL_CHARACTER)


def one_for_each_attribute(errors: Sequence[ItemError]) -> tuple[ItemError, ...]:
    """Several columns may take one attribute: the first of its errors in the order of `docs/tables.md`, then of the columns."""
    found: dict[str | int, ItemError] = {}
    for number, error in enumerate(errors):
        place = number if error.attribute is None else error.attribute
        if place not in found or _rank(error) < _rank(found[place]):
            found[place] = error
    return tuple(found.values())


def _rank(error: ItemError) -> int:
    return _FIRST.index(error.code) if error.code in _FIRST else len(_FIRST)


def _check_shape(value: object, path: str) -> None:
    if not is_attribute_value(value):
        raise ReadRefused.because(ErrorCode.NOT_AN_ITEM, NOT_AN_ATTRIBUTE_VALUE, path)
