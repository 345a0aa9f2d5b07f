"""Each type that a column may have, on a real server: loaded, compared, a row refused and replayed, checked by SQL, rolled back.

One database for all; a table of one column of the type beside the key, and one in which that column is the key.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from pipeline.outcome.outcome import Verdict
from pipeline.postcheck.sql_checks import SpotChecks, SpotRow, columns_of, run_script
from pipeline.preflight.findings import problems_in
from pipeline.preflight.targets import target_findings
from pipeline.target.compare import read_values
from pipeline.target.session import Cursor
from pipeline.target.write import copy_new_rows, copy_rows, ways_to_write
from tests.pipeline.target.made_lives import DATA_FILE, Life
from tests.pipeline.target.made_loads import Lab, rows_of, uuid
from tests.postgres_server import Database, Server
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
    Uuid,
    UuidV5,
    Varchar,
)
from transforms.table import Column, Missing, Table

# Neither citext nor ltree comes with the server of the tests. This is citext, of the same functions but for those of its library.
CITEXT = """
    CREATE TYPE citext;
    CREATE FUNCTION citextin(cstring) RETURNS citext LANGUAGE internal IMMUTABLE STRICT AS 'textin';
    CREATE FUNCTION citextout(citext) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
    CREATE FUNCTION citextrecv(internal) RETURNS citext LANGUAGE internal STABLE STRICT AS 'textrecv';
    CREATE FUNCTION citextsend(citext) RETURNS bytea LANGUAGE internal STABLE STRICT AS 'textsend';
    CREATE TYPE citext (INPUT = citextin, OUTPUT = citextout, RECEIVE = citextrecv, SEND = citextsend,
                        INTERNALLENGTH = VARIABLE, STORAGE = extended, CATEGORY = 'S', COLLATABLE = true);
    CREATE CAST (citext AS text) WITHOUT FUNCTION AS IMPLICIT;
    CREATE CAST (text AS citext) WITHOUT FUNCTION AS ASSIGNMENT;
    CREATE FUNCTION citext_eq(citext, citext) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT lower($1::text) = lower($2::text)';
    CREATE FUNCTION citext_lt(citext, citext) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT lower($1::text) < lower($2::text)';
    CREATE FUNCTION citext_cmp(citext, citext) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT bttextcmp(lower($1::text), lower($2::text))';
    CREATE FUNCTION citext_hash(citext) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT hashtext(lower($1::text))';
    CREATE FUNCTION citext_hash(citext, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT hashtextextended(lower($1::text), $2)';
    CREATE OPERATOR = (LEFTARG = citext, RIGHTARG = citext, FUNCTION = citext_eq, COMMUTATOR = =, HASHES, MERGES);
    CREATE OPERATOR < (LEFTARG = citext, RIGHTARG = citext, FUNCTION = citext_lt);
    CREATE OPERATOR CLASS citext_ops DEFAULT FOR TYPE citext USING btree AS
        OPERATOR 1 <, OPERATOR 3 =, FUNCTION 1 citext_cmp(citext, citext);
    CREATE OPERATOR CLASS citext_ops DEFAULT FOR TYPE citext USING hash AS
        OPERATOR 1 =, FUNCTION 1 citext_hash(citext), FUNCTION 2 citext_hash(citext, bigint);
"""
OUR_TYPES = f"""
    CREATE SCHEMA "Odd 100%";
    CREATE TYPE mood AS ENUM ('ok', 'it''s 100%', 'bad', 'sad');
    CREATE TYPE "Odd 100%"."a ""{{mood}}"" %" AS ENUM ('ok', 'x', 'y');
    CREATE DOMAIN short AS varchar(5) CHECK (value <> 'bad');
    CREATE DOMAIN positive AS numeric(10, 2) CHECK (value > 0);
    CREATE DOMAIN very_short AS short CHECK (length(value) < 4);
    {CITEXT}
"""


# Of the database: how values look, and are read, must not depend on it.
UNUSUAL = {
    "TimeZone": "Asia/Kathmandu",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "extra_float_digits": "-3",
    "bytea_output": "escape",
    "array_nulls": "off",
}
USUAL = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'; SET extra_float_digits = 1; SET bytea_output = hex"


@dataclass(frozen=True)
class Kind:
    """A type: what its column is, three attribute values, what PostgreSQL says of the first, and another value."""

    rule: Conversion
    column: str
    first: Any
    second: Any
    refused: Any
    """Refused by the server: by its parser, or a domain, or else by the check `CHECK`."""
    text: str
    planted: str
    check: str = ""
    """A condition on `v` that the refused value does not meet; none where the type itself refuses it."""
    is_key: bool = True
    """Whether it may be a primary key."""
    exported: str = ""
    """The text of the first before it takes the column's own form, where that is another."""


def s(text: str) -> dict[str, Any]:
    return {"S": text}


def n(text: str) -> dict[str, Any]:
    return {"N": text}


def each(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"L": list(elements)}


NULL = {"NULL": True}
A, B, C, D = uuid(0xA), uuid(0xB), uuid(0xC), uuid(0xD)
KINDS = {
    "uuid": Kind(Uuid(), "uuid", s(A), s(B), s(C), A, f"'{D}'", f"v <> '{C}'"),
    "uuid v5": Kind(
        UuidV5(namespace="6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
        "uuid",
        s("python.org"),
        s("b"),
        s("www.example.com"),
        "886313e1-3b8a-5372-9b90-0c9aee199e5d",
        f"'{B}'",
        "v <> '2ed6657d-e927-568b-95e1-2665a8aea6a2'",
    ),
    "text": Kind(Text(), "text", s("a\u00e9\U0001f600 \\'\"%\n"), s(""), s("bad"), "a\u00e9\U0001f600 \\'\"%\n", "'a'", "v <> 'bad'"),
    "text in varchar": Kind(Text(), "varchar", s("a  "), s("a"), s("bad"), "a  ", "'a '", "v <> 'bad'"),
    "one of": Kind(OneOf(("a", "b", "bad")), "text", s("a"), s("b"), s("bad"), "a", "'A'", "v <> 'bad'"),
    "varchar(n)": Kind(Varchar(length=5), "varchar(5)", s("a\u00e9 "), s("a\u00e9"), s("bad"), "a\u00e9 ", "'a\u00e9  '", "v <> 'bad'"),
    "varchar(n) in a wider one": Kind(Varchar(length=5), "varchar(9)", s("12345"), s("b"), s("bad"), "12345", "'123456'", "v <> 'bad'"),
    "varchar(n) in text": Kind(Varchar(length=5), "text", s("12345"), s("b"), s("bad"), "12345", "'123456'", "v <> 'bad'"),
    "char(n)": Kind(Char(length=5), "char(5)", s("a\u00e9"), s("b"), s("bad"), "a\u00e9", "'ae'", "v <> 'bad'"),
    "citext": Kind(Citext(), "citext", s("Ab"), s("b"), s("bad"), "Ab", "'aB'", "v::text <> 'bad'"),
    "inet": Kind(Inet(), "inet", s("10.1.2.3/24"), s("::1"), s("10.0.0.9"), "10.1.2.3/24", "'10.1.2.3'", "v <> '10.0.0.9'"),
    "smallint": Kind(SmallInt(), "smallint", n("-32768"), n("3.2767E4"), n("7"), "-32768", "1", "v <> 7"),
    "integer": Kind(Integer(), "integer", n("-2147483648"), n("2147483647"), n("7"), "-2147483648", "1", "v <> 7"),
    "bigint": Kind(BigInt(), "bigint", n("-9223372036854775808"), n("9223372036854775807"), n("7"), "-9223372036854775808", "1", "v <> 7"),
    "numeric": Kind(
        Numeric(),
        "numeric",
        n("-12345678901234567890123456789.012345678"),
        n("1E-130"),
        n("7"),
        "-12345678901234567890123456789.012345678",
        "-12345678901234567890123456789.012345679",
        "v <> 7",
    ),
    "numeric(p,s)": Kind(Numeric(10, 2), "numeric(10,2)", n("12345678.9"), n("-0.01"), n("7"), "12345678.90", "12345678.91", "v <> 7"),
    "numeric(p,s) in a wider one": Kind(
        Numeric(10, 2), "numeric(14,4)", n("1.50"), n("2"), n("7"), "1.5000", "1.5001", "v <> 7", exported="1.50"
    ),
    "double": Kind(Double(), "double precision", n("0.1"), n("1E+125"), n("7"), "0.1", "0.1::float8 + 1e-17::float8 * 2", "v <> 7"),
    "real": Kind(Real(), "real", n("0.1"), n("16777216"), n("7"), "0.1", "0.1000001::real", "v <> 7"),
    "boolean": Kind(
        Boolean(true=("yes", "1"), false=("no",), tags=("BOOL", "S", "N")),
        "boolean",
        s("yes"),
        {"BOOL": True},
        s("no"),
        "true",
        "NULL",
        "v",
        False,
    ),
    "timestamptz": Kind(
        Timestamp(),
        "timestamptz",
        n("1700000000000.001"),
        n("1700000000001"),
        n("1600000000000"),
        "2023-11-14 22:13:20.000001+00",
        "'2023-11-14 22:13:20.000002+00'",
        "v > '2021-01-01'",
    ),
    "timestamptz(6)": Kind(
        Timestamp(form="iso"),
        "timestamp(6) with time zone",
        s("2024-06-01T08:20:00.123456+05:30"),
        s("2024-06-01T08:20:00Z"),
        s("2020-06-01T08:20:00Z"),
        "2024-06-01 02:50:00.123456+00",
        "'2024-06-01 02:50:00.123457+00'",
        "v > '2021-01-01'",
    ),
    "timestamp": Kind(
        LocalTimestamp(),
        "timestamp",
        s("2024-03-31T02:30:00.000001"),
        s("2024-03-31T02:30:00"),
        s("2020-01-01T00:00:00"),
        "2024-03-31 02:30:00.000001",
        "'2024-03-31 02:30:00.000002'",
        "v > '2021-01-01'",
    ),
    "date": Kind(Date(), "date", s("2024-02-29"), s("2024-03-01"), s("1999-12-31"), "2024-02-29", "'2024-02-28'", "v > '2000-01-01'"),
    "time": Kind(Time(), "time", s("23:59:59.999999"), s("00:00"), s("12:00"), "23:59:59.999999", "'23:59:59.999998'", "v <> '12:00'"),
    "interval": Kind(
        Interval(unit="iso"), "interval", s("P1M"), s("PT24H"), s("P9D"), "1 mon", "interval '30 days'", "v <> interval '9 days'", False
    ),
    "interval of seconds": Kind(Interval(), "interval", n("86400.5"), n("1"), n("9"), "24:00:00.5", "'1 day 0.5 s'", "v <> '9 s'", False),
    "bytea": Kind(Bytes(), "bytea", {"B": "AP9c"}, {"B": ""}, {"B": "YmFk"}, r"\x00ff5c", r"'\x00ff5b'", "v <> 'bad'"),
    "jsonb": Kind(
        Jsonb(),
        "jsonb",
        {"M": {"b": n("1.50"), "a": NULL}},
        each(),
        s("bad"),
        '{"a": null, "b": 1.50}',
        """'{"a": null, "b": 1.5}'""",
        "v <> '\"bad\"'",
    ),
    "jsonb, typed": Kind(
        Jsonb(typed=True),
        "jsonb",
        {"M": {"b": n("1.50")}},
        each(),
        s("bad"),
        '{"M": {"b": {"N": "1.50"}}}',
        "'{}'",
        'v <> \'{"S": "bad"}\'',
    ),
    "json": Kind(Json(), "json", {"M": {"b": n("1.50")}}, each(), s("bad"), '{"b":1.50}', "'{\"b\":1.5}'", "v::text <> '\"bad\"'", False),
    "enum": Kind(Enum("mood", values=("ok", "it's 100%", "bad")), "mood", s("ok"), s("it's 100%"), s("bad"), "ok", "'sad'", "v <> 'bad'"),
    "enum of another schema": Kind(
        Enum('"Odd 100%"."a ""{mood}"" %"'), '"Odd 100%"."a ""{mood}"" %"', s("ok"), s("x"), s("sad"), "ok", "'y'"
    ),
    "domain": Kind(Domain("short", Varchar(length=5)), "short", s("a "), s("b"), s("bad"), "a ", "'a'"),
    "domain of numbers": Kind(Domain("positive", Numeric(10, 2)), "positive", n("0.01"), n("2"), n("-1"), "0.01", "0.02"),
    "domain over a domain": Kind(Domain("very_short", Varchar(length=5)), "very_short", s("abc"), s("b"), s("long"), "abc", "'ab'"),
    "text in a domain": Kind(Varchar(length=5), "short", s("a "), s("b"), s("bad"), "a ", "'a'"),
    "cast to point": Kind(Cast("point"), "point", s("(1,2)"), s("(0.1,-0)"), s("(1"), "(1,2)", "'(1,2.0000000000000004)'", "", False),
    "cast to macaddr": Kind(
        Cast("macaddr"), "macaddr", s("08-00-2b-01-02-03"), s("080000-010203"), s("x"), "08:00:2b:01:02:03", "'ff:ff:ff:ff:ff:ff'"
    ),
    "cast to tsvector": Kind(Cast("tsvector"), "tsvector", s("a:1B fat"), s("b"), s("'"), "'a':1B 'fat'", "'a fat'"),
    "cast to a range": Kind(Cast("int8range"), "int8range", s("[1,3]"), s("empty"), s("[3,1]"), "[1,4)", "'[1,5)'"),
    "cast to money": Kind(Cast("money"), "money", s("$1,234.50"), s("-1"), s("x"), "$1,234.50", "'1234.51'"),
    "cast to bits": Kind(Cast("bit varying"), "varbit(4)", s("0101"), s("1"), s("01010"), "0101", "B'101'"),
    "cast to bits of one length": Kind(Cast("varbit"), "bit(4)", s("0101"), s("1111"), s("01010"), "0101", "B'0100'"),
    "text[]": Kind(
        Array(Text()),
        "text[]",
        {"SS": ["b", 'a"\\ {},', "NULL"]},
        each(),
        {"SS": ["bad"]},
        '{b,"a\\"\\\\ {},","NULL"}',
        "'{b}'",
        "v <> '{bad}'",
    ),
    "text[] with NULL": Kind(
        Array(Text()), "text[]", each(s("a"), NULL), {"SS": ["a"]}, each(s("bad")), "{a,NULL}", "'{a,\"NULL\"}'", "v <> '{bad}'"
    ),
    "varchar(n)[]": Kind(
        Array(Varchar(length=3)), "varchar(3)[]", each(s("abc")), each(), each(s("bad")), "{abc}", "'{ab}'", "v <> '{bad}'"
    ),
    "uuid[]": Kind(Array(Uuid()), "uuid[]", {"SS": [A, B]}, each(NULL), {"SS": [C]}, f"{{{A},{B}}}", f"'{{{B},{A}}}'", f"v <> '{{{C}}}'"),
    "bigint[]": Kind(Array(BigInt()), "bigint[]", {"NS": ["2", "1E1"]}, each(), {"NS": ["7"]}, "{2,10}", "'{10,2}'", "v <> '{7}'"),
    "numeric[]": Kind(
        Array(Numeric()), "numeric[]", {"NS": ["1.50", "-0.1"]}, each(), {"NS": ["7"]}, "{1.50,-0.1}", "'{1.51,-0.1}'", "v <> '{7}'"
    ),
    "numeric(p,s)[]": Kind(
        Array(Numeric(4, 2)), "numeric(4,2)[]", each(n("1.5")), each(), each(n("7")), "{1.50}", "'{1.51}'", "v <> '{7}'"
    ),
    "double[]": Kind(
        Array(Double()), "float8[]", each(n("0.1"), n("3")), each(), each(n("7")), "{0.1,3}", "'{0.1,3.0000000000000004}'", "v <> '{7}'"
    ),
    "bytea[]": Kind(
        Array(Bytes()), "bytea[]", {"BS": ["AP8="]}, each(), {"BS": ["YmFk"]}, '{"\\\\x00ff"}', "ARRAY['\\x00'::bytea]", "v <> '{bad}'"
    ),
    "boolean[]": Kind(
        Array(Boolean()), "boolean[]", each({"BOOL": True}, NULL), each(), each({"BOOL": False}), "{t,NULL}", "'{t,t}'", "v <> '{f}'"
    ),
    "jsonb[]": Kind(
        Array(Jsonb()),
        "jsonb[]",
        each({"M": {"a": n("1.50")}}, NULL),
        each(),
        each(s("bad")),
        '{"{\\"a\\": 1.50}",NULL}',
        """ARRAY['{"a": 1.5}', NULL]::jsonb[]""",
        'v::text <> \'{"\\"bad\\""}\'',
    ),
    "timestamptz[]": Kind(
        Array(Timestamp()),
        "timestamptz[]",
        each(n("1700000000000.001"), NULL),
        each(),
        each(n("1600000000000")),
        '{"2023-11-14 22:13:20.000001+00",NULL}',
        "ARRAY['2023-11-14 22:13:20.000002+00', NULL]::timestamptz[]",
        "v <> '{2020-09-13 12:26:40+00}'",
    ),
    "date[]": Kind(
        Array(Date()),
        "date[]",
        each(s("2024-02-29")),
        each(),
        each(s("2020-01-01")),
        "{2024-02-29}",
        "'{2024-02-28}'",
        "v <> '{2020-01-01}'",
    ),
    "interval[]": Kind(
        Array(Interval(unit="iso")),
        "interval[]",
        each(s("P1M")),
        each(s("PT24H")),
        each(s("P9D")),
        '{"1 mon"}',
        "'{30 days}'",
        "v <> '{9 days}'",
        False,
    ),
    "inet[]": Kind(
        Array(Inet()), "inet[]", each(s("10.1.2.3/24")), each(), each(s("::9")), "{10.1.2.3/24}", "'{10.1.2.3}'", "v <> '{::9}'"
    ),
    "citext[]": Kind(
        Array(Citext()), "citext[]", each(s("Ab"), NULL), each(), each(s("bad")), "{Ab,NULL}", "'{aB,NULL}'", "v::text <> '{bad}'", False
    ),
    "enum[]": Kind(
        Array(Enum("mood")), "mood[]", {"SS": ["ok", "it's 100%"]}, each(NULL), each(s("none")), """{ok,"it's 100%"}""", "'{ok}'"
    ),
    "domain[]": Kind(
        Array(Domain("short", Varchar(length=5))),
        "short[]",
        each(s("a "), NULL),
        each(),
        each(s("bad")),
        '{"a ",NULL}',
        "'{a,NULL}'",
        "",
        False,
    ),
    "macaddr[]": Kind(
        Array(Cast("macaddr")), "macaddr[]", each(s("080000-010203")), each(), each(s("x")), "{08:00:00:01:02:03}", "'{ff:ff:ff:ff:ff:ff}'"
    ),
}
OF_EACH_KIND = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@pytest.fixture(scope="module")
def shared(server: Server) -> Database:
    database = server.new_database(with_targets=False)
    database.execute(OUR_TYPES)
    for setting, value in UNUSUAL.items():
        database.execute(f"ALTER DATABASE {database.value('SELECT current_database()')} SET {setting} = '{value}'")
    return database


@pytest.fixture
def database(shared: Database) -> Iterator[Database]:
    yield shared
    shared.execute("DROP TABLE IF EXISTS thing")


def line(number: int, value: dict[str, Any] | None) -> bytes:
    return json.dumps({"Item": {"id": {"S": uuid(number)}, **({} if value is None else {"v": value})}}).encode()


def table_of(rule: Conversion) -> Table:
    return Table("things", "thing", ("id",), (Column("id", "id", Uuid(), Missing.REFUSED), Column("v", "v", rule)))


def check(of: Kind) -> str:
    return f"CHECK ({of.check.replace('%', '%%')})" if of.check else ""


def problems(lab: Lab) -> list[str]:
    with lab.session() as session:
        return session.transact(lambda cursor: problems_in(target_findings(cursor, lab.table, lab.target())))


def spot_verdicts(life: Life, lines: list[bytes], numbers: list[int]) -> set[Verdict]:
    """What the SQL checks say of these items."""
    plan = life.plan

    def values(cursor: Cursor) -> list[Any]:
        return read_values(cursor, plan.table, rows_of([lines[number] for number in numbers], plan.table))

    with life.lab.session() as session:
        rows = [SpotRow(DATA_FILE, number, of_row) for number, of_row in zip(numbers, session.transact(values), strict=True)]
    picked = SpotChecks(plan.load.target_table, plan.load.export_id, plan.target.key, columns_of(plan.table), rows)
    names = ("spot checks", "instants", "JSON content")
    # Skipped are the loads of other tests.
    return {check.verdict for check in run_script(life.lab.reference, [picked]) if check.name in names} - {Verdict.SKIP}


@OF_EACH_KIND
def test_the_life_of_a_column(database: Database, kind: Kind) -> None:
    lab = Lab(database, f"CREATE TABLE thing (id uuid PRIMARY KEY, v {kind.column} {check(kind)})", table=table_of(kind.rule))
    assert problems(lab) == []
    lines = [line(1, kind.first), line(2, kind.refused), line(3, kind.second), line(4, None), line(1, kind.second)]
    life = Life(lab, lines)

    # Some texts are as long as a binary value, which COPY would take them for.
    takes_copy = lab.table.columns[1].pg_type.copies_directly
    assert [copy_rows in ways_to_write(lab.target(), lab.table), copy_new_rows in ways_to_write(lab.target(), lab.table)] == [
        takes_copy
    ] * 2
    assert set(life.dead_letters) == {1, 4}
    assert life.dead_letters[1][0] in (("check_violation",) if kind.check else ("check_violation", "database_rejected"))
    assert life.dead_letters[4] == ("primary_key_conflict", "23505")
    assert database.query(f"{USUAL}; SELECT v::text FROM thing WHERE id = %s", A1) == [(kind.text,)]
    assert life.compare() == {}
    assert spot_verdicts(life, lines, [0, 2, 3]) == {Verdict.PASS}

    database.execute(f"UPDATE thing SET v = {kind.planted} WHERE id = '{A1}'; DELETE FROM thing WHERE id = '{uuid(3)}'")
    assert life.compare() == {0: ("different", ["v"]), 2: ("missing", [])}
    both = life.values()[0]["v"]
    assert both["export"] == (kind.exported or kind.text)
    assert both["target"] != kind.text
    assert Verdict.FAIL in spot_verdicts(life, lines, [0, 3])
    database.execute(f"DELETE FROM thing WHERE id = '{A1}'")
    assert life.compare(repair=True) == {0: ("repaired", []), 2: ("repaired", [])}
    assert life.compare() == {}

    assert life.replay({1: line(2, kind.second)}).rows == 1
    assert life.replayed() == {}
    database.execute(f"UPDATE thing SET v = {kind.planted} WHERE id = '{uuid(2)}'")
    assert life.replayed() == {1: "different"}

    assert life.roll_back() == {1: "different"}
    assert database.value("SELECT count(*) FROM thing") == 1


A1 = uuid(1)


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.is_key])
def test_the_life_of_a_key(database: Database, name: str) -> None:
    """Conflicts are found with the column's own equality, dead letters by keys that the server may refuse to read."""
    kind = KINDS[name]
    table = Table("things", "thing", ("v",), (Column("v", "v", kind.rule, Missing.REFUSED), Column("id", "id", Uuid(), Missing.REFUSED)))
    lab = Lab(database, f"CREATE TABLE thing (id uuid, v {kind.column} PRIMARY KEY {check(kind)})", table=table)
    assert problems(lab) == []
    conflicts = [line(4, kind.first), line(5, kind.second)]
    conflict = ("primary_key_conflict", "23505")

    only_conflicts = Life(lab, [line(1, kind.first), line(2, kind.second), *conflicts])
    assert only_conflicts.dead_letters == {2: conflict, 3: conflict}
    assert only_conflicts.compare() == {}
    assert only_conflicts.unaccounted() == ([], 0)
    assert only_conflicts.roll_back() == {}

    life = Life(lab, [line(1, kind.first), line(3, kind.refused), conflicts[0]])
    assert set(life.dead_letters) == {1, 2}
    assert life.dead_letters[2] == conflict
    assert life.compare() == {}
    assert life.unaccounted() == ([], 0)
    assert life.replay({1: line(6, kind.first)}).rows == 0
    assert life.replay({1: line(6, kind.second)}).rows == 1
    assert life.replayed() == {}
    assert life.unaccounted() == ([], 0)
    database.execute("DELETE FROM thing")
    assert life.compare() == {0: ("missing", [])}
    assert life.replayed() == {1: "missing"}
    assert life.compare(repair=True) == {0: ("repaired", [])}
    assert life.roll_back() == {}
    assert database.value("SELECT count(*) FROM thing") == 0
