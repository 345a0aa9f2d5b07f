"""Kinds of strings."""

from __future__ import annotations

import time
import uuid
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.inspection.names import Shape, shape_of
from tests.strategies import BRIEF

EXAMPLES = {
    Shape.EMPTY: [""],
    Shape.BLANK: [" ", "\t\r\n", "\u3000" * 1000],
    Shape.UUID: ["9a3ed888-4b76-41a7-a0b2-1fdfc3f81d3b", "9A3ED888-4B76-41A7-A0B2-1FDFC3F81D3B"],
    Shape.HEX: ["9a3ed8884b7641a7a0b21fdfc3f81d3b"],
    Shape.DIGITS: ["0", "007", "1735134334581", "1" * 32],
    Shape.NUMBER: ["-1", "+4", "1.5", ".5", "1.", "2E-7"],
    Shape.DATE: ["2024-02-29", "9999-99-99"],
    Shape.TIMESTAMP: ["2024-02-29T23:59:59Z", "2024-02-29 23:59:59.123456+01:00", "2024-02-29T23:59", "2024-02-29T235959Z"],
    Shape.URL: ["https://app.example/call?x=1#join", "s3://bucket/key", "https://x.example/" + "a" * 5000],
    Shape.E_MAIL: ["maria@clinic.example", "a.b+c@d.e.example"],
    Shape.UPPER_CASE_WORD: ["COMPLETED", "CALL_JOINED", "ICD-10"],
    Shape.WORD: ["Completed", "en-US", "snake_case", "Łukasz", "名前", "9a3ed888-4b76-41a7-a0b2-1fdfc3f81d3"],
    Shape.JSON: ['{"a": 1}', " [1, 2]\n", "{}", "[" + "x" * 100_000 + "]"],
    Shape.NUL: ["\0", "a\0b", "x" * 100_000 + "\0", '{"a": "\0"}'],
    Shape.CONTROLS: ["\x1b[31m", "bell\a", "\x9b31m"],
    Shape.SURROGATES: ["\ud800", "a\udfffb"],
    Shape.TEXT: ["Sore throat", "a b", "two\nlines", "{", "{]", "a@b", "http:", "e\u0301", "wörter, viele", "x" * 600],
}


@pytest.mark.parametrize(("shape", "text"), [(shape, text) for shape, texts in EXAMPLES.items() for text in texts])
def test_a_string_has_the_kind_that_a_person_would_say(shape: Shape, text: str) -> None:
    assert shape_of(text) is shape


def test_every_kind_has_an_example() -> None:
    assert set(EXAMPLES) == set(Shape)


@BRIEF
@given(st.text())
def test_any_string_has_a_kind(text: str) -> None:
    assert shape_of(text) in Shape
    assert (shape_of(text) is Shape.NUL) >= ("\0" in text)


@BRIEF
@given(st.uuids())
def test_what_python_writes_as_a_uuid_is_one(value: uuid.UUID) -> None:
    assert shape_of(str(value)) is Shape.UUID


@BRIEF
@given(st.datetimes(min_value=datetime(2000, 1, 1), timezones=st.none() | st.timezones()), st.sampled_from("T "))  # noqa: DTZ001
def test_what_python_writes_as_a_timestamp_is_one(value: datetime, separator: str) -> None:
    assert shape_of(value.isoformat(separator)) is Shape.TIMESTAMP
    assert shape_of(value.date().isoformat()) is Shape.DATE


@pytest.mark.parametrize(
    "part", ["a", "1", "-", "a@", "a.", "a@a.", "0.", "+", "{", "[", " ", "a ", "2024-01-01T", "://", "http://", "é", "\u3000", "\t"]
)
def test_no_string_takes_long(part: str) -> None:
    """The longest that DynamoDB can hold, of what could lead a pattern astray."""
    texts = [part * (400_000 // len(part)), part * (500 // len(part)), part * (500 // len(part)) + "\n!"]

    started = time.process_time()
    for text in texts:
        shape_of(text)

    assert time.process_time() - started < 0.1
