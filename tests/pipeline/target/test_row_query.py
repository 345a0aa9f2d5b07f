"""A stranger's query reads and does nothing else, whatever it tries."""

from __future__ import annotations

import json

import pytest

from pipeline.target.row_query import QueryRefused, read_rows
from pipeline.target.session import Session
from tests.pipeline.target.made_loads import reference_to
from tests.postgres_server import Database


@pytest.fixture
def things(bare: Database) -> Database:
    bare.execute("CREATE TABLE thing (id int PRIMARY KEY); INSERT INTO thing SELECT generate_series(1, 5)")
    bare.execute("CREATE FUNCTION wipe() RETURNS int LANGUAGE sql AS 'DELETE FROM thing; SELECT 1'")
    return bare


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("DELETE FROM thing RETURNING id", "25006"),
        ("WITH gone AS (DELETE FROM thing RETURNING id) SELECT id FROM gone", "25006"),
        ("SELECT wipe()", "25006"),
        ("SELECT 1; COMMIT; DELETE FROM thing", "42P11"),
        ("SELECT 1); COMMIT; DELETE FROM thing; --", "42601"),
        ("COMMIT", "SQLSTATE"),
        ("DO $$ BEGIN DELETE FROM thing; END $$", "SQLSTATE"),
        ("SELECT set_config('transaction_read_only', 'off', true), wipe()", "25001"),
        ("SELECT 'x', $tag$ '' $1 %s % \\ $tag$ FORM thing", "42601, line 1, character"),
        ("SELECT id FROM nothing", "it names a table that is not there (SQLSTATE 42P01, line 1, character 16)"),
        ("SELECT 1 / (id - 1) FROM thing", "22012"),
        ("SELECT 'patient'::int", "22P02"),
        ("", "SQLSTATE"),
    ],
)
def test_what_does_not_just_read_is_refused_and_nothing_is_written(things: Database, query: str, words: str) -> None:
    """By PostgreSQL itself, and in words that hold nothing of a row."""
    with Session(reference_to(things.url)) as session, pytest.raises(QueryRefused) as caught:
        read_rows(session, query, 3)

    assert words in str(caught.value)
    assert "patient" not in str(caught.value)
    assert things.value("SELECT count(*) FROM thing") == 5


def test_the_first_rows_come_as_json(things: Database) -> None:
    """In the query's order, with the names of its columns also where there are no rows; nothing that it sets stays."""
    with Session(reference_to(things.url)) as session:
        found = read_rows(session, "SELECT id, 0.10 AS x, '%s {} '''::text AS t FROM thing ORDER BY id DESC;\n", 2)
        none = read_rows(session, "SELECT id, id AS id FROM thing WHERE false -- nothing", 2)
        read_rows(session, "SELECT set_config('search_path', 'nowhere', false)", 1)
        assert session.transact(lambda cursor: (cursor.execute("SHOW search_path"), cursor.fetchone()[0])[1]) != "nowhere"

    assert list(found.columns) == ["id", "x", "t"]
    assert [json.loads(row) for row in found.rows] == [{"id": 5, "x": 0.1, "t": "%s {} '"}, {"id": 4, "x": 0.1, "t": "%s {} '"}]
    assert '"x": 0.10' in found.rows[0]
    assert (list(none.columns), list(none.rows)) == (["id", "id"], [])
