"""One field of a row in PostgreSQL's binary COPY format: its length in four bytes, then what the type's receive function takes.

https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"; per type the `*_recv` functions of the server.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

NULL: Final = b"\xff\xff\xff\xff"
TRUE: Final = b"\x00\x00\x00\x01\x01"
FALSE: Final = b"\x00\x00\x00\x01\x00"

# Microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL's timestamps begin.
POSTGRES_EPOCH: Final = 946_684_800_000_000

_UUID_LENGTH: Final = b"\x00\x00\x00\x10"
_JSONB_VERSION: Final = 1

_pack_length = Struct(">i").pack
# Most texts are short, and looking their length up is twice as fast as packing it.
_SHORT_LENGTHS: Final = tuple(_pack_length(length) for length in range(256))
_pack_jsonb_head = Struct(">iB").pack
_timestamp_field = Struct(">iq")
pack_timestamptz = _timestamp_field.pack


def uuid_field(sixteen_bytes: bytes) -> bytes:
    """A uuid."""
    return _UUID_LENGTH + sixteen_bytes


def timestamptz_field(microseconds: int) -> bytes:
    """A timestamptz from microseconds since 1970-01-01 UTC."""
    return pack_timestamptz(8, microseconds - POSTGRES_EPOCH)


def timestamptz_of_field(field: bytes) -> int:
    """Microseconds since 1970-01-01 UTC; the inverse of `timestamptz_field`."""
    microseconds: int = _timestamp_field.unpack(field)[1]
    return microseconds + POSTGRES_EPOCH


def text_field(utf8: bytes) -> bytes:
    """A text."""
    size = len(utf8)
    return (_SHORT_LENGTHS[size] if size < 256 else _pack_length(size)) + utf8


def jsonb_field(json_text: bytes) -> bytes:
    """A jsonb from its JSON text."""
    return _pack_jsonb_head(len(json_text) + 1, _JSONB_VERSION) + json_text
