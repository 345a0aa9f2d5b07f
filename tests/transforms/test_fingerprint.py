"""`Table.fingerprint`: "equal for definitions that make equal rows of every item", in every process, and different for others."""

import os
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from transforms.rejects import NoticeCode
from transforms.rules import (
    Array,
    BigInt,
    Boolean,
    Bytes,
    Cast,
    Char,
    Citext,
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
from transforms.sources import LaterOf
from transforms.table import EMPTY_OBJECT, RULE_FILES, Column, Missing, Otherwise, Table, hash_of_code
from transforms.tables.medzen import TABLES
from transforms.values import is_number
from transforms.where import Equals, Ignore

ROOT = Path(__file__).parents[2]
PROGRAM = "from transforms.tables.medzen import TABLES; print(*(table.fingerprint for table in TABLES))"


@pytest.mark.parametrize("seed", ["0", "1", "4711", "random"])
def test_it_is_the_same_in_another_process(seed):
    """A resume in another process, with other hashes, sees the same definition."""
    environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
    found = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, cwd="/", capture_output=True, text=True, check=True)
    assert found.stdout.split() == [table.fingerprint for table in TABLES]


def definition(*columns: Column, **changes) -> Table:
    """A small table."""
    return replace(Table("source", "target", ("id",), columns), **changes)


TEXT = Column("a", "b", Text())
OF_TYPES = [
    *(UuidV5("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), UuidV5("6ba7b811-9dad-11d1-80b4-00c04fd430c8"), Citext(), Inet(), Time()),
    *(Varchar(3), Varchar(4), Char(3), Enum("mood"), Enum("mood", ("a",)), Enum("other"), Cast("mood"), Domain("mood", Text())),
    *(SmallInt(), Integer(), BigInt(), BigInt(least=0), BigInt(most=0), BigInt(tags=("N", "S")), BigInt(tags=("N", "S"), zero_padded=True)),
    *(Numeric(), Numeric(5), Numeric(5, 2), Numeric(least=0), Numeric(least=Decimal("0.5")), Double(), Double(rounded=True), Real()),
    *(Boolean(("a",), ("b",), ("S",)), Boolean(("b",), ("a",), ("S",)), Bytes(), Bytes(tags=("B", "S")), Json(), Json(typed=True)),
    *(Timestamp("s"), Timestamp("us"), Timestamp("epoch"), Timestamp("iso"), Timestamp("iso", zone="UTC"), LocalTimestamp(), Date()),
    *(Date("s"), LocalTimestamp("ms"), Interval(), Interval("ms"), Interval("iso"), Jsonb(typed=True)),
    *(
        Array(Text()),
        Array(Text(), tags=("L",)),
        Array(Varchar(3)),
        Array(BigInt()),
        Domain("mood", Array(Text())),
        Array(Domain("mood", Text())),
    ),
]
VARIANTS = [
    definition(TEXT),
    definition(TEXT, source="other"),
    definition(TEXT, target="other"),
    definition(),
    definition(TEXT, TEXT),
    definition(replace(TEXT, source="c")),
    definition(replace(TEXT, source=None)),
    definition(replace(TEXT, source="None")),
    definition(replace(TEXT, source="a.b")),
    definition(replace(TEXT, source=LaterOf("a", "b"))),
    definition(replace(TEXT, source=LaterOf("b", "a"))),
    definition(replace(TEXT, name="c")),
    *(definition(replace(TEXT, missing=missing)) for missing in Missing if missing is not Missing.NULL),
    *(definition(replace(TEXT, missing=Otherwise(content))) for content in ("", "False", "null", False, True)),
    definition(replace(TEXT, rule=Jsonb())),
    definition(replace(TEXT, rule=Jsonb(), missing=EMPTY_OBJECT)),
    definition(replace(TEXT, rule=Jsonb(), missing=Otherwise({"L": []}))),
    definition(replace(TEXT, rule=Jsonb(), missing=Otherwise({"M": {"a": {"N": "1"}}}))),
    definition(replace(TEXT, rule=Text(tags=("S", "N")))),
    definition(replace(TEXT, rule=Text(tags=("S,N",)))),
    definition(replace(TEXT, rule=Text(expected=is_uuid, otherwise=NoticeCode.MALFORMED_MEETING_ID))),
    definition(replace(TEXT, rule=Text(expected=is_uuid, otherwise=NoticeCode.UNKNOWN_EVENT_TYPE))),
    definition(replace(TEXT, rule=Text(expected=is_number, otherwise=NoticeCode.MALFORMED_MEETING_ID))),
    definition(replace(TEXT, rule=Text(expected=str.isupper, otherwise=NoticeCode.MALFORMED_MEETING_ID))),
    definition(replace(TEXT, rule=Uuid())),
    definition(replace(TEXT, rule=Uuid(empty_as_null=True))),
    definition(replace(TEXT, rule=Uuid(tags=("S", "B")))),
    definition(replace(TEXT, rule=OneOf(()))),
    definition(replace(TEXT, rule=OneOf(("A",)))),
    definition(replace(TEXT, rule=OneOf(("A", "B")))),
    definition(replace(TEXT, rule=OneOf(("A, B",)))),
    definition(replace(TEXT, rule=OneOf(("A', 'B",)))),
    definition(replace(TEXT, rule=UpperCased((), NoticeCode.UNKNOWN_EVENT_TYPE))),
    definition(replace(TEXT, rule=UpperCased(("A",), NoticeCode.UNKNOWN_EVENT_TYPE))),
    definition(replace(TEXT, rule=UpperCased(("A",), NoticeCode.MALFORMED_MEETING_ID))),
    definition(replace(TEXT, rule=Boolean())),
    definition(replace(TEXT, rule=Boolean(tags=("BOOL", "S")))),
    definition(replace(TEXT, rule=Timestamp())),
    definition(replace(TEXT, rule=Timestamp(earliest=0))),
    definition(replace(TEXT, rule=Timestamp(latest=4_102_444_800_001))),
    definition(replace(TEXT, rule=Timestamp(tags=("N", "S")))),
    *(definition(replace(TEXT, rule=rule)) for rule in OF_TYPES),
    definition(TEXT, Column("c", "d", Text())),
    definition(Column("c", "d", Text()), TEXT),
    definition(TEXT, key=("id", "timestamp")),
    definition(TEXT, where=Equals("kind", "a")),
    # An item that none of them takes is a dead letter, and was filtered before.
    definition(TEXT, where=Equals("kind", "a"), others=(Equals("kind", "b"),)),
    definition(TEXT, where=Equals("kind", "a"), others=(Ignore("source", Equals("kind", "b")),)),
]


def test_any_change_changes_it():
    """Another column, order, path, name, conversion, tag, bound, value or missing rule has another fingerprint."""
    by_fingerprint: dict[str, list[Table]] = {}
    for table in VARIANTS:
        by_fingerprint.setdefault(table.fingerprint, []).append(table)
    assert [tables for tables in by_fingerprint.values() if len(tables) > 1] == []


def test_an_equal_definition_has_an_equal_one():
    """A definition built anew of equal parts is the same definition."""
    table = TABLES[0]
    again = Table(table.source, table.target, table.key, tuple(replace(column) for column in table.columns))
    assert again == table
    assert again.fingerprint == table.fingerprint


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.source)
def test_every_column_of_a_real_table_counts(table):
    """In our own tables the removal or change of any one column has another fingerprint."""
    found = {table.fingerprint}
    for index, column in enumerate(table.columns):
        rest = (*table.columns[:index], *table.columns[index + 1 :])
        found.add(replace(table, columns=rest).fingerprint)
        for other in (replace(column, name="other"), replace(column, source="other"), replace(column, missing=Otherwise("other"))):
            found.add(replace(table, columns=(*table.columns[:index], other, *table.columns[index + 1 :])).fingerprint)
    assert len(found) == 1 + 4 * len(table.columns)


RULES = [(ROOT / "transforms" / name).read_bytes() for name in RULE_FILES]


def changed(old: bytes, new: bytes) -> list[bytes]:
    """The rules with a change."""
    found = [source.replace(old, new) for source in RULES]
    assert found != RULES
    return found


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"if text:", b"if text.strip():"),
        (b"946_684_800_000_000", b"946_684_800_000_001"),
        (b"earliest * 1000 <= microseconds", b"earliest * 1000 < microseconds"),
        (b".upper()", b".title()"),
        (b"content is True", b"content is not None"),
    ],
)
def test_a_change_of_a_rule_counts(old, new):
    """A load in progress must not mix rows of two versions of the conversion."""
    assert hash_of_code(changed(old, new)) != hash_of_code(RULES)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"# ", b"# Another comment. "),
        (b'"""From microseconds', b'"""Made from microseconds'),
        (b'"""Encoded from', b'"""Made from'),
        (b"\n\n\n", b"\n\n\n\n"),
        (b"(text)", b"( text )"),
    ],
)
def test_what_no_row_depends_on_does_not_count(old, new):
    """An unfinished load is not refused for a comment."""
    assert hash_of_code(changed(old, new)) == hash_of_code(RULES)


def test_the_fingerprint_holds_the_hash_of_the_rules(monkeypatch):
    before = TABLES[0].fingerprint
    monkeypatch.setattr("transforms.table._hash_of_rules", lambda: "other")
    assert TABLES[0].fingerprint != before


def test_every_file_that_makes_rows_counts():
    """Those left out are a definition's own words, which the fingerprint holds, and what is said of an item."""
    files = {path.name for path in (ROOT / "transforms").glob("*.py")}
    assert files - set(RULE_FILES) == {"__init__.py", "table.py", "rejects.py"}
