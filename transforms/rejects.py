"""Errors and notices of an item, their codes (`docs/dead-letters.md`), and the two refusals that carry errors.

    ItemRefused              the item cannot become a row
      ReadRefused            the line is not an item at all: stage "read", one error, nothing is converted further
      TransformRefused       values do not fit their columns: stage "transform", all errors of the item
    ValueRefused             one value does not fit its column; collected into a TransformRefused

Messages never hold a value of an item: they say what the column takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """Where an item was refused."""

    READ = "read"
    TRANSFORM = "transform"
    WRITE = "write"


class ErrorCode(StrEnum):
    """Why an item is a dead letter (`docs/dead-letters.md`)."""

    INVALID_JSON = "invalid_json"
    NOT_AN_ITEM = "not_an_item"

    MISSING_REQUIRED = "missing_required"
    WRONG_TYPE = "wrong_type"
    NUL_CHARACTER = "nul_character"
    INVALID_UUID = "invalid_uuid"
    INVALID_ENUM = "invalid_enum"
    INVALID_TIMESTAMP = "invalid_timestamp"
    TIMESTAMP_OUT_OF_RANGE = "timestamp_out_of_range"
    INVALID_NUMBER = "invalid_number"
    UNMAPPED_ATTRIBUTE = "unmapped_attribute"

    PRIMARY_KEY_CONFLICT = "primary_key_conflict"
    UNIQUE_CONFLICT = "unique_conflict"
    FOREIGN_KEY_VIOLATION = "foreign_key_violation"
    CHECK_VIOLATION = "check_violation"
    NOT_NULL_VIOLATION = "not_null_violation"
    DATABASE_REJECTED = "database_rejected"


class NoticeCode(StrEnum):
    """What is worth knowing about an item that became a row (`docs/dead-letters.md`)."""

    TIMESTAMP_DEFAULTED = "timestamp_defaulted"
    MALFORMED_MEETING_ID = "malformed_meeting_id"
    UNKNOWN_EVENT_TYPE = "unknown_event_type"
    EMPTY_UUID_AS_NULL = "empty_uuid_as_null"
    UNMAPPED_ATTRIBUTE = "unmapped_attribute"


@dataclass(frozen=True, slots=True)
class ItemError:
    """One thing wrong with an item. `attribute` is a path (`soapData.plan`, `eventData.items[3]`)."""

    code: ErrorCode
    attribute: str | None
    column: str | None
    message: str
    sqlstate: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing worth knowing about an item that became a row."""

    code: NoticeCode
    attribute: str


class ItemRefused(Exception):
    """The item cannot become a row."""

    stage: Stage

    def __init__(self, errors: tuple[ItemError, ...]) -> None:
        super().__init__(errors)
        self.errors = errors


class ReadRefused(ItemRefused):
    """The line is not one DynamoDB item."""

    stage = Stage.READ

    @classmethod
    def because(cls, code: ErrorCode, message: str, attribute: str | None = None) -> ReadRefused:
        """A read-stage refusal has exactly one error (`docs/tables.md`)."""
        return cls((ItemError(code, attribute, None, message),))


class TransformRefused(ItemRefused):
    """Values of the item do not fit their columns; `errors` names them all."""

    stage = Stage.TRANSFORM


class ValueRefused(Exception):
    """One attribute's value does not fit its column. `path` is below the attribute, as in `.items[3]`."""

    def __init__(self, code: ErrorCode, message: str, path: str = "") -> None:
        super().__init__(code, message, path)
        self.code = code
        self.message = message
        self.path = path
