"""PostgreSQL's types: one entry each, for all that the job must know of it.

A field of a row in binary COPY format is its length in four bytes, then what the type's receive function takes:
https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"; per type the `*_recv` functions of the server.

A user's own conversion may fill a column of a type without an entry: `PgType("integer")`. Its values are shown as their bytes, and
compared as PostgreSQL compares that type. Forms are SQL with `{}` for a column, `{0}` and `{1}` for two.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache
from ipaddress import IPv4Interface, IPv6Interface
from struct import Struct
from typing import Any, Final

NULL: Final = b"\xff\xff\xff\xff"
TRUE: Final = b"\x00\x00\x00\x01\x01"
FALSE: Final = b"\x00\x00\x00\x01\x00"

# Microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL's timestamps begin.
POSTGRES_EPOCH: Final = 946_684_800_000_000

# Its number as `date.toordinal` counts.
DAY_2000: Final = date(2000, 1, 1).toordinal()

_UUID_LENGTH: Final = b"\x00\x00\x00\x10"
_JSONB_VERSION: Final = 1
_1970: Final = datetime.fromtimestamp(0, UTC)

_length = Struct(">i")
_pack_length = _length.pack
# Most texts are short, and looking their length up is twice as fast as packing it.
_SHORT_LENGTHS: Final = tuple(_pack_length(length) for length in range(256))
_pack_jsonb_head = Struct(">iB").pack
_timestamp_field = Struct(">iq")
pack_timestamptz = _timestamp_field.pack
_pack_double = Struct(">id").pack
_pack_real = Struct(">if").pack
_pack_date = Struct(">ii").pack
_pack_interval = Struct(">iqii").pack
_pack_array_head = Struct(">iiiI").pack
_pack_bounds = Struct(">ii").pack

# Of a numeric without a limit, behind the point.
MOST_SCALE: Final = 16_383


# -- encoding ------------------------------------------------------------------------------------------------------------------------------


def uuid_field(sixteen_bytes: bytes) -> bytes:
    return _UUID_LENGTH + sixteen_bytes


def boolean_field(value: bool) -> bytes:
    return TRUE if value else FALSE


def timestamptz_field(microseconds: int) -> bytes:
    """From microseconds since 1970-01-01 UTC."""
    return pack_timestamptz(8, microseconds - POSTGRES_EPOCH)


def timestamptz_of_field(field: bytes) -> int:
    """Microseconds since 1970-01-01 UTC; the inverse of `timestamptz_field`."""
    microseconds: int = _timestamp_field.unpack(field)[1]
    return microseconds + POSTGRES_EPOCH


def text_field(utf8: bytes) -> bytes:
    size = len(utf8)
    return (_SHORT_LENGTHS[size] if size < 256 else _pack_length(size)) + utf8


def jsonb_field(json_text: bytes) -> bytes:
    """From JSON text in UTF-8."""
    return _pack_jsonb_head(len(json_text) + 1, _JSONB_VERSION) + json_text


def integer_encoder(size: int) -> Callable[[int], bytes]:
    """Of signed integers of so many bytes."""
    head = _pack_length(size)
    return lambda value: head + value.to_bytes(size, "big", signed=True)


def numeric_field(number: Decimal) -> bytes:
    """A finite number with every digit, zeros at the end of its fraction too, as PostgreSQL reads its text; -0 is 0.

    Raises `OverflowError` for more digits behind the point than a numeric has.
    """
    whole, _, fraction = f"{number:f}".lstrip("-").partition(".")
    scale = len(fraction)
    if scale > MOST_SCALE:
        message = f"more than {MOST_SCALE} digits behind the point"
        raise OverflowError(message)
    # In groups of four digits, counted from the point, without those of zeros at either end.
    whole = whole.lstrip("0")
    whole_groups = -(-len(whole) // 4)
    text = whole.zfill(4 * whole_groups) + fraction + "0" * (-scale % 4)
    groups = [int(text[at : at + 4]) for at in range(0, len(text), 4)]
    while groups and not groups[-1]:
        groups.pop()
    first = next((at for at, group in enumerate(groups) if group), 0)
    groups = groups[first:]
    count = len(groups)
    weight = whole_groups - 1 - first if groups else 0
    negative = 0x4000 if groups and number.is_signed() else 0
    return struct.pack(f">iHhHH{count}H", 8 + 2 * count, count, weight, negative, scale, *groups)


def double_field(value: float) -> bytes:
    return _pack_double(8, value)


def real_field(value: float) -> bytes:
    """Of a float that is one of four bytes exactly."""
    return _pack_real(4, value)


def date_field(days: int) -> bytes:
    """From days since 2000-01-01."""
    return _pack_date(4, days)


def interval_field(value: tuple[int, int, int]) -> bytes:
    """From months, days and microseconds, which do not become one another."""
    months, days, microseconds = value
    return _pack_interval(16, microseconds, days, months)


def inet_field(address: IPv4Interface | IPv6Interface) -> bytes:
    family = 2 if address.version == 4 else 3
    packed = address.ip.packed
    return _pack_length(4 + len(packed)) + bytes((family, address.network.prefixlen, 0, len(packed))) + packed


def array_field(fields: Sequence[bytes], oid: int) -> bytes:
    """Of one dimension, from the fields of its elements; `oid` is of their type."""
    if not fields:
        return _pack_array_head(12, 0, 0, oid)
    content = b"".join(fields)
    return _pack_array_head(20 + len(content), 1, NULL in fields, oid) + _pack_bounds(len(fields), 1) + content


def split_row(encoded: bytes) -> Iterator[bytes]:
    """The fields of an encoded row, each with its length."""
    begin = 0
    while begin < len(encoded):
        # NULL has the length -1, and no bytes.
        end = begin + 4 + max(0, _length.unpack_from(encoded, begin)[0])
        yield encoded[begin:end]
        begin = end


# -- types ---------------------------------------------------------------------------------------------------------------------------------


class Shape(Enum):
    """What may be said of a value without showing it, beside its type."""

    TYPE_ALONE = "type alone"
    TEXT = "text"
    """Its length, and what kind of text it is."""
    JSON = "json"
    """Which kind of JSON it is, and how large."""


class DefaultCheck(Enum):
    """Whether a column's DEFAULT can be checked against what a definition fills in for a missing attribute."""

    NONE = "none"
    IF_THERE_IS_ONE = "if there is one"
    """No default is no fault."""
    ALWAYS = "always"


def _show_bytes(content: bytes) -> str:
    return f"\\x{content.hex()}"


def _no_encoding(_value: Any) -> bytes:
    message = "this type has no encoding of ours: its conversion makes the field"
    raise NotImplementedError(message)


@dataclass(frozen=True, slots=True)
class PgType:
    """A type of PostgreSQL."""

    name: str
    """As `format_type` spells it."""
    encode: Callable[[Any], bytes] = _no_encoding
    """A value to its field."""
    show: Callable[[bytes], str] = _show_bytes
    """A field without its length to text for people."""
    shape: Shape = Shape.TYPE_ALONE
    further_columns: tuple[str, ...] = ()
    """Other types of columns that hold every value exactly as it is, unless they have a length."""
    default_check: DefaultCheck = DefaultCheck.NONE
    is_distinct: str = "{0} IS DISTINCT FROM {1}"
    sent: str | None = None
    """What is asked of the server for a value, so that bytes that are those of our field prove both to be the same, by `is_distinct`. An
    equal value may have other bytes. None where no bytes prove it."""
    as_text: str = "{}::text"
    """The value as text that PostgreSQL reads again, with the settings of our sessions and of `validate_migration.sql`."""
    is_long: bool = False
    """Whether values can be so long that PostgreSQL would compress them."""
    unparsed_type: str | None = None
    """Where the server's parser may refuse a value: the type to stage it as, until its row stands alone."""
    parse: str = "{}"
    """From the unparsed type to this type."""
    modifier: tuple[int, ...] = ()
    """A limit of the type: `(40,)` of `varchar(40)`, `(10, 2)` of `numeric(10,2)`."""
    copies_directly: bool = True
    """Whether a field may be copied into a column of the type; if not, only into one of the unparsed type."""
    oid: int | None = None
    """Of a type that every server has: what an array of it names."""

    def __str__(self) -> str:
        """As a definition of a column spells it, with its limit."""
        if not self.modifier:
            return self.name
        name, brackets, of_array = self.name.partition("[]")
        return f"{name}({','.join(map(str, self.modifier))}){brackets}{of_array}"

    @property
    def staged_type(self) -> str:
        """As a column of a temp table that holds every value: `character` alone would be of one character."""
        return "bpchar" if self.name == "character" and not self.modifier else str(self)

    def may_go_into(self, column_type: str) -> bool:
        """Whether a column of this type (without a length) holds every value exactly as it is."""
        return column_type == self.name or column_type in self.further_columns


def field_to_text(field: bytes, pg_type: PgType) -> str | None:
    """A field, with its length, as text for people; None is NULL."""
    return None if field == NULL else pg_type.show(field[4:])


def row_to_texts(encoded: bytes, pg_types: Sequence[PgType]) -> list[str | None]:
    """Each field of an encoded row as text for people: what the load would send, not what PostgreSQL would say of it."""
    return [field_to_text(field, pg_type) for field, pg_type in zip(split_row(encoded), pg_types, strict=True)]


# Other bytes may be equal for a column's own collation; json and xml have no equality at all.
DISTINCT_AS_TEXT: Final = '{0}::text COLLATE "C" IS DISTINCT FROM {1}::text COLLATE "C"'


def _show_uuid(content: bytes) -> str:
    return str(uuid.UUID(bytes=content))


UUID: Final = PgType("uuid", uuid_field, _show_uuid, sent="{}", default_check=DefaultCheck.ALWAYS, oid=2950)
"""Encoded from sixteen bytes."""


def _show_boolean(content: bytes) -> str:
    return "true" if content == b"\1" else "false"


BOOLEAN: Final = PgType("boolean", boolean_field, _show_boolean, sent="{}", default_check=DefaultCheck.ALWAYS, oid=16)

# -- text ----------------------------------------------------------------------------------------------------------------------------------

# varchar(n) does not hold every text: PostgreSQL cuts trailing spaces in silence.
TEXT: Final = PgType(
    "text",
    text_field,
    bytes.decode,
    Shape.TEXT,
    further_columns=("character varying",),
    default_check=DefaultCheck.ALWAYS,
    is_distinct=DISTINCT_AS_TEXT,
    sent="{}",
    is_long=True,
    oid=25,
)
"""Encoded from UTF-8."""
VARCHAR: Final = replace(TEXT, name="character varying", further_columns=("text",), oid=1043)
CHARACTER: Final = replace(TEXT, name="character", further_columns=(), sent="{}::text", oid=1042)
"""As text it has no spaces at its end, so it is compared without those, as PostgreSQL does."""
CITEXT: Final = replace(TEXT, name="citext", further_columns=(), oid=None)
# What declares an encoding is sent with that of the session.
XML: Final = replace(TEXT, name="xml", further_columns=(), default_check=DefaultCheck.NONE, sent=None, oid=142)


def parsed_by_server(name: str, modifier: tuple[int, ...] = ()) -> PgType:
    """A type that is given as text and cast on the server, which may refuse it: enums, ltree."""
    # A brace would be a place for a column.
    cast = str(PgType(name, modifier=modifier)).replace("{", "{{").replace("}", "}}")
    return replace(
        TEXT,
        name=name,
        further_columns=(),
        default_check=DefaultCheck.NONE,
        # A cast to a type with a limit may cut.
        sent=None if modifier else "{}::text",
        unparsed_type="text",
        parse=f"{{}}::{cast}",
        modifier=modifier,
        copies_directly=False,
        oid=None,
    )


def _show_inet(content: bytes) -> str:
    bits, address = content[1], content[4:]
    interface = (IPv4Interface if len(address) == 4 else IPv6Interface)((address, bits))
    return str(interface) if bits < 8 * len(address) else str(interface.ip)


INET: Final = PgType("inet", inet_field, _show_inet, sent="{}", default_check=DefaultCheck.ALWAYS, oid=869)
"""Encoded from an interface of `ipaddress`: the address, and how many of its bits are the network's."""

# -- numbers -------------------------------------------------------------------------------------------------------------------------------


def _show_integer(content: bytes) -> str:
    return str(int.from_bytes(content, "big", signed=True))


SMALLINT: Final = PgType("smallint", integer_encoder(2), _show_integer, sent="{}", default_check=DefaultCheck.ALWAYS, oid=21)
INTEGER: Final = PgType("integer", integer_encoder(4), _show_integer, sent="{}", default_check=DefaultCheck.ALWAYS, oid=23)
BIGINT: Final = PgType("bigint", integer_encoder(8), _show_integer, sent="{}", default_check=DefaultCheck.ALWAYS, oid=20)


# What a column's own DEFAULT may be, and no attribute.
_NO_NUMBERS: Final = {0xC000: "NaN", 0xD000: "Infinity", 0xF000: "-Infinity"}


def _show_numeric(content: bytes) -> str:
    count, weight, sign, scale = Struct(">HhHH").unpack_from(content)
    if sign in _NO_NUMBERS:
        return _NO_NUMBERS[sign]
    groups = Struct(f">{count}H").unpack_from(content, 8)
    whole = "".join(f"{groups[at] if at < count else 0:04}" for at in range(weight + 1)).lstrip("0")
    behind = "".join(f"{groups[at] if 0 <= at < count else 0:04}" for at in range(weight + 1, weight + 1 + -(-scale // 4)))
    return f"{'-' if sign else ''}{whole or '0'}{'.' if scale else ''}{behind[:scale]}"


NUMERIC: Final = PgType("numeric", numeric_field, _show_numeric, sent="{}", default_check=DefaultCheck.ALWAYS, oid=1700)
"""Encoded from a decimal, digit by digit. Zeros at the end of a fraction do not matter for equality."""


def _show_double(content: bytes) -> str:
    return repr(Struct(">d").unpack(content)[0])


def _real_of_text(text: str) -> bytes | None:
    try:
        return Struct(">f").pack(float(text))
    except OverflowError:
        return None


def _show_real(content: bytes) -> str:
    value = Struct(">f").unpack(content)[0]
    texts = (f"{value:.{digits}g}" for digits in range(6, 10))
    return next(text for text in texts if _real_of_text(text) == content)


DOUBLE: Final = PgType("double precision", double_field, _show_double, sent="{}", default_check=DefaultCheck.ALWAYS, oid=701)
REAL: Final = PgType("real", real_field, _show_real, sent="{}", default_check=DefaultCheck.ALWAYS, oid=700)

# -- times ---------------------------------------------------------------------------------------------------------------------------------


# No rule makes an infinite time, or one of a year that Python has not, but a column's own DEFAULT may be one.
_LEAST_OF_SIZE: Final = {4: -(1 << 31), 8: -(1 << 63)}


def _show_far(content: bytes) -> str:
    """Of a date or time beyond the years 1 to 9999 what side of them it is on."""
    number, least = int.from_bytes(content, "big", signed=True), _LEAST_OF_SIZE[len(content)]
    if number in (least, -least - 1):
        return "-infinity" if number < 0 else "infinity"
    return "before the year 1" if number < 0 else "after the year 9999"


def _show_timestamptz(content: bytes) -> str:
    try:
        return (_1970 + timedelta(microseconds=int.from_bytes(content, "big", signed=True) + POSTGRES_EPOCH)).isoformat()
    except OverflowError:
        return _show_far(content)


TIMESTAMPTZ: Final = PgType(
    "timestamp with time zone",
    timestamptz_field,
    _show_timestamptz,
    sent="{}",
    oid=1184,
)
"""Encoded from microseconds since 1970-01-01 UTC, to the microsecond."""


def _show_timestamp(content: bytes) -> str:
    return _show_timestamptz(content).removesuffix("+00:00")


TIMESTAMP: Final = PgType(
    "timestamp without time zone",
    timestamptz_field,
    _show_timestamp,
    default_check=DefaultCheck.ALWAYS,
    sent="{}",
    oid=1114,
)
"""Encoded from microseconds since 1970-01-01 on the same clock."""


def _show_date(content: bytes) -> str:
    try:
        return date.fromordinal(int.from_bytes(content, "big", signed=True) + DAY_2000).isoformat()
    except (OverflowError, ValueError):
        return _show_far(content)


DATE: Final = PgType("date", date_field, _show_date, sent="{}", default_check=DefaultCheck.ALWAYS, oid=1082)
"""Encoded from days since 2000-01-01."""


_DAY: Final = 24 * 3600 * 1_000_000


def _show_time(content: bytes) -> str:
    microseconds = int.from_bytes(content, "big")
    return "24:00:00" if microseconds == _DAY else (_1970 + timedelta(microseconds=microseconds)).time().isoformat()


TIME: Final = PgType("time without time zone", integer_encoder(8), _show_time, sent="{}", default_check=DefaultCheck.ALWAYS, oid=1083)
"""Encoded from microseconds since midnight."""


def _show_interval(content: bytes) -> str:
    microseconds, days, months = Struct(">qii").unpack(content)
    return f"{months} mons {days} days {microseconds} us"


INTERVAL: Final = PgType(
    "interval",
    interval_field,
    _show_interval,
    # PostgreSQL's own equality takes a month for 30 days, and a day for 24 hours.
    is_distinct=DISTINCT_AS_TEXT,
    sent="{}",
    as_text=(
        "CASE WHEN NOT isfinite({0}) THEN {0}::text ELSE "
        "(extract(year FROM {0}) * 12 + extract(month FROM {0}))::bigint || ' mons ' || extract(day FROM {0})::bigint || ' days '"
        " || extract(hour FROM {0})::bigint || ' hours ' || extract(minute FROM {0})::bigint || ' mins '"
        " || extract(microseconds FROM {0})::bigint || ' us' END"
    ),
    oid=1186,
)
"""Encoded from months, days and microseconds."""

# -- bytes and documents -------------------------------------------------------------------------------------------------------------------

BYTEA: Final = PgType(
    "bytea", text_field, sent="{}", default_check=DefaultCheck.ALWAYS, as_text=r"E'\\x' || encode({}, 'hex')", is_long=True, oid=17
)
"""Encoded from bytes."""


def _show_jsonb(content: bytes) -> str:
    return content[1:].decode()


JSONB: Final = PgType(
    "jsonb",
    jsonb_field,
    _show_jsonb,
    Shape.JSON,
    # PostgreSQL's own equality takes 1.50 for 1.5. Nearly all that is equal is so to the byte, which costs no text.
    is_distinct="(record_image_ne(ROW({0}), ROW({1})) AND {0}::text IS DISTINCT FROM {1}::text)",
    # Of our own text it is that of the same document: see `native/sent.py`.
    sent="{}",
    # An empty object is the load's way of having no SQL NULL.
    default_check=DefaultCheck.IF_THERE_IS_ONE,
    is_long=True,
    unparsed_type="bytea",
    # The first byte of a binary jsonb is its version.
    parse="convert_from(substr({}, 2), 'UTF8')::jsonb",
    oid=3802,
)
"""Encoded from JSON text in UTF-8. The order of keys and white space do not matter for equality; each digit of a number does."""
JSON: Final = replace(
    TEXT,
    name="json",
    shape=Shape.JSON,
    further_columns=(),
    default_check=DefaultCheck.NONE,
    unparsed_type="text",
    parse="{}::json",
    oid=114,
)
"""Encoded from JSON text in UTF-8, which it keeps as it is."""


# -- arrays --------------------------------------------------------------------------------------------------------------------------------


@cache
def array_of(element: PgType) -> PgType:
    """Arrays of one dimension, encoded from the fields of their elements.

    Elements that the server parses are text on the way, so their fields must be those of texts: see `Array`.
    """
    is_parsed = element.oid is None or element.unparsed_type is not None
    cast = str(element).replace("{", "{{").replace("}", "}}")
    oid = TEXT.oid if is_parsed else element.oid

    def encode(fields: Sequence[bytes]) -> bytes:
        return array_field(fields, oid or 0)

    def show(content: bytes) -> str:
        show_element = bytes.decode if is_parsed else element.show
        # Ours have one dimension; a column's own DEFAULT may have several, each with its size and where it begins.
        end = 12 + 8 * int.from_bytes(content[:4], "big")
        elements = ["NULL" if field == NULL else _quoted(show_element(field[4:])) for field in split_row(content[end:])]
        for place in range(end - 8, 12, -8):
            size = int.from_bytes(content[place : place + 4], "big")
            elements = [_in_braces(elements[first : first + size]) for first in range(0, len(elements), size)]
        return _in_braces(elements)

    return PgType(
        name=f"{element.name}[]",
        encode=encode,
        show=show,
        # As text says enough of all elements but of numbers, in which zeros at the end do not matter.
        is_distinct="{0} IS DISTINCT FROM {1}" if element.name == NUMERIC.name else DISTINCT_AS_TEXT,
        sent=_sent_array(element, is_parsed=is_parsed),
        is_long=True,
        unparsed_type="text[]" if is_parsed else None,
        parse=f"{{}}::{cast}[]" if is_parsed else "{}",
        modifier=element.modifier,
        copies_directly=not is_parsed,
    )


def _sent_array(element: PgType, *, is_parsed: bool) -> str | None:
    """As `PgType.sent`. The form of elements is not that of columns, so those of jsonb and of `character` prove nothing."""
    if is_parsed:
        return None if element.sent is None or element.name == JSONB.name else "{}::text[]"
    return element.sent if element.sent == "{}" else None


def oid_of_elements(array: PgType) -> int:
    """The oid that the fields of an array name."""
    return int.from_bytes(array.encode([])[12:16], "big")


def _in_braces(elements: Sequence[str]) -> str:
    return f"{{{','.join(elements)}}}"


def _quoted(text: str) -> str:
    """An element of an array's text."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
