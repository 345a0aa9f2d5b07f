"""One column of a definition, compiled into a function from the values of its attributes to its field; and the maps that hold those.

This is all that a column does; `transforms/native/plan.py` says what the compiled way does of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from transforms.functions import ReadsRefused, compile_computed
from transforms.rejects import ErrorCode, Notice, NoticeCode, ValueRefused
from transforms.rules.base import Encoder, encoders_of, wrong_type
from transforms.sources import (
    Clean,
    Computed,
    Joined,
    LaterOf,
    Names,
    OfElement,
    Parent,
    Part,
    Source,
    Whole,
    compile_clean,
    compile_part,
    names_of,
    plain_path,
)
from transforms.table import Child, Column, Evaluated, Missing, Otherwise
from transforms.types import NULL, TIMESTAMPTZ, timestamptz_field, timestamptz_of_field
from transforms.values import ABSENT, Item, check_number, is_attribute_value, is_missing

ToField = Callable[[Sequence[object], list[Notice]], bytes]
"""Of the values at the column's paths, or of the one that its source is instead; `ABSENT` where there is none."""
ValueToField = Callable[[object, list[Notice]], bytes]
IfMissing = Callable[[list[Notice]], bytes]
Content = Any

_WITH_MEMBERS: Final = frozenset({"M", "L"})
_NOTICES: Final = {
    Clean.REPLACE_NUL: NoticeCode.NUL_REPLACED,
    Clean.TRIM: NoticeCode.TRIMMED,
    Clean.LOWER: NoticeCode.CASE_CHANGED,
    Clean.UPPER: NoticeCode.CASE_CHANGED,
    Clean.EMPTY_AS_NULL: NoticeCode.EMPTY_AS_NULL,
}


class CompiledColumn(NamedTuple):
    """A column as a function of the values at `paths`; `attribute` is what its errors name, None for what is the item or no attribute."""

    to_field: ToField
    if_missing: IfMissing
    paths: tuple[Names, ...]
    attribute: str | None
    definition: Column

    @property
    def column(self) -> str:
        """The name of the target's column."""
        return self.definition.name


class EachRefused(Exception):
    """Some attributes of a column of several are refused."""

    def __init__(self, refusals: Mapping[str, ValueRefused]) -> None:
        super().__init__(refusals)
        self.refusals = refusals


def compile_column(column: Column, migration_time: int) -> CompiledColumn:
    """The column as a function; raises `ValueError` for a definition that cannot keep what it promises.

    `to_field` raises `ValueRefused`, or `EachRefused` where the column has several attributes.
    """
    if not all(isinstance(path, str) for path in column.paths):
        message = f"{column.name}: {column.source!r} must read paths, which are texts"
        raise ValueError(message)
    if_missing = _compile_missing(column, migration_time)
    attribute = next(map(plain_path, column.paths), None)
    of_item = replace(column, source=source_of_item(column, column.source)) if isinstance(column.source, Parent) else column
    to_field = _compile_source(of_item, attribute, if_missing)
    return CompiledColumn(to_field, if_missing, tuple(map(names_of, column.paths)), attribute, column)


def source_of_item(column: Column, parent: Parent) -> Source:
    """What a column of a `Child` takes of the item. Raises `ValueError`."""
    source: object = parent.source
    if isinstance(source, str | LaterOf | Part | Joined | Computed):
        return source
    message = f"{column.name}: Parent takes a path, LaterOf, Part, Joined or Computed, not {source!r}"
    raise ValueError(message)


def _compile_source(column: Column, attribute: str | None, if_missing: IfMissing) -> ToField:
    if column.source is None:
        return _constant(column, if_missing)
    if isinstance(column.source, LaterOf):
        return _later_of(column, column.source, if_missing)
    value_to_field = _compile_value(column, attribute or "", if_missing)
    match column.source:
        case str() | OfElement() | Whole():
            _expect_tags(column, ("M",) if isinstance(column.source, Whole) else ())
            return lambda values, notices: value_to_field(values[0], notices)
        case Part() as part:
            _expect_tags(column, ("S",))
            return _part(column, part, value_to_field)
        case Joined() as joined:
            _expect_tags(column, ("S",))
            return _joined(column, joined, value_to_field)
        case Computed() as computed:
            return _computed(column, computed, value_to_field)
    message = f"{column.name}: {column.source!r} is no source of a value: a path, LaterOf, Part, Joined, ITEM, REST, Computed or None"
    raise ValueError(message)


def _expect_tags(column: Column, made: tuple[str, ...]) -> None:
    """What a source makes must be something that the rule takes; texts alone are cleaned."""
    tags = column.rule.tags
    if made and tags and not set(made) & set(tags):
        message = f"{column.name}: the source is of the type {made[0]}, and {type(column.rule).__name__} takes {' or '.join(tags)}"
        raise ValueError(message)
    if made == ("M",) and column.clean:
        message = f"{column.name}: clean is for texts, and its source is a map"
        raise ValueError(message)


def _constant(column: Column, if_missing: IfMissing) -> ToField:
    """The same in every row, so there is nothing to note."""
    if column.missing is Missing.REFUSED:
        message = f"{column.name}: no attribute feeds it, so it needs an Otherwise(...)"
        raise ValueError(message)
    if column.clean:
        message = f"{column.name}: no attribute feeds it, so there is nothing to clean"
        raise ValueError(message)
    field = if_missing([])
    return lambda _values, _notices: field


# -- one value: cleaning, then the rule ----------------------------------------------------------------------------------------------------


def _compile_value(column: Column, path: str, if_missing: IfMissing) -> ValueToField:
    to_field = _compile_rule(column, path, if_missing)
    if not column.clean:
        return to_field
    try:
        clean = compile_clean(column.clean)
    except ValueError as error:
        message = f"{column.name}: {error}"
        raise ValueError(message) from None
    all_notices = {kind: Notice(code, path) for kind, code in _NOTICES.items()}

    def cleaned(value: object, notices: list[Notice]) -> bytes:
        if is_attribute_value(value) and "S" in value:
            text, changes = clean(value["S"])
            notices.extend(all_notices[kind] for kind in changes)
            value = ABSENT if text is None else {"S": text}
        return to_field(value, notices)

    return cleaned


def _compile_rule(column: Column, path: str, if_missing: IfMissing) -> ValueToField:
    if not column.rule.tags:
        return _any_tag(column.rule.encoder(path), if_missing)
    return _known_tags(encoders_of(column.rule, path), if_missing)


def _known_tags(encoders: Mapping[str, Encoder], if_missing: IfMissing) -> ValueToField:
    tags = tuple(encoders)

    def to_field(value: object, notices: list[Notice]) -> bytes:
        if is_missing(value):
            return if_missing(notices)
        if is_attribute_value(value):
            ((tag, content),) = value.items()
            encode = encoders.get(tag)
            if encode is not None:
                return encode(content, notices)
        raise wrong_type(value, tags)

    return to_field


def _any_tag(encode: Encoder, if_missing: IfMissing) -> ValueToField:
    return lambda value, notices: if_missing(notices) if is_missing(value) else encode(value, notices)


# -- where it is missing -------------------------------------------------------------------------------------------------------------------


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


def _field_if_missing(column: Column) -> bytes:
    """The field of a column whose missing rule does not depend on the load."""
    if isinstance(column.missing, Otherwise):
        return column.rule.encoder("")(column.missing.content, [])
    if isinstance(column.missing, Evaluated):
        return column.missing.field
    if column.takes_default:
        message = f"{column.name}: the value of its DEFAULT is the load's, and was not given (`Table.with_defaults`)"
        raise ValueError(message)
    return NULL


def _refuse_missing(_notices: list[Notice]) -> bytes:
    message = "is missing, and its column takes no NULL"
    raise ValueRefused(ErrorCode.MISSING_REQUIRED, message)


# -- what is made of attributes before ---------------------------------------------------------------------------------------------------


def _part(column: Column, part: Part, value_to_field: ValueToField) -> ToField:
    try:
        take = compile_part(part.pattern, part.name)
    except ValueError as error:
        message = f"{column.name}: {error}"
        raise ValueError(message) from None

    def to_field(values: Sequence[object], notices: list[Notice]) -> bytes:
        (value,) = values
        if is_missing(value):
            return value_to_field(ABSENT, notices)
        if not is_attribute_value(value) or "S" not in value:
            raise wrong_type(value, ("S",))
        text = take(value["S"])
        if text is None:
            message = f"must be of the form {part.pattern}"
            raise ValueRefused(ErrorCode.PATTERN_MISMATCH, message)
        return value_to_field({"S": text}, notices)

    return to_field


def _joined(column: Column, joined: Joined, value_to_field: ValueToField) -> ToField:
    if not joined.paths or not isinstance(joined.separator, str):
        message = f"{column.name}: Joined takes paths, and a text between them"
        raise ValueError(message)

    def to_field(values: Sequence[object], notices: list[Notice]) -> bytes:
        texts, refusals = _each(column, values, _joined_text)
        if refusals:
            raise EachRefused(refusals)
        return value_to_field(ABSENT if None in texts else {"S": joined.separator.join(map(str, texts))}, notices)

    return to_field


def _joined_text(value: object) -> str | None:
    if is_missing(value):
        return None
    if not is_attribute_value(value) or value.keys().isdisjoint(("S", "N")):
        raise wrong_type(value, ("S", "N"))
    ((tag, content),) = value.items()
    if tag == "N":
        check_number(content)
    return str(content)


def _computed(column: Column, computed: Computed, value_to_field: ValueToField) -> ToField:
    try:
        compute = compile_computed(computed.function, computed.reads)
    except ValueError as error:
        message = f"{column.name}: {error}"
        raise ValueError(message) from None

    def to_field(values: Sequence[object], notices: list[Notice]) -> bytes:
        try:
            value = compute(values)
        except ReadsRefused as each:
            raise EachRefused({plain_path(column.paths[number]): refused for number, refused in each.refusals.items()}) from None
        return value_to_field(value, notices)

    return to_field


def _later_of(column: Column, later: LaterOf, if_missing: IfMissing) -> ToField:
    if column.rule.pg_type != TIMESTAMPTZ:
        message = f"{column.name}: LaterOf takes two timestamps, and {type(column.rule).__name__} fills a {column.rule.pg_type}"
        raise ValueError(message)
    convert = [_compile_value(column, plain_path(path), lambda _notices: NULL) for path in (later.first, later.second)]

    def to_field(values: Sequence[object], notices: list[Notice]) -> bytes:
        pairs = list(zip(convert, values, strict=True))
        fields, refusals = _each(column, pairs, lambda pair: pair[0](pair[1], notices))
        if refusals:
            raise EachRefused(refusals)
        present = [field for field in fields if field != NULL]
        return max(present, key=timestamptz_of_field) if present else if_missing(notices)

    return to_field


def _each(column: Column, values: Sequence[Any], convert: Callable[[Any], Content]) -> tuple[list[Content], dict[str, ValueRefused]]:
    """What is made of each value, or why it is refused, by its path."""
    made: list[Content] = []
    refusals: dict[str, ValueRefused] = {}
    for path, value in zip(column.paths, values, strict=True):
        try:
            made.append(convert(value))
        except ValueRefused as refused:
            refusals.setdefault(plain_path(path), refused)
    return made, refusals


# -- the maps that columns take their attributes from --------------------------------------------------------------------------------------


class Map(NamedTuple):
    """The item itself, or a map or list inside it that paths go through; `parent` is the number of the one that it is in."""

    names: Names
    """On the way to it; none for the item."""
    parent: int
    known: frozenset[str | int]
    """What columns take of it or go through, and what the table's condition tells."""
    taken: frozenset[str | int]
    """What columns take of it as it is."""
    is_list: bool
    is_covered: bool
    """Whether a column takes it whole, or one that it is in: then nothing in it is without a column."""

    @property
    def path(self) -> str:
        """As errors and notices have it."""
        return plain_path(self.names)

    @property
    def name(self) -> str | int:
        return self.names[-1]

    @property
    def tag(self) -> str:
        return "L" if self.is_list else "M"


def maps_of(columns: Sequence[Column], children: Sequence[Child] = (), told: Sequence[str] = ()) -> list[Map]:
    """The item first, then every map and list inside it that a path goes through, parents before children. Raises `ValueError`.

    `told` are paths of attributes that need no column, because the table's condition tells their value.
    """
    known: dict[Names, set[str | int]] = {(): set()}
    taken: dict[Names, set[str | int]] = {(): set()}
    covered: set[Names] = set()
    for names, is_whole in _taken_by(columns, children):
        for length, name in enumerate(names):
            known.setdefault(names[:length], set()).add(name)
        if names:
            taken.setdefault(names[:-1], set()).add(names[-1])
        if is_whole:
            covered.add(names)
    for *above, name in map(names_of, told):
        if isinstance(name, str):
            known.get(tuple(above), set()).add(name)
    for names, of_map in known.items():
        if len({type(name) for name in of_map}) > 1:
            message = f"{plain_path(names)} cannot be a map and a list: paths take members of it by name and elements by index"
            raise ValueError(message)
    numbers = {names: number for number, names in enumerate(known)}
    return [
        Map(
            names=names,
            parent=numbers[names[:-1]],
            known=frozenset(of_map),
            taken=frozenset(taken.get(names, ())),
            is_list=any(isinstance(name, int) for name in of_map),
            is_covered=any(names[:length] in covered for length in range(len(names) + 1)),
        )
        for names, of_map in known.items()
    ]


def _taken_by(columns: Sequence[Column], children: Sequence[Child]) -> Iterator[tuple[Names, bool]]:
    """Each place that is taken, and whether all that is below it is, too."""
    for column in columns:
        if isinstance(column.source, Whole):
            yield (), True
        reads_all = isinstance(column.source, Computed) or not column.rule.tags or not _WITH_MEMBERS.isdisjoint(column.rule.tags)
        for path in column.paths:
            yield names_of(path), reads_all
    for child in children:
        yield names_of(child.path), True
        yield from _taken_by([column for column in child.columns if isinstance(column.source, Parent)], ())


def open_map(map_: Map, parent: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """The members of one by their names, or the elements by their indexes; raises `ValueRefused`."""
    value = parent.get(map_.name, ABSENT)
    if is_missing(value):
        return {}
    if is_attribute_value(value) and map_.tag in value:
        content = value[map_.tag]
        return dict(enumerate(content)) if map_.is_list else content
    raise wrong_type(value, (map_.tag,))


def compile_rest(maps: Sequence[Map]) -> Callable[[Item], Item]:
    """The function of an item that leaves out what is taken of it, and of its maps; a list of which parts are taken stays whole."""
    inside: list[dict[str | int, int]] = [{} for _ in maps]
    for number, map_ in enumerate(maps):
        if number and not map_.is_list:
            inside[map_.parent][map_.name] = number

    def rest_of(members: Item, number: int) -> Item:
        rest = {}
        for name, value in members.items():
            if name in maps[number].taken:
                continue
            opened = inside[number].get(name)
            if opened is None or not is_attribute_value(value) or "M" not in value:
                rest[name] = value
                continue
            left = rest_of(value["M"], opened)
            # One that is empty in the item is so in the rest; one of which all is taken is not there.
            if left or not value["M"]:
                rest[name] = {"M": left}
        return rest

    return lambda item: rest_of(item, 0)
