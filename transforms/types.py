"""PostgreSQL's types: one entry each, for all that the job must know of it.

A field of a row in binary COPY format is its length in four bytes, then what the type's receive function takes:
https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"; per type the `*_recv` functions of the server.

A user's own conversion may fill a column of a type without an entry: `PgType("integer")`. Its values are shown as their bytes, and
compared as PostgreSQL compares that type. Forms are SQL with `{}` for a column, `{0}` and `{1}` for two.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from struct import Struct
from typing import Any, Final

NULL: Final = b"\xff\xff\xff\xff"
TRUE: Final = b"\x00\x00\x00\x01\x01"
FALSE: Final = b"\x00\x00\x00\x01\x00"

# Microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL's timestamps begin.
POSTGRES_EPOCH: Final = 946_684_800_000_000

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
    as_text: str = "{}::text"
    """The value as text that PostgreSQL reads again, the same with all settings of a session; or as a bigint."""
    is_long: bool = False
    """Whether values can be so long that PostgreSQL would compress them."""
    unparsed_type: str | None = None
    """Where the server's parser may refuse a value: the type to stage it as, until its row stands alone."""
    parse: str = "{}"
    """From the unparsed type to this type."""

    def __str__(self) -> str:
        return self.name

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
_DISTINCT_AS_TEXT: Final = '{0}::text COLLATE "C" IS DISTINCT FROM {1}::text COLLATE "C"'


def _show_uuid(content: bytes) -> str:
    return str(uuid.UUID(bytes=content))


UUID: Final = PgType("uuid", uuid_field, _show_uuid, default_check=DefaultCheck.ALWAYS)
"""Encoded from sixteen bytes."""


def _show_boolean(content: bytes) -> str:
    return "true" if content == b"\1" else "false"


BOOLEAN: Final = PgType("boolean", boolean_field, _show_boolean, default_check=DefaultCheck.ALWAYS)

# varchar(n) does not hold every text: PostgreSQL cuts trailing spaces in silence.
TEXT: Final = PgType(
    "text",
    text_field,
    bytes.decode,
    Shape.TEXT,
    further_columns=("character varying",),
    default_check=DefaultCheck.ALWAYS,
    is_distinct=_DISTINCT_AS_TEXT,
    is_long=True,
)
"""Encoded from UTF-8."""


def _show_timestamptz(content: bytes) -> str:
    return (_1970 + timedelta(microseconds=int.from_bytes(content, "big", signed=True) + POSTGRES_EPOCH)).isoformat()


TIMESTAMPTZ: Final = PgType(
    "timestamp with time zone",
    timestamptz_field,
    _show_timestamptz,
    # Microseconds since 1970-01-01 UTC. Before PostgreSQL 14 the epoch is a float, of which rounding is exact until 2100 and beyond.
    as_text="(extract(epoch FROM {}) * 1000000)::bigint",
)
"""Encoded from microseconds since 1970-01-01 UTC, to the microsecond."""


def _show_jsonb(content: bytes) -> str:
    return content[1:].decode()


JSONB: Final = PgType(
    "jsonb",
    jsonb_field,
    _show_jsonb,
    Shape.JSON,
    # An empty object is the load's way of having no SQL NULL.
    default_check=DefaultCheck.IF_THERE_IS_ONE,
    is_long=True,
    unparsed_type="bytea",
    # The first byte of a binary jsonb is its version.
    parse="convert_from(substr({}, 2), 'UTF8')::jsonb",
)
"""Encoded from JSON text in UTF-8. The order of keys and white space do not matter for equality; each digit of a number does."""

# No conversion of ours fills them; a user's own may.
VARCHAR: Final = replace(TEXT, name="character varying", further_columns=())
CHARACTER: Final = replace(VARCHAR, name="character")
JSON: Final = replace(VARCHAR, name="json", shape=Shape.JSON, default_check=DefaultCheck.NONE)
XML: Final = replace(VARCHAR, name="xml", default_check=DefaultCheck.NONE)
