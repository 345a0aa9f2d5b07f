"""What an answer must be: its status, and values at places of its JSON. A difference is told by place and kind, never with a value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pipeline.postcheck.requests.json_values import Kind, NotJson, Value, at, is_same, parse
from pipeline.postcheck.requests.template import Row


class FailureKind(StrEnum):
    """What was not as the file says."""

    NOT_SENT = "not_sent"
    NO_ROWS = "no_rows"
    QUERY_FAILED = "query_failed"
    UNEXPECTED_STATUS = "unexpected_status"
    NOT_JSON = "not_json"
    FIELD_MISSING = "field_missing"
    FIELD_PRESENT = "field_present"
    TYPE_DIFFERS = "type_differs"
    VALUE_DIFFERS = "value_differs"


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that was not so. Holds no value of an answer or a row."""

    kind: FailureKind
    path: str | None
    """The JSON Pointer of the field, where it is one."""
    sentence: str


class Presence(StrEnum):
    """Whether something is there, whatever it is."""

    PRESENT = "present"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class OfColumn:
    """Equal to a column of the row that the request was made from."""

    name: str


@dataclass(frozen=True, slots=True)
class Exactly:
    """Equal to a value of the file."""

    value: Value = field(repr=False)


@dataclass(frozen=True, slots=True)
class FieldExpectation:
    """One place of the answer's JSON, by its JSON Pointer."""

    path: str
    wanted: Presence | Kind | OfColumn | Exactly


@dataclass(frozen=True, slots=True)
class Expectation:
    """All that an answer must be."""

    statuses: tuple[int, ...]
    fields: tuple[FieldExpectation, ...]


def failures_of_answer(expectation: Expectation, status: int, body: bytes, row: Row) -> Iterator[Failure]:
    """What is wrong with an answer; of one with another status nothing more is said."""
    if status not in expectation.statuses:
        wanted = " or ".join(map(str, expectation.statuses))
        yield Failure(FailureKind.UNEXPECTED_STATUS, None, f"the status is {status}, not {wanted}")
    elif expectation.fields:
        yield from _failures_of_body(expectation.fields, body, row)


def _failures_of_body(fields: Sequence[FieldExpectation], body: bytes, row: Row) -> Iterator[Failure]:
    try:
        answer = parse(body)
    except NotJson:
        yield Failure(FailureKind.NOT_JSON, None, "the answer's body is not JSON")
        return
    for one in fields:
        yield from _failures_of_field(one, *at(answer, one.path), row)


def _failures_of_field(expected: FieldExpectation, is_there: bool, value: Value, row: Row) -> Iterator[Failure]:
    wanted, path = expected.wanted, expected.path
    if wanted is Presence.ABSENT:
        if is_there:
            yield Failure(FailureKind.FIELD_PRESENT, path, "is there, but should not be")
    elif not is_there:
        yield Failure(FailureKind.FIELD_MISSING, path, "is missing")
    elif isinstance(wanted, Kind):
        if Kind.of(value) is not wanted:
            yield Failure(FailureKind.TYPE_DIFFERS, path, f"is of type {Kind.of(value)}, not {wanted}")
    elif isinstance(wanted, OfColumn | Exactly):
        should_be = row[wanted.name] if isinstance(wanted, OfColumn) else wanted.value
        if Kind.of(value) is not Kind.of(should_be):
            yield Failure(FailureKind.TYPE_DIFFERS, path, f"is of type {Kind.of(value)}, not {Kind.of(should_be)}")
        elif not is_same(value, should_be):
            of = f"the column {wanted.name}" if isinstance(wanted, OfColumn) else "the value in the file"
            yield Failure(FailureKind.VALUE_DIFFERS, path, f"is another value than {of}")
