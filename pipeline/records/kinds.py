"""The kinds of records that a run writes, the schema of each, and the words for each kind of mismatch.

What is demanded of a file that is read, the columns of Parquet and the tables of docs/dead-letters.md follow from `SCHEMAS`. A new field is
an entry here and its value in `lines.py`; a test holds the lines, the Parquet columns and the documentation against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum, StrEnum
from typing import Final, NamedTuple

from pipeline.target.mismatch import MismatchKind
from transforms.rejects import ItemError


class RecordFormat(StrEnum):
    """What `--dead_letter_format` takes."""

    JSONL = "jsonl"
    PARQUET = "parquet"


class RecordKind(StrEnum):
    """The names of the folders in a run's folder, in the order of the report."""

    DEAD_LETTERS = "dead_letters"
    NOTICES = "notices"
    MISMATCHES = "mismatches"
    """Of validate and of the gate of migrate."""
    DISCREPANCIES = "discrepancies"
    """Rows that a rollback left."""

    @property
    def words(self) -> str:
        return self.replace("_", " ")


OF_A_LOAD: Final = (RecordKind.DEAD_LETTERS, RecordKind.NOTICES)
"""What a load or a replay writes, in either format; the others are JSON Lines."""
OF_ROWS: Final = frozenset({RecordKind.MISMATCHES, RecordKind.DISCREPANCIES})
"""Records about a row: what they name are columns, not attributes."""


class FieldType(Enum):
    """How a field is held, in JSON Lines and in Parquet."""

    TEXT = "string", "string"
    NUMBER = "number", "int64"
    SMALL_NUMBER = "number", "int32"
    TIME = "string", "timestamp(us, UTC)"
    ERRORS = "array of objects", "list of structs"
    # Their members are other ones in every table, so they are JSON in a column of text.
    OBJECT = "object", "string (JSON)"
    TEXTS = "array of strings", "none"

    def __init__(self, in_json: str, in_parquet: str) -> None:
        self.in_json = in_json
        self.in_parquet = in_parquet


ERROR_FIELDS: Final = tuple(field.name for field in fields(ItemError))
"""Of each of a dead letter's errors; texts or null."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a kind of records; `meaning` is for the documentation. A file without it is refused, unless it is optional."""

    name: str
    type: FieldType
    meaning: str
    is_optional: bool = False


_ADDRESS: Final = (
    Field("run_id", FieldType.TEXT, "the run and the load"),
    Field("source_table", FieldType.TEXT, "the run and the load"),
    Field("target_table", FieldType.TEXT, "the run and the load"),
    Field("export_id", FieldType.TEXT, "the run and the load"),
    Field("data_file", FieldType.TEXT, "where in the export"),
    Field("item_number", FieldType.NUMBER, "counts from 0 in the file"),
)
_ERRORS: Final = (
    "all of them: `code`, `attribute` (a path such as `soapData.plan`, `eventData.items[3]`), `column`, `message`, `sqlstate`; "
    "each a string or null"
)
_MISMATCH: Final = (
    *_ADDRESS,
    Field("kind", FieldType.TEXT, "what does not agree"),
    Field("key", FieldType.OBJECT, "the item's key, as it is in the export; null of a row without an item"),
    Field("primary_key", FieldType.OBJECT, "of a row without an item: its primary key, as text"),
    Field("columns", FieldType.TEXTS, "those that differ"),
    Field("refused", FieldType.OBJECT, "why PostgreSQL refused: `code`, `sqlstate`, `constraint`; else null"),
    Field("values", FieldType.OBJECT, "with `--show_values`: by column what the export makes and what the target has", is_optional=True),
)
SCHEMAS: Final[Mapping[RecordKind, tuple[Field, ...]]] = {
    RecordKind.DEAD_LETTERS: (
        *_ADDRESS,
        Field("stage", FieldType.TEXT, "`read`, `transform` or `write`"),
        Field("errors", FieldType.ERRORS, _ERRORS),
        Field("item", FieldType.TEXT, "the line, verbatim; in base64 where it is not UTF-8"),
        Field("item_encoding", FieldType.TEXT, "`utf-8` or `base64`"),
        Field("rejected_at", FieldType.TIME, "when; as `2026-11-23T02:00:00.123456+00:00`", is_optional=True),
        Field("attempt", FieldType.SMALL_NUMBER, "1 for a load; one more each time a replay refuses the item again", is_optional=True),
        Field("first_run_id", FieldType.TEXT, "the run that first made it a dead letter; for a load, that run itself", is_optional=True),
    ),
    RecordKind.NOTICES: (
        *_ADDRESS,
        Field("code", FieldType.TEXT, "below"),
        Field("attribute", FieldType.TEXT, "which it is about"),
        Field("key", FieldType.OBJECT, "the attributes of the item's key, as they are in the export; of the item itself nothing"),
    ),
    RecordKind.MISMATCHES: _MISMATCH,
    RecordKind.DISCREPANCIES: _MISMATCH,
}


def demanded_fields(kind: RecordKind) -> frozenset[str]:
    return frozenset(field.name for field in SCHEMAS[kind] if not field.is_optional)


# -- kinds of mismatches -------------------------------------------------------------------------------------------------------------------


class MismatchText(NamedTuple):
    words: str
    sentence: str
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
        "Did somebody insert it by hand?",
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
