"""Targets that are not as plain as ours: their names, keys, partitions, row security. The refusals are the same."""

from __future__ import annotations

import itertools

import pytest
from psycopg2.extensions import make_dsn, quote_ident

from tests.pipeline.target.made_loads import PLAIN, THING, Lab, thing, uuid
from tests.postgres_server import Database
from transforms.rules import Jsonb, Text, Uuid
from transforms.table import Column, Missing, Table

KEY_CONFLICT = ("primary_key_conflict", "23505")
CONFLICTING = [thing(1, name="a"), thing(2, name="b"), thing(1, name="c"), thing(3, name="d")]
_roles = itertools.count(1)


# -- names ---------------------------------------------------------------------------------------------------------------------------------

NAMES = [
    "Id",
    "two words",
    'a "quoted" name',
    "100%",
    "%s",
    "%(conflicts)s",
    "$$",
    "$1",
    "o'clock",
    "back\\slash",
    "select",
    "ü😀",
    "{brace}",
    "{}",
    "-- x",
]


def odd_table(*columns: str, target: str = "thing") -> Table:
    """The first column is the key; the second a text; the third a jsonb."""
    key, text, document = columns
    return Table(
        "things",
        target,
        ("id",),
        (Column("id", key, Uuid(), Missing.REFUSED), Column("name", text, Text()), Column("data", document, Jsonb())),
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_column_may_have_any_name(bare: Database, name: str) -> None:
    """In each of the ways to write, as the key, as a text, and as a jsonb."""
    connection = bare.connect()
    for place in range(3):
        columns = ["id", "name", "data"]
        columns[place] = name
        key, text, document = (quote_ident(column, connection) for column in columns)
        bare.execute("DROP TABLE IF EXISTS thing")
        bare.execute(f"CREATE TABLE thing ({key} uuid PRIMARY KEY, {text} text, {document} jsonb)")
        lab = Lab(bare, table=odd_table(*columns))
        assert lab.load(CONFLICTING).dead_letters == {2: KEY_CONFLICT}
        bare.execute(f"TRUNCATE thing; ALTER TABLE thing ADD CHECK ({text} <> 'b')")
        assert lab.load(CONFLICTING).dead_letters == {1: ("check_violation", "23514"), 2: KEY_CONFLICT}
    connection.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_table_may_have_any_name(bare: Database, name: str) -> None:
    """Schema and table; the definition spells it as SQL does."""
    connection = bare.connect()
    quoted = f"{quote_ident(f's {name}', connection)}.{quote_ident(name, connection)}"
    connection.close()
    bare.execute(f"CREATE SCHEMA {quoted.partition('.')[0]}")
    bare.execute(f"CREATE TABLE {quoted} (id uuid PRIMARY KEY, name text CHECK (name <> 'b'), data jsonb)")
    lab = Lab(bare, table=odd_table("id", "name", "data", target=quoted))

    assert lab.load(CONFLICTING[2:]).dead_letters == {}
    assert lab.load([thing(4), thing(4)]).dead_letters == {1: KEY_CONFLICT}
    assert lab.load([thing(5, name="b"), thing(1)]).dead_letters == {0: ("check_violation", "23514"), 1: KEY_CONFLICT}


# -- keys ----------------------------------------------------------------------------------------------------------------------------------


def test_without_a_primary_key_every_row_is_in(bare: Database) -> None:
    """Nothing is a conflict where nothing must be unique."""
    lab = Lab(bare, "CREATE TABLE thing (id uuid, name text, kind text, parent uuid, data jsonb)")

    assert lab.load(CONFLICTING).dead_letters == {}
    assert bare.value("SELECT count(*) FROM thing") == 4


def test_without_a_primary_key_unique_constraints_and_checks_are_isolated(bare: Database) -> None:
    """By the way that goes row by row."""
    lab = Lab(bare, "CREATE TABLE thing (id uuid UNIQUE, name text CHECK (name <> 'd'), kind text, parent uuid, data jsonb)")

    assert lab.load(CONFLICTING).dead_letters == {2: ("unique_conflict", "23505"), 3: ("check_violation", "23514")}


@pytest.mark.parametrize("when", ["DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED"])
def test_a_primary_key_may_be_deferrable(bare: Database, when: str) -> None:
    """ON CONFLICT cannot use such a key; its conflicts are isolated all the same."""
    lab = Lab(bare, f"CREATE TABLE thing (id uuid PRIMARY KEY {when}, name text, kind text, parent uuid, data jsonb)")

    assert lab.load(CONFLICTING).dead_letters == {2: KEY_CONFLICT}
    assert lab.names() == {1: "a", 2: "b", 3: "d"}


@pytest.mark.parametrize("key", ["kind", "name"])
def test_a_text_is_a_key_like_any_other(bare: Database, key: str) -> None:
    """As text and as varchar, the empty one included."""
    lab = Lab(bare, f"CREATE TABLE thing (id uuid, name varchar, kind text, parent uuid, data jsonb, PRIMARY KEY ({key}))")
    lines = [
        thing(1, name="", kind=""),
        thing(2, name=" ", kind=" "),
        thing(3, name="", kind=""),
        thing(4, name="A", kind="A"),
        thing(5, name="a", kind="a"),
    ]

    assert lab.load(lines).dead_letters == {2: KEY_CONFLICT}


# -- partitions ----------------------------------------------------------------------------------------------------------------------------

PARTITIONED = """
    CREATE TABLE thing (id uuid PRIMARY KEY, name text CHECK (name <> 'bad'), kind text, parent uuid, data jsonb) PARTITION BY HASH (id);
    CREATE TABLE thing_0 PARTITION OF thing FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE thing_1 PARTITION OF thing FOR VALUES WITH (MODULUS 2, REMAINDER 1);
"""


def test_conflicts_in_a_partitioned_table(bare: Database) -> None:
    """The key's index has another name in each partition; the conflict is one of the primary key all the same."""
    lab = Lab(bare, PARTITIONED)
    lines = [thing(number % 20) for number in range(40)]

    assert lab.load(lines).dead_letters == dict.fromkeys(range(20, 40), KEY_CONFLICT)


def test_conflicts_in_a_partitioned_table_beside_another_violation(bare: Database) -> None:
    """The code of a conflict does not depend on what else is wrong in the chunk."""
    lab = Lab(bare, PARTITIONED)
    lines = [*(thing(number % 20) for number in range(40)), thing(99, name="bad")]

    assert lab.load(lines).dead_letters == {**dict.fromkeys(range(20, 40), KEY_CONFLICT), 40: ("check_violation", "23514")}


def test_a_row_without_a_partition_is_a_dead_letter(bare: Database) -> None:
    """PostgreSQL calls it a check violation."""
    lab = Lab(
        bare,
        "CREATE TABLE thing (id uuid, name text, kind text, parent uuid, data jsonb) PARTITION BY LIST (kind)",
        "CREATE TABLE t1 PARTITION OF thing FOR VALUES IN ('a')",
    )

    assert lab.load([thing(1, kind="a"), thing(2, kind="b"), thing(3, kind="a")]).dead_letters == {1: ("check_violation", "23514")}


# -- domains, generated columns, row security ----------------------------------------------------------------------------------------------


def test_domains_and_generated_columns(bare: Database) -> None:
    """A domain's check refuses its row; a column that PostgreSQL generates does not come in our way."""
    bare.execute("CREATE DOMAIN short AS text CHECK (length(value) < 5)")
    lab = Lab(
        bare,
        "CREATE TABLE thing (number bigint GENERATED ALWAYS AS IDENTITY, shout text GENERATED ALWAYS AS (upper(kind)) STORED, "
        "id uuid PRIMARY KEY, name short, kind text, parent uuid, data jsonb)",
    )

    assert lab.load([thing(1, kind="a"), thing(2, name="too long"), thing(1)]).dead_letters == {
        1: ("check_violation", "23514"),
        2: KEY_CONFLICT,
    }
    assert bare.query("SELECT shout FROM thing") == [("A",)]


def test_a_role_that_is_subject_to_row_security_loads_through_a_temp_table(bare: Database) -> None:
    """COPY refuses such a table; rows, conflicts and other refusals are as with any other."""
    role = f"loader_{next(_roles)}"
    bare.execute(f"CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {bare.value('SELECT current_database()')} TO {role}")
    bare.execute(PLAIN)
    bare.execute(f"ALTER TABLE thing ADD CHECK (name <> 'bad'), ENABLE ROW LEVEL SECURITY; GRANT SELECT, INSERT ON thing TO {role}")
    bare.execute("CREATE POLICY everything ON thing USING (true) WITH CHECK (true)")
    lab = Lab(Database(make_dsn(bare.url, user=role)))
    assert lab.target().has_row_security

    assert lab.load([thing(1), thing(2)]).dead_letters == {}
    assert lab.load([thing(3), thing(1), thing(3)]).dead_letters == {1: KEY_CONFLICT, 2: KEY_CONFLICT}
    assert lab.load([thing(4), thing(1), thing(5, name="bad")]).dead_letters == {1: KEY_CONFLICT, 2: ("check_violation", "23514")}
    assert set(lab.names()) == {1, 2, 3, 4}


def test_rows_that_row_security_hides_are_conflicts_still(bare: Database) -> None:
    """A key that is taken by a row which this role cannot see is no reason to lose the item."""
    role = f"loader_{next(_roles)}"
    bare.execute(f"CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {bare.value('SELECT current_database()')} TO {role}")
    bare.execute(f"{PLAIN}; ALTER TABLE thing ENABLE ROW LEVEL SECURITY; GRANT SELECT, INSERT ON thing TO {role}")
    bare.execute("CREATE POLICY seen ON thing USING (kind IS DISTINCT FROM 'hidden') WITH CHECK (true)")
    bare.execute(f"INSERT INTO thing VALUES ('{uuid(2)}', '', 'hidden')")
    lab = Lab(Database(make_dsn(bare.url, user=role)), table=THING)

    assert lab.load([thing(1), thing(2), thing(3)]).dead_letters == {1: KEY_CONFLICT}
    assert bare.value("SELECT count(*) FROM thing") == 3
