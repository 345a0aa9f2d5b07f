"""The input of `sound_rows.c`, made from a definition: the compiled conversion of sound items.

It makes the same rows as the conversion in Python, several times as fast, and leaves to Python every item that it is not sure of. Where it
is not built (no C compiler when ddb2pg was installed), Python converts all items.
"""

from __future__ import annotations

import hashlib
import pkgutil
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import orjson

from transforms.columns import CompiledColumn, EachRefused, Map
from transforms.lines import parse_json
from transforms.rejects import Notice, NoticeCode, ValueRefused
from transforms.rules import Boolean, Conversion, Jsonb, OneOf, Text, Timestamp, UpperCased, Uuid, is_uuid
from transforms.table import Missing, names_of


def _is_built_of_these(sources: str) -> bool:
    """Whether each of these files, `name:hash name:hash`, that is beside this one is as it was; an installed ddb2pg has none of them."""
    for source in sources.split():
        name, _, digest = source.partition(":")
        try:
            content = pkgutil.get_data("transforms.native", name)
        except OSError:
            continue
        if content is not None and hashlib.sha256(content).hexdigest() != digest:
            return False
    return True


try:
    from transforms.native import sound_rows
except ImportError:
    IS_BUILT = False
else:
    # One that was built long ago says nothing.
    IS_BUILT = hasattr(sound_rows, "SOURCES") and _is_built_of_these(sound_rows.SOURCES)

EncodeSound = Callable[[bytes, list[Notice]], tuple[bytes, list[tuple[int, str]] | None] | None]
"""See `SoundRows.encode`."""
ValuesToField = Callable[[bytes | None, bytes | None, list[Notice]], bytes | None]
"""The JSON of one or two attribute values, or None where one is missing, to a field; None where Python must see the whole line."""

# Of 13 digits, which are all that a step reads, fractions apart.
_MOST_MILLISECONDS: Final = 10**13 - 1
# Not those derived from them, which may do otherwise.
_KNOWN: Final = (Boolean, Jsonb, OneOf, Text, Timestamp, UpperCased, Uuid)


class Attribute(NamedTuple):
    """A name in a map, by the map's number (0 is the item); `opens` is the number of the map that it is itself, or -1."""

    map: int
    name: str
    opens: int = -1


class Step(NamedTuple):
    """One column. `kind` is a name of `EACH_KIND` in steps.h; `attribute` and `other` are numbers of attributes, or -1."""

    kind: str
    attribute: int = -1
    other: int = -1
    if_missing: bytes | None = None
    missing_notice: Notice | None = None
    notice: Notice | None = None
    texts: tuple[bytes, ...] = ()
    to_field: ValuesToField | None = None
    earliest: int = 0
    latest: int = 0


def compile_sound_rows(columns: Sequence[CompiledColumn], maps: Sequence[Map]) -> EncodeSound:
    """The function that encodes the items of lines that are sound; it is sure of none where the compiled module is not there."""
    if not IS_BUILT:
        return never_sure
    numbers = {map_.names: number for number, map_ in enumerate(maps)}
    attributes = {(map_.parent, map_.name): Attribute(map_.parent, map_.name, number) for number, map_ in enumerate(maps) if number}

    def number_of(path: str) -> int:
        *map_names, name = names_of(path)
        place = numbers[tuple(map_names)], name
        attributes.setdefault(place, Attribute(*place))
        return list(attributes).index(place)

    steps = tuple(_step(column, [number_of(path) for path in column.definition.paths]) for column in columns)
    return sound_rows.SoundRows(len(maps), tuple(attributes.values()), steps).encode


def never_sure(_line: bytes, _notices: list[Notice]) -> None:
    return None


def _step(column: CompiledColumn, attributes: Sequence[int]) -> Step:
    if not attributes:
        return Step("CONSTANT", if_missing=column.to_field({}, []))
    attribute, other = attributes if len(attributes) == 2 else (attributes[0], -1)
    known = _of_conversion(column.definition.conversion, str(column.attribute))
    if known is None:
        return Step("CALL", attribute, other, to_field=_of_values(column))
    step = known._replace(kind=known.kind if other < 0 else "LATER_OF", attribute=attribute, other=other)
    if column.definition.missing is Missing.REFUSED:
        return step
    notices: list[Notice] = []
    field = column.if_missing(notices)
    return step._replace(if_missing=field, missing_notice=next(iter(notices), None))


def _of_values(column: CompiledColumn) -> ValuesToField:
    """The column's own function, of its attributes alone."""
    names = [names_of(path)[-1] for path in column.definition.paths]

    def to_field(json: bytes | None, other: bytes | None, notices: list[Notice]) -> bytes | None:
        try:
            holder = {name: parse_json(value) for name, value in zip(names, (json, other), strict=False) if value is not None}
            return column.to_field(holder, notices)
        except (orjson.JSONDecodeError, ValueRefused, EachRefused):
            return None

    return to_field


def _of_conversion(conversion: Conversion, path: str) -> Step | None:  # noqa: PLR0911 - one return a conversion
    """What is special in a conversion; None where only Python knows it."""
    if type(conversion) not in _KNOWN:
        return None
    match conversion:
        case Uuid(tags=("S",)):
            return Step("UUID", notice=Notice(NoticeCode.EMPTY_UUID_AS_NULL, path) if conversion.empty_as_null else None)
        case Text(expected=None, tags=("S",)):
            return Step("TEXT")
        case Text(expected=expected, otherwise=NoticeCode() as otherwise, tags=("S",)) if expected is is_uuid:
            return Step("UUID_AS_TEXT", notice=Notice(otherwise, path))
        case OneOf(tags=("S",)):
            return Step("ONE_OF", texts=_utf8(conversion.values))
        case UpperCased(tags=("S",)):
            return Step("UPPER_CASED", texts=_utf8(conversion.known), notice=Notice(conversion.otherwise, path))
        case Boolean(tags=("BOOL",)):
            return Step("BOOLEAN")
        case Timestamp(tags=("N",)):
            return Step("TIMESTAMP", earliest=max(conversion.earliest, 0), latest=min(conversion.latest, _MOST_MILLISECONDS))
        case Jsonb():
            return Step("JSONB")
    return None


def _utf8(texts: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(text.encode() for text in texts)
