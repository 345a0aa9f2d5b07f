"""What is said of each kind of mismatch: to a person in the terminal, in the page's list, and what there is to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from pipeline.target.mismatch import MismatchKind


class MismatchText(NamedTuple):
    words: str
    """What they are, after their number."""
    sentence: str
    """What is said of a single one."""
    advice: str
    """What to do; nothing for what is in order again."""


KINDS: Final[Mapping[MismatchKind, MismatchText]] = {
    MismatchKind.NOT_LOADED: MismatchText(
        "items that were not loaded: run migrate again to go on",
        "the item's chunk was never committed",
        "Run migrate again to go on.",
    ),
    MismatchKind.MISSING: MismatchText(
        "items whose row is missing",
        "the item's row is missing",
        "Who deleted it? validate --repair inserts it again.",
    ),
    MismatchKind.REPAIRED: MismatchText(
        "items whose row was missing, and is there again",
        "the item's row was missing, and is there again",
        "",
    ),
    MismatchKind.DIFFERENT: MismatchText(
        "items whose row is another",
        "the row has another value",
        "The application, or a trigger? It is never overwritten.",
    ),
    MismatchKind.DEAD_LETTER_IN_TARGET: MismatchText(
        "dead letters whose key has a row all the same",
        "the item is a dead letter, but its key has a row",
        "Did somebody bring it in by hand?",
    ),
    MismatchKind.ROW_WITHOUT_ITEM: MismatchText(
        "rows that no item accounts for",
        "no item accounts for this row",
        "Made by the application, or there before the load.",
    ),
    MismatchKind.REFERENCED: MismatchText(
        "rows that others refer to, which deleting them would delete or change",
        "other rows refer to this one, so it was kept",
        "Rows of others would go or change with it: theirs are not ours to touch.",
    ),
    MismatchKind.REFUSED: MismatchText(
        "rows that PostgreSQL refused to delete",
        "PostgreSQL refused to delete the row",
        "SQLSTATE and the constraint's name say what holds it.",
    ),
    MismatchKind.NOT_DELETED: MismatchText(
        "rows that a trigger or a policy kept",
        "a trigger or a policy kept the row",
        "A trigger or a policy kept it without an error.",
    ),
    MismatchKind.NOT_SEEN: MismatchText(
        "rows that are gone, or that row security hides from this role",
        "the row is gone, or row security hides it from this role",
        "Roll back as the table's owner, or with BYPASSRLS, to see all rows.",
    ),
}
