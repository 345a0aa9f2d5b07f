"""Rows against the target: which are not there, which are others, and in what; by PostgreSQL's own equality."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.target.compare import Comparison, compare_rows, find_keys, values_of_different
from pipeline.target.rows import Rows
from tests.pipeline.target.made_loads import THING, Lab, rows_of, thing, uuid
from tests.postgres_server import Database
from tests.strategies import examples
from transforms.compile import compile_table
from transforms.rules import Boolean, Jsonb, Text, Timestamp, Uuid
from transforms.table import Column, Missing, Table

EVERY_TYPE = Table(
    source="things",
    target="thing",
    key=("id",),
    columns=(
        Column("id", "id", Uuid(), Missing.REFUSED),
        Column("name", "name", Text()),
        Column("other", "other", Uuid()),
        Column("at", "at", Timestamp()),
        Column("flag", "flag", Boolean()),
        Column("data", "data", Jsonb()),
    ),
)
CREATE_EVERY_TYPE = "CREATE TABLE thing (id uuid PRIMARY KEY, name text, other uuid, at timestamptz, flag boolean, data jsonb)"

DIGITS = "1.23456789012345678901234567890123"


def every_type(number: int, **changes: Any) -> bytes:
    item = {
        "id": {"S": uuid(number)},
        "name": {"S": "Name"},
        "other": {"S": uuid(7)},
        "at": {"N": "1700000000000"},
        "flag": {"BOOL": True},
        "data": {"M": {"dose": {"N": DIGITS}, "b": {"L": [{"S": "x"}, {"NULL": True}]}}},
        **changes,
    }
    return json.dumps({"Item": {name: value for name, value in item.items() if value is not None}}).encode()


def rows_of_lines(table: Table, lines: Sequence[bytes]) -> Rows:
    to_row = compile_table(table, migration_time=0)
    return Rows(range(len(lines)), [to_row(line)[0] for line in lines])


def compared(lab: Lab, lines: Sequence[bytes]) -> Comparison:
    with lab.session() as session:
        return session.transact(
            lambda cursor: compare_rows(cursor, lab.target(), lab.table, rows_of_lines(lab.table, lines), seed=5),
        )


def hashes(found: Comparison) -> list[int]:
    return json.loads(found.found_keys.replace("{", "[").replace("}", "]"))


@pytest.fixture
def typed(bare: Database) -> Lab:
    return Lab(bare, CREATE_EVERY_TYPE, table=EVERY_TYPE)


LINES = [every_type(number) for number in range(10)]


@pytest.fixture
def loaded(typed: Lab) -> Lab:
    """Ten rows, as the export makes them."""
    typed.load(LINES)
    assert typed.database.value("SELECT count(*) FROM thing") == 10
    return typed


def test_what_was_just_loaded_is_equal(loaded: Lab) -> None:
    found = compared(loaded, LINES)

    assert (found.missing, found.different) == (frozenset(), {})
    assert len(set(hashes(found))) == 10


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ("name = 'name'", "name"),
        ("name = 'Name '", "name"),
        ("name = ''", "name"),
        ("name = NULL", "name"),
        ("other = '00000000-0000-0000-0000-000000000008'", "other"),
        ("other = NULL", "other"),
        ("at = at + interval '1 microsecond'", "at"),
        ("at = at - interval '1 microsecond'", "at"),
        ("flag = false", "flag"),
        ("flag = NULL", "flag"),
        (f"""data = '{{"dose": {DIGITS[:-1]}4, "b": ["x", null]}}'""", "data"),
        (f"""data = '{{"dose": "{DIGITS}", "b": ["x", null]}}'""", "data"),
        (f"""data = '{{"dose": {DIGITS}, "b": ["x"]}}'""", "data"),
        ("data = 'null'", "data"),
        ("data = NULL", "data"),
    ],
)
def test_a_change_of_any_type_is_found_in_its_column(loaded: Lab, change: str, column: str) -> None:
    """However small."""
    loaded.database.execute(f"UPDATE thing SET {change} WHERE id = %s", uuid(4))

    found = compared(loaded, LINES)

    assert (found.missing, found.different) == (frozenset(), {4: (column,)})
    assert len(hashes(found)) == 10


@pytest.mark.parametrize(
    "change",
    [
        f"""data = '{{  "b" : ["x",null],\n "dose":{DIGITS} }}'""",
        "at = at AT TIME ZONE 'Asia/Tokyo' AT TIME ZONE 'Asia/Tokyo'",
        "other = upper(other::text)::uuid",
    ],
)
def test_what_postgresql_calls_equal_is_equal(loaded: Lab, change: str) -> None:
    """Order of keys, white space, time zones, case of hexadecimal digits."""
    loaded.database.execute(f"UPDATE thing SET {change}")

    assert compared(loaded, LINES).different == {}


def test_rows_that_are_gone_and_several_columns_are_told(loaded: Lab) -> None:
    """All at once, and a row of somebody else is nobody's business here."""
    loaded.database.execute("DELETE FROM thing WHERE id IN (%s, %s)", uuid(0), uuid(9))
    loaded.database.execute("UPDATE thing SET name = 'x', flag = NULL, data = '1' WHERE id = %s", uuid(3))
    loaded.database.execute("INSERT INTO thing (id) VALUES (%s)", uuid(100))

    found = compared(loaded, LINES)

    assert found.missing == {0, 9}
    assert found.different == {3: ("name", "flag", "data")}
    assert len(hashes(found)) == 8


def test_null_equals_null_and_nothing_else(typed: Lab) -> None:
    empty = [every_type(1, name=None, other=None, at=None, flag=None, data=None)]
    typed.load(empty)

    assert compared(typed, empty).different == {}
    assert compared(typed, [every_type(1)]).different == {0: ("name", "other", "at", "flag", "data")}


def test_text_is_compared_byte_by_byte_under_a_collation_that_does_not(bare: Database) -> None:
    """A nondeterministic collation calls other bytes equal, in a column and in the key itself."""
    try:
        bare.execute("CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level1', deterministic = false)")
    except psycopg2.errors.FeatureNotSupported:
        pytest.skip("this server was built without ICU, so all its collations are deterministic")
    table = Table("things", "thing", ("id",), (Column("id", "id", Text(), Missing.REFUSED), Column("name", "name", Text())))
    lab = Lab(bare, "CREATE TABLE thing (id text COLLATE blind PRIMARY KEY, name text COLLATE blind)", table=table)
    lines = [json.dumps({"Item": {"id": {"S": letter}, "name": {"S": letter}}}).encode() for letter in "abc"]
    lab.load(lines)
    bare.execute("UPDATE thing SET name = 'A' WHERE id = 'a'")
    bare.execute("UPDATE thing SET id = 'B' WHERE id = 'b'")

    found = compared(lab, lines)

    assert (found.missing, found.different) == (frozenset(), {0: ("name",), 1: ("id",)})


def test_a_key_of_several_columns_with_odd_names(bare: Database) -> None:
    """Joined by all of it, in its own order; % and quotes in names are names."""
    table = Table(
        "things",
        "thing",
        ("id",),
        (
            Column("name", 'a "%s', Text(), Missing.REFUSED),
            Column("id", "b %(x)", Uuid(), Missing.REFUSED),
            Column("kind", "{c}'", Text()),
        ),
    )
    lab = Lab(bare, 'CREATE TABLE thing ("{c}\'" text, "b %(x)" uuid, "a ""%s" varchar, PRIMARY KEY ("b %(x)", "a ""%s"))', table=table)
    lines = [thing(1, name="x", kind="k"), thing(1, name="y", kind="k"), thing(2, name="x", kind="k")]
    lab.load(lines)
    bare.execute('UPDATE thing SET "{c}\'" = \'other\' WHERE "a ""%s" = \'y\'')

    found = compared(lab, [*lines, thing(2, name="y", kind="k")])

    assert (found.missing, found.different) == ({3}, {1: ("{c}'",)})


def test_no_rows_take_no_statement(lab: Lab) -> None:
    with lab.session() as session:
        found = session.transact(lambda _cursor: compare_rows(None, lab.target(), THING, rows_of([]), seed=1))

    assert found == Comparison(frozenset(), {}, "{}")


def test_values_are_told_of_the_different_columns_only_and_when_asked(loaded: Lab) -> None:
    loaded.database.execute("UPDATE thing SET name = NULL, flag = false WHERE id = %s", uuid(2))

    def work(cursor: Any) -> Any:
        target = loaded.target()
        different = compare_rows(cursor, target, EVERY_TYPE, rows_of_lines(EVERY_TYPE, LINES), seed=5).different
        return values_of_different(cursor, target, {(item, name) for item, names in different.items() for name in names})

    with loaded.session() as session:
        assert session.transact(work) == {(2, "name"): ("Name", None), (2, "flag"): ("true", "false")}


def test_keys_alone_are_found_with_the_same_hash(loaded: Lab) -> None:
    """So that the key of a refused item can be held against those of the loaded ones."""
    keys = Table("things", "thing", ("id",), EVERY_TYPE.columns[:1])
    lines = [every_type(3), every_type(50), every_type(5)]

    with loaded.session() as session:
        found = session.transact(lambda cursor: find_keys(cursor, loaded.target(), keys, rows_of_lines(keys, lines), seed=5))

    assert found.keys() == {0, 2}
    assert set(found.values()) < set(hashes(compared(loaded, LINES)))


NAMES = st.one_of(st.none(), st.sampled_from(["", "a", "A", "a ", "ä", "ä"]))
DOSES = st.sampled_from(["0", "1", "1.0", "10E-1", "1.5", "-1", "0.1", "100000000000000000000000000000000001", "1E35"])


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=st.lists(st.tuples(NAMES, NAMES, DOSES, DOSES), min_size=1, max_size=30), gone=st.sets(st.integers(0, 29)))
def test_whatever_differs_is_found_and_nothing_else(
    typed: Lab, pairs: list[tuple[str | None, str | None, str, str]], gone: set[int]
) -> None:
    """Rows loaded from one item each and compared with another: as a plain comparison of their values says."""
    typed.database.execute("TRUNCATE thing, ddb2pg.chunk")

    def line(number: int, name: str | None, dose: str) -> bytes:
        return every_type(number, name=name if name is None else {"S": name}, data={"M": {"dose": {"N": dose}}})

    typed.load([line(number, name, dose) for number, (name, _, dose, _) in enumerate(pairs)])
    typed.database.execute("DELETE FROM thing WHERE id = ANY (%s::uuid[])", [uuid(number) for number in gone])

    found = compared(typed, [line(number, name, dose) for number, (_, name, _, dose) in enumerate(pairs)])

    expected = {}
    for number, (name, other_name, dose, other_dose) in enumerate(pairs):
        columns = tuple(["name"] * (name != other_name) + ["data"] * (_digits(dose) != _digits(other_dose)))
        if columns and number not in gone:
            expected[number] = columns
    assert found.missing == {number for number in gone if number < len(pairs)}
    assert found.different == expected


def _digits(number: str) -> str:
    """Each digit of a number in jsonb matters, zeros at the end of its fraction too; its spelling does not."""
    return format(Decimal(number), "f")
