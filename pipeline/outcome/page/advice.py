"""What to do about each code, in a line: docs/dead-letters.md and docs/validation.md say more."""

from __future__ import annotations

from typing import Final

ADVICE: Final = {
    "invalid_json": "The line is not what DynamoDB writes: how was the export made or changed?",
    "not_an_item": "The line is not what DynamoDB writes: how was the export made or changed?",
    "missing_required": "The column is NOT NULL: supply the value at the source, or relax the column and its definition.",
    "wrong_type": "Mend the item at the source, or widen the definition.",
    "invalid_uuid": "Mend the item at the source, or widen the definition.",
    "invalid_enum": "Mend the item at the source, or widen the definition.",
    "invalid_number": "Mend the item at the source, or widen the definition.",
    "invalid_timestamp": "Milliseconds since 1970, no finer than a microsecond: mend the item at the source.",
    "timestamp_out_of_range": "Milliseconds since 1970, from 2000 to 2100; the message says if seconds or microseconds would fit.",
    "nul_character": "PostgreSQL stores U+0000 neither in text nor in jsonb: remove it at the source.",
    "unmapped_attribute": "No column takes it: give it one, or load with --unmapped=notice.",
    "primary_key_conflict": "Another item with this key is the row. If both must be kept, the target's primary key has to be wider.",
    "unique_conflict": "Another item with this value is the row: is the index meant?",
    "foreign_key_violation": "The row that it refers to is not there: load that first, or mend the item.",
    "check_violation": "The constraint that is named forbids it: mend the item, or the check.",
    "not_null_violation": "Supply the value at the source, or relax the column.",
    "database_rejected": "SQLSTATE and the constraint's name say how.",
    "not_loaded": "Run migrate again to go on.",
    "missing": "Who deleted it? validate --repair inserts it again.",
    "different": "The application, or a trigger? It is never overwritten.",
    "dead_letter_in_target": "Did somebody bring it in by hand?",
    "referenced": "Rows of others would go or change with it: theirs are not ours to touch.",
    "refused": "SQLSTATE and the constraint's name say what holds it.",
    "not_deleted": "A trigger or a policy kept it without an error.",
    "not_seen": "Roll back as the table's owner, or with BYPASSRLS, to see all rows.",
    "row_without_item": "Made by the application, or there before the load.",
}
