"""Each rule against PostgreSQL: its field is, to the byte, what the server sends of the same text that it has cast itself.

And the field is copied into a real column, which then reads as that text does. What is refused, and by which code, is below.
"""

from __future__ import annotations

import base64
import json
import struct
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Any

import pytest
from both_ways import compile_both_ways
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from on_server import Truth
from sound_items import line_of
from strategies import decimals, examples, json_numbers, texts, to_typed_json

from tests.postgres_server import Server
from transforms.columns import compile_column, maps_of
from transforms.native.plan import compile_sound_rows
from transforms.rejects import ItemRefused, Notice
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
from transforms.table import Column, Otherwise, Table
from transforms.types import NULL, field_to_text
from transforms.values import is_number

NAMESPACE = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
ALL_TIMES = {"earliest": -62_135_596_800_000, "latest": 253_402_300_799_999}
ON_SERVER = settings(
    deadline=None,
    max_examples=examples(40),
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def s(text: str) -> dict[str, Any]:
    return {"S": text}


def n(text: str) -> dict[str, Any]:
    return {"N": text}


@pytest.fixture(scope="module")
def truth(server: Server) -> Iterator[Truth]:
    connection = server.new_database(with_targets=False).connect()
    found = Truth(connection)
    found.cursor.execute("CREATE TYPE mood AS ENUM ('sad', 'it''s {ok}', '\u00e9')")
    found.cursor.execute("CREATE DOMAIN positive AS integer CHECK (value > 0)")
    # The server of the tests has no citext; in binary form it is text.
    found.cursor.execute("CREATE DOMAIN citext AS text")
    yield found
    connection.close()


class Converted:
    """A table of one column, converted both ways."""

    def __init__(self, rule: Conversion) -> None:
        columns = (Column("a", "a", rule),)
        self._encode_sound = compile_sound_rows([compile_column(column, 0) for column in columns], maps_of(columns)).encode
        self._to_row = compile_both_ways(Table("source", "target", ("a",), (Column("a", "a", rule),)), migration_time=0)

    def field(self, value: object) -> bytes:
        return self.with_notices(value)[0]

    def with_notices(self, value: object) -> tuple[bytes, Sequence[Notice]]:
        found: tuple[bytes, Sequence[Notice]] = self._to_row(line_of({"a": value}))
        return found

    def is_quick(self, value: object) -> bool:
        """Whether the compiled way is sure of it."""
        return self._encode_sound(line_of({"a": value}), []) is not None

    def refusal(self, value: object) -> tuple[str, str | None] | None:
        """The code and the place of the one error; None where there is none."""
        try:
            self._to_row(line_of({"a": value}))
        except ItemRefused as refused:
            (error,) = refused.errors
            return str(error.code), error.attribute
        return None


# -- what is stored ------------------------------------------------------------------------------------------------------------------------

NUMBERS = [
    *("0", "-0", "1", "-1", "7", "10", "100", "9999", "10000", "10001", "-32768", "32767", "123456789012345678901234567890.5"),
    *("0.1", "1.50", "0.0001", "0.00001", "-0.00010", "0.000100010", "1E2", "1.5E+3", "1.50E1", "15E-1", "1E-3", "12e10", "0E5", "0.000"),
    *("1E-130", "9.9E125", "-1E-130", "99999999999999999999999999999999999999", "0.12345678901234567890123456789012345678"),
    *("1" + "0" * 60, "0." + "0" * 60 + "1", "1234.5678", "12345.678", "123456.78", "1000000000000", "-9999.9999", "1.0000", "10000.0001"),
]
SPACES = "a  "
ISO = [
    ("2024-06-01T08:20:00Z", "2024-06-01 08:20:00+00"),
    ("2024-06-01 08:20:00.5Z", "2024-06-01 08:20:00.5+00"),
    ("2024-06-01T08:20:00.123456+00:00", "2024-06-01 08:20:00.123456+00"),
    ("2024-06-01T08:20:00.123456000Z", "2024-06-01 08:20:00.123456+00"),
    ("2024-06-01T08:20Z", "2024-06-01 08:20+00"),
    ("2024-06-01T08:20:00+02:00", None),
    ("2024-06-01T08:20:00-0730", None),
    ("2024-06-01T08:20:00+05", None),
    ("2024-02-29T23:59:59.999999-15:59", None),
    ("1999-12-31T23:59:59.999Z", None),
    ("1969-12-31T23:59:59.999999Z", None),
    ("0001-01-01T00:00:00Z", None),
    ("9999-12-31T23:59:59.999Z", None),
]
STORED: list[tuple[Conversion, dict[str, Any], str, str | None]] = [
    *((Numeric(), n(text), "numeric", text) for text in NUMBERS),
    *((Numeric(tags=("N", "S")), s(text), "numeric", text) for text in NUMBERS),
    *((Numeric(zero_padded=True, tags=("S",)), s(text), "numeric", text) for text in ("007", "-000.50", "00", "0001E2", "0.5", "12")),
    *((Numeric(10, 2), n(text), "numeric(10,2)", text) for text in ("0", "1.5", "-1.50", "1.500", "99999999.99", "1E3", "0.01", "-0.00")),
    *((Numeric(5), n(text), "numeric(5)", text) for text in ("12345", "-99999", "1E4", "1.000")),
    *((Numeric(4, 4), n(text), "numeric(4,4)", text) for text in ("0.1234", "-0.9999", "0")),
    *((Numeric(40, 10), n(text), "numeric(40,10)", text) for text in ("123456789012345678901234567890.0123456789", "1E-10", "1E29")),
    *((SmallInt(), n(text), "smallint", text) for text in ("0", "-0", "1", "-32768", "32767")),
    *((Integer(), n(text), "integer", text) for text in ("0", "7", "-2147483648", "2147483647")),
    *((BigInt(), n(text), "bigint", text) for text in ("0", "9", "-9223372036854775808", "9223372036854775807", "999999999999999999")),
    *((BigInt(), n(text), "bigint", whole) for text, whole in (("1E3", "1000"), ("1.0", "1"), ("-15e1", "-150"), ("120E-1", "12"))),
    (Integer(tags=("N", "S")), s("12"), "integer", "12"),
    (Integer(tags=("S",), zero_padded=True), s("000012"), "integer", "12"),
    (Integer(tags=("S",), zero_padded=True), s("-0012"), "integer", "-12"),
    (Integer(tags=("S",), zero_padded=True), s("0"), "integer", "0"),
    (Integer(least=-5, most=5), n("-5"), "integer", "-5"),
    *((Double(), n(text), "double precision", text) for text in ("0", "-0", "0.1", "1.50", "-123.456", "1E22", "1E24", "1E125", "1E-130")),
    *((Double(), n(text), "double precision", text) for text in ("0.30000000000000004", "9007199254740992", "0.7071067811865476", "5E-1")),
    *(
        (Double(), n(text), "double precision", text)
        for text in ("123456789012345", "1.23456789012345E30", "0.000001234", "1.7976931348623157E100")
    ),
    *(
        (Real(), n(text), "real", text)
        for text in ("0", "0.1", "1.50", "-123.456", "16777216", "1E38", "1E-37", "0.33333334", "1.1754944E-38", "8388608")
    ),
    *(
        (Boolean(("y", "1"), ("n", "0"), tags=("BOOL", "S", "N")), value, "boolean", text)
        for value, text in [
            ({"BOOL": True}, "t"),
            ({"BOOL": False}, "f"),
            (s("y"), "t"),
            (s("n"), "f"),
            (s("1"), "t"),
            (n("0"), "f"),
            (n("1"), "t"),
        ]
    ),
    *((Text(), s(text), "text", text) for text in ("", "a", SPACES, "\u00e9\U0001f600\n\\\"'")),
    (Text(tags=("S", "N")), n("1.50"), "text", "1.50"),
    *((Varchar(3), s(text), "varchar(3)", text) for text in ("", "abc", SPACES, "\u00e9\U0001f600\u00e9")),
    (Varchar(4, tags=("S", "N")), n("1E30"), "varchar(4)", "1E30"),
    *((Char(3), s(text), "char(3)", text) for text in ("abc", SPACES, "\u00e9\U0001f600\u00e9")),
    (Citext(), s("Ab"), "citext", "Ab"),
    (OneOf(("A", "1")), s("A"), "text", "A"),
    (OneOf(("A", "1"), tags=("S", "N")), n("1"), "text", "1"),
    *((Enum("mood"), s(text), "mood", text) for text in ("sad", "it's {ok}", "\u00e9")),
    (Enum("mood", ("sad", "\u00e9")), s("\u00e9"), "mood", "\u00e9"),
    (Domain("positive", Integer()), n("7"), "positive", "7"),
    *(
        (Inet(), s(text), "inet", text)
        for text in ("192.0.2.7", "10.1.2.3/8", "0.0.0.0/0", "255.255.255.255/32", "::", "2001:db8::1", "2001:db8::/32")
    ),
    *((Inet(), s(text), "inet", text) for text in ("::ffff:192.0.2.1", "fe80::1/64", "2001:DB8::A")),
    *((Timestamp("iso", **ALL_TIMES), s(text), "timestamptz", other or text) for text, other in ISO),
    *(
        (Timestamp("iso", zone="Europe/Berlin"), s(text), "timestamptz", other)
        for text, other in [
            ("2024-06-01T08:20:00", "2024-06-01 06:20:00+00"),
            ("2024-12-01 08:20", "2024-12-01 07:20:00+00"),
            ("2024-06-01T08:20:00Z", "2024-06-01 08:20:00+00"),
        ]
    ),
    *(
        (Timestamp("iso", zone="Asia/Kathmandu"), s(text), "timestamptz", other)
        for text, other in [("2024-06-01T08:20:00", "2024-06-01 02:35:00+00")]
    ),
    *(
        (Timestamp(form, **bounds), n(text), "timestamptz", other)
        for form, text, other, bounds in [
            ("ms", "1717230000000", "2024-06-01 08:20:00+00", {}),
            ("ms", "1717230000000.5", "2024-06-01 08:20:00.0005+00", {}),
            ("s", "1717230000", "2024-06-01 08:20:00+00", {}),
            ("s", "1717230000.123456", "2024-06-01 08:20:00.123456+00", {}),
            ("s", "1.71723E9", "2024-06-01 08:20:00+00", {}),
            ("us", "1717230000123456", "2024-06-01 08:20:00.123456+00", {}),
            ("s", "-1", "1969-12-31 23:59:59+00", {"earliest": -(10**12)}),
            ("s", "0", "1970-01-01 00:00:00+00", {"earliest": -(10**12)}),
            ("epoch", "1717230000", "2024-06-01 08:20:00+00", {}),
            ("epoch", "1717230000123", "2024-06-01 08:20:00.123+00", {}),
            ("epoch", "1717230000123456", "2024-06-01 08:20:00.123456+00", {}),
            ("epoch", "1717230000.5", "2024-06-01 08:20:00.5+00", {}),
        ]
    ),
    (Timestamp("s", tags=("N", "S")), s("1717230000"), "timestamptz", "2024-06-01 08:20:00+00"),
    *(
        (LocalTimestamp(**ALL_TIMES), s(text), "timestamp", text)
        for text in ("2024-06-01T08:20:00", "2024-06-01 08:20", "1969-12-31T23:59:59.999999", "0001-01-01T00:00:00.5")
    ),
    (LocalTimestamp("ms"), n("1717230000123"), "timestamp", "2024-06-01 08:20:00.123"),
    (LocalTimestamp("epoch"), n("1717230000"), "timestamp", "2024-06-01 08:20:00"),
    *((Date(), s(text), "date", text) for text in ("2024-02-29", "2000-01-01", "1999-12-31", "0001-01-01", "9999-12-31", "1970-01-01")),
    *(
        (Date(form), n(text), "date", day)
        for form, text, day in [
            ("s", "86400", "1970-01-02"),
            ("ms", "1717200000000", "2024-06-01"),
            ("us", "-86400000000", "1969-12-31"),
            ("s", "0", "1970-01-01"),
        ]
    ),
    *((Time(), s(text), "time", text) for text in ("09:30", "00:00:00", "23:59:59.999999", "09:30:15.25", "09:30:15.250000")),
    *(
        (Interval(unit), n(text), "interval", other)
        for unit, text, other in [
            ("s", "1.5", "1.5 seconds"),
            ("s", "-90061", "-90061 seconds"),
            ("ms", "1", "0.001 seconds"),
            ("ms", "0.001", "0.000001 seconds"),
            ("s", "1E9", "1000000000 seconds"),
        ]
    ),
    *(
        (Interval("iso"), s(text), "interval", text)
        for text in ("P1Y2M3DT4H5M6.789S", "P1D", "PT0S", "P3W", "P-1Y2M", "PT-0.5S", "PT36H", "P0D", "P178956970Y", "PT1.000001S")
    ),
    *(
        (Bytes(), {"B": base64.b64encode(content).decode()}, "bytea", f"\\x{content.hex()}")
        for content in (b"", b"\0", b"ab", b"abc", bytes(range(256)))
    ),
    (Bytes(tags=("B", "S")), s("AP8="), "bytea", "\\x00ff"),
    *(
        (Json(), value, "json", text)
        for value, text in [({"M": {"a": n("1.50")}}, '{"a":1.50}'), ({"NULL": False}, None), (s("x"), '"x"')]
        if text
    ),
    (Json(typed=True), {"M": {"a": n("1.50"), "b": {"NULL": True}}}, "json", '{"M":{"a":{"N":"1.50"},"b":{"NULL":true}}}'),
    (Uuid(), s("5F0C6A1E-0D1B-4A53-9D5E-0A4B6C7D8E9F"), "uuid", "5f0c6a1e-0d1b-4a53-9d5e-0a4b6c7d8e9f"),
    *(
        (UuidV5(NAMESPACE), s(text), "uuid", str(uuid.uuid5(uuid.UUID(NAMESPACE), text)))
        for text in ("", "a", "CUSTOMER#1#ORDER#9", "\u00e9" * 200)
    ),
    *(
        (Array(rule), value, sql_type, text)
        for rule, value, sql_type, text in [
            (Text(), {"L": [s("a"), s(""), {"NULL": True}, s('"\\,{}NULL')]}, "text[]", r'{a,"",NULL,"\"\\,{}NULL"}'),
            (Text(), {"SS": ["b", "a"]}, "text[]", "{b,a}"),
            (Text(), {"L": []}, "text[]", "{}"),
            (Uuid(), {"L": [s("5f0c6a1e-0d1b-4a53-9d5e-0a4b6c7d8e9f")]}, "uuid[]", "{5f0c6a1e-0d1b-4a53-9d5e-0a4b6c7d8e9f}"),
            (BigInt(), {"NS": ["2", "1E1", "-3"]}, "bigint[]", "{2,10,-3}"),
            (Numeric(), {"NS": ["1.50", "0"]}, "numeric[]", "{1.50,0}"),
            (Numeric(5, 2), {"L": [n("1.5")]}, "numeric(5,2)[]", "{1.5}"),
            (Varchar(3), {"L": [s("abc")]}, "varchar(3)[]", "{abc}"),
            (Bytes(), {"BS": ["AP8=", ""]}, "bytea[]", '{"\\\\x00ff","\\\\x"}'),
            (Bytes(), {"L": [{"B": "AA=="}]}, "bytea[]", '{"\\\\x00"}'),
            (Timestamp("iso"), {"L": [s("2024-06-01T08:20:00Z")]}, "timestamptz[]", '{"2024-06-01 08:20:00+00"}'),
            (Date(), {"SS": ["2024-06-01"]}, "date[]", "{2024-06-01}"),
            (Boolean(), {"L": [{"BOOL": True}, {"NULL": True}]}, "boolean[]", "{t,NULL}"),
            (Double(), {"NS": ["0.1"]}, "double precision[]", "{0.1}"),
            (SmallInt(), {"L": [n("7"), {"NULL": True}]}, "smallint[]", "{7,NULL}"),
            (Interval("iso"), {"L": [s("P1D")]}, "interval[]", "{P1D}"),
            (Inet(), {"L": [s("10.0.0.1")]}, "inet[]", "{10.0.0.1}"),
        ]
    ),
    (Domain("positive", Integer()), {"NULL": True}, "positive", None),
]


# What goes the way in Python: numerics of very many digits, floats beyond the digits or the size of which the digits say enough.
RARE = {
    *((Numeric, text) for text in ("9.9E125", "1" + "0" * 60)),
    *((Double, text) for text in ("1E22", "1E24", "1E125", "9007199254740992", "1.23456789012345E30", "1.7976931348623157E100")),
    *((Real, text) for text in ("16777216", "1E38", "1E-37", "0.33333334", "1.1754944E-38", "8388608")),
}


@pytest.mark.parametrize(("rule", "value", "sql_type", "text"), STORED, ids=lambda value: str(value)[:60])
def test_a_field_is_what_the_server_sends(truth: Truth, rule: Conversion, value: dict[str, Any], sql_type: str, text: str | None) -> None:
    field = Converted(rule).field(value)
    if sql_type not in ("interval", "timestamptz"):
        truth.cursor.execute("SET timezone = 'America/New_York'")
    (expected,) = truth.fields(sql_type, [text])
    assert field == expected
    assert truth.stored(sql_type, [field]) == truth.text(sql_type, [text])
    # Spans in ISO 8601 only Python knows: it is called for the column, not for the item.
    assert Converted(rule).is_quick(value) == ((type(rule), str(next(iter(value.values())))) not in RARE)
    shown = field_to_text(field, rule.pg_type)
    assert truth.fields(sql_type, [shown]) == [expected] or sql_type in ("double precision[]",)
    assert (shown is None) == (text is None)


@pytest.mark.parametrize(
    ("rule", "value", "sql_type", "text"),
    [
        (Char(5), s("ab"), "char(5)", "ab"),
        (Char(5), s("a "), "char(5)", "a"),
        (Char(5), s(""), "char(5)", ""),
        (Array(Char(3)), {"L": [s("a")]}, "char(3)[]", "{a}"),
    ],
)
def test_char_is_filled_up_by_the_server(truth: Truth, rule: Conversion, value: dict[str, Any], sql_type: str, text: str) -> None:
    """And compared as PostgreSQL does: spaces at the end do not count."""
    field = Converted(rule).field(value)
    assert truth.stored(sql_type, [field]) == truth.text(sql_type, [text]) or sql_type.endswith("[]")
    assert truth.stored(sql_type, [field], "array_send({0})" if sql_type.endswith("[]") else "bpcharsend({0})")


PARSED: list[tuple[Conversion, dict[str, Any], str]] = [
    (Cast("point"), s("(1,2)"), "(1,2)"),
    (Cast("numeric(5,2)"), s("1.25"), "1.25"),
    (Cast("pg_catalog.macaddr"), s("08:00:2b:01:02:03"), "08:00:2b:01:02:03"),
    (Array(Enum("mood")), {"L": [s("sad"), {"NULL": True}]}, "{sad,NULL}"),
    (Array(Jsonb()), {"L": [{"M": {"a": n("1.50")}}, {"NULL": True}, s("x")]}, r'{"{\"a\": 1.50}",NULL,"\"x\""}'),
    (Array(Json()), {"L": [{"M": {"a": n("1.50")}}]}, r'{"{\"a\":1.50}"}'),
    (Array(Citext()), {"SS": ["A"]}, "{A}"),
    (Array(Cast("point")), {"L": [s("(1,2)")]}, '{"(1,2)"}'),
    (Array(Domain("positive", Integer())), {"NS": ["1", "2"]}, "{1,2}"),
    (Domain("positive", Integer()), n("3"), "3"),
    (Jsonb(), {"M": {"a": n("1.50")}}, '{"a": 1.50}'),
    (Jsonb(typed=True), {"L": [s("a\n\u00e9"), {"SS": ["x"]}]}, '{"L": [{"S": "a\\n\u00e9"}, {"SS": ["x"]}]}'),
    (Enum("mood"), s("it's {ok}"), "it's {ok}"),
]


@pytest.mark.parametrize(("rule", "value", "text"), PARSED, ids=lambda value: str(value)[:60])
def test_what_the_server_parses_is_staged_as_something_else(truth: Truth, rule: Conversion, value: dict[str, Any], text: str) -> None:
    """The field goes into a column of the unparsed type, and its cast is the value."""
    field = Converted(rule).field(value)
    unparsed = rule.pg_type.unparsed_type
    assert unparsed is not None
    assert truth.stored(unparsed, [field, NULL], f"({rule.pg_type.parse.format('value')})::text") == [text, None]
    if rule.pg_type.copies_directly:
        assert truth.stored(str(rule.pg_type), [field]) == [text]


# -- what is refused -----------------------------------------------------------------------------------------------------------------------

REFUSED: list[tuple[Conversion, dict[str, Any], str]] = [
    *(
        (rule, n(text), "invalid_number")
        for rule in (Numeric(), Integer(), Double(), Real(), Timestamp("s"), Date("s"), Interval())
        for text in ("abc", "+1", "01", "", "1E126", " 1")
    ),
    *((Integer(tags=("N", "S")), s(text), "invalid_number") for text in ("007", "", " 1", "1 ", "\u0661", "0x1", "1_000", "\u00b2")),
    *(
        (Integer(tags=("S",), zero_padded=True), s(text), "invalid_number")
        for text in ("", "-", "--1", "00 1", "0-1", "0x1", ".5", "0\u0661")
    ),
    (Integer(tags=("N", "S"), zero_padded=True), n("007"), "invalid_number"),
    (Numeric(tags=("S",), zero_padded=True), s("-.5"), "invalid_number"),
    *(
        (rule, n(text), "not_an_integer")
        for rule in (SmallInt(), Integer(), BigInt())
        for text in ("1.5", "1E-1", "0.0000000000000000000000000000000000001", "99999999999999999999999999999999.9")
    ),
    *((SmallInt(), n(text), "number_out_of_range") for text in ("32768", "-32769", "1E125")),
    *((Integer(), n(text), "number_out_of_range") for text in ("2147483648", "-2147483649")),
    *((BigInt(), n(text), "number_out_of_range") for text in ("9223372036854775808", "-9223372036854775809", "1E20")),
    *((Integer(least=0, most=9), n(text), "number_out_of_range") for text in ("-1", "10")),
    *(
        (Numeric(least=0, most=Decimal("9.5")), n(text), "number_out_of_range")
        for text in ("-0.0000000000000000000000000000000000000001", "9.500000000000000000000000000000000000001")
    ),
    *((Numeric(10, 2), n(text), "number_out_of_range") for text in ("100000000", "-1E8", "99999999999999999999999999999999999999")),
    (Numeric(), n("1." + "0" * 16_384), "number_out_of_range"),
    *((Numeric(10, 2), n(text), "precision_lost") for text in ("0.001", "99999999.999", "1E-130", "-1.005")),
    *((Numeric(5), n(text), "precision_lost") for text in ("0.5", "99999.5")),
    *(
        (Double(), n(text), "precision_lost")
        for text in (
            "0.1000000000000000055511151231257827",
            "9007199254740993",
            "123456789012345678",
            "0.30000000000000001",
            "1E23",
            "4503599627370497.5",
            "71418987450459980",
        )
    ),
    *((Real(), n(text), "precision_lost") for text in ("16777217", "0.333333333", "123456.789")),
    *((Real(), n(text), "number_out_of_range") for text in ("3.5E38", "1E-60", "-1E100")),
    *(
        (Boolean(("y",), ("n",), tags=("BOOL", "S", "N")), value, code)
        for value, code in [
            (s("Y"), "invalid_boolean"),
            (s(""), "invalid_boolean"),
            (n("1"), "invalid_boolean"),
            (n("x"), "invalid_number"),
            ({"L": []}, "wrong_type"),
        ]
    ),
    *((rule, s(text), "text_too_long") for rule in (Varchar(3), Char(3)) for text in ("abcd", "abc ", "\u00e9" * 4, "\U0001f600" * 4)),
    *((rule, s("a\0"), "nul_character") for rule in (Varchar(1), Char(1), Citext(), Cast("ltree"), Enum("mood"))),
    *((Enum("mood", ("sad",)), s(text), "invalid_enum") for text in ("Sad", "", "\0")),
    *(
        (Timestamp("iso", zone=zone), s(text), "invalid_timestamp")
        for zone in (None, "Europe/Berlin")
        for text in (
            "",
            "2024-06-01",
            "2024-06-01T24:00:00Z",
            "2024-06-01T08:20:60Z",
            "2024-06-01T08:60:00Z",
            "2024-02-30T08:20:00Z",
            "2024-13-01T08:20:00Z",
            "0000-01-01T00:00:00Z",
            "2024-06-01T08:20:00.1234567Z",
            "2024-06-01T08:20:00z",
            "2024-06-01t08:20:00Z",
            "2024-06-01T08:20:00 Z",
            " 2024-06-01T08:20:00Z",
            "2024-06-01T08:20:00Z\n",
            "2024-06-01T08:20:00+16:00",
            "2024-06-01T08:20:00+02:60",
            "2024-06-01T08:20:00+2",
            "2024-06-01T08:20:00.Z",
            "2024-06-01T08:20:00,5Z",
            "20240601T082000Z",
            "2024-W22-6T08:20:00Z",
            "2024-06-01T08Z",
            "24-06-01T08:20:00Z",
            "\u0662024-06-01T08:20:00Z",
            "1717230000000",
            "2024-06-01T08:20:00+02:00:00",
            "now",
        )
    ),
    (Timestamp("iso"), s("2024-06-01T08:20:00"), "invalid_timestamp"),
    *((Timestamp("iso", zone="Europe/Berlin"), s(text), "invalid_timestamp") for text in ("2024-03-31T02:30:00", "2024-10-27T02:30:00")),
    *(
        (Timestamp("iso"), s(text), "timestamp_out_of_range")
        for text in ("1999-12-31T23:59:59.999999Z", "2100-01-01T00:00:00.000001Z", "2000-01-01T00:00:00+00:01")
    ),
    *(
        (Timestamp(form), n(text), "timestamp_out_of_range")
        for form, text in [("s", "1717230000000"), ("us", "1717230000000"), ("ms", "1717230000"), ("epoch", "17172300000"), ("epoch", "0")]
    ),
    *(
        (Timestamp(form), n(text), "invalid_timestamp")
        for form, text in [
            ("s", "1717230000.1234567"),
            ("us", "1717230000000000.5"),
            ("epoch", "1717230000000000.5"),
            ("epoch", "1717230000.1234567"),
        ]
    ),
    *(
        (LocalTimestamp(), s(text), "invalid_timestamp")
        for text in ("2024-06-01T08:20:00Z", "2024-06-01T08:20:00+00:00", "2024-06-01", "x")
    ),
    (LocalTimestamp(), s("1999-06-01T08:20:00"), "timestamp_out_of_range"),
    *(
        (Date(), s(text), "invalid_date")
        for text in ("", "2024-02-30", "2024-6-1", "20240601", "2024-06-01T00:00:00Z", "0000-01-01", "2024-06-01 ", "\u0662024-06-01")
    ),
    *(
        (Date(form), n(text), "invalid_date")
        for form, text in [("s", "86401"), ("ms", "0.5"), ("s", "1E15"), ("s", "0.0000001"), ("s", "-1E15")]
    ),
    *(
        (Time(), s(text), "invalid_time")
        for text in ("", "24:00:00", "9:30", "09:60", "09:30:60", "09:30:15.1234567", "09:30Z", "09:30:15,5", "093000")
    ),
    *(
        (Interval("iso"), s(text), "invalid_interval")
        for text in (
            "",
            "P",
            "PT",
            "P1",
            "1 day",
            "P1DT",
            "PT1.5H",
            "P1.5D",
            "PT0.0000001S",
            "P1H",
            "P178956971Y",
            "P2147483647D",
            "-P1D",
            "PT1S ",
            "P\u0661D",
            "PT9999999999999999S",
        )
    ),
    *((Interval(), n(text), "invalid_interval") for text in ("0.0000001", "1E15", "-1E15")),
    *(
        (Bytes(), {"B": text}, "invalid_base64")
        for text in ("A", "AA", "AA=", "AB==", "AA== ", "A\nA==", "-_8=", "AA==AA==", "\u00e9", "AAA", "=AA=")
    ),
    (Bytes(tags=("S",)), s("x"), "invalid_base64"),
    *(
        (Inet(), s(text), "invalid_inet")
        for text in (
            "",
            "10.0.0",
            "10.0.0.256",
            "010.0.0.1",
            "10.0.0.1/33",
            "10.0.0.1/08",
            "10.0.0.1/255.0.0.0",
            "10.0.0.1/",
            "fe80::1%eth0",
            "::1/129",
            "host",
            " ::1",
            "10.0.0.1/-1",
            "1",
            ":::",
        )
    ),
    *((Array(Text()), value, "wrong_type") for value in (s("a"), {"NS": ["1"]}, {"BS": []}, {"M": {}})),
    *(
        (rule, value, "wrong_type")
        for rule in (Numeric(), Integer(), Double(), Timestamp("s"))
        for value in (s("1"), {"BOOL": True}, {"NS": ["1"]})
    ),
    *(
        (rule, n("1"), "wrong_type")
        for rule in (Varchar(3), Char(3), Citext(), Timestamp("iso"), Date(), Time(), Interval("iso"), Inet(), Bytes(), UuidV5(NAMESPACE))
    ),
]


@pytest.mark.parametrize(("rule", "value", "code"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_is_refused(rule: Conversion, value: dict[str, Any], code: str) -> None:
    """By its code, with a message that holds nothing of the value."""
    assert Converted(rule).refusal(value) == (code, "a")


@pytest.mark.parametrize(("rule", "elements", "expected"), [
    (Array(BigInt()), {"NS": ["1", "1.5"]}, ("not_an_integer", "a[1]")),
    (Array(BigInt()), {"L": [n("1"), n("1.5"), s("x")]}, ("wrong_type", "a[2]")),
    (Array(BigInt()), {"L": [n("1.5"), s("x"), 1]}, ("not_an_item", "a[2]")),
    (Array(BigInt()), {"L": [{"N": 1}]}, ("not_an_item", "a[0]")),
    (Array(Text()), {"L": [s("a"), s("\0")]}, ("nul_character", "a[1]")),
    (Array(Text()), {"SS": ["a", "\0"]}, ("nul_character", "a[1]")),
    (Array(Text()), {"L": [{"L": []}]}, ("wrong_type", "a[0]")),
    (Array(Text(tags=("S", "N"))), {"NS": ["x"]}, ("invalid_number", "a[0]")),
    (Array(Bytes()), {"BS": ["x"]}, ("invalid_base64", "a[0]")),
    (Array(Jsonb()), {"L": [{"M": {"b": {"L": [s("\0")]}}}]}, ("nul_character", "a[0].b[0]")),
    (Array(Varchar(1)), {"SS": ["ab"]}, ("text_too_long", "a[0]")),
    (Array(Domain("positive", Integer())), {"L": [n("x")]}, ("invalid_number", "a[0]")),
], ids=str)  # fmt: skip
def test_an_element_that_is_refused_is_named_by_its_index(rule: Conversion, elements: dict[str, Any], expected: tuple[str, str]) -> None:
    """One error an attribute: the first in the order of the rulings."""
    assert Converted(rule).refusal(elements) == expected


def test_a_float_that_is_rounded_is_noted() -> None:
    """Once an attribute, however many elements of an array are rounded."""
    for rule, size in ((Double(rounded=True), 8), (Real(rounded=True), 4)):
        field, notices = Converted(rule).with_notices(n("0.1000000000000000055511151231257827"))
        assert [(str(notice.code), notice.attribute) for notice in notices] == [("rounded", "a")]
        assert struct.unpack(">d" if size == 8 else ">f", field[4:])[0] == pytest.approx(0.1)
        assert Converted(rule).with_notices(n("0.1"))[1] == []
    _, notices = Converted(Array(Double(rounded=True))).with_notices({"NS": ["0.1", "9007199254740993", "9007199254740995"]})
    assert [str(notice.code) for notice in notices] == ["rounded"]


WRONG_DEFINITIONS = [
    *(Varchar(length) for length in (0, -1, 10_485_761)),
    Char(0),
    Numeric(scale=2),
    Numeric(0),
    Numeric(1001),
    Numeric(2, 3),
    Numeric(2, -1),
    Numeric(least=2, most=1),
    Numeric(least=0.5),  # type: ignore[arg-type]
    Numeric(most=Decimal("NaN")),
    Integer(least=2**31),
    SmallInt(most=-(2**15) - 1),
    Integer(zero_padded=True),
    Integer(tags=("N", "BOOL")),
    Numeric(tags=()),
    Boolean(tags=("BOOL", "S")),
    Boolean(true=("y",)),
    Boolean(true=("y",), false=("y",), tags=("S",)),
    Timestamp("minutes"),
    Timestamp("iso", tags=("S", "N")),
    Timestamp("ms", zone="Europe/Berlin"),
    Timestamp("iso", zone="Mars/Olympus"),
    Timestamp("iso", zone="/etc/passwd"),
    Timestamp("epoch", earliest=0),
    Timestamp("epoch", earliest=10**9, latest=10**13),
    Timestamp(earliest=2, latest=1),
    Timestamp(latest=10**18),
    LocalTimestamp("day"),
    Date("epoch"),
    Interval("us"),
    Time(tags=("N",)),
    Inet(tags=("S", "N")),
    Bytes(tags=("B", "N")),
    UuidV5("x"),
    Enum("a b"),
    Domain("a b", Text()),
    Domain("", Array(Text())),
    Timestamp(earliest=-(10**14)),
    Enum("mood; DROP"),
    Cast("point[]; x"),
    Cast(""),
    Array(Array(Text())),
    Array(Text(), tags=("L", "NS")),
    Array(Text(), tags=("S",)),
    Text(tags=("S", "B")),
    Uuid(tags=("S", "N")),
]  # fmt: skip


@pytest.mark.parametrize("rule", WRONG_DEFINITIONS, ids=str)
def test_a_rule_that_cannot_be_is_refused_when_the_definition_is_checked(rule: Conversion) -> None:
    with pytest.raises(ValueError, match=type(rule).__name__ + "|" + "Array"):
        compile_both_ways(Table("source", "target", ("a",), (Column("a", "a", rule),)), migration_time=0)


# -- whatever comes ------------------------------------------------------------------------------------------------------------------------

EARLY, LATE = datetime.fromisoformat("0002-01-01"), datetime.fromisoformat("9998-12-31")
EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
number_texts = st.lists(
    (decimals().map(str).map(lambda text: text.replace("E+", "E")) | json_numbers(130)).filter(is_number), min_size=1, max_size=60
)


@ON_SERVER
@given(number_texts)
def test_numerics(truth: Truth, numbers: list[str]) -> None:
    """All digits of all numbers, as the server reads their text; and in arrays."""
    to_field = Converted(Numeric())
    fields = [to_field.field(n(text)) for text in numbers]
    assert fields == truth.fields("numeric", numbers)
    assert [Decimal(text) for text in truth.stored("numeric", fields)] == [Decimal(text) for text in numbers]
    array = Converted(Array(Numeric())).field({"L": [n(text) for text in numbers]})
    assert [array] == truth.fields("numeric[]", ["{" + ",".join(numbers) + "}"])


@ON_SERVER
@given(number_texts, st.integers(1, 60).flatmap(lambda precision: st.tuples(st.just(precision), st.integers(0, precision))))
def test_numerics_with_a_limit(truth: Truth, numbers: list[str], limit: tuple[int, int]) -> None:
    """What fits is stored; what does not fit exactly is refused, where the server would round or refuse."""
    precision, scale = limit
    rule = Converted(Numeric(precision, scale))
    fit = []
    for text in numbers:
        number = Decimal(text)
        if abs(number) >= Decimal(10) ** (precision - scale):
            assert rule.refusal(n(text)) == ("number_out_of_range", "a")
        elif EXACT.remainder(number.scaleb(scale, EXACT), 1):
            assert rule.refusal(n(text)) == ("precision_lost", "a")
        else:
            fit.append(text)
    if fit:
        fields = [rule.field(n(text)) for text in fit]
        assert fields == truth.fields(f"numeric({precision},{scale})", fit)


@ON_SERVER
@given(st.lists(st.integers(-(2**70), 2**70) | st.integers(-(2**33), 2**33) | st.integers(-(2**16), 2**16), min_size=1, max_size=60))
def test_whole_numbers(truth: Truth, numbers: list[int]) -> None:
    for rule, sql_type, limit in ((SmallInt(), "smallint", 2**15), (Integer(), "integer", 2**31), (BigInt(), "bigint", 2**63)):
        converted = Converted(rule)
        fit = [number for number in numbers if -limit <= number < limit]
        assert [converted.field(n(str(number))) for number in fit] == truth.fields(sql_type, [str(number) for number in fit])
        for number in set(numbers) - set(fit):
            assert converted.refusal(n(str(number))) == ("number_out_of_range", "a")


@ON_SERVER
@given(number_texts, st.lists(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e125, max_value=1e125), max_size=40))
def test_doubles(truth: Truth, numbers: list[str], floats: list[float]) -> None:
    """What is stored reads as the number that came; what is refused reads as another."""
    numbers += [text for text in map(repr, floats) if is_number(text)]
    strict, rounded = Converted(Double()), Converted(Double(rounded=True))
    fields = [rounded.field(n(text)) for text in numbers]
    assert fields == truth.fields("double precision", numbers)
    for text, read in zip(numbers, truth.stored("double precision", fields), strict=True):
        is_exact = Decimal(read) == Decimal(text)
        assert strict.refusal(n(text)) == (None if is_exact else ("precision_lost", "a"))
        assert len(rounded.with_notices(n(text))[1]) == (not is_exact)


@ON_SERVER
@given(
    number_texts,
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=40),
    st.lists(st.integers(-126, 127), max_size=20),
)
def test_reals(truth: Truth, numbers: list[str], floats: list[float], powers: list[int]) -> None:
    """The same of four bytes; around powers of two the shortest text is hardest to find."""
    numbers = numbers + truth.text("real", [repr(value) for value in floats if abs(value) > 1e-44 or not value])
    numbers += truth.text("real", [repr(2.0**power) for power in powers])
    strict, rounded = Converted(Real()), Converted(Real(rounded=True))
    numbers = [text for text in numbers if is_number(text) and rounded.refusal(n(text)) is None]
    fields = [rounded.field(n(text)) for text in numbers]
    assert fields == truth.fields("real", numbers)
    for text, read in zip(numbers, truth.stored("real", fields), strict=True):
        assert strict.refusal(n(text)) == (None if Decimal(read) == Decimal(text) else ("precision_lost", "a"))


offsets = st.integers(-15 * 60 - 59, 15 * 60 + 59)


@ON_SERVER
@given(st.lists(st.tuples(st.datetimes(EARLY, LATE), offsets, st.sampled_from("T ")), min_size=1, max_size=50))
def test_iso_times(truth: Truth, times: list[tuple[datetime, int, str]]) -> None:
    """As `datetime` writes them, and as the server reads them."""
    written = []
    for moment, offset, between in times:
        sign, (hours, minutes) = "-" if offset < 0 else "+", divmod(abs(offset), 60)
        written.append((moment, f"{moment.isoformat(between)}{sign}{hours:02}:{minutes:02}"))
    instant, local = Converted(Timestamp("iso", **ALL_TIMES)), Converted(LocalTimestamp(**ALL_TIMES))
    assert [instant.field(s(text)) for _, text in written] == truth.fields("timestamptz", [text for _, text in written])
    for moment, text in written:
        since = datetime.fromisoformat(text).astimezone(UTC) - datetime(2000, 1, 1, tzinfo=UTC)
        assert instant.field(s(text)) == struct.pack(">iq", 8, since // timedelta(microseconds=1))
        assert local.field(s(moment.isoformat())) == struct.pack(">iq", 8, (moment - EARLY.replace(year=2000)) // timedelta(microseconds=1))
    days = [moment.date().isoformat() for moment, _ in written]
    assert [Converted(Date()).field(s(text)) for text in days] == truth.fields("date", days)
    hours_of_day = [moment.time().isoformat() for moment, _ in written]
    assert [Converted(Time()).field(s(text)) for text in hours_of_day] == truth.fields("time", hours_of_day)


@ON_SERVER
@given(
    st.lists(st.datetimes(EARLY.replace(year=2001), LATE.replace(year=2099), allow_imaginary=True), min_size=1, max_size=50),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC", "Asia/Kolkata"]),
)
def test_times_on_the_clock_of_a_zone(truth: Truth, times: list[datetime], zone: str) -> None:
    """As the server reads them in a session of that zone, but for those that it has to guess."""
    converted = Converted(Timestamp("iso", zone=zone))
    found = {text: converted.refusal(s(text)) for text in (moment.isoformat() for moment in times)}
    sure = [text for text, refusal in found.items() if refusal is None]
    assert {refusal for refusal in found.values() if refusal} <= {("invalid_timestamp", "a")}
    assume(sure)
    truth.cursor.execute("SELECT set_config('timezone', %s, false)", (zone,))
    assert [converted.field(s(text)) for text in sure] == truth.fields("timestamptz", sure)


@ON_SERVER
@given(st.lists(st.tuples(*[st.integers(-(10**5), 10**5)] * 6, st.integers(-(10**12), 10**12)), min_size=1, max_size=40))
def test_iso_spans(truth: Truth, spans: list[tuple[int, ...]]) -> None:
    texts_of = []
    for years, months, weeks, days, hours, minutes, microseconds in spans:
        seconds = f"{'-' if microseconds < 0 else ''}{abs(microseconds) // 10**6}.{abs(microseconds) % 10**6:06}"
        texts_of.append(f"P{years}Y{months}M{weeks}W{days}DT{hours}H{minutes}M{seconds}S")
    converted = Converted(Interval("iso"))
    fields = [converted.field(s(text)) for text in texts_of]
    assert fields == truth.fields("interval", texts_of)
    # The forms in which values are shown and compared are of the very same span.
    interval = Interval("iso").pg_type
    assert truth.fields("interval", truth.stored("interval", fields, interval.as_text)) == fields
    assert truth.fields("interval", [field_to_text(field, interval) for field in fields]) == fields


@ON_SERVER
@given(st.lists(st.binary(max_size=60), min_size=1, max_size=40))
def test_bytes(truth: Truth, contents: list[bytes]) -> None:
    """As boto3 serialises them, and the export writes them."""
    fields = [Converted(Bytes()).field(to_typed_json(content)) for content in contents]
    assert fields == truth.fields("bytea", [f"\\x{content.hex()}" for content in contents])


@ON_SERVER
@given(st.text(st.sampled_from("AQZaz09+/=-_ \n"), max_size=12))
def test_base64_is_taken_strictly(text: str) -> None:
    """One text for each content: what `base64` itself writes."""
    try:
        is_sound = base64.b64encode(base64.b64decode(text, validate=True)).decode() == text
    except ValueError:
        is_sound = False
    assert (Converted(Bytes()).refusal({"B": text}) is None) == is_sound


@ON_SERVER
@given(st.lists(texts | st.none(), max_size=20))
def test_arrays_of_texts(truth: Truth, elements: list[str | None]) -> None:
    field = Converted(Array(Text())).field({"L": [{"NULL": True} if text is None else s(text) for text in elements]})
    truth.cursor.execute("SELECT %s::text[]::text", (elements,))
    assert [field] == truth.fields("text[]", [truth.cursor.fetchone()[0]])
    assert [field] == truth.fields("text[]", [field_to_text(field, Array(Text()).pg_type)])


@ON_SERVER
@given(st.lists(st.ip_addresses(), min_size=1, max_size=40), st.integers(0, 32))
def test_addresses(truth: Truth, addresses: list[Any], bits: int) -> None:
    texts_of = [f"{address}/{bits}" for address in addresses] + [str(address) for address in addresses]
    assume(not any("%" in text for text in texts_of))
    fields = [Converted(Inet()).field(s(text)) for text in texts_of]
    assert fields == truth.fields("inet", texts_of)
    assert truth.fields("inet", [field_to_text(field, Inet().pg_type) for field in fields]) == fields


@pytest.mark.parametrize("typed", [False, True])
def test_typed_json_is_the_value_as_it_came(typed: bool) -> None:
    """Of a document of every type, as boto3 serialises it."""
    value = to_typed_json(
        {"a": [Decimal("1.50"), None, True, {"s": {"x", "y"}}], "b": b"\0\xff", "n": {Decimal(1)}, "e": {}, "\u00e9": "\n"}
    )
    field = Converted(Json(typed=typed)).field(value)
    assert (json.loads(field[4:]) == value) == typed
    assert Converted(Jsonb(typed=typed)).field(value)[5:] == field[4:]


@pytest.mark.parametrize(
    ("rule", "content", "value"),
    [
        (Array(Text()), [{"S": "a"}], {"L": [{"S": "a"}]}),
        (Array(Text(), tags=("SS",)), ["a"], {"SS": ["a"]}),
        (Integer(tags=("S",), zero_padded=True), "007", {"S": "007"}),
        (Boolean(("y",), ("n",), tags=("BOOL", "S")), True, {"BOOL": True}),
        (Domain("positive", Integer()), "7", {"N": "7"}),
    ],
    ids=str,
)
def test_what_stands_for_a_missing_attribute_is_a_content_of_the_first_tag(rule: Conversion, content: Any, value: dict[str, Any]) -> None:
    column = Column("a", "a", rule, Otherwise(content))
    to_row = compile_both_ways(Table("source", "target", ("a",), (column,)), migration_time=0)
    assert to_row(line_of({}))[0] == to_row(line_of({"a": value}))[0] == Converted(rule).field(value)


def test_upper_cased_takes_a_number_as_it_stands() -> None:
    from transforms.rejects import NoticeCode

    rule = UpperCased(("1E3",), NoticeCode.UNKNOWN_EVENT_TYPE, tags=("S", "N"))
    assert Converted(rule).with_notices(n("1e3")) == (b"\0\0\0\x031E3", [])
