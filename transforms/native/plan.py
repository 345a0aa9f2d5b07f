"""What `sound_rows.c` is told of a definition: the compiled way to the rows of sound items.

It does what the way in Python does, several times as fast, and leaves to that whatever it is not sure of. Where it is not built (no C
compiler when ddb2pg was installed), the way in Python does all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

import orjson

from transforms.columns import CompiledColumn, Map
from transforms.rejects import Notice, NoticeCode, ValueRefused
from transforms.rules import Boolean, Conversion, Jsonb, OneOf, Text, Timestamp, UpperCased, Uuid, is_uuid
from transforms.table import Missing

# That of sound_rows.c: one that was built of another source is not used.
_VERSION: Final = 1

try:
    from transforms.native import sound_rows
except ImportError:
    IS_BUILT = False
else:
    IS_BUILT = sound_rows.VERSION == _VERSION

EncodeSound = Callable[[bytes, list[Notice]], tuple[bytes, bool] | None]
"""See `SoundRows.encode`."""
ValueToField = Callable[[bytes | None, list[Notice]], bytes | None]
"""An attribute value's JSON, or None where it is missing, to its field; None where Python must see the whole line."""

# Of 13 digits, which are all that a step reads, fractions apart.
_MOST_MILLISECONDS: Final = 10**13 - 1
# Not those derived from them, which may do otherwise.
_KNOWN: Final = (Boolean, Jsonb, OneOf, Text, Timestamp, UpperCased, Uuid)


class Kind(IntEnum):
    """What a step does, in the order of `Kind` in steps.h."""

    CONSTANT = 0
    CALL = 1
    UUID = 2
    TEXT = 3
    UUID_AS_TEXT = 4
    ONE_OF = 5
    UPPER_CASED = 6
    BOOLEAN = 7
    TIMESTAMP = 8
    LATER_OF = 9
    JSONB = 10


class Attribute(NamedTuple):
    """A name in a map, by the map's number (0 is the item); `opens` is the number of the map that it is itself, or -1."""

    map: int
    name: str
    opens: int = -1


class Step(NamedTuple):
    """One column. `attribute` and `other` are numbers of attributes, or -1."""

    kind: Kind
    attribute: int = -1
    other: int = -1
    if_missing: bytes | None = None
    missing_notice: Notice | None = None
    notice: Notice | None = None
    texts: tuple[bytes, ...] = ()
    to_field: ValueToField | None = None
    earliest: int = 0
    latest: int = 0


def compile_sound_rows(columns: Sequence[CompiledColumn], maps: Sequence[Map]) -> EncodeSound:
    """The function that encodes the items of lines that are sound; it is sure of none where the compiled module is not there."""
    if not IS_BUILT:
        return never_sure
    numbers = {map_.path: number for number, map_ in enumerate(maps)}
    attributes = {(map_.parent, map_.name): Attribute(map_.parent, map_.name, number) for number, map_ in enumerate(maps) if number}

    def number_of(path: str) -> int:
        map_path, _, name = path.rpartition(".")
        place = numbers[map_path], name
        attributes.setdefault(place, Attribute(*place))
        return list(attributes).index(place)

    steps = [_step(column, [number_of(path) for path in column.definition.paths]) for column in columns]
    known = tuple(step for step in steps if step is not None)
    return sound_rows.SoundRows(len(maps), tuple(attributes.values()), known).encode if len(known) == len(steps) else never_sure


def never_sure(_line: bytes, _notices: list[Notice]) -> None:
    return None


def _step(column: CompiledColumn, attributes: Sequence[int]) -> Step | None:
    """None where only Python can do it."""
    if not attributes:
        return Step(Kind.CONSTANT, if_missing=column.to_field({}, []))
    found = _of_conversion(column.definition.conversion, str(column.attribute))
    if found is None:
        return Step(Kind.CALL, attributes[0], to_field=_of_one_value(column)) if len(attributes) == 1 else None
    found = found._replace(attribute=attributes[0])
    if len(attributes) == 2:
        found = found._replace(kind=Kind.LATER_OF, other=attributes[1])
    if column.definition.missing is Missing.REFUSED:
        return found
    notices: list[Notice] = []
    field = column.if_missing(notices)
    return found._replace(if_missing=field, missing_notice=next(iter(notices), None))


def _of_one_value(column: CompiledColumn) -> ValueToField:
    """The column's own function, of its attribute alone."""
    name = str(column.attribute).rpartition(".")[2]

    def to_field(json: bytes | None, notices: list[Notice]) -> bytes | None:
        try:
            return column.to_field({} if json is None else {name: orjson.loads(json)}, notices)
        except (orjson.JSONDecodeError, ValueRefused):
            return None

    return to_field


def _of_conversion(conversion: Conversion, path: str) -> Step | None:  # noqa: PLR0911 - one return a conversion
    """What is special in a conversion; None where only Python knows it."""
    if type(conversion) not in _KNOWN:
        return None
    match conversion:
        case Uuid(tags=("S",)):
            return Step(Kind.UUID, notice=Notice(NoticeCode.EMPTY_UUID_AS_NULL, path) if conversion.empty_as_null else None)
        case Text(expected=None, tags=("S",)):
            return Step(Kind.TEXT)
        case Text(expected=expected, otherwise=NoticeCode() as otherwise, tags=("S",)) if expected is is_uuid:
            return Step(Kind.UUID_AS_TEXT, notice=Notice(otherwise, path))
        case OneOf(tags=("S",)):
            return Step(Kind.ONE_OF, texts=_utf8(conversion.values))
        case UpperCased(tags=("S",)):
            return Step(Kind.UPPER_CASED, texts=_utf8(conversion.known), notice=Notice(conversion.otherwise, path))
        case Boolean(tags=("BOOL",)):
            return Step(Kind.BOOLEAN)
        case Timestamp(tags=("N",)):
            return Step(Kind.TIMESTAMP, earliest=max(conversion.earliest, 0), latest=min(conversion.latest, _MOST_MILLISECONDS))
        case Jsonb():
            return Step(Kind.JSONB)
    return None


def _utf8(texts: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(text.encode() for text in texts)
