"""Columns of types that extensions bring, on a server that has them: loaded, what the server refuses isolated, compared, taken back.

The server that comes with pip has no extensions, so this is the system's.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from psycopg2.extensions import make_dsn

from tests.command_line import CommandLine
from tests.handmade_export import write_export
from tests.pipeline.planted import parts_of, report_of
from tests.postgres_server import Database
from tests.tls_server import TlsServer
from tests.truth import records

pytestmark = pytest.mark.plain

DEFINITION = """
from ddb2pg import Array, Cast, Child, Citext, Column, ELEMENT, Missing, Parent, POSITION, SmallInt, Table, Text

TABLES = [
    Table(
        "places", "place", "id",
        (
            Column("id", "id", Citext(), Missing.REFUSED),
            Column("path", "path", Cast("ltree")),
            Column("names", "names", Array(Citext())),
            Column("paths", "paths", Array(Cast("ltree"))),
            Column("elsewhere", "elsewhere", Cast("extra.ltree")),
        ),
        children=(
            Child("roads", "road", (
                Column(Parent("id"), "place", Citext(), Missing.REFUSED),
                Column(POSITION, "number", SmallInt(), Missing.REFUSED),
                Column(ELEMENT, "path", Cast("ltree")),
            )),
        ),
    ),
]
"""
TARGETS = """
CREATE EXTENSION citext; CREATE EXTENSION ltree; CREATE SCHEMA extra; CREATE DOMAIN extra.ltree AS ltree;
CREATE TABLE place (id citext PRIMARY KEY, path ltree, names citext[], paths ltree[], elsewhere extra.ltree);
CREATE TABLE road (place citext, number smallint, path ltree, PRIMARY KEY (place, number));
"""
PLACES = 40
REJECTED = "database_rejected"


@pytest.fixture
def database(tls_server: TlsServer, request: pytest.FixtureRequest) -> Database:
    name = f"ext_{abs(hash(request.node.name)) % 10**9}"
    tls_server.as_superuser("postgres").execute(f"CREATE DATABASE {name}")
    made = tls_server.as_superuser(name)
    made.execute(TARGETS)
    return made


@pytest.fixture
def run(database: Database, tmp_path: Path) -> CommandLine:
    return CommandLine(make_dsn(database.url), tmp_path)


@pytest.fixture
def definition(tmp_path: Path) -> str:
    path = tmp_path / "places.py"
    path.write_text(DEFINITION)
    return f"--tables={path}"


def is_refused(number: int) -> str | None:
    """By the server: a text that is no ltree, in the row, in an array, in a child's row; a key that differs in its case alone."""
    return {5: "path", 15: "paths", 25: "roads", 35: "id"}.get(number)


def place(number: int) -> bytes:
    fault = is_refused(number)
    bad, sound = "no ltree!", f"Top.Of_{number}"
    item = {
        "id": {"S": "PLACE 4" if fault == "id" else f"Place {number}"},
        "path": {"S": bad if fault == "path" else sound},
        "names": {"L": [{"S": "Écluse"}, {"S": f"n{number}"}]},
        "paths": {"L": [{"S": sound}, {"S": bad if fault == "paths" else "Top"}]},
        "elsewhere": {"S": f"X.{number}"},
        "roads": {"L": [{"S": "A.b"}, {"S": bad if fault == "roads" else f"R.{number}"}]},
    }
    return json.dumps({"Item": item}).encode()


LIVE = [number for number in range(PLACES) if not is_refused(number)]


@pytest.fixture
def export(tmp_path: Path) -> Path:
    lines = [place(number) for number in range(PLACES)]
    return write_export(tmp_path / "export", "places", [lines[:22], lines[22:]])


def test_they_are_loaded_and_what_the_server_refuses_is_isolated(
    database: Database, run: CommandLine, export: Path, definition: str
) -> None:
    """The others of a chunk are rows, as they are written; a citext's case is kept, and does not tell keys apart."""
    finished = run.migrate(export, definition, "--chunk_items=10")

    assert finished.exit_code == 3, finished.output
    rows = database.query("SELECT id::text, path::text, names::text, paths::text, elsewhere::text FROM place ORDER BY substr(id, 7)::int")
    assert rows == [(f"Place {n}", f"Top.Of_{n}", f"{{Écluse,n{n}}}", f"{{Top.Of_{n},Top}}", f"X.{n}") for n in LIVE]
    roads = set(database.query("SELECT place::text, number, path::text FROM road"))
    assert roads == {(f"Place {n}", place, path) for n in LIVE for place, path in enumerate(("A.b", f"R.{n}"))}
    dead = records(run.run_folders[-1] / "dead_letters" / "places")
    told = {json.loads(one["item"])["Item"]["elsewhere"]["S"]: one["errors"][0]["code"] for one in dead}
    assert told == {"X.5": REJECTED, "X.15": REJECTED, "X.25": REJECTED, "X.35": "primary_key_conflict"}
    [table] = report_of(run.run_folders[-1])["tables"]
    assert parts_of(table) == {"rows": len(LIVE), "dead_letters": PLACES - len(LIVE)}


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ("UPDATE place SET path = 'Top.of_4' WHERE id = 'place 4'", "path"),
        ("UPDATE place SET names[1] = 'écluse' WHERE id = 'place 4'", "names"),
        ("UPDATE place SET id = 'PLACE 4' WHERE id = 'place 4'", "id"),
        ("UPDATE place SET paths[2] = 'Top.x' WHERE id = 'place 4'", "paths"),
        ("UPDATE road SET path = 'R' WHERE place = 'place 4' AND number = 1", "road.path"),
    ],
)
def test_they_are_compared_byte_by_byte_and_taken_back(
    database: Database, run: CommandLine, export: Path, definition: str, change: str, column: str
) -> None:
    """Equal to PostgreSQL is not equal enough: a citext of another case is different."""
    assert run.migrate(export, definition).exit_code == 3
    equal = run.validate(export, definition)
    assert equal.exit_code == 0, equal.output

    database.execute(change)

    assert run.validate(export, definition).exit_code == 3
    [mismatch] = records(run.run_folders[-1] / "mismatches" / "places")
    assert (mismatch["kind"], mismatch["columns"]) == ("different", [column])
    assert run.roll_back(export, "--yes", definition).exit_code == 3
    assert database.query("SELECT id::text FROM place") == [("PLACE 4" if column == "id" else "Place 4",)]


def test_preflight_says_how_they_are_written(run: CommandLine, export: Path, tmp_path: Path) -> None:
    """Of a definition that takes them for text."""
    path = tmp_path / "plain.py"
    path.write_text(DEFINITION.replace("Citext()", "Text()").replace('Cast("ltree")', "Text()"))

    looked = run("preflight", "--export", export, f"--tables={path}")

    assert looked.exit_code == 2, looked.output
    shown = " ".join(looked.stdout.split())
    for sentence in (
        "place: column id is of type citext, but must be text; change it with ALTER TABLE, or write Citext() in the definition",
        "place: column path is of type ltree, but must be text; change it with ALTER TABLE, or write Cast('ltree') in the definition",
        "or write Array(Cast('ltree')) in the definition",
        "road: column path is of type ltree, but must be text",
    ):
        assert sentence in shown
