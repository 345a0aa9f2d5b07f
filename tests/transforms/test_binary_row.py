"""The tests' own decoder, against bytes written by hand from PostgreSQL's documentation: an oracle must be right itself."""

import uuid

import pytest
from binary_row import TARGETS, decode_row


def test_each_type():
    """Every type that the mapping has is read from bytes written by hand."""
    row = (
        b"\x00\x00\x00\x10" + bytes(range(16)) + b"\x00\x00\x00\x01\x01" + b"\x00\x00\x00\x01\x00" + b"\x00\x00\x00\x03a\xc3\xa9"
        b"\x00\x00\x00\x00" + b"\xff\xff\xff\xff" + b"\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x01" + b"\x00\x00\x00\x03\x01{}"
    )
    types = ["uuid", "boolean", "boolean", "text", "text", "text", "timestamp with time zone", "jsonb"]
    assert decode_row(row, types) == [
        uuid.UUID("00010203-0405-0607-0809-0a0b0c0d0e0f"),
        True,
        False,
        "aé",
        "",
        None,
        946_684_800_000_001,
        "{}",
    ]


def test_a_time_before_2000_is_negative():
    """2000-01-01 less one microsecond is minus one on the wire."""
    assert decode_row(b"\x00\x00\x00\x08" + b"\xff" * 8, ["timestamp with time zone"]) == [946_684_799_999_999]


@pytest.mark.parametrize(
    ("row", "sql_type"),
    [
        (b"", "text"),
        (b"\x00\x00\x00\x02a", "text"),
        (b"\x00\x00\x00\x01ab", "text"),
        (b"\xff\xff\xff\xfe", "text"),
        (b"\x00\x00\x00\x01\x02", "boolean"),
        (b"\x00\x00\x00\x02{}", "jsonb"),
        (b"\x00\x00\x00\x03\x02{}", "jsonb"),
        (b"\x00\x00\x00\x0f" + bytes(15), "uuid"),
        (b"\x00\x00\x00\x04" + bytes(4), "timestamp with time zone"),
    ],
)
def test_a_broken_row_is_noticed(row, sql_type):
    """A row that is cut, too long, or has a field of another form does not decode."""
    with pytest.raises(AssertionError):
        decode_row(row, [sql_type])


def test_the_targets_have_all_columns():
    """The three targets have the 17, 14 and 5 columns of the mapping."""
    assert [len(columns) for columns in TARGETS.values()] == [17, 14, 5]
