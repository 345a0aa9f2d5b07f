"""Contents near the sound ones of each rule, made by chance: both ways make the same of each, a row or the same error, and nothing else.

A column alone makes the item, so that the compiled way cannot leave it to Python for another's sake.
"""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from both_ways import compile_both_ways
from sound_items import line_of

from transforms.columns import compile_column, maps_of
from transforms.native.plan import compile_sound_rows
from transforms.rejects import ItemRefused, NoticeCode
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
from transforms.sources import Clean, Joined, LaterOf, Part, Source
from transforms.table import Column, Table
from transforms.types import NULL, timestamptz_of_field

NUMBERS = [
    "0",
    "-0",
    "7",
    "12.50",
    "-3.25E2",
    "1E3",
    "2147483647",
    "-32768",
    "9223372036854775807",
    "0.00010",
    "123456789012345678",
    "1e-7",
]
EPOCHS = ["1717230000", "1717230000000", "1717230000000000", "1717230000.5", "1717230000000.123", "946684800", "4102444800000", "1.71723E9"]
ISO = ["2024-06-01T08:20:00Z", "2024-02-29 23:59:59.999999+02:00", "2000-01-01T00:00-0730", "2099-12-31T23:59:59.123456000+05"]
LOCAL = ["2024-06-01T08:20:00", "2024-02-29 23:59:59.999999", "2000-01-01T00:00", "2024-06-01T08:20:00.5"]
DAYS = ["2024-06-01", "2024-02-29", "0001-01-01", "9999-12-31", "1900-03-01"]
CLOCKS = ["09:30", "23:59:59", "00:00:00.000001", "09:30:15.250000"]
SPANS = ["P1Y2M3DT4H5M6.5S", "PT0S", "P3W", "P-1D"]
BASE64 = ["", "AA==", "AAA=", "AAAA", "/+9xyz09", "AP8="]
TEXTS = ["", "a", "abc", "ab ", "\u00e9\u00e9\u00e9", "\U0001f600x", "A", "sad"]
UUIDS = ["5f0c6a1e-0d1b-4a53-9d5e-0a4b6c7d8e9f", ""]
ADDRESSES = ["192.0.2.7", "10.0.0.0/8", "2001:db8::1/64"]
BOTH = ("N", "S")

RULES: list[tuple[Conversion, list[str], str]] = [
    *(
        (rule, NUMBERS, "N")
        for rule in (SmallInt(), Integer(), BigInt(), Integer(least=-5, most=1000), BigInt(tags=BOTH, zero_padded=True))
    ),
    *((rule, NUMBERS, "S") for rule in (BigInt(tags=BOTH, zero_padded=True), Numeric(tags=BOTH, zero_padded=True), Double(tags=BOTH))),
    *(
        (rule, NUMBERS, "N")
        for rule in (Numeric(), Numeric(10, 2), Numeric(5), Numeric(38, 38), Numeric(least=0, most=999), Double(), Real())
    ),
    *(
        (rule, NUMBERS, "N")
        for rule in (Numeric(least=Decimal("0.5")), Double(rounded=True), Real(rounded=True), Interval("s"), Interval("ms"))
    ),
    *((rule, EPOCHS, "N") for rule in (*map(Timestamp, ("s", "ms", "us", "epoch")), LocalTimestamp("epoch"), LocalTimestamp("ms"))),
    *((rule, EPOCHS, "S") for rule in (Timestamp("s", tags=BOTH), Timestamp("ms", tags=BOTH), Date("s", tags=BOTH))),
    *((Date(form), ["86400", "0", "1717200000000", "-86400000000", "172800000"], "N") for form in ("s", "ms", "us")),
    (Timestamp("ms", earliest=-(10**12), latest=10**14), [*EPOCHS, "0", "-1", "-1.5"], "N"),
    (Timestamp("iso"), ISO, "S"),
    (Timestamp("iso", zone="Europe/Berlin"), [*ISO, *LOCAL, "2024-03-31T02:30:00"], "S"),
    (LocalTimestamp(), LOCAL, "S"),
    (Date(), DAYS, "S"),
    (Time(), CLOCKS, "S"),
    (Interval("iso"), SPANS, "S"),
    (Bytes(), BASE64, "B"),
    (Bytes(tags=("S",)), BASE64, "S"),
    *((rule, TEXTS, "S") for rule in (Text(), Varchar(3), Char(3), Citext(), Cast("ltree"), Enum("mood"), Enum("mood", ("sad", "A")))),
    *((rule, NUMBERS, "N") for rule in (Text(tags=BOTH), Varchar(5, tags=BOTH), OneOf(("7", "12.50"), tags=BOTH))),
    (OneOf(("A", "\u00e9\u00e9\u00e9")), TEXTS, "S"),
    (UpperCased(("ABC",), NoticeCode.UNKNOWN_EVENT_TYPE), TEXTS, "S"),
    (Boolean(("a", "\u00e9\u00e9\u00e9"), ("A", ""), tags=("BOOL", "S")), TEXTS, "S"),
    (Boolean(("1", "yes"), ("0",), tags=("BOOL", "S", "N")), ["1", "0", "yes", "1.0"], "N"),
    (Uuid(), UUIDS, "S"),
    (Uuid(empty_as_null=True), UUIDS, "S"),
    (UuidV5("6ba7b810-9dad-11d1-80b4-00c04fd430c8", tags=BOTH), NUMBERS, "N"),
    (Inet(), ADDRESSES, "S"),
    (Domain("positive", Integer()), NUMBERS, "N"),
]
OF_RULES = pytest.mark.parametrize(("rule", "contents", "tag"), RULES, ids=lambda value: str(value)[:70])
LINES = 250
SIGNS = "0123456789-+.:eETZ =/AaP\u0661\u00e9\0"


def changed(chance: random.Random, content: str) -> str:
    """With up to two characters other, twice, gone or new."""
    for _ in range(chance.choice((0, 1, 1, 2))):
        at = chance.randrange(len(content) + 1)
        content = chance.choice(
            (
                content[:at] + content[at + 1 :],
                content[:at] + chance.choice(SIGNS) + content[at:],
                content[:at] + chance.choice(SIGNS) + content[at + 1 :],
                content[:at] + content[at : at + 1] + content[at:],
            )
        )
    return content


class Column1:
    """A table of one column, of the attribute `a`, and perhaps `b`."""

    def __init__(self, rule: Conversion, source: Source = "a", clean: tuple[Clean, ...] = ()) -> None:
        columns = (Column(source, "a", rule, clean=clean),)
        self.to_row = compile_both_ways(Table("source", "target", ("a",), columns), migration_time=0)
        self.encode_sound = compile_sound_rows([compile_column(column, 0) for column in columns], maps_of(columns)).encode

    def field(self, *values: Any) -> bytes:
        field: bytes = self.to_row(line_of(dict(zip("ab", values, strict=False))))[0]
        return field

    def outcome(self, *values: Any) -> str:
        """A code, or whether a row was made, and the compiled way was sure of it."""
        line = line_of(dict(zip("ab", values, strict=False)))
        try:
            self.to_row(line)
        except ItemRefused as refused:
            assert self.encode_sound(line, []) is None
            return str(refused.errors[0].code)
        return "quick" if self.encode_sound(line, []) is not None else "row"


@OF_RULES
def test_contents_near_the_sound_ones(rule: Conversion, contents: list[str], tag: str) -> None:
    chance = random.Random(f"{rule} {tag}")
    column = Column1(rule)
    outcomes: Counter[str] = Counter()
    for _ in range(LINES):
        outcomes[column.outcome({chance.choice((tag,) * 9 + ("S",)): changed(chance, chance.choice(contents))})] += 1
    assert outcomes["quick"] + outcomes["row"] > LINES / 50, outcomes
    # Whatever is text at all is a text.
    takes_all = isinstance(rule, Text | Citext | Cast) or rule == Enum("mood")
    assert takes_all or LINES - outcomes["quick"] - outcomes["row"] > LINES / 50, outcomes


@OF_RULES
def test_elements_near_the_sound_ones(rule: Conversion, contents: list[str], tag: str) -> None:
    """In a list and in a set, some of them NULL, or of another tag."""
    chance = random.Random(f"{rule} {tag} elements")
    columns = [
        Column1(rule) for rule in ((Array(rule), Domain("of_arrays", Array(rule))) if rule.pg_type.name != "positive" else (Array(rule),))
    ]
    takes_set = f"{tag}S" in Array(rule).tags
    outcomes: Counter[str] = Counter()
    for number in range(LINES // 4):
        elements = [
            chance.choice(contents) if chance.random() < 0.9 else changed(chance, chance.choice(contents)) for _ in range(number % 4)
        ]
        value: dict[str, Any] = {"L": [{tag: element} if chance.random() < 0.9 else {"NULL": True} for element in elements]}
        if takes_set and number % 2:
            value = {f"{tag}S": elements}
        for column in columns:
            outcomes[column.outcome(value)] += 1
    assert outcomes["quick"] + outcomes["row"] > LINES / 20, outcomes


OF_STRINGS = [(rule, contents) for rule, contents, tag in RULES if tag == "S"]


@pytest.mark.parametrize(("rule", "contents"), OF_STRINGS, ids=lambda value: str(value)[:70])
def test_parts_of_keys_and_cleaned_texts(rule: Conversion, contents: list[str]) -> None:
    """A rule takes what is made of attributes as it takes an attribute."""
    chance = random.Random(f"{rule} parts")
    part = Column1(rule, Part("a", "X#{v}#{w}", "v"))
    joined = Column1(rule, Joined(("a", "b"), ""))
    trimmed = Column1(rule, "a", (Clean.TRIM, Clean.EMPTY_AS_NULL))
    outcomes: Counter[str] = Counter()
    for _ in range(LINES // 4):
        content = changed(chance, chance.choice(contents)) if chance.random() < 0.5 else chance.choice(contents)
        outcomes[part.outcome({"S": f"X#{content}#w"})] += 1
        at = chance.randrange(len(content) + 1)
        outcomes[joined.outcome({"S": content[:at]}, {"S": content[at:]})] += 1
        outcomes[trimmed.outcome({"S": chance.choice((content, f" {content}\n"))})] += 1
    assert outcomes["quick"] + outcomes["row"] > LINES / 20, outcomes


@pytest.mark.parametrize(
    ("rule", "contents"),
    [(rule, contents) for rule, contents, tag in RULES if isinstance(rule, Timestamp) and tag in rule.tags],
    ids=lambda value: str(value)[:70],
)
def test_the_later_of_two_times(rule: Timestamp, contents: list[str]) -> None:
    """Of any form, as `max` has it."""
    chance = random.Random(f"{rule} later")
    later, alone = Column1(rule, LaterOf("a", "b")), Column1(rule)
    for _ in range(LINES // 2):
        tag = chance.choice(rule.tags)
        values = [{tag: chance.choice(contents)}, chance.choice([{tag: chance.choice(contents)}, {"NULL": True}])]
        single = [alone.outcome(value) for value in values]
        if set(single) <= {"quick", "row"}:
            fields = [field for field in map(alone.field, values) if field != NULL]
            assert later.field(*values) == max(fields, key=timestamptz_of_field)
            assert later.outcome(*values) == ("quick" if set(single) == {"quick"} else "row")


@pytest.mark.parametrize("rule", [Json(), Json(typed=True), Jsonb(), Jsonb(typed=True), Array(Json(typed=True)), Array(Jsonb())], ids=str)
def test_documents_near_the_sound_ones(rule: Conversion) -> None:
    """Of every tag, nested, with wrong numbers, U+0000 and too much."""
    chance = random.Random(str(rule))
    column = Column1(rule)
    outcomes: Counter[str] = Counter()

    def value(depth: int) -> Any:
        content = changed(chance, chance.choice(TEXTS)) if chance.random() < 0.3 else chance.choice(TEXTS)
        number = chance.choice(NUMBERS) if chance.random() < 0.95 else changed(chance, chance.choice(NUMBERS))
        several = range(chance.randrange(3) if depth else 0)
        return chance.choice(
            [
                {"S": content},
                {"N": number},
                {"B": chance.choice(BASE64)},
                {"BOOL": chance.random() < 0.5},
                {"NULL": True},
                {"SS": [content]},
                {"NS": [number]},
                {"BS": [content]},
                {"L": [value(depth - 1) for _ in several]},
                {"M": {f"{content}{index}": value(depth - 1) for index in several}},
            ]
        )

    for _ in range(LINES):
        outcomes[column.outcome({"L": [value(3), value(2)]})] += 1
    assert outcomes["quick"] > LINES / 3, outcomes
    deep = {"S": "x"}
    for _ in range(64):
        deep = {"L": [deep]}  # type: ignore[dict-item]
    assert column.outcome(deep) in ("quick", "row")
