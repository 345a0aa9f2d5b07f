"""What a person reads of each kind of mismatch."""

from __future__ import annotations

from typing import Final

from pipeline.target.mismatch import MismatchKind

KIND_WORDS: Final = {
    MismatchKind.NOT_LOADED: "items that were not loaded: run migrate again to go on",
    MismatchKind.MISSING: "items whose row is missing",
    MismatchKind.REPAIRED: "items whose row was missing, and is there again",
    MismatchKind.DIFFERENT: "items whose row is another",
    MismatchKind.DEAD_LETTER_IN_TARGET: "dead letters whose key has a row all the same",
    MismatchKind.ROW_WITHOUT_ITEM: "rows that no item accounts for",
    MismatchKind.REFERENCED: "rows that others refer to, which deleting them would delete or change",
    MismatchKind.REFUSED: "rows that PostgreSQL refused to delete",
    MismatchKind.NOT_DELETED: "rows that a trigger or a policy kept",
    MismatchKind.NOT_SEEN: "rows that are gone, or that row security hides from this role",
}
