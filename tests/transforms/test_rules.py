"""`transforms/rules/`: conversions as a table definition uses them, with other settings than our three tables have."""

import uuid

import pytest
from binary_row import decode_row
from both_ways import compile_both_ways
from sound_items import UUID_1, line_of

from transforms.rejects import ItemRefused, NoticeCode, ValueRefused
from transforms.rules import (
    Array,
    BigInt,
    Boolean,
    Bytes,
    Cast,
    Char,
    Citext,
    Conversion,
    Date,
    Domain,
    Double,
    Enum,
    Inet,
    Integer,
    Interval,
    Json,
    Jsonb,
    LocalTimestamp,
    Numeric,
    OneOf,
    Real,
    SmallInt,
    Text,
    Time,
    Timestamp,
    UpperCased,
    Uuid,
    UuidV5,
    Varchar,
)
from transforms.rules.text import is_uuid
from transforms.table import Column, Missing, Table

CONVERSIONS = {
    Uuid(): ("uuid", ("S",)),
    Text(): ("text", ("S",)),
    OneOf(("A", "B")): ("text", ("S",)),
    UpperCased(("A",), NoticeCode.UNKNOWN_EVENT_TYPE): ("text", ("S",)),
    Boolean(): ("boolean", ("BOOL",)),
    Timestamp(): ("timestamp with time zone", ("N",)),
    Jsonb(): ("jsonb", ()),
    UuidV5("6ba7b810-9dad-11d1-80b4-00c04fd430c8"): ("uuid", ("S",)),
    Varchar(40): ("character varying(40)", ("S",)),
    Char(3): ("character(3)", ("S",)),
    Citext(): ("citext", ("S",)),
    Enum("mood"): ("mood", ("S",)),
    Cast("varbit(3)"): ("varbit(3)", ("S",)),
    Inet(): ("inet", ("S",)),
    SmallInt(): ("smallint", ("N",)),
    Integer(): ("integer", ("N",)),
    BigInt(): ("bigint", ("N",)),
    Numeric(): ("numeric", ("N",)),
    Numeric(10, 2): ("numeric(10,2)", ("N",)),
    Numeric(10): ("numeric(10,0)", ("N",)),
    Double(): ("double precision", ("N",)),
    Real(): ("real", ("N",)),
    Timestamp("iso"): ("timestamp with time zone", ("S",)),
    Timestamp("epoch"): ("timestamp with time zone", ("N",)),
    LocalTimestamp(): ("timestamp without time zone", ("S",)),
    Date(): ("date", ("S",)),
    Date("s"): ("date", ("N",)),
    Time(): ("time without time zone", ("S",)),
    Interval(): ("interval", ("N",)),
    Interval("iso"): ("interval", ("S",)),
    Bytes(): ("bytea", ("B",)),
    Json(): ("json", ()),
    Array(Text()): ("text[]", ("L", "SS")),
    Array(Numeric(10, 2)): ("numeric(10,2)[]", ("L", "NS")),
    Array(Bytes()): ("bytea[]", ("L", "BS")),
    Array(Jsonb()): ("jsonb[]", ("L",)),
    Array(Timestamp("iso")): ("timestamp with time zone[]", ("L", "SS")),
    Domain("positive", Integer()): ("positive", ("N",)),
    Array(Domain("positive", Integer())): ("positive[]", ("L", "NS")),
}


def converted(conversion: Conversion, value: object, missing: Missing = Missing.NULL) -> object:
    """What one attribute becomes in a table of one column; the code of its one error where it is refused."""
    table = Table("source", "target", ("a",), (Column("a", "a", conversion, missing),))
    try:
        encoded, _ = compile_both_ways(table, migration_time=0)(line_of({"a": value}))
    except ItemRefused as refused:
        (error,) = refused.errors
        return str(error.code)
    return decode_row(encoded, [conversion.pg_type.name])[0]


@pytest.mark.parametrize(("conversion", "expected"), CONVERSIONS.items(), ids=repr)
def test_types_and_tags(conversion, expected):
    """Each conversion names its column's type as `format_type` spells it, and by default takes one tag: "no coercion by default"."""
    assert (str(conversion.pg_type), conversion.tags) == expected


def test_bounds_can_be_changed():
    """Rule: "Bounds a table definition may change", both ends valid, below and above the default ones, before 1970 too."""
    narrow = Timestamp(earliest=1_600_000_000_000, latest=1_600_000_000_010)
    for text, found in (
        ("1600000000000", 1_600_000_000_000_000),
        ("1600000000010", 1_600_000_000_010_000),
        ("1.60000000001E12", 1_600_000_000_010_000),
        ("1599999999999", "timestamp_out_of_range"),
        ("1599999999999.999", "timestamp_out_of_range"),
        ("1600000000011", "timestamp_out_of_range"),
        ("1600000000010.001", "timestamp_out_of_range"),
        ("1700000000000", "timestamp_out_of_range"),
    ):
        assert converted(narrow, {"N": text}) == found
    wide = Timestamp(earliest=-(10**12), latest=10**13)
    for text, found in (
        ("0", 0),
        ("-0", 0),
        ("-0.0", 0),
        ("0E-999999999", 0),
        ("-1", -1_000),
        ("-0.001", -1),
        ("-1.5", -1_500),
        ("-1E12", -(10**15)),
        ("1E13", 10**16),
        ("-1000000000000.001", "timestamp_out_of_range"),
        ("-0.0001", "invalid_timestamp"),
        ("0000000000001", "invalid_number"),
        ("-000000000001", "invalid_number"),
    ):
        assert converted(wide, {"N": text}) == found, text


def test_further_tags_can_be_accepted():
    """Rule: "A table definition may list further tags it accepts": their content is then held to the column's own rules."""
    either = Timestamp(tags=("N", "S"))
    assert converted(either, {"N": "1700000000000"}) == converted(either, {"S": "1700000000000"}) == 1_700_000_000_000_000
    assert converted(either, {"S": "2024-06-01T00:00:00Z"}) in ("invalid_number", "invalid_timestamp")
    assert converted(either, {"BOOL": True}) == "wrong_type"
    assert converted(either, {"S": 1}) == "not_an_item"
    assert converted(either, {"NULL": True}, Missing.REFUSED) == "missing_required"
    assert converted(Text(tags=("S", "N")), {"N": "1.50"}) == "1.50"
    assert converted(Text(tags=("N", "S")), {"S": "1.50"}) == "1.50"


@pytest.mark.parametrize(
    ("conversion", "value", "wrong"),
    [
        (Boolean(tags=("BOOL", "S")), {"S": "false"}, True),
        (Boolean(tags=("BOOL", "N")), {"N": "0"}, True),
        (Text(tags=("S", "BOOL")), {"BOOL": True}, None),
        (Text(tags=("S", "SS")), {"SS": ["a"]}, None),
        (Uuid(tags=("S", "M")), {"M": {}}, None),
    ],
    ids=repr,
)
def test_a_tag_that_the_conversion_cannot_read_is_never_guessed(conversion, value, wrong):
    """Rule: "Nothing is repaired or guessed in silence": `"false"` is not true.

    Such a definition or such an item is refused, and nothing else.
    """
    try:
        found = converted(conversion, value)
    except ValueError:  # the definition is refused when it is compiled
        return
    assert found != wrong


def test_a_number_taken_as_text_is_still_a_number():
    """Rule: "The text of an `N` must be a JSON number ...; else `invalid_number`": in whatever column."""
    assert converted(Text(tags=("S", "N")), {"N": "abc"}) == "invalid_number"


def test_an_empty_uuid():
    """`empty_as_null` is for nullable columns; without it an empty string is no UUID."""
    assert converted(Uuid(empty_as_null=True), {"S": ""}) is None
    assert converted(Uuid(), {"S": ""}) == "invalid_uuid"
    assert converted(Uuid(empty_as_null=True), {"S": " "}) == "invalid_uuid"
    assert converted(Uuid(empty_as_null=True), {"S": UUID_1}) == uuid.UUID(UUID_1)


def test_encoders_by_themselves():
    """An encoder takes the content of a value and gives the field: it raises `ValueRefused`, without a path, for what does not fit."""
    assert is_uuid(UUID_1)
    assert not is_uuid(UUID_1 + "\n")
    assert decode_row(Uuid().encoder("a")(UUID_1, []), ["uuid"]) == [uuid.UUID(UUID_1)]
    assert decode_row(Text().encoder("a")("é\\", []), ["text"]) == ["é\\"]
    assert Timestamp().to_microseconds("1.7E12") == 1_700_000_000_000_000
    for conversion, text, code in (
        (Uuid(), UUID_1 + "\n", "invalid_uuid"),
        (Text(), "\0", "nul_character"),
        (Timestamp(), "+1", "invalid_number"),
    ):
        with pytest.raises(ValueRefused) as caught:
            conversion.encoder("a")(text, [])
        assert (str(caught.value.code), caught.value.path) == (code, "")


def test_an_enum_names_its_values():
    """The message of `invalid_enum` tells what the column takes, so that a person knows what to do next."""
    table = Table("source", "target", ("a",), (Column("a", "a", OneOf(("DRAFT", "SIGNED"))),))
    with pytest.raises(ItemRefused) as caught:
        compile_both_ways(table, migration_time=0)(line_of({"a": {"S": "x"}}))
    assert "DRAFT" in caught.value.errors[0].message
    assert "SIGNED" in caught.value.errors[0].message
