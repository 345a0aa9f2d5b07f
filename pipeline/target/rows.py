"""Rows on their way into PostgreSQL: their binary COPY stream, and what came back refused."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Final

from transforms.compile import EncodedRow
from transforms.rejects import ErrorCode
from transforms.types import split_row

# https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + b"\x00\x00\x00\x00" * 2
_TRAILER: Final = b"\xff\xff"
_pack_field_count = Struct(">h").pack
_pack_numbered = Struct(">hiq").pack


@dataclass(frozen=True, slots=True)
class Rows:
    """Encoded rows and the item numbers that they come from, in the file's order."""

    item_numbers: Sequence[int]
    encoded: Sequence[EncodedRow]

    def __len__(self) -> int:
        return len(self.encoded)

    def only(self, item_numbers: Iterable[int]) -> Rows:
        """The rows of some of the items."""
        wanted = set(item_numbers)
        return self._where(lambda number: number in wanted)

    def without(self, item_numbers: Iterable[int]) -> Rows:
        """The rows of the other items."""
        unwanted = set(item_numbers)
        return self._where(lambda number: number not in unwanted)

    def _where(self, is_wanted: Callable[[int], bool]) -> Rows:
        pairs = [pair for pair in zip(self.item_numbers, self.encoded, strict=True) if is_wanted(pair[0])]
        return Rows([number for number, _ in pairs], [row for _, row in pairs])


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that PostgreSQL refused: no value, only what it was refused for."""

    item_number: int
    code: ErrorCode
    sqlstate: str | None
    constraint: str | None


def fields_of(rows: Rows, positions: Sequence[int]) -> Rows:
    """The same items, of each row only the fields at these positions."""
    return Rows(rows.item_numbers, [_fields_of(row, positions) for row in rows.encoded])


def _fields_of(row: EncodedRow, positions: Sequence[int]) -> EncodedRow:
    fields = list(split_row(row))
    return b"".join([fields[position] for position in positions])


def copy_stream(rows: Rows, field_count: int) -> io.BytesIO:
    """The rows as binary COPY takes them."""
    head = _pack_field_count(field_count)
    return io.BytesIO(b"".join((_HEADER, head, head.join(rows.encoded), _TRAILER)))


def numbered_copy_stream(rows: Rows, field_count: int) -> io.BytesIO:
    """The rows with their item number, a bigint, as one more field before the others."""
    numbered = [_pack_numbered(field_count + 1, 8, number) + row for number, row in zip(rows.item_numbers, rows.encoded, strict=True)]
    return io.BytesIO(b"".join((_HEADER, *numbered, _TRAILER)))
