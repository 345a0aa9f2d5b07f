"""`Table.fingerprint`: "equal for definitions that make equal rows of every item", in every process, and different for others."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from transforms.rejects import NoticeCode
from transforms.rules import Boolean, Jsonb, OneOf, Text, Timestamp, UpperCased, Uuid, is_uuid
from transforms.table import EMPTY_OBJECT, RULE_FILES, Column, LaterOf, Missing, Otherwise, Table, hash_of_code
from transforms.tables.medzen import TABLES
from transforms.values import is_number

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
VARIANTS = [
    definition(TEXT),
    definition(TEXT, source="other"),
    definition(TEXT, target="other"),
    definition(),
    definition(TEXT, TEXT),
    definition(replace(TEXT, attribute="c")),
    definition(replace(TEXT, attribute=None)),
    definition(replace(TEXT, attribute="None")),
    definition(replace(TEXT, attribute="a.b")),
    definition(replace(TEXT, attribute=LaterOf("a", "b"))),
    definition(replace(TEXT, attribute=LaterOf("b", "a"))),
    definition(replace(TEXT, name="c")),
    *(definition(replace(TEXT, missing=missing)) for missing in Missing if missing is not Missing.NULL),
    *(definition(replace(TEXT, missing=Otherwise(content))) for content in ("", "False", "null", False, True)),
    definition(replace(TEXT, conversion=Jsonb())),
    definition(replace(TEXT, conversion=Jsonb(), missing=EMPTY_OBJECT)),
    definition(replace(TEXT, conversion=Jsonb(), missing=Otherwise({"L": []}))),
    definition(replace(TEXT, conversion=Jsonb(), missing=Otherwise({"M": {"a": {"N": "1"}}}))),
    definition(replace(TEXT, conversion=Text(tags=("S", "N")))),
    definition(replace(TEXT, conversion=Text(tags=("S,N",)))),
    definition(replace(TEXT, conversion=Text(expected=is_uuid, otherwise=NoticeCode.MALFORMED_MEETING_ID))),
    definition(replace(TEXT, conversion=Text(expected=is_uuid, otherwise=NoticeCode.UNKNOWN_EVENT_TYPE))),
    definition(replace(TEXT, conversion=Text(expected=is_number, otherwise=NoticeCode.MALFORMED_MEETING_ID))),
    definition(replace(TEXT, conversion=Text(expected=str.isupper, otherwise=NoticeCode.MALFORMED_MEETING_ID))),
    definition(replace(TEXT, conversion=Uuid())),
    definition(replace(TEXT, conversion=Uuid(empty_as_null=True))),
    definition(replace(TEXT, conversion=Uuid(tags=("S", "B")))),
    definition(replace(TEXT, conversion=OneOf(()))),
    definition(replace(TEXT, conversion=OneOf(("A",)))),
    definition(replace(TEXT, conversion=OneOf(("A", "B")))),
    definition(replace(TEXT, conversion=OneOf(("A, B",)))),
    definition(replace(TEXT, conversion=OneOf(("A', 'B",)))),
    definition(replace(TEXT, conversion=UpperCased((), NoticeCode.UNKNOWN_EVENT_TYPE))),
    definition(replace(TEXT, conversion=UpperCased(("A",), NoticeCode.UNKNOWN_EVENT_TYPE))),
    definition(replace(TEXT, conversion=UpperCased(("A",), NoticeCode.MALFORMED_MEETING_ID))),
    definition(replace(TEXT, conversion=Boolean())),
    definition(replace(TEXT, conversion=Boolean(tags=("BOOL", "S")))),
    definition(replace(TEXT, conversion=Timestamp())),
    definition(replace(TEXT, conversion=Timestamp(earliest=0))),
    definition(replace(TEXT, conversion=Timestamp(latest=4_102_444_800_001))),
    definition(replace(TEXT, conversion=Timestamp(tags=("N", "S")))),
    definition(TEXT, Column("c", "d", Text())),
    definition(Column("c", "d", Text()), TEXT),
    definition(TEXT, key=("id", "timestamp")),
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
        for other in (replace(column, name="other"), replace(column, attribute="other"), replace(column, missing=Otherwise("other"))):
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
