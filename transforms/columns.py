"""One column of a definition, compiled into a function from the map that holds its attribute to its field; and those maps.

This is all that a column does; `transforms/native/plan.py` says what the compiled way does of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from transforms.rejects import ErrorCode, Notice, NoticeCode, ValueRefused
from transforms.rules import Encoder
from transforms.table import Column, LaterOf, Missing, Otherwise, names_of, plain_path
from transforms.types import NULL, TIMESTAMPTZ, timestamptz_field, timestamptz_of_field
from transforms.values import ABSENT, JSON_TYPE_OF_TAG, NOT_AN_ATTRIBUTE_VALUE, Item, check_number, is_attribute_value, is_missing

ToField = Callable[[Item, list[Notice]], bytes]
_WITH_MEMBERS: Final = frozenset({"M", "L"})
IfMissing = Callable[[list[Notice]], bytes]


class CompiledColumn(NamedTuple):
    """`map_names` lead to the map that holds the attribute, none to the item itself; `attribute` is what its errors name."""

    to_field: ToField
    if_missing: IfMissing
    map_names: tuple[str, ...]
    attribute: str | None
    definition: Column

    @property
    def column(self) -> str:
        """The name of the target's column."""
        return self.definition.name


class EachRefused(Exception):
    """One or both attributes of a `LaterOf` are refused."""

    def __init__(self, refusals: Mapping[str, ValueRefused]) -> None:
        super().__init__(refusals)
        self.refusals = refusals


def compile_column(column: Column, migration_time: int) -> CompiledColumn:
    """The column as a function; raises `ValueError` for a definition that cannot keep what it promises.

    `to_field` raises `ValueRefused`, or `EachRefused` where the column is a `LaterOf`.
    """
    if_missing = _compile_missing(column, migration_time)
    match column.attribute:
        case None:
            return CompiledColumn(_constant(column, if_missing), if_missing, (), None, column)
        case LaterOf(first, second):
            return CompiledColumn(_compile_later_of(column, first, second, if_missing), if_missing, (), plain_path(first), column)
        case path:
            *map_names, name = names_of(path)
            to_field = _compile_attribute(column, plain_path(path), name, if_missing)
            return CompiledColumn(to_field, if_missing, tuple(map_names), plain_path(path), column)


def _constant(column: Column, if_missing: IfMissing) -> ToField:
    """The same in every row, so there is nothing to note."""
    if column.missing is Missing.REFUSED:
        message = f"{column.name}: no attribute feeds it, so it needs an Otherwise(...)"
        raise ValueError(message)
    field = if_missing([])
    return lambda _holder, _notices: field


def _field_if_missing(column: Column) -> bytes:
    """The field of a column whose missing rule does not depend on the load."""
    if isinstance(column.missing, Otherwise):
        return column.conversion.encoder("")(column.missing.content, [])
    return NULL


def _compile_attribute(column: Column, path: str, name: str, if_missing: IfMissing) -> ToField:
    encode = column.conversion.encoder(path)
    tags = column.conversion.tags
    if not tags:
        return _any_tag(name, encode, if_missing)
    if any(JSON_TYPE_OF_TAG[tag] is not column.conversion.content_type for tag in tags):
        message = f"{column.name}: {type(column.conversion).__name__} cannot take all of the type tags {', '.join(tags)}"
        raise ValueError(message)
    return _known_tags(name, tags, encode, if_missing)


def _known_tags(name: str, tags: tuple[str, ...], encode: Encoder, if_missing: IfMissing) -> ToField:
    # A conversion of numbers checks them itself; one of text that takes N besides does not know that it has a number.
    takes_text = tags != ("N",)

    def to_field(holder: Item, notices: list[Notice]) -> bytes:
        value = holder.get(name, ABSENT)
        if is_missing(value):
            return if_missing(notices)
        if is_attribute_value(value) and not value.keys().isdisjoint(tags):
            ((tag, content),) = value.items()
            if tag == "N" and takes_text:
                check_number(content)
            return encode(content, notices)
        raise wrong_type(value, tags)

    return to_field


def _any_tag(name: str, encode: Encoder, if_missing: IfMissing) -> ToField:
    def to_field(holder: Item, notices: list[Notice]) -> bytes:
        value = holder.get(name, ABSENT)
        return if_missing(notices) if is_missing(value) else encode(value, notices)

    return to_field


def wrong_type(value: object, tags: Sequence[str]) -> ValueRefused:
    """Why a value that has none of the tags is refused: because it is no attribute value at all, or of another type."""
    if not is_attribute_value(value):
        return ValueRefused(ErrorCode.NOT_AN_ITEM, NOT_AN_ATTRIBUTE_VALUE)
    return ValueRefused(ErrorCode.WRONG_TYPE, f"must have the type tag {' or '.join(tags)}")


def _compile_missing(column: Column, migration_time: int) -> IfMissing:
    if column.missing is Missing.REFUSED:
        return _refuse_missing
    if column.missing is Missing.MIGRATION_TIME:
        notice = Notice(NoticeCode.TIMESTAMP_DEFAULTED, next(map(plain_path, column.paths), column.name))
        now = timestamptz_field(migration_time)

        def default(notices: list[Notice]) -> bytes:
            notices.append(notice)
            return now

        return default
    field = _field_if_missing(column)
    return lambda _notices: field


def _refuse_missing(_notices: list[Notice]) -> bytes:
    message = "is missing, and its column takes no NULL"
    raise ValueRefused(ErrorCode.MISSING_REQUIRED, message)


def _compile_later_of(column: Column, first: str, second: str, if_missing: IfMissing) -> ToField:
    if len(names_of(first) + names_of(second)) > 2 or column.conversion.pg_type != TIMESTAMPTZ:
        message = f"{column.name}: LaterOf takes two timestamps at the top level of the item"
        raise ValueError(message)
    names = (plain_path(first), plain_path(second))
    convert = {name: _compile_attribute(column, name, name, lambda _notices: NULL) for name in names}

    def to_field(holder: Item, notices: list[Notice]) -> bytes:
        refusals = {}
        fields = []
        for name, attribute_to_field in convert.items():
            try:
                fields.append(attribute_to_field(holder, notices))
            except ValueRefused as refused:
                refusals[name] = refused
        if refusals:
            raise EachRefused(refusals)
        present = [field for field in fields if field != NULL]
        return max(present, key=timestamptz_of_field) if present else if_missing(notices)

    return to_field


# -- the maps that columns take their attributes from --------------------------------------------------------------------------------------


class Map(NamedTuple):
    """The item itself, or a map inside it; `parent` is the number of the map that it is in, `known` what columns take of it."""

    names: tuple[str, ...]
    """On the way to it; none for the item."""
    parent: int
    known: frozenset[str]
    is_covered: bool
    """Whether a column takes it whole, or a map that it is in: then nothing in it is without a column."""

    @property
    def path(self) -> str:
        """As errors and notices have it."""
        return ".".join(self.names)

    @property
    def name(self) -> str:
        return self.names[-1]


def maps_of(columns: Sequence[Column]) -> list[Map]:
    """The item first, then every map inside it that a column's path goes through, parents before children."""
    known: dict[tuple[str, ...], set[str]] = {(): set()}
    covered = set()
    for column in columns:
        for names in map(names_of, column.paths):
            for length, name in enumerate(names):
                known.setdefault(names[:length], set()).add(name)
            if not column.conversion.tags or not _WITH_MEMBERS.isdisjoint(column.conversion.tags):
                covered.add(names)
    numbers = {names: number for number, names in enumerate(known)}
    return [
        Map(
            names=names,
            parent=numbers[names[:-1]],
            known=frozenset(of_map),
            is_covered=any(names[:length] in covered for length in range(1, len(names) + 1)),
        )
        for names, of_map in known.items()
    ]


def join(path: str, name: str) -> str:
    """The path of an attribute of a map."""
    return f"{path}.{name}" if path else name


def open_map(map_: Map, parent: Item) -> Item:
    """The members of one; raises `ValueRefused`."""
    value = parent.get(map_.name, ABSENT)
    if is_missing(value):
        return {}
    if is_attribute_value(value) and "M" in value:
        members: Item = value["M"]
        return members
    raise wrong_type(value, ("M",))
