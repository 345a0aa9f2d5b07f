"""Rows that PostgreSQL sends, against rows as they are sent to it: equal bytes are a proof that the values are equal.

For most types both are the same. PostgreSQL writes the text of a jsonb anew, and gives a numeric of a column with a scale that scale.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final, NamedTuple

from transforms.native.plan import IS_BUILT
from transforms.table import Column
from transforms.types import JSONB, NUMERIC, PgType

if IS_BUILT:
    from transforms.native import sound_rows


class Proof(NamedTuple):
    """What compares the rows of one table with messages of PostgreSQL."""

    keys_of: Callable[[Sequence[bytes]], list[bytes]]
    """Of each row the fields of the key, in the order of the columns."""
    prove: Callable[[dict[int, bytes], list[bytes]], dict[int, int]]
    """Rows by item number, and messages, to numbers of the proved items: see `prove_rows`."""


# As in sent.c; those between them are of numerics, a scale and one more.
_AS_IT_IS: Final = 0
_JSONB: Final = 255
_MOST: Final = 255
_SCALES: Final = range(_JSONB - 1)


def compile_proof(columns: Sequence[Column], key: Collection[str]) -> Proof | None:
    """None where bytes prove nothing of some column, or the compiled module is not there."""
    positions = [position for position, column in enumerate(columns) if column.name in key]
    # A position, like a code, is a byte.
    if not IS_BUILT or any(column.pg_type.sent is None for column in columns) or positions[-1] > _MOST:
        return None
    codes = bytes(_code(column.pg_type) for column in columns)
    return Proof(
        lambda rows: sound_rows.fields_at(list(rows), bytes(positions)),
        lambda rows, messages: sound_rows.prove_rows(rows, codes, messages),
    )


def _code(pg_type: PgType) -> int:
    if pg_type.name == JSONB.name:
        return _JSONB
    if pg_type.name == NUMERIC.name and pg_type.modifier:
        scale = pg_type.modifier[1] if len(pg_type.modifier) > 1 else 0
        return 1 + scale if scale in _SCALES else _AS_IT_IS
    return _AS_IT_IS
