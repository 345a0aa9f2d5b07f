"""The kinds of records that a run writes, the schema of each, and the words for each kind of mismatch.

What is demanded of a file that is read, the columns of Parquet and the tables of docs/dead-letters.md follow from `SCHEMAS`. A new field is
an entry here and its value in `lines.py`; a test holds the lines, the Parquet columns and the documentation against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum, StrEnum
from typing import Final, NamedTuple

from pipeline.target.compare import MismatchKind
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


OF_WINDOW: Final = "@window-"
"""Between a table and a number, in the name of the folder of a window's records; no table's name has an @."""


def window_folder(folder: str, number: int) -> str:
    """The name of the folder of the records of a window after the load of this folder: `orders@window-0002`."""
    return f"{folder}{OF_WINDOW}{number:04d}"


def folder_in_words(folder: str) -> str:
    """For people: `orders, window 2` of `orders@window-0002`."""
    table, at, number = folder.partition(OF_WINDOW)
    return f"{table}, window {int(number)}" if at and number.isdecimal() else folder


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
_VALUES: Final = (
    "with `--show_values`: by column `export` and `target`, what the export makes and what the target has; of child rows a list, each with "
    "its `row`, the key"
)
_MISMATCH: Final = (
    *_ADDRESS,
    Field("kind", FieldType.TEXT, "what does not agree"),
    Field("key", FieldType.OBJECT, "the item's key, as it is in the export; null of a row without an item"),
    Field("primary_key", FieldType.OBJECT, "of a row without an item: its primary key, as text"),
    Field("columns", FieldType.TEXTS, "those that differ"),
    Field("refused", FieldType.OBJECT, "why PostgreSQL refused: `code`, `sqlstate`, `constraint`; else null"),
    Field("values", FieldType.OBJECT, _VALUES, is_optional=True),
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
    MismatchKind.FILTERED_IN_TARGET: MismatchText(
        "rows with the key of an item that is filtered",
        "the definition does not take the item, but its key has a row",
        "Written by the application, or by hand? This load did not write it.",
    ),
    MismatchKind.DELETED_IN_TARGET: MismatchText(
        "rows of items that were deleted",
        "the item was deleted, and its row is there",
        "Inserted again by the application, or a trigger?",
    ),
    MismatchKind.ROW_WITHOUT_ITEM: MismatchText(
        "rows that no item accounts for",
        "no item accounts for this row",
        "Made by the application, or there before the load.",
    ),
    MismatchKind.OUTDATED: MismatchText(
        "items with an outdated row",
        "the row is older than the item, because later records of it are dead letters",
        "Correct the item in DynamoDB, or what refuses it, and write it again: it comes with the next window.",
    ),
    MismatchKind.OUTDATED_WITHOUT_ITEM: MismatchText(
        "rows of items that are gone, which were to be deleted and are dead letters",
        "the item is gone, and the record that says so is a dead letter",
        "Its dead letter says why the row was not deleted. Delete it by hand, and note that in the ledger (docs/windows.md).",
    ),
    MismatchKind.CHANGED_BY_OTHERS: MismatchText(
        "items whose row somebody else changed",
        "the row has another value, and somebody else wrote it",
        "The application, or somebody by hand? No window of ours wrote the row as it is.",
    ),
    MismatchKind.ROW_OF_OTHERS: MismatchText(
        "rows that no item accounts for, and that somebody else wrote",
        "no item accounts for this row, and somebody else wrote it",
        "Made by the application, or by hand.",
    ),
    MismatchKind.REFERENCED: MismatchText(
        "rows that others refer to, which deleting them would delete or change",
        "other rows refer to this one, so it was kept",
        "Rows of others would go or change with it: theirs are not ours to touch.",
    ),
    MismatchKind.REFUSED: MismatchText(
        "rows that PostgreSQL refused to delete, or to put back",
        "PostgreSQL refused to delete the row, or to put it back",
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
    MismatchKind.NOT_KNOWN: MismatchText(
        "rows of which no image has what was there before the window",
        "no image has what was there before the window",
        "The row was outdated, or somebody else's that --conflicts=overwrite replaced: an export from before has it.",
    ),
}
