"""The compiled way to the rows of sound items: what `sound_rows.c` is told of a definition.

It does what the way in Python does, several times as fast, and leaves to that whatever it is not sure of. Where it is not built (no C
compiler when ddb2pg was installed), the way in Python does all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from transforms import wire
from transforms.attribute_value import Item
from transforms.column import CompiledColumn, ToField
from transforms.convert import Boolean, Conversion, Jsonb, OneOf, Text, Timestamp, UpperCased, Uuid, is_uuid
from transforms.maps import Map
from transforms.reject import Notice, NoticeCode
from transforms.table import Missing

# That of sound_rows.c: one that was built of another source is not used.
_VERSION: Final = 1

try:
    from transforms.native import sound_rows
except ImportError:
    IS_BUILT = False
else:
    IS_BUILT = sound_rows.VERSION == _VERSION

EncodeSound = Callable[[Item, list[Notice]], tuple[bytes, bool] | None]
"""See `SoundRows.encode`."""

# Of 13 digits, which are all that a step reads.
_MOST_MILLISECONDS: Final = 10**13 - 1
# Not those derived from them, which may do otherwise.
_KNOWN: Final = (Boolean, Jsonb, OneOf, Text, Timestamp, UpperCased, Uuid)


class Kind(IntEnum):
    """What a step does, in the order of `Kind` in sound_rows.c."""

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
    """One column. `attribute` and `other` are numbers of attributes; where the kind is CALL, that of the map that `to_field` takes."""

    kind: Kind
    attribute: int = 0
    other: int = 0
    if_missing: bytes | None = None
    missing_notice: Notice | None = None
    notice: Notice | None = None
    fields: Mapping[str, bytes] | frozenset[bytes] | None = None
    to_field: ToField | None = None
    earliest: int = 0
    latest: int = 0


def compile_sound_rows(columns: Sequence[CompiledColumn], maps: Sequence[Map]) -> EncodeSound:
    """The function that encodes sound items; it is sure of none where the compiled module is not there."""
    if not IS_BUILT:
        return lambda _item, _notices: None
    numbers = {map_.path: number for number, map_ in enumerate(maps)}
    attributes = {(map_.parent, map_.name): Attribute(map_.parent, map_.name, number) for number, map_ in enumerate(maps) if number}

    def number_of(path: str) -> int:
        map_path, _, name = path.rpartition(".")
        place = numbers[map_path], name
        attributes.setdefault(place, Attribute(*place))
        return list(attributes).index(place)

    steps = tuple(_step(column, [number_of(path) for path in column.definition.paths], numbers[column.map_path]) for column in columns)
    return sound_rows.SoundRows(len(maps), tuple(attributes.values()), steps).encode


def _step(column: CompiledColumn, attributes: Sequence[int], map_: int) -> Step:
    called = Step(Kind.CALL, map_, to_field=column.to_field)
    if not attributes:
        return Step(Kind.CONSTANT, if_missing=column.to_field({}, []))
    found = _of_conversion(column.definition.conversion, str(column.attribute))
    if found is None:
        return called
    found = found._replace(attribute=attributes[0])
    if len(attributes) == 2:
        found = found._replace(kind=Kind.LATER_OF, other=attributes[1])
    if column.definition.missing is Missing.REFUSED:
        return found
    notices: list[Notice] = []
    field = column.if_missing(notices)
    return found._replace(if_missing=field, missing_notice=next(iter(notices), None))


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
            return Step(Kind.ONE_OF, fields={value: wire.text_field(value.encode()) for value in conversion.values})
        case UpperCased(tags=("S",)):
            known = frozenset(wire.text_field(value.encode()) for value in conversion.known)
            return Step(Kind.UPPER_CASED, fields=known, notice=Notice(conversion.otherwise, path))
        case Boolean(tags=("BOOL",)):
            return Step(Kind.BOOLEAN)
        case Timestamp(tags=("N",)):
            return Step(Kind.TIMESTAMP, earliest=max(conversion.earliest, 0), latest=min(conversion.latest, _MOST_MILLISECONDS))
        case Jsonb():
            return Step(Kind.JSONB)
    return None
