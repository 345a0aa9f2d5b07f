"""Child rows: a row of a further table for each element of a list, or member of a map, of the item.

An element is converted as an item of four attributes would be: the element itself, its position, its name, and the item that it is in. So
a child's column has all that any other column has, and what is refused or noted names the element: `lines[3].sku`. The compiled module gets
it as a line of such an item. Python reads the item before that, and makes the rows that the module is not sure of.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import orjson

from transforms.columns import CompiledColumn, Map, compile_column, maps_of, source_of_item
from transforms.compile import (
    EncodedRow,
    ReadPut,
    ToRow,
    compile_unmapped,
    compile_whole_table,
    encode_columns,
    one_for_each_attribute,
    open_maps,
    place_columns,
    unmapped_attributes,
)
from transforms.lines import read_full_export_line
from transforms.native.plan import IS_BUILT, compile_sound_rows, is_called
from transforms.rejects import (
    ErrorCode,
    ItemError,
    Notice,
    NoticeCode,
    ReadRefused,
    TransformRefused,
    ValueRefused,
    item_error,
)
from transforms.rules.base import wrong_type
from transforms.sources import (
    Computed,
    Joined,
    LaterOf,
    Names,
    OfElement,
    Parent,
    Part,
    Reads,
    Source,
    Whole,
    join,
    names_of,
    paths_of,
    plain_path,
)
from transforms.table import Child, Column, Table, Unmapped
from transforms.values import ABSENT, AttributeValue, Item, is_attribute_value, is_missing

ChildRows = tuple[Sequence[EncodedRow], ...]
"""Of each of a table's children the rows of one item, in the item's order."""
ToRows = Callable[[bytes], tuple[EncodedRow, Sequence[Notice], ChildRows]]
"""As `ToRow`, for a table that has children."""

_ELEMENT: Final = "element"
_ITEM: Final = "item"
_PLACE_OF: Final = {OfElement.ELEMENT: _ELEMENT, OfElement.POSITION: "position", OfElement.MEMBER: "member"}
_PATH: Final = re.compile(rf"({_ITEM}|element|position|member)(.*)", re.DOTALL)
_SETS: Final = {"SS": "S", "NS": "N", "BS": "B"}


class CompiledRows(NamedTuple):
    """As `CompiledTable`, with child rows where the table has children."""

    to_row: ToRow | ToRows
    take_absent: Callable[[], list[str]]
    """Of the item's own columns."""


def compile_rows(
    table: Table, *, migration_time: int, unmapped: Unmapped = Unmapped.NOTICE, read: ReadPut = read_full_export_line
) -> ToRow | ToRows:
    """The function that makes the row of a line, and the rows of its children; as `compile_table`, whose it is for a table without any.

    A refusal has the errors of the item and of all its children: where one cannot be a row, nothing of the item is.
    """
    return compile_whole_rows(table, migration_time=migration_time, unmapped=unmapped, read=read).to_row


def compile_whole_rows(
    table: Table, *, migration_time: int, unmapped: Unmapped = Unmapped.NOTICE, read: ReadPut = read_full_export_line
) -> CompiledRows:
    """The same, and the function that says which attributes none of the items had."""
    to_row, take_absent, _ = compile_whole_table(table, migration_time=migration_time, unmapped=unmapped, read=read)
    if not table.children:
        return CompiledRows(to_row, take_absent)
    children = [_CompiledChild(child, migration_time, unmapped) for child in table.children]

    def to_rows(line: bytes) -> tuple[EncodedRow, Sequence[Notice], ChildRows]:
        errors: list[ItemError] = []
        notices: list[Notice] = []
        row = b""
        try:
            row, noted = to_row(line)
            notices += noted
        except TransformRefused as refused:
            errors += refused.errors
            if any(error.code is ErrorCode.NO_TABLE for error in errors):
                raise
        item = read(line).item
        rows = tuple(list(child.rows_of(item, notices, errors)) for child in children)
        if errors:
            raise TransformRefused(one_for_each_attribute(errors))
        return row, notices, rows

    return CompiledRows(to_rows, take_absent)


class Element(NamedTuple):
    """An element of a list or set, or a member of a map."""

    value: object
    container: str
    """The path of what it is in."""
    name: str | int
    """Its name in a map, or its position in a list or a set."""

    @property
    def place(self) -> str:
        """Its path in the item."""
        return join(self.container, self.name)

    def made(self, item: Item) -> dict[str, object]:
        """The item that it is converted as."""
        of_name = {"member": {"S": self.name}} if isinstance(self.name, str) else {"position": {"N": str(self.name)}}
        return {_ELEMENT: self.value, _ITEM: {"M": item}, **of_name}


def elements_of(item: Item, child: Child) -> list[Element]:
    """Those of an item of which the child makes rows. Raises `ValueRefused` for an attribute that has none, or cannot be reached."""
    names = names_of(child.path)
    return list(_elements(_value_at(item, names), plain_path(names)))


def values_in(element: Element, item: Item, column: Column) -> list[object]:
    """What feeds a child's column of an element; None where there is none."""
    made = element.made(item)
    return [_value_or_none(made, path) for path in paths_of(_in_element(column))]


def _value_or_none(made: Item, path: str) -> object:
    try:
        value = _value_at(made, names_of(path))
    except ValueRefused:
        return None
    return None if value is ABSENT else value


def columns_left_to_python(child: Child) -> list[Column]:
    """The columns whose values the compiled conversion asks Python for; nothing where the compiled module is not there."""
    any_defaults = replace(child, columns=tuple(column.with_default() for column in child.columns))
    compiled = zip(child.columns, _compiled_columns(any_defaults, 0), strict=True)
    return [column for column, of_element in compiled if IS_BUILT and is_called(of_element)]


def _compiled_columns(child: Child, migration_time: int) -> list[CompiledColumn]:
    return [compile_column(replace(column, source=_in_element(column)), migration_time) for column in child.columns]


class _CompiledChild:
    def __init__(self, child: Child, migration_time: int, unmapped: Unmapped) -> None:
        self._names = names_of(child.path)
        self._unmapped = unmapped
        compiled = _compiled_columns(child, migration_time)
        self._maps = maps_of([column.definition for column in compiled])
        self._columns = place_columns(compiled, self._maps)
        self._of_element = [number for number, map_ in enumerate(self._maps) if map_.names[:1] == (_ELEMENT,)]
        self._takes_element = _ELEMENT in self._maps[0].known
        self._encode_sound = compile_sound_rows(compiled, self._maps).encode
        self._unmapped_paths = compile_unmapped(self._maps)
        self._of_item = next((map_.known for map_ in self._maps if map_.names == (_ITEM,)), frozenset[str | int]())
        self._takes_item = _ITEM in self._maps[0].taken

    def rows_of(self, item: Item, notices: list[Notice], errors: list[ItemError]) -> Iterator[EncodedRow]:
        """Adds to the notices and errors; a row is whole where it adds no error."""
        try:
            container = _value_at(item, self._names)
        except ValueRefused as refused:
            errors.append(item_error(refused, "", None))
            return
        try:
            elements = list(_elements(container, plain_path(self._names)))
        except ValueRefused as refused:
            errors.append(item_error(refused, plain_path(self._names), None))
            return
        parent = self._parent_of(item) if elements else None
        for element in elements:
            sound = None if parent is None else self._sound_row(element, parent, notices, errors)
            yield self._row(element, item, notices, errors) if sound is None else sound

    def _parent_of(self, item: Item) -> bytes | None:
        """What columns take of the item, as JSON; None where only Python can say what it is."""
        taken = item if self._takes_item else {name: item[str(name)] for name in self._of_item if name in item}
        return _json({"M": taken})

    def _sound_row(self, element: Element, parent: bytes, notices: list[Notice], errors: list[ItemError]) -> EncodedRow | None:
        """As `_row`, by the compiled module; None where it is not sure."""
        value = _json(element.value)
        if value is None:
            return None
        name, taken = element.name, self._maps[0].taken
        of_name = b""
        if isinstance(name, int) and "position" in taken:
            of_name = b'"position":{"N":"%d"},' % name
        elif isinstance(name, str) and "member" in taken:
            of_name = b'"member":{"S":%b},' % orjson.dumps(name)
        own_notices: list[Notice] = []
        sound = self._encode_sound(b'{"Item":{%b"item":%b,"element":%b}}' % (of_name, parent, value), own_notices)
        if not isinstance(sound, tuple):
            return None
        row, names = sound
        if own_notices:
            self._add_notices(own_notices, element, notices)
        if names:
            of_element = tuple((number, name) for number, name in names if number in (0, *self._of_element))
            paths = (path for path in self._unmapped_paths(of_element)[0] if path.startswith(_ELEMENT))
            self._add_unmapped((_told(path, element.place) or element.place for path in paths), notices, errors)
        return row

    def _row(self, element: Element, item: Item, notices: list[Notice], errors: list[ItemError]) -> EncodedRow:
        made = element.made(item)
        own_notices: list[Notice] = []
        own_errors: list[ItemError] = []
        try:
            held = open_maps(made, self._maps, own_errors)
            row = encode_columns(held, self._columns, own_notices, own_errors)
            unmapped = list(self._unmapped_of(element, held))
        except ReadRefused as refused:
            raise ReadRefused(tuple(_error_told(error, element.place) for error in refused.errors)) from None
        self._add_notices(own_notices, element, notices)
        errors += [_error_told(error, element.place) for error in own_errors]
        self._add_unmapped(unmapped, notices, errors)
        return row

    @staticmethod
    def _add_notices(own_notices: Sequence[Notice], element: Element, notices: list[Notice]) -> None:
        notices += [Notice(notice.code, _told(notice.attribute, element.place) or element.place) for notice in own_notices]

    def _add_unmapped(self, paths: Iterable[str], notices: list[Notice], errors: list[ItemError]) -> None:
        for path in paths:
            if self._unmapped is Unmapped.REJECT:
                errors.append(ItemError(ErrorCode.UNMAPPED_ATTRIBUTE, path, None, "no column takes this attribute"))
            else:
                notices.append(Notice(NoticeCode.UNMAPPED_ATTRIBUTE, path))

    def _unmapped_of(self, element: Element, held: Sequence[Mapping[Any, Any] | None]) -> Iterator[str]:
        if not self._takes_element:
            if not is_missing(element.value):
                yield element.place
            return
        maps: list[Map] = [self._maps[number] for number in self._of_element]
        for path in unmapped_attributes([held[number] for number in self._of_element], maps):
            yield _told(path, element.place) or element.place


def _json(value: object) -> bytes | None:
    """None for what JSON cannot say as it was: an object that has a member twice."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return None


def _in_element(column: Column) -> Source:
    """The source of a column, as a path of the four attributes. Raises `ValueError`."""
    match column.source:
        case OfElement() as of_element:
            return _PLACE_OF[of_element]
        case Parent() as parent:
            return _below(_ITEM, source_of_item(column, parent))
        case Whole.ITEM:
            return _ITEM
        case Whole.REST:
            message = f"{column.name}: REST is of the item, and no column of a Child takes it; ELEMENT is all of an element"
            raise ValueError(message)
    return _below(_ELEMENT, column.source)


def _below(place: str, source: Source) -> Source:
    """A source of attributes inside of one of the four."""
    match source:
        case str() as path:
            return f"{place}.{path}"
        case LaterOf(first, second):
            return LaterOf(f"{place}.{first}", f"{place}.{second}")
        case Part(path, pattern, name):
            return Part(f"{place}.{path}", pattern, name)
        case Joined(paths, separator):
            return Joined(tuple(f"{place}.{path}" for path in paths), separator)
        case Computed(function, reads):
            return Computed(_Below(place, function), tuple(f"{place}.{path}" for path in reads))
    return source


class _Below:
    """Stands for a user's function, whose name messages have: it is given its paths without what leads to the element or the item."""

    def __init__(self, place: str, function: Callable[[Reads], Any]) -> None:
        self._place = f"{place}."
        self._function = function
        self.__qualname__ = getattr(function, "__qualname__", type(function).__qualname__)
        self.__code__ = getattr(function, "__code__", None)

    def __call__(self, content: Reads) -> Any:
        return self._function({path.removeprefix(self._place): value for path, value in content.items()})


def _error_told(error: ItemError, place: str) -> ItemError:
    return replace(error, attribute=_told(error.attribute, place))


def _told(path: str | None, place: str) -> str | None:
    """A path of the four attributes as one of the item."""
    matched = _PATH.fullmatch(path) if path else None
    if matched is None:
        return None
    return matched[2].removeprefix(".") or None if matched[1] == _ITEM else place + matched[2]


def _value_at(item: Item, names: Names) -> object:
    """The value that the child is made of; `ABSENT` where it is missing. Raises `ValueRefused` where what it is in is of another type."""
    value: object = {"M": item}
    for length, name in enumerate(names):
        tag = "L" if isinstance(name, int) else "M"
        if not is_attribute_value(value) or tag not in value:
            refused = wrong_type(value, (tag,))
            raise ValueRefused(refused.code, refused.message, plain_path(names[:length]))
        content = value[tag]
        members = dict(enumerate(content)) if isinstance(name, int) else content
        value = members.get(name, ABSENT)
        if is_missing(value):
            return ABSENT
    return value


def _elements(container: object, path: str) -> Iterator[Element]:
    """Those of a list or a set, by their position, or the members of a map. Raises `ValueRefused`."""
    if container is ABSENT:
        return
    if not is_attribute_value(container):
        raise wrong_type(container, ("L", "M"))
    ((tag, content),) = container.items()
    if tag == "M":
        yield from (Element(value, path, name) for name, value in content.items())
    elif tag == "L":
        yield from (Element(value, path, position) for position, value in enumerate(content))
    elif tag in _SETS:
        values: Iterator[AttributeValue] = ({_SETS[tag]: value} for value in content)
        yield from (Element(value, path, position) for position, value in enumerate(values))
    else:
        raise wrong_type(container, ("L", "M"))
