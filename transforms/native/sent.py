"""Rows as PostgreSQL sends them, made of rows as they are sent to it: equal bytes are a proof that the values are equal.

For most types both are the same. PostgreSQL writes the text of a jsonb anew, and gives a numeric of a column with a scale that scale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from transforms.native.plan import IS_BUILT
from transforms.table import Column
from transforms.types import JSONB, NUMERIC, PgType

AsSent = Callable[[bytes], bytes | None]
"""A row to the bytes that PostgreSQL sends of an equal one; None where that is not sure. Of another row it never gives those."""

# As in sent.c; those between them are of numerics, a scale and one more.
_AS_IT_IS: Final = 0
_JSONB: Final = 255
_SCALES: Final = range(_JSONB - 1)


def as_sent(columns: Sequence[Column]) -> AsSent | None:
    """None where bytes prove nothing of some column, or the compiled module is needed and not there."""
    if any(column.pg_type.sent is None for column in columns):
        return None
    codes = bytes(_code(column.pg_type) for column in columns)
    if not any(codes):
        return _itself
    if not IS_BUILT:
        return None
    from transforms.native.sound_rows import row_as_sent  # noqa: PLC0415 - it may not be there

    return lambda row: row_as_sent(row, codes)


def _itself(row: bytes) -> bytes:
    return row


def _code(pg_type: PgType) -> int:
    if pg_type.name == JSONB.name:
        return _JSONB
    if pg_type.name == NUMERIC.name and pg_type.modifier:
        scale = pg_type.modifier[1] if len(pg_type.modifier) > 1 else 0
        return 1 + scale if scale in _SCALES else _AS_IT_IS
    return _AS_IT_IS
