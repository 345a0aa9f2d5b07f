"""Primary keys and defaults of a target against the definition."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.handmade_export import write_export
from tests.pipeline.conftest import Look
from tests.postgres_server import Database
from transforms.rejects import NoticeCode
from transforms.rules import OneOf, Text, Timestamp, UpperCased
from transforms.sources import LaterOf
from transforms.table import Column, Missing, Otherwise, Table
from transforms.tables.medzen import TABLES

NOTES = "clinical_notes"
SESSIONS = "video_call_sessions"

# -- primary keys --------------------------------------------------------------------------------------------------------------------------


def test_the_keys_of_the_mapping_are_facts(look: Look) -> None:
    """The audit's has less than DynamoDB's, as the mapping has it, and says what that means."""
    sentences = [found.detail for found in look.of("primary_key")]

    assert sentences[:2] == ["primary key (id), as in DynamoDB"] * 2
    assert "DynamoDB's key (id, timestamp) has more: of items that share id, one becomes a row, the others dead letters" in sentences[2]


def test_a_table_without_a_primary_key_is_refused(database: Database, look: Look) -> None:
    """Nothing would conflict, and no row could be matched with its item; the sentence has the statement that fixes it."""
    database.execute("ALTER TABLE clinical_notes DROP CONSTRAINT clinical_notes_pkey")

    assert look.beyond_facts() == [("fail", "no_row_key", NOTES)]
    [found] = look.of("no_row_key")
    assert found.detail.startswith("has no primary key, and no unique index")
    database.execute(found.detail.rpartition("; ")[2])
    assert look.beyond_facts() == []


@pytest.mark.parametrize("key", ["number", "id, number"])
def test_a_primary_key_that_nothing_feeds_asks_for_a_unique_index(database: Database, look: Look, key: str) -> None:
    """Which then tells rows apart; the sentence has the statement that makes it."""
    database.execute("ALTER TABLE clinical_notes DROP CONSTRAINT clinical_notes_pkey, ADD number bigint GENERATED ALWAYS AS IDENTITY")
    database.execute(f"ALTER TABLE clinical_notes ADD PRIMARY KEY ({key})")

    assert look.beyond_facts() == [("fail", "no_row_key", NOTES)]
    [found] = look.of("no_row_key")
    assert found.detail.startswith(f"primary key ({key}): no attribute feeds number, and no unique index")
    database.execute(found.detail.rpartition("; ")[2])
    assert look.beyond_facts() == []
    [found] = look.of("row_key")
    assert found.detail.endswith("the unique index clinical_notes_id_key (id) tells of which item a row is")


@pytest.mark.parametrize(
    ("key", "codes"),
    [
        ("session_id", ["primary_key_differs"]),
        ("id, session_id", ["primary_key_differs"]),
        ("id", []),
    ],
)
def test_another_key_than_dynamodbs_is_a_warning(database: Database, look: Look, key: str, codes: list[str]) -> None:
    """Made of other columns that are fed."""
    database.execute("ALTER TABLE clinical_notes DROP CONSTRAINT clinical_notes_pkey")
    database.execute(f"ALTER TABLE clinical_notes ADD PRIMARY KEY ({key})")

    assert [code for _, code, _ in look.beyond_facts()] == codes


def test_dynamodbs_whole_key_is_no_other(database: Database, look: Look) -> None:
    """The audit's sort key is one of the two timestamps of which the later is the column."""
    database.execute("ALTER TABLE video_call_audit_log DROP CONSTRAINT video_call_audit_log_pkey, ADD PRIMARY KEY (created_at, id)")

    assert look.beyond_facts() == []


def test_a_deferrable_key_is_a_warning(database: Database, look: Look) -> None:
    """ON CONFLICT cannot use it."""
    database.execute("ALTER TABLE clinical_notes DROP CONSTRAINT clinical_notes_pkey, ADD PRIMARY KEY (id) DEFERRABLE")

    assert look.beyond_facts() == [("warning", "primary_key_deferrable", NOTES)]


# -- defaults ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "column", "default", "differs"),
    [
        (NOTES, "note_type", "'SOAP'", False),
        (NOTES, "note_type", "'soap'", True),
        (NOTES, "note_type", None, True),
        (NOTES, "note_type", "upper('soap')", True),
        (NOTES, "note_type", "'100%'", True),
        (NOTES, "note_type", "'it''s'", True),
        (SESSIONS, "transcription_enabled", "false", False),
        (SESSIONS, "transcription_enabled", "true", True),
        (SESSIONS, "transcription_enabled", "NULL", True),
        (SESSIONS, "transcription_enabled", None, True),
        (NOTES, "plan", "'{}'", False),
        (NOTES, "plan", "'[]'", True),
        (NOTES, "plan", None, False),
        (NOTES, "status", "'DRAFT'", False),
        (SESSIONS, "created_at", "now()", False),
        (SESSIONS, "created_at", None, False),
    ],
)
def test_a_default_that_is_not_what_the_definition_fills_in_is_a_warning(
    database: Database, look: Look, table: str, column: str, default: str | None, differs: bool
) -> None:
    """Where the definition fills anything in; of JSON only where there is a default."""
    database.execute(f"ALTER TABLE {table} ALTER {column} {f'SET DEFAULT {default}' if default else 'DROP DEFAULT'}")

    assert look.beyond_facts() == [("warning", "default_differs", table)] * differs
    assert all(f"column {column} has " in found.detail for found in look.of("default_differs"))


def test_a_default_is_never_run(database: Database, look: Look) -> None:
    """It might do something."""
    database.execute("CREATE SEQUENCE counted; ALTER TABLE clinical_notes ALTER note_type SET DEFAULT nextval('counted')::text")

    assert len(look.of("default_differs")) == 1
    assert not database.value("SELECT is_called FROM counted")


def test_what_a_definition_fills_in_is_what_its_conversion_makes_of_it(database: Database, look: Look, tmp_path: Path) -> None:
    """Upper case is made before it is compared; what cannot be compared is left alone."""
    database.execute(
        "CREATE TABLE odd (id text PRIMARY KEY, kind text DEFAULT 'NEW', state varchar DEFAULT 'A', at timestamptz DEFAULT now())"
    )
    columns = (
        Column("id", "id", Text(), Missing.REFUSED),
        Column("kind", "kind", UpperCased(("NEW",), NoticeCode.UNKNOWN_EVENT_TYPE), Otherwise("new")),
        Column("state", "state", OneOf(("A",)), Otherwise("A")),
        Column(LaterOf("a", "b"), "at", Timestamp(), Missing.MIGRATION_TIME),
    )
    table = Table("odd", "odd", ("id",), columns)
    export = write_export(tmp_path / "export", "odd", [[b'{"Item":{"id":{"S":"1"}}}']])
    assert look.of("default_differs", tables=[table], exports=[export]) == []


def test_an_unlogged_table_is_named(database: Database, look: Look) -> None:
    """As a whole, or a partition of it: a crash of the server would empty it."""
    database.execute(f"ALTER TABLE {NOTES} SET UNLOGGED")

    assert look.beyond_facts() == [("warning", "unlogged", NOTES)]
    assert f"table {NOTES}:" in look.of("unlogged")[0].detail


@pytest.mark.parametrize(("default", "code"), [("upper('soap')", "default_taken"), ("random()::text", "default_unusable")])
def test_a_default_that_the_definition_takes_is_looked_at(database: Database, look: Look, default: str, code: str) -> None:
    """It is a fact where it is one value for all rows; of these columns nothing can differ from the definition."""
    database.execute(f"ALTER TABLE clinical_notes ALTER note_type SET DEFAULT {default}")
    tables = [
        replace(
            table, columns=tuple(replace(one, missing=Missing.COLUMN_DEFAULT) if one.name == "note_type" else one for one in table.columns)
        )
        for table in TABLES
    ]

    [found] = [one for name in ("default_taken", "default_unusable", "default_differs") for one in look.of(name, tables=tables)]
    assert (found.name, found.table) == (code, NOTES)
    assert "column note_type: " in found.detail
