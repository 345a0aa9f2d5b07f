"""What the database is asked about a target."""

from __future__ import annotations

import pytest

from pipeline.target.session import Session
from pipeline.target.target import Target, count_rows, find_target, has_rows
from tests.pipeline.target.made_loads import reference_to
from tests.postgres_server import Database


def find(database: Database, name: str) -> Target | None:
    with Session(reference_to(database.url)) as session:
        return session.transact(lambda cursor: find_target(cursor, name))


def test_columns_are_described_by_their_base_type(bare: Database) -> None:
    """Below a domain, without its length; whether it is limited, NOT NULL and filled by itself."""
    bare.execute("CREATE DOMAIN short AS varchar(5) NOT NULL")
    bare.execute(
        "CREATE TABLE t (a uuid PRIMARY KEY, b short, c timestamp(3) with time zone, d text DEFAULT '', "
        "e int GENERATED ALWAYS AS IDENTITY, f text GENERATED ALWAYS AS (d) STORED, gone text, g varchar NOT NULL)"
    )
    bare.execute("ALTER TABLE t DROP COLUMN gone")
    target = find(bare, "t")

    assert target is not None
    assert {c.name: (c.base_type, c.is_limited, c.is_not_null, c.is_filled) for c in target.columns} == {
        "a": ("uuid", False, True, False),
        "b": ("character varying", True, True, False),
        "c": ("timestamp with time zone", True, False, False),
        "d": ("text", False, False, True),
        "e": ("integer", False, True, True),
        "f": ("text", False, False, True),
        "g": ("character varying", False, True, False),
    }


def test_a_composite_primary_key_keeps_its_order(bare: Database) -> None:
    """The order of the key, not that of the columns."""
    bare.execute("CREATE TABLE t (a text, b text, c text, CONSTRAINT its_key PRIMARY KEY (c, a), UNIQUE (b))")
    target = find(bare, "t")

    assert target is not None
    assert (target.primary_key, target.primary_key_names) == (("c", "a"), ("its_key",))


def test_a_table_without_primary_key_has_none(bare: Database) -> None:
    """A unique constraint is no primary key."""
    bare.execute("CREATE TABLE t (a text UNIQUE NOT NULL)")
    target = find(bare, "t")

    assert target is not None
    assert (target.primary_key, target.primary_key_names) == ((), ())


@pytest.mark.parametrize(
    "name", ["nothing", "public.nothing", "nowhere.t", "a_view", "a_sequence", "an_index", "other.only_there_unqualified"]
)
def test_only_a_table_is_a_target(bare: Database, name: str) -> None:
    """Neither a view nor anything else that has a name."""
    bare.execute("CREATE TABLE t (a text); CREATE VIEW a_view AS TABLE t; CREATE SEQUENCE a_sequence; CREATE INDEX an_index ON t (a)")

    assert find(bare, name) is None


def test_a_name_is_looked_up_on_the_search_path_or_by_its_schema(bare: Database) -> None:
    """The ledger holds the qualified name, so both spellings are one target."""
    bare.execute("CREATE SCHEMA other; CREATE TABLE other.t (a text); CREATE TABLE public.p (a text)")
    found = [find(bare, name) for name in ("other.t", "p", "public.p", "t")]

    assert [target and target.qualified for target in found] == ["other.t", "public.p", "public.p", None]


def test_a_partitioned_table_is_a_target(bare: Database) -> None:
    """Rows find their partitions by themselves."""
    bare.execute("CREATE TABLE t (a int PRIMARY KEY) PARTITION BY RANGE (a); CREATE TABLE t1 PARTITION OF t DEFAULT")

    assert find(bare, "t") is not None


def test_rows_are_found_and_counted(bare: Database) -> None:
    """Whether there is one, and how many."""
    bare.execute("CREATE TABLE t (a int)")
    target = find(bare, "t")
    assert target is not None
    with Session(reference_to(bare.url)) as session:
        assert session.transact(lambda cursor: (has_rows(cursor, target), count_rows(cursor, target))) == (False, 0)
        bare.execute("INSERT INTO t SELECT generate_series(1, 1000)")
        assert session.transact(lambda cursor: (has_rows(cursor, target), count_rows(cursor, target))) == (True, 1000)


def test_privileges_are_those_of_the_role(bare: Database) -> None:
    """As PostgreSQL has them for whoever asks."""
    bare.execute("CREATE TABLE t (a int)")
    role = f"some_of_{bare.value('SELECT current_database()')}"
    bare.execute(f"CREATE ROLE {role} LOGIN; GRANT SELECT, UPDATE ON t TO {role}")
    with Session(reference_to(f"{bare.url} user={role}")) as session:
        target = session.transact(lambda cursor: find_target(cursor, "t"))
    bare.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")

    assert target is not None
    assert target.privileges == {"SELECT", "UPDATE"}


@pytest.mark.parametrize(
    ("definition", "constant"),
    [
        ("text", "NULL"),
        ("text DEFAULT 'it''s'", "'it''s'::text"),
        ("integer DEFAULT -1", "'-1'::integer"),
        ("numeric(10, 2) DEFAULT 1.5", "1.5"),
        ("boolean DEFAULT false", "false"),
        ("named", "'some'::text"),
        ("named DEFAULT 'other'", "'other'::text"),
        ("timestamptz DEFAULT now()", None),
        ("text DEFAULT upper('x')", None),
        ("text DEFAULT 'a' || 'b'", None),
        ("text DEFAULT E'a\\\\b'", None),
        ("bigint DEFAULT nextval('counted')", None),
        ("bigint GENERATED BY DEFAULT AS IDENTITY", None),
        ("text GENERATED ALWAYS AS ('x') STORED", None),
    ],
)
def test_a_constant_default_is_told_from_one_that_calls_something(bare: Database, definition: str, constant: str | None) -> None:
    """Only a constant may be asked for its value: another may do something, or be another one each time."""
    bare.execute(f"CREATE SEQUENCE counted; CREATE DOMAIN named AS text DEFAULT 'some'; CREATE TABLE t (a {definition})")
    target = find(bare, "t")

    assert target is not None
    assert target.columns[0].constant_default == constant
