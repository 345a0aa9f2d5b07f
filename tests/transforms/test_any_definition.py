"""Random definitions and random items: rows, dead letters, notices and filtered items are what a slow reference says, both ways.

Rows are compared by PostgreSQL, which reads our binary fields and the reference's texts, and writes both.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from both_ways import compile_both_ways, compile_rows_both_ways
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from on_server import END, SIGNATURE
from reference_definition import Dead, Filtered, Row, outcome_of
from sound_items import MIGRATION_TIME, line_of
from strategies import examples

import ddb2pg as d
from tests.postgres_server import Server
from transforms.rejects import ItemFiltered, ItemRefused, NoticeCode

NAMESPACE = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
BOTH = ("N", "S")

NUMBERS = [
    *("0", "-0", "7", "12.50", "-3.25E2", "1E3", "2147483647", "2147483648", "-32768", "32768", "9223372036854775807"),
    *("0.00010", "123456789012345678", "1e-7", "0.1", "99999999.99", "1E-130", "9.9E125", "3", "100", "-5", "1.0", "1.005"),
]
PADDED = ["007", "0012.50", "-01", "00"]
NO_NUMBERS = ["+1", "01", ".5", "abc", " 1", "1E126", "NaN", "", "1.", "0x10", "\u0661", "1\n", "1\0"]
SECONDS = ["1717230000", "1717230000.5", "946684800", "4102444800", "1.71723E9", "1717230000.123456", "86400", "1717200000"]
MILLISECONDS = ["1717230000000", "1717230000000.123", "946684800000", "4102444800000.001", "1.71723E12", "1717200000000", "-86400000"]
MICROSECONDS = ["1717230000000000", "1717230000000000.0", "1717230000000000.5", "1717200000000000"]
EPOCHS = [*SECONDS, *MILLISECONDS, *MICROSECONDS, "0", "-1"]
ISO = ["2024-06-01T08:20:00Z", "2024-02-29 23:59:59.999999+02:00", "2000-01-01T00:00:00-07:30", "2099-12-31T23:59:59.123456000+05:00"]
NO_ISO = [
    "2024-02-30T00:00:00Z",
    "2024-06-01T25:00:00Z",
    "2024-06-01",
    "yesterday",
    "2024-06-01T08:20:00.1234567Z",
    "1999-12-31T23:59:59Z",
    "",
]
LOCAL = ["2024-06-01T08:20:00", "2024-02-29 23:59:59.999999", "2000-01-01T00:00:00", "2024-06-01T08:20:00.5"]
ZONED = ["2024-03-31T02:30:00", "2024-10-27T02:30:00", "2024-07-01T12:00:00"]
DAYS = ["2024-06-01", "2024-02-29", "2023-02-29", "0001-01-01", "9999-12-31", "2024-6-1", "20240601", "2024-06-01T00:00:00Z"]
CLOCKS = ["09:30", "23:59:59", "00:00:00.000001", "09:30:15.250000", "25:00", "9:30", "09:30:60", "noon", "09:30:15.1234567"]
SPANS = [
    *("P1Y2M3DT4H5M6.5S", "PT0S", "P3W", "P1D", "1 day", "P", "PT", "P1DT", "", "P-1Y2M", "P1Y-14M", "PT-0.5S", "PT-1M0.000001S", "P1W2D"),
    *("P2147483646D", "P-178956970Y-6M", "PT2562047788H", "P01D", "PT1.120000S", "PT1.1234567S", "P1M1Y", "P1Y1Y", "PT1S1M", "PT1.5H"),
    *("P1.5D", "T1S", "PT1", "PT1S ", "pt1s", "P+1D", "P--1D", "P1DT1M1S"),
]
BASE64 = ["", "AA==", "AAA=", "AAAA", "/+9xyz09", "AP8=", "A", "AA=", "AA", "_w==", "AA==\n", "\u00e9"]
TEXTS = [
    *(
        "",
        "a",
        "abc",
        "ab ",
        "  ab",
        "abcd",
        "abc  ",
        "\u00e9\u00e9\u00e9",
        "\U0001f600x",
        "A",
        "sad",
        "nul\0",
        " ",
        "\u2003x",
        "\u00df",
        "\u0130",
    ),
    *("7", "12.50", "C#1#O#2", "C#1", "O#2", "C#a#b#O#c#", "C##O#1", '"\\', "{a,b}", "NULL", "yes", "no", "CALL", "call\u00e9"),
]
UUIDS = [
    "5f0c6a1e-0d1b-4a53-9d5e-0a4b6c7d8e9f",
    "5F0C6A1E-0D1B-4A53-9D5E-0A4B6C7D8E9F",
    "",
    "5f0c6a1e",
    "{5f0c6a1e-0d1b-4a53-9d5e-0a4b6c7d8e9f}",
]
ADDRESSES = ["192.0.2.7", "10.0.0.0/8", "2001:db8::1/64", "300.1.1.1", "10.0.0.0/33", "", "example", "::ffff:10.1.2.3"]


def is_short(text: str) -> bool:
    return len(text) < 3


# Rules, the type of their column, and texts near what they take, by tag.
Kind = tuple[Any, str, dict[str, list[Any]]]
ALL_TIMES = {"earliest": -62_135_596_800_000, "latest": 253_402_300_799_999}
KINDS: list[Kind] = [
    (d.Uuid(), "uuid", {"S": UUIDS}),
    (d.Uuid(empty_as_null=True), "uuid", {"S": UUIDS}),
    (d.UuidV5(NAMESPACE), "uuid", {"S": TEXTS}),
    (d.UuidV5(NAMESPACE, tags=BOTH), "uuid", {"S": TEXTS, "N": NUMBERS}),
    (d.Text(), "text", {"S": TEXTS}),
    (d.Text(tags=("S", "N")), "text", {"S": TEXTS, "N": NUMBERS}),
    (d.Text(expected=is_short, otherwise=NoticeCode.MALFORMED_MEETING_ID), "text", {"S": TEXTS}),
    (d.Varchar(3), "varchar(3)", {"S": TEXTS}),
    (d.Varchar(5, tags=BOTH), "varchar(5)", {"S": TEXTS, "N": NUMBERS}),
    (d.Char(3), "char(3)", {"S": TEXTS}),
    (d.Citext(), "citext", {"S": TEXTS}),
    (d.OneOf(("A", "abc", "7")), "text", {"S": TEXTS}),
    (d.OneOf(("7", "12.50"), tags=BOTH), "text", {"S": TEXTS, "N": NUMBERS}),
    (d.UpperCased(("CALL", "A"), NoticeCode.UNKNOWN_EVENT_TYPE), "text", {"S": TEXTS}),
    (d.Enum("mood", ("sad", "A")), "mood", {"S": TEXTS}),
    (d.Domain("positive", d.Integer(least=1)), "positive", {"N": NUMBERS}),
    (d.Cast("point"), "text", {"S": TEXTS}),
    (d.Inet(), "inet", {"S": ADDRESSES}),
    (d.SmallInt(), "smallint", {"N": NUMBERS}),
    (d.Integer(), "integer", {"N": NUMBERS}),
    (d.Integer(least=-5, most=1000), "integer", {"N": NUMBERS}),
    (d.BigInt(), "bigint", {"N": NUMBERS}),
    (d.BigInt(tags=BOTH), "bigint", {"N": NUMBERS, "S": [*NUMBERS, *PADDED]}),
    (d.SmallInt(tags=BOTH, zero_padded=True), "smallint", {"N": NUMBERS, "S": [*NUMBERS, *PADDED]}),
    (d.Numeric(), "numeric", {"N": NUMBERS}),
    (d.Numeric(tags=("S",), zero_padded=True), "numeric", {"S": [*NUMBERS, *PADDED]}),
    (d.Numeric(10, 2), "numeric(10,2)", {"N": NUMBERS}),
    (d.Numeric(5), "numeric(5,0)", {"N": NUMBERS}),
    (d.Numeric(3, 3), "numeric(3,3)", {"N": NUMBERS}),
    (d.Numeric(least=Decimal("0.5"), most=999), "numeric", {"N": NUMBERS}),
    (d.Numeric(least=Decimal("1.005"), most=Decimal("12.50")), "numeric", {"N": [*NUMBERS, "1.0049", "12.501", "12.5", "1.0051"]}),
    (d.Numeric(most=Decimal("1E-20")), "numeric", {"N": [*NUMBERS, "1E-20", "1.1E-20"]}),
    (d.Double(), "double precision", {"N": NUMBERS}),
    (d.Double(rounded=True), "double precision", {"N": [*NUMBERS, "0.1234567890123456789"]}),
    (d.Real(), "real", {"N": NUMBERS}),
    (d.Real(rounded=True, tags=BOTH), "real", {"N": NUMBERS, "S": NUMBERS}),
    (d.Boolean(), "boolean", {"BOOL": [True, False]}),
    (d.Boolean(true=("yes", "7"), false=("no", ""), tags=("BOOL", "S")), "boolean", {"BOOL": [True, False], "S": TEXTS}),
    (d.Boolean(true=("7", "1"), false=("0",), tags=("N", "S")), "boolean", {"N": NUMBERS, "S": TEXTS}),
    (d.Timestamp(), "timestamptz", {"N": EPOCHS}),
    (d.Timestamp("s"), "timestamptz", {"N": EPOCHS}),
    (d.Timestamp("us"), "timestamptz", {"N": EPOCHS}),
    (d.Timestamp("epoch"), "timestamptz", {"N": EPOCHS}),
    (d.Timestamp("ms", **ALL_TIMES), "timestamptz", {"N": EPOCHS}),
    (d.Timestamp("s", tags=BOTH), "timestamptz", {"N": EPOCHS, "S": EPOCHS}),
    (d.Timestamp("iso"), "timestamptz", {"S": [*ISO, *NO_ISO, *LOCAL]}),
    (d.Timestamp("iso", zone="Europe/Berlin"), "timestamptz", {"S": [*ISO, *NO_ISO, *LOCAL, *ZONED]}),
    (d.LocalTimestamp(), "timestamp", {"S": [*LOCAL, *NO_ISO, *ISO]}),
    (d.LocalTimestamp("ms"), "timestamp", {"N": EPOCHS}),
    (d.Date(), "date", {"S": DAYS}),
    (d.Date("s"), "date", {"N": EPOCHS}),
    (d.Date("ms", tags=BOTH), "date", {"N": EPOCHS, "S": EPOCHS}),
    (d.Time(), "time", {"S": CLOCKS}),
    (d.Interval("s"), "interval", {"N": ["0", "90000", "1.5", "-3", "0.000001", "0.0000001", "1E3"]}),
    (d.Interval("ms"), "interval", {"N": ["0", "90000", "1.5", "-3", "0.001", "0.0001"]}),
    (d.Interval("iso"), "interval", {"S": SPANS}),
    (d.Bytes(), "bytea", {"B": BASE64}),
    (d.Bytes(tags=("B", "S")), "bytea", {"B": BASE64, "S": BASE64}),
]
DOCUMENTS: list[tuple[Any, str]] = [(d.Jsonb(), "jsonb"), (d.Json(), "json"), (d.Jsonb(typed=True), "jsonb"), (d.Json(typed=True), "json")]
NAMES = ["a", "b", "c", "e", r"d\.x", "m.p", "m.q", "m.r.t", "l[0]", "l[1].u", "\u00e9 #1"]
PARTS = [("C#{c}#O#{o}", "c"), ("C#{c}#O#{o}", "o"), ("C#{c}", "c"), ("{x}#{y}", "y"), ("{all}", "all"), ("O#{o}", "o"), ("{n} ", "n")]
CLEANS = [(), (), (), (), (d.TRIM,), (d.EMPTY_AS_NULL,), (d.TRIM, d.EMPTY_AS_NULL), (d.LOWER,), (d.UPPER, d.REPLACE_NUL), (d.REPLACE_NUL,)]
TIME_RULES = [kind for kind in KINDS if isinstance(kind[0], d.Timestamp)]
TEXT_KINDS = [kind for kind in KINDS if "S" in kind[2]]
NULL = {"NULL": True}


Make = Callable[[Random], Any]


def near(kind: Kind) -> Make:
    """Attribute values that the rule takes, or nearly."""

    def make(chance: Random) -> Any:
        tag = chance.choice(list(kind[2]))
        return {tag: chance.choice(kind[2][tag])}

    return make


def text_near(texts: list[str]) -> Make:
    return lambda chance: {"S": chance.choice(texts)}


def anything(chance: Random, depth: int = 2) -> Any:
    """Of any tag, nested, sometimes with wrong numbers and U+0000."""
    several = range(chance.randrange(3) if depth else 0)
    way = chance.randrange(12)
    if way < 2:
        return {"L": [anything(chance, depth - 1) for _ in several]}
    if way < 4:
        return {"M": {chance.choice(["p", "q", "x.y", "", "\u00e9"]): anything(chance, depth - 1) for _ in several}}
    return chance.choice(
        [
            {"S": chance.choice(TEXTS)},
            {"N": chance.choice(NUMBERS if chance.random() < 0.9 else NO_NUMBERS)},
            {"B": "AA=="},
            {"BOOL": chance.random() < 0.5},
            NULL,
            {"SS": ["a", "b"]},
            {"NS": ["1.50", "2"]},
            {"BS": ["AA=="]},
        ]
    )


MALFORMED = [{"S": "x", "N": "1"}, {}, {"X": "1"}, {"N": 5}, {"NULL": False}, "x", None, [], {"L": {}}]
WAYS = ["path"] * 8 + ["array", "array", "document", "document", "part", "part", "joined", "later", "whole", "none"]


def made_column(chance: Random, number: int) -> tuple[d.Column, str, list[tuple[str, Make]]]:  # noqa: C901, PLR0911 - a case a line
    """A column, its type, and what its attributes should be, by path."""
    name, path, other = f"c{number}", *chance.sample(NAMES, 2)
    kind, cleans = chance.choice(KINDS), chance.choice(CLEANS)
    missing: Any = chance.choice([d.Missing.NULL, d.Missing.NULL, d.Missing.REFUSED])
    match chance.choice(WAYS):
        case "array":
            rule = d.Array(kind[0])
            return d.Column(path, name, rule, missing), f"{kind[1]}[]", [(path, elements_near(kind, rule))]
        case "document":
            rule, sql_type = chance.choice(DOCUMENTS)
            return d.Column(path, name, rule, chance.choice([missing, d.EMPTY_OBJECT])), sql_type, [(path, anything)]
        case "part":
            kind = chance.choice(TEXT_KINDS)
            pattern, part = chance.choice(PARTS)
            filled = [text.replace("{c}", "1").replace("{o}", "2").replace("{x}", "z") for text in
                      (pattern.replace(f"{{{part}}}", text) for text in kind[2]["S"])]  # fmt: skip
            return (
                d.Column(d.Part(path, pattern, part), name, kind[0], missing, cleans),
                kind[1],
                [(path, text_near([*filled, *filled, *TEXTS]))],
            )
        case "joined":
            kind = chance.choice(TEXT_KINDS)
            source = d.Joined((path, other), separator=chance.choice(["#", "", "-"]))
            value = near((None, "", {"S": TEXTS, "N": NUMBERS}))
            return d.Column(source, name, kind[0], missing, cleans), kind[1], [(path, value), (other, value)]
        case "later":
            kind = chance.choice(TIME_RULES)
            missing = chance.choice([missing, d.Missing.MIGRATION_TIME])
            return d.Column(d.LaterOf(path, other), name, kind[0], missing), kind[1], [(path, near(kind)), (other, near(kind))]
        case "whole":
            rule, sql_type = chance.choice(DOCUMENTS)
            return d.Column(chance.choice([d.ITEM, d.REST, d.REST]), name, rule, d.EMPTY_OBJECT), sql_type, []
        case "none":
            if chance.random() < 0.5:
                return d.Column(None, name, d.Timestamp(), d.Missing.MIGRATION_TIME), "timestamptz", []
            return d.Column(None, name, d.Text(), d.Otherwise("constant")), "text", []
    if isinstance(kind[0], d.Timestamp) and chance.random() < 0.5:
        missing = d.Missing.MIGRATION_TIME
    if isinstance(kind[0], d.Text | d.Varchar) and chance.random() < 0.5 and kind[0].tags[0] == "S":
        missing = d.Otherwise("ab")
    if isinstance(kind[0], d.Uuid) and kind[0].empty_as_null:
        missing = d.Missing.NULL
    if "S" not in kind[2] or isinstance(missing, d.Otherwise):
        cleans = ()
    return d.Column(path, name, kind[0], missing, cleans), kind[1], [(path, near(kind))]


def elements_near(kind: Kind, rule: d.Array) -> Make:
    sets = [tag for tag in kind[2] if f"{tag}S" in rule.tags]

    def make(chance: Random) -> Any:
        if sets and chance.random() < 0.4:
            tag = chance.choice(sets)
            return {f"{tag}S": chance.sample(kind[2][tag], chance.randrange(1, 3))}
        return {"L": [NULL if chance.random() < 0.1 else near(kind)(chance) for _ in range(chance.randrange(4))]}

    return make


def made_condition(chance: Random, depth: int = 2) -> Any:  # noqa: PLR0911 - a case a line
    path = chance.choice(NAMES)

    def scalar() -> Any:
        return chance.choice([*TEXTS[:8], 7, Decimal("12.5"), 1000, True, False])

    match chance.choice(["equals", "in", "begins", "exists", *(["not", "all", "any"] if depth else [])]):
        case "equals":
            return d.Equals(path, scalar())
        case "in":
            return d.In(path, tuple(scalar() for _ in range(chance.randrange(1, 4))))
        case "begins":
            return d.BeginsWith(path, chance.choice(["C#", "a", "20"]))
        case "exists":
            return d.Exists(path)
        case "not":
            return d.Not(made_condition(chance, depth - 1))
        case "all":
            return d.AllOf(*(made_condition(chance, depth - 1) for _ in range(chance.randrange(1, 4))))
    return d.AnyOf(*(made_condition(chance, depth - 1) for _ in range(chance.randrange(1, 4))))


def put(item: dict[str, Any], path: str, value: Any) -> None:
    """At a path of `NAMES`, where the item allows it."""
    if path.startswith("m."):
        members = item.setdefault("m", {"M": {}}).get("M")
        names = path.split(".")[1:]
        for name in names[:-1]:
            members = members.setdefault(name, {"M": {}}).get("M") if isinstance(members, dict) else None
        if isinstance(members, dict):
            members[names[-1]] = value
    elif path.startswith("l["):
        elements = item.setdefault("l", {"L": []}).get("L")
        index = int(path[2])
        if isinstance(elements, list):
            elements += [NULL] * (index + 1 - len(elements))
            elements[index] = value if path.endswith("]") else {"M": {"u": value}}
    else:
        item[path.replace("\\", "")] = value


def made_item(chance: Random, wanted: Sequence[tuple[str, Make]]) -> dict[str, Any]:
    item: dict[str, Any] = {}
    for path, make in wanted:
        way = chance.choice(["near"] * 12 + ["absent", "null", "anything"])
        if way != "absent":
            put(item, path, make(chance) if way == "near" else NULL if way == "null" else anything(chance))
    if chance.random() < 0.4:
        name = chance.choice(["extra", "m", "l", "m.extra", 'z"\\', "a"])
        if name not in item:
            put(item, name, anything(chance))
    if chance.random() < 0.05:
        item[chance.choice(["a", "b", "extra"])] = chance.choice(MALFORMED)
    # Parts that stand in several places are not to be changed together.
    return copy.deepcopy(item)


def made_definition(chance: Random) -> tuple[d.Table, list[str], list[dict[str, Any]]]:
    """A table, the types of its columns, and items near it."""
    made = [made_column(chance, number) for number in range(chance.randrange(1, 6))]
    where = made_condition(chance) if chance.random() < 0.3 else None
    table = d.Table("source", "target", ("a",), tuple(column for column, _, _ in made), where=where)
    wanted = [pair for _, _, pairs in made for pair in pairs]
    return table, [sql_type for _, sql_type, _ in made], [made_item(chance, wanted) for _ in range(8)]


@pytest.fixture(scope="module")
def cursor(server: Server) -> Iterator[Any]:
    connection = server.new_database(with_targets=False).connect()
    connection.autocommit = True
    found = connection.cursor()
    found.execute("SET TimeZone = 'UTC'")
    found.execute("CREATE TYPE mood AS ENUM ('sad', 'A')")
    found.execute("CREATE DOMAIN positive AS integer")
    # The server of the tests has no citext; in binary form it is text.
    found.execute("CREATE DOMAIN citext AS text")
    yield found
    connection.close()


def read_by_server(cursor: Any, types: list[str], ours: list[bytes], expected: list[list[str | None]]) -> tuple[list[Any], list[Any]]:
    """What PostgreSQL writes of rows in our binary form, and of rows of texts."""
    columns = ", ".join(f"c{number} {sql_type}" for number, sql_type in enumerate(types))
    as_text = ", ".join(f"c{number}::jsonb::text" if sql_type == "json" else f"c{number}::text" for number, sql_type in enumerate(types))
    found = []
    cursor.execute("DROP TABLE IF EXISTS pg_temp.ours; DROP TABLE IF EXISTS pg_temp.expected")
    for name in ("ours", "expected"):
        cursor.execute(f"CREATE TEMP TABLE {name} (number serial, {columns})")
    names = ", ".join(f"c{number}" for number in range(len(types)))
    head = len(types).to_bytes(2, "big")
    cursor.copy_expert(
        f"COPY ours ({names}) FROM STDIN (FORMAT BINARY)", io.BytesIO(SIGNATURE + b"".join(head + row for row in ours) + END)
    )
    casts = ", ".join(f"%s::{sql_type}" for sql_type in types)
    for row in expected:
        cursor.execute(f"INSERT INTO expected ({names}) VALUES ({casts})", row)
    for name in ("ours", "expected"):
        cursor.execute(f"SELECT {as_text} FROM {name} ORDER BY number")
        found.append(cursor.fetchall())
    return found[0], found[1]


@settings(deadline=None, max_examples=examples(100), database=None, suppress_health_check=[*HealthCheck])
@given(chance=st.randoms())
def test_every_definition_is_what_the_reference_says(cursor: Any, chance: Random) -> None:
    assert not list(differences(cursor, *made_definition(chance)))


def test_definitions_by_chance(cursor: Any) -> None:
    """Without hypothesis, whose examples are small: larger ones, the same each time."""
    for seed in range(200):
        assert not list(differences(cursor, *made_definition(Random(seed)))), seed


def differences(cursor: Any, table: d.Table, types: list[str], items: list[dict[str, Any]]) -> Iterator[str]:
    """What our conversion makes otherwise, with the item, in words."""
    to_row = compile_both_ways(table, migration_time=MIGRATION_TIME)
    ours, expected = [], []
    for item in items:
        line = line_of(item)
        outcome = outcome_of(table, line, MIGRATION_TIME)
        found: Any
        try:
            found = to_row(line)
        except ItemFiltered as filtered:
            found, is_same = f"filtered: {filtered.reason}", isinstance(outcome, Filtered) or getattr(outcome, "or_filtered", False)
        except ItemRefused as refused:
            found = str(refused.stage), [(str(error.code), error.attribute) for error in refused.errors]
            is_same = isinstance(outcome, Dead) and outcome.agrees_with(*found)
        else:
            encoded, notices = found
            found = sorted((str(notice.code), notice.attribute) for notice in notices)
            is_same = isinstance(outcome, Row) and found == outcome.notices
            if is_same and isinstance(outcome, Row):
                ours.append(encoded)
                expected.append(outcome.values)
        if not is_same:
            yield f"{line!r}: found {found}, expected {outcome}"
    if ours:
        rows, wanted = read_by_server(cursor, types, ours, expected)
        yield from (f"found {row}, expected {other}" for row, other in zip(rows, wanted, strict=True) if row != other)


def test_child_rows_by_chance(cursor: Any) -> None:
    """An element that is a map becomes the row that an item of its members would; what is said of it names its place."""
    for seed in range(200):
        table, types, items = made_definition(Random(seed))
        columns = tuple(column for column in table.columns if column.source not in (d.ITEM, d.REST))
        types = [sql_type for column, sql_type in zip(table.columns, types, strict=True) if column in columns]
        # Of an element of which no column takes anything that itself is told.
        if any(column.paths for column in columns):
            assert not list(differences_of_children(cursor, replace(table, columns=columns, where=None), types, items)), seed


def differences_of_children(cursor: Any, table: d.Table, types: list[str], items: list[dict[str, Any]]) -> Iterator[str]:
    """As `differences`, of each item as the second element of a list whose first makes a sound row, or as an element alone."""
    parent = d.Column("parent", "parent", d.Text(), d.Missing.REFUSED)
    to_rows = compile_rows_both_ways(
        d.Table("source", "parents", "parent", (parent,), children=(d.Child("in.lines", "lines", table.columns),)),
        migration_time=MIGRATION_TIME,
    )
    ours, expected = [], []
    sound: dict[str, Any] | None = None
    for item in items:
        outcome = outcome_of(table, line_of(item), MIGRATION_TIME)
        elements = [{"M": item}] if sound is None else [{"M": sound}, {"M": item}]
        line = line_of({"parent": {"S": "p"}, "in": {"M": {"lines": {"L": elements}}}})
        place = f"in.lines[{len(elements) - 1}]"
        found: Any
        try:
            found = to_rows(line)
        except ItemRefused as refused:
            found = str(refused.stage), [(str(error.code), _within(error.attribute, place)) for error in refused.errors]
            is_same = isinstance(outcome, Dead) and outcome.agrees_with(*found)
        else:
            _, notices, (rows,) = found
            found = sorted((str(one.code), _within(one.attribute, place)) for one in notices if str(one.attribute).startswith(place))
            is_same = (
                isinstance(outcome, Row) and found == [(code, path or "") for code, path in outcome.notices] and len(rows) == len(elements)
            )
            if is_same and isinstance(outcome, Row):
                ours.append(rows[-1])
                expected.append(outcome.values)
                sound = item if not notices else sound
        if not is_same:
            yield f"{line!r}: found {found}, expected {outcome}"
    if ours:
        read, wanted = read_by_server(cursor, types, ours, expected)
        yield from (f"found {row}, expected {other}" for row, other in zip(read, wanted, strict=True) if row != other)


def _within(path: str | None, place: str) -> str | None:
    """A path inside of the element at this place; "" for the element itself."""
    return None if path is None else path.removeprefix(place).removeprefix(".")
