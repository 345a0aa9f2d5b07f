"""An encoded row back into text, for people: what the load would send, not what PostgreSQL would say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from transforms.types import NULL, POSTGRES_EPOCH

_1970: Final = datetime.fromtimestamp(0, UTC)


def _timestamp(content: bytes) -> str:
    return (_1970 + timedelta(microseconds=int.from_bytes(content, "big", signed=True) + POSTGRES_EPOCH)).isoformat()


_READ: Final[Mapping[str, Callable[[bytes], str]]] = {
    "uuid": lambda content: str(UUID(bytes=content)),
    "boolean": lambda content: "true" if content == b"\1" else "false",
    "text": bytes.decode,
    "timestamp with time zone": _timestamp,
    "jsonb": lambda content: content[1:].decode(),
}


def row_to_texts(encoded: bytes, sql_types: Sequence[str]) -> list[str | None]:
    """Each field of an encoded row as text; None is NULL."""
    fields = zip(_split(encoded), sql_types, strict=True)
    return [field_to_text(field, sql_type) for field, sql_type in fields]


def field_to_text(field: bytes, sql_type: str) -> str | None:
    """One field, with its length before it. A type that is not among the mapping's is shown as its bytes."""
    if field == NULL:
        return None
    read = _READ.get(sql_type)
    return read(field[4:]) if read else f"\\x{field[4:].hex()}"


def _split(encoded: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(encoded):
        length = int.from_bytes(encoded[place : place + 4], "big", signed=True)
        end = place + 4 + max(0, length)
        yield encoded[place:end]
        place = end
