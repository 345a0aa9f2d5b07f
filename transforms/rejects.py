"""Errors and notices of an item, their codes (`docs/dead-letters.md`), and the two refusals that carry errors.

    ItemRefused              the item cannot become a row
      ReadRefused            the line is not an item at all: stage "read", one error, nothing is converted further
      TransformRefused       values do not fit their columns: stage "transform", all errors of the item
    ItemFiltered             the item is not for this table: no row, and no fault
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
    NOT_A_CHANGE = "not_a_change"

    MISSING_REQUIRED = "missing_required"
    WRONG_TYPE = "wrong_type"
    NUL_CHARACTER = "nul_character"
    INVALID_UUID = "invalid_uuid"
    INVALID_ENUM = "invalid_enum"
    INVALID_TIMESTAMP = "invalid_timestamp"
    TIMESTAMP_OUT_OF_RANGE = "timestamp_out_of_range"
    INVALID_NUMBER = "invalid_number"
    NOT_AN_INTEGER = "not_an_integer"
    NUMBER_OUT_OF_RANGE = "number_out_of_range"
    PRECISION_LOST = "precision_lost"
    TEXT_TOO_LONG = "text_too_long"
    INVALID_BOOLEAN = "invalid_boolean"
    INVALID_DATE = "invalid_date"
    INVALID_TIME = "invalid_time"
    INVALID_INTERVAL = "invalid_interval"
    INVALID_BASE64 = "invalid_base64"
    INVALID_INET = "invalid_inet"
    UNMAPPED_ATTRIBUTE = "unmapped_attribute"
    PATTERN_MISMATCH = "pattern_mismatch"
    FUNCTION_FAILED = "function_failed"
    NO_TABLE = "no_table"

    PRIMARY_KEY_CONFLICT = "primary_key_conflict"
    UNIQUE_CONFLICT = "unique_conflict"
    FOREIGN_KEY_VIOLATION = "foreign_key_violation"
    CHECK_VIOLATION = "check_violation"
    NOT_NULL_VIOLATION = "not_null_violation"
    DATABASE_REJECTED = "database_rejected"
    ROW_CHANGED_BY_OTHERS = "row_changed_by_others"


class NoticeCode(StrEnum):
    """What is worth knowing about an item that became a row (`docs/dead-letters.md`)."""

    TIMESTAMP_DEFAULTED = "timestamp_defaulted"
    MALFORMED_MEETING_ID = "malformed_meeting_id"
    UNKNOWN_EVENT_TYPE = "unknown_event_type"
    EMPTY_UUID_AS_NULL = "empty_uuid_as_null"
    UNMAPPED_ATTRIBUTE = "unmapped_attribute"
    ROUNDED = "rounded"
    NUL_REPLACED = "nul_replaced"
    TRIMMED = "trimmed"
    CASE_CHANGED = "case_changed"
    EMPTY_AS_NULL = "empty_as_null"


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


class ItemFiltered(Exception):
    """The table's definition does not take the item; `reason` is in words of the definition alone: `entity is "ORDER"`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ValueRefused(Exception):
    """One attribute's value does not fit its column. `path` is below the attribute, as in `.items[3]`."""

    def __init__(self, code: ErrorCode, message: str, path: str = "") -> None:
        super().__init__(code, message, path)
        self.code = code
        self.message = message
        self.path = path


def item_error(refused: ValueRefused, attribute: str | None, column: str | None) -> ItemError:
    """The error of a value at its place; a read-stage fault ends the item's conversion with `ReadRefused` (`docs/tables.md`)."""
    # Of the item as a whole, a path begins with a dot.
    place = f"{attribute}{refused.path}" if attribute else refused.path.removeprefix(".") or None
    if refused.code is ErrorCode.INVALID_JSON:
        raise ReadRefused.because(refused.code, refused.message) from None
    if refused.code is ErrorCode.NOT_AN_ITEM:
        raise ReadRefused.because(refused.code, refused.message, place) from None
    return ItemError(refused.code, place, column, refused.message)
