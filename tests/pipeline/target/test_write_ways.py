"""Each way to write alone: what it settles, and what it leaves to the next."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.target.rows import RefusedRow, Rows
from pipeline.target.session import RowsRefused
from pipeline.target.write import WriteRows, copy_new_rows, copy_rows, insert_new_rows, insert_row_by_row, ways_to_write
from tests.pipeline.target.made_loads import PLAIN, THING, Lab, rows_of, thing, uuid
from tests.postgres_server import Database

EVERY_WAY = pytest.mark.parametrize("way", [copy_rows, copy_new_rows, insert_new_rows, insert_row_by_row])
ISOLATING = pytest.mark.parametrize("way", [copy_new_rows, insert_new_rows, insert_row_by_row])


def write(lab: Lab, way: WriteRows, rows: Rows) -> list[tuple[int, str, str | None, str | None]]:
    """Item number, code, SQLSTATE and constraint of each row that was refused."""
    target = lab.target()
    with lab.session() as session:
        refused: list[RefusedRow] = session.transact(lambda cursor: way(cursor, target, lab.table, rows))
    return [(row.item_number, row.code.value, row.sqlstate, row.constraint) for row in refused]


def with_existing(lab: Lab, *numbers: int) -> None:
    for number in numbers:
        lab.database.execute("INSERT INTO thing (id, name) VALUES (%s, 'old')", uuid(number))


@EVERY_WAY
def test_sound_rows_are_in_and_none_is_refused(lab: Lab, way: WriteRows) -> None:
    """All ways write the same rows, value by value."""
    odd = {"M": {"n": {"N": "1.50"}, "emoji 😀": {"S": 'quote " back \\ slash\r\n'}, "e": {"N": "1E-130"}, "l": {"L": []}}}
    lines = [thing(1, name="a\tb\\n", data=odd), thing(2), thing(3, name="", kind="ü", parent=1, data={"S": ""})]

    assert write(lab, way, rows_of(lines)) == []
    rows = lab.database.query("SELECT id::text, name, kind, parent::text, data::text FROM thing ORDER BY id")
    assert rows[1:] == [(uuid(2), None, None, None, None), (uuid(3), "", "ü", uuid(1), '""')]
    assert rows[0][:2] == (uuid(1), "a\tb\\n")
    small = "0." + "0" * 129 + "1"
    assert rows[0][4] == f'{{"e": {small}, "l": [], "n": 1.50, "emoji 😀": "quote \\" back \\\\ slash\\r\\n"}}'


@EVERY_WAY
def test_a_chunk_without_rows_writes_none(lab: Lab, way: WriteRows) -> None:
    """All its items were refused before."""
    assert write(lab, way, Rows([], [])) == []
    assert lab.names() == {}


@pytest.mark.parametrize("lines", [[thing(1), thing(1)], [thing(2), thing(9)]], ids=["inside the chunk", "with the table"])
def test_copy_is_all_or_nothing(lab: Lab, lines: list[bytes]) -> None:
    """One conflict, and nothing is written; the SQLSTATE says why."""
    with_existing(lab, 9)
    with pytest.raises(RowsRefused) as caught:
        write(lab, copy_rows, rows_of(lines))

    assert caught.value.sqlstate == "23505"
    assert lab.names() == {9: "old"}


@ISOLATING
def test_conflicts_are_refused_and_the_first_in_the_file_wins(lab: Lab, way: WriteRows) -> None:
    """A row that is there stays as it is; of two in the chunk the earlier is the row. Item numbers are the file's."""
    with_existing(lab, 9)
    lines = [thing(1, name="first"), thing(9, name="new"), thing(1, name="second"), thing(2, name="only"), thing(1, name="third")]
    conflict = ("primary_key_conflict", "23505", "thing_pkey")

    assert write(lab, way, rows_of(lines, first=100)) == [(101, *conflict), (102, *conflict), (104, *conflict)]
    assert lab.names() == {1: "first", 2: "only", 9: "old"}


@pytest.mark.parametrize("way", [copy_new_rows, insert_new_rows])
def test_a_key_of_several_columns_in_an_order_of_its_own(lab: Lab, way: WriteRows) -> None:
    """A conflict is one of all of them; text before and behind them, and NULL, is of no account."""
    lab.database.execute("ALTER TABLE thing DROP CONSTRAINT thing_pkey, ADD PRIMARY KEY (kind, id)")
    lab.database.execute("INSERT INTO thing (id, kind, name) VALUES (%s, 'a', 'old')", uuid(9))
    keys = [(9, "a"), (9, "b"), (1, "a"), (9, "b"), (1, "b")]
    lines = [thing(number, kind=kind, name=f"{place} {'x' * 300}") for place, (number, kind) in enumerate(keys)]

    assert [refused[0] for refused in write(lab, way, rows_of(lines))] == [0, 3]
    found = lab.database.query("SELECT id::text, kind, split_part(name, ' ', 1) FROM thing ORDER BY kind, id")
    assert found == [(uuid(1), "a", "2"), (uuid(9), "a", "old"), (uuid(1), "b", "4"), (uuid(9), "b", "1")]


@ISOLATING
def test_rows_that_are_equal_are_conflicts_too(lab: Lab, way: WriteRows) -> None:
    """Even one with equal columns is a dead letter (`docs/tables.md`)."""
    lines = [thing(1, name="same"), thing(1, name="same")]

    assert [refused[0] for refused in write(lab, way, rows_of(lines))] == [1]


@pytest.mark.parametrize("way", [copy_new_rows, insert_new_rows])
@pytest.mark.parametrize(
    ("change", "sqlstate"),
    [
        ("ADD UNIQUE (name)", "23505"),
        ("ADD CHECK (name <> 'bad')", "23514"),
        ("ALTER kind SET NOT NULL", "23502"),
        ("ADD FOREIGN KEY (parent) REFERENCES thing", "23503"),
    ],
)
def test_what_settles_key_conflicts_leaves_others_to_the_last_way(lab: Lab, change: str, sqlstate: str, way: WriteRows) -> None:
    """They settle primary keys and nothing else: any other constraint rolls them back."""
    lab.database.execute(f"ALTER TABLE thing {change}")
    lines = [thing(1, name="x", kind="k"), thing(2, name="x", kind="k"), thing(3, name="bad"), thing(4, name="y", kind="k", parent=77)]
    wrong = {"23505": lines[:2], "23514": [lines[2]], "23502": [lines[2]], "23503": [lines[3]]}[sqlstate]
    with pytest.raises(RowsRefused) as caught:
        write(lab, way, rows_of(wrong))

    assert caught.value.sqlstate == sqlstate
    assert lab.names() == {}


@pytest.mark.parametrize("way", [copy_rows, copy_new_rows, insert_new_rows])
def test_a_trigger_that_keeps_a_row_out_is_noticed(lab: Lab, way: WriteRows) -> None:
    """PostgreSQL reports no error: only the count tells that a row is missing."""
    keep_out(lab, "NEW.kind = 'out'")
    with pytest.raises(RowsRefused) as caught:
        write(lab, way, rows_of([thing(1), thing(2, kind="out"), thing(3)]))

    assert caught.value.sqlstate == "00000"
    assert lab.names() == {}


def test_the_third_way_names_the_row_that_a_trigger_kept_out(lab: Lab) -> None:
    """It has no SQLSTATE, because there was no error."""
    keep_out(lab, "NEW.kind = 'out'")

    assert write(lab, insert_row_by_row, rows_of([thing(1), thing(2, kind="out"), thing(3)])) == [(1, "database_rejected", None, None)]
    assert set(lab.names()) == {1, 3}


def test_a_trigger_that_changes_the_key_makes_no_conflict_of_its_row(lab: Lab) -> None:
    """A row that is in, under whatever key, is not also a dead letter."""
    trigger(lab, "NEW.id = uuid_in(overlay(NEW.id::text placing 'ffffffff' from 1)::cstring); RETURN NEW;")
    with pytest.raises(RowsRefused):
        write(lab, insert_new_rows, rows_of([thing(1), thing(2)]))

    assert write(lab, insert_row_by_row, rows_of([thing(1), thing(2)])) == []
    assert len(lab.names()) == 2


def test_the_ways_depend_on_the_target(bare: Database) -> None:
    """COPY where row security allows it, key conflicts where there is a key that we feed, and always the loop."""
    lab = Lab(bare, PLAIN)
    assert list(ways_to_write(lab.target(), THING)) == [copy_rows, copy_new_rows, insert_new_rows, insert_row_by_row]
    bare.execute("ALTER TABLE thing DROP CONSTRAINT thing_pkey")
    assert list(ways_to_write(lab.target(), THING)) == [copy_rows, insert_row_by_row]
    bare.execute("ALTER TABLE thing ADD number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
    assert list(ways_to_write(lab.target(), THING)) == [copy_rows, insert_row_by_row]


@ISOLATING
def test_nothing_of_a_way_outlives_its_transaction(lab: Lab, way: WriteRows) -> None:
    """The temp tables are gone with it, so the next chunk finds its own; also through a pooler."""

    def temp_tables(cursor: Any) -> int:
        cursor.execute("SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()")
        return int(cursor.fetchone()[0])

    target = lab.target()
    with lab.session() as session:
        for number in range(3):
            rows = rows_of([thing(number)])
            session.transact(lambda cursor, rows=rows: way(cursor, target, THING, rows))
        assert session.transact(temp_tables) == 0
    assert set(lab.names()) == {0, 1, 2}


def trigger(lab: Lab, body: str) -> None:
    lab.database.execute(f"CREATE FUNCTION before_thing() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN {body} END $f$")
    lab.database.execute("CREATE TRIGGER before_thing BEFORE INSERT ON thing FOR EACH ROW EXECUTE FUNCTION before_thing()")


def keep_out(lab: Lab, condition: str) -> None:
    trigger(lab, f"IF {condition} THEN RETURN NULL; END IF; RETURN NEW;")
