"""`transforms/types.py`: each kind of field decodes to what it was made of, by the tests' own decoder."""

import uuid

import pytest
from binary_row import decode_row
from hypothesis import given
from hypothesis import strategies as st
from strategies import MODERATE, texts

from transforms import types as wire

YEAR_2000 = 946_684_800_000_000
INT64 = 2**63


def test_constants():
    """NULL is the length -1 without bytes; a boolean is one byte, 1 or 0."""
    assert wire.NULL == b"\xff\xff\xff\xff"
    assert decode_row(wire.NULL + wire.TRUE + wire.FALSE, ["boolean"] * 3) == [None, True, False]
    assert wire.POSTGRES_EPOCH == YEAR_2000


@MODERATE
@given(st.uuids(version=None))
def test_uuid(value):
    """A uuid is its sixteen bytes in network order."""
    assert decode_row(wire.uuid_field(value.bytes), ["uuid"]) == [uuid.UUID(str(value))]


@MODERATE
@given(texts)
def test_text(text):
    """A text is its UTF-8, its length counted in bytes."""
    assert decode_row(wire.text_field(text.encode()), ["text"]) == [text]


@MODERATE
@given(texts)
def test_jsonb(text):
    """A jsonb is the version 1 and its text, both counted in the length."""
    assert decode_row(wire.jsonb_field(text.encode()), ["jsonb"]) == [text]


@MODERATE
@given(st.integers(YEAR_2000 - INT64, INT64 - 1))
def test_timestamptz(microseconds):
    """A timestamptz counts from 2000-01-01 in 64 bits, before it as after it, and reads back."""
    field = wire.timestamptz_field(microseconds)
    assert decode_row(field, ["timestamp with time zone"]) == [microseconds]
    assert wire.timestamptz_of_field(field) == microseconds


@pytest.mark.parametrize("length", [0, 1, 255, 256, 65_535, 65_536, 16_777_216])
def test_lengths_of_four_bytes(length):
    """A length fills four bytes, most significant first."""
    assert decode_row(wire.text_field(b"x" * length), ["text"]) == ["x" * length]
    assert len(decode_row(wire.jsonb_field(b"1" * length), ["jsonb"])[0]) == length
