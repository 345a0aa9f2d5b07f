"""Columns that the load does not fill: a row in which somebody wrote one is changed, and is left."""

from __future__ import annotations

import pytest

from tests.pipeline.target.made_loads import PLAIN, Lab, uuid
from tests.pipeline.target.made_rollbacks import LINES, Rollback
from tests.postgres_server import Database

FILLED_BY_TRIGGER = """
    ALTER TABLE thing ADD words tsvector;
    CREATE FUNCTION words() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.words := to_tsvector('simple', coalesce(NEW.name, '')); RETURN NEW; END $$;
    CREATE TRIGGER words BEFORE INSERT OR UPDATE ON thing FOR EACH ROW EXECUTE FUNCTION words()
"""


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ('"signed by" text', "'Dr. X'"),
        ("\"100%\" text DEFAULT 'it''s'", "NULL"),
        ("state text NOT NULL DEFAULT 'new'", "'signed'"),
        ("count integer DEFAULT 0", "1"),
        ("minus integer DEFAULT -1", "1"),
        ("dose numeric(10, 2) DEFAULT 1.5", "1.6"),
        ("flag boolean DEFAULT false", "true"),
        ("extra json DEFAULT '{}'", "'{\"a\": 1}'"),
        ("tags text[] DEFAULT '{}'", "'{a}'"),
        ("at timestamptz", "now()"),
    ],
)
def test_a_row_in_which_somebody_filled_another_column_is_left(bare: Database, column: str, value: str) -> None:
    """The other rows go: they have the column's default still. A look says the same."""
    rollback = Rollback(Lab(bare, PLAIN, f"ALTER TABLE thing ADD {column}"), LINES)
    bare.execute("UPDATE thing SET kind = kind")
    name = bare.value("SELECT attname FROM pg_attribute WHERE attrelid = 'thing'::regclass ORDER BY attnum DESC LIMIT 1")
    bare.execute(f'UPDATE thing SET "{name.replace("%", "%%")}" = {value.replace("%", "%%")} WHERE id = %s', uuid(2))

    assert rollback.look() == {1: ("different", [name])}
    assert rollback.run() == {1: ("different", None)}
    assert rollback.figures == (5, 0, 1)
    assert bare.value("SELECT discrepancies -> 0 -> 2 ->> 0 FROM ddb2pg.chunk WHERE kept > 0") == name


def test_a_column_that_came_after_the_load_counts_too(bare: Database) -> None:
    rollback = Rollback(Lab(bare, PLAIN), LINES)
    bare.execute("ALTER TABLE thing ADD later text DEFAULT 'none'")
    bare.execute("UPDATE thing SET later = 'some' WHERE id = %s", uuid(6))

    assert rollback.run() == {5: ("different", None)}


def test_what_a_trigger_filled_in_as_the_row_was_loaded_is_nobodys_change(bare: Database) -> None:
    """The row is still the version that the chunk's transaction wrote; one that was written again is not."""
    lab = Lab(bare, PLAIN, FILLED_BY_TRIGGER)
    rollback = Rollback(lab, LINES)
    bare.execute("UPDATE thing SET name = name WHERE id = %s", uuid(3))

    assert rollback.look() == {2: ("different", ["words"])}
    assert rollback.run() == {2: ("different", None)}


def test_columns_that_fill_themselves_tell_nothing(bare: Database) -> None:
    """A default that calls a function, an identity, a generated column: rows written again are not taken for changed."""
    rollback = Rollback(
        Lab(
            bare,
            PLAIN,
            "ALTER TABLE thing ADD at timestamptz DEFAULT now(), ADD number int GENERATED ALWAYS AS IDENTITY, "
            "ADD length int GENERATED ALWAYS AS (length(name)) STORED, ADD token uuid DEFAULT gen_random_uuid()",
        ),
        LINES,
    )
    bare.execute("UPDATE thing SET at = at + interval '1 day'")

    assert rollback.run() == {}
