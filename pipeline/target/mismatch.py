"""What validate and rollback say of one item: by its number and by names, never by a value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from pipeline.target.rows import RefusedRow
from transforms.rejects import ErrorCode


class MismatchKind(StrEnum):
    """How an item and its row do not agree."""

    NOT_LOADED = "not_loaded"
    """Its chunk was never committed."""
    MISSING = "missing"
    """It was loaded, but its row is not there."""
    REPAIRED = "repaired"
    """Its row was missing, and is there again, equal."""
    DIFFERENT = "different"
    """Its row has another value in some columns."""
    DEAD_LETTER_IN_TARGET = "dead_letter_in_target"
    """It is a dead letter, and there is a row with its key that no loaded item has."""
    ROW_WITHOUT_ITEM = "row_without_item"
    """A row whose key no loaded item has, and no dead letter either."""

    REFERENCED = "referenced"
    """Not deleted: deleting it would delete or change rows of others that refer to it."""
    REFUSED = "refused"
    """Not deleted: PostgreSQL refused."""
    NOT_DELETED = "not_deleted"
    """Not deleted, without an error: a trigger or a policy keeps it."""
    NOT_SEEN = "not_seen"
    """It is gone, or row security hides it from this role."""


TRIED_AGAIN: Final = frozenset([MismatchKind.REFERENCED, MismatchKind.REFUSED])
"""What kept these rows from being deleted may be a row that goes later: of the same table, in another chunk."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One item and what is to be said of it."""

    item_number: int
    kind: MismatchKind
    columns: tuple[str, ...] = ()
    refused: RefusedRow | None = None
    """Why PostgreSQL refused to write the row again, or to delete it."""


def mismatches_to_json(mismatches: Iterable[Mismatch]) -> list[Any]:
    """As the ledger keeps them."""
    return [
        [item.item_number, item.kind, item.columns, item.refused and [item.refused.code, item.refused.sqlstate, item.refused.constraint]]
        for item in mismatches
    ]


def mismatches_of_json(entries: Iterable[Any]) -> tuple[Mismatch, ...]:
    """The inverse of `mismatches_to_json`."""
    return tuple(
        Mismatch(number, MismatchKind(kind), tuple(columns), refused and RefusedRow(number, ErrorCode(refused[0]), *refused[1:]))
        for number, kind, columns, refused in entries
    )
