"""An export of one table for several targets: definitions, targets and lines, for tests of readings.

In each file orders and customers come in turns, and every order is of the very last customer: what needs that customer's row first must
wait for the whole export.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from tests.postgres_server import Database

DEFINITIONS = """
from ddb2pg import Child, Column, Equals, Ignore, Integer, Missing, Otherwise, Parent, POSITION, Table, Text, Uuid

ID = Column("id", "id", Uuid(), Missing.REFUSED)
CUSTOMER = Table("App", "customer", key="id", where=Equals("kind", "customer"), columns=(ID, Column("kind", "kind", Text())))
LINES = Child("lines", "order_line", columns=(
    Column(Parent("id"), "id", Uuid(), Missing.REFUSED), Column(POSITION, "position", Integer(), Missing.REFUSED),
    Column("customer", "customer", Uuid()),
))
ORDER = Table("App", "customer_order", key="id", where=Equals("kind", "order"), columns=(
    ID, Column("kind", "kind", Text()), Column("customer", "customer", Uuid(), Missing.REFUSED),
), children=(LINES,))
EVERYTHING = Table("App", "everything", key="id", columns=(ID, Column("kind", "kind", Text(), Missing.REFUSED)))
TABLES = [{tables}]
"""
TARGETS = """
    CREATE TABLE customer (id uuid PRIMARY KEY, kind text);
    CREATE TABLE customer_order (id uuid PRIMARY KEY, kind text, customer uuid NOT NULL);
    CREATE TABLE order_line (id uuid, position integer, customer uuid, PRIMARY KEY (id, position));
    CREATE TABLE everything (id uuid PRIMARY KEY, kind text NOT NULL);
"""
FILES, OF_FILE = 2, 40
FOREIGN_KEY = "ALTER TABLE customer_order ADD FOREIGN KEY (customer) REFERENCES customer"


def uuid(number: int) -> str:
    return str(UUID(int=number, version=4))


LAST = uuid(FILES * OF_FILE - 1)


def line(number: int, kind: str) -> bytes:
    item = {"id": {"S": uuid(number)}, "kind": {"S": kind}, "customer": {"S": LAST}}
    if kind == "customer":
        del item["customer"]
    elif kind == "order":
        item["lines"] = {"L": [{"M": {"customer": {"S": LAST}}}] * 2}
    return json.dumps({"Item": item}).encode()


def lines(kinds: Sequence[str] = ("order", "customer")) -> list[list[bytes]]:
    """Of each file."""
    return [[line(file * OF_FILE + number, kinds[number % len(kinds)]) for number in range(OF_FILE)] for file in range(FILES)]


def definitions(folder: Path, tables: str) -> str:
    path = folder / f"{len(tables)}_definitions.py"
    path.write_text(DEFINITIONS.replace("{tables}", tables))
    return f"--tables={path}"


def assert_one_reading(database: Database, chunks: int, loads: int) -> None:
    """Each chunk is committed for every load, by the worker that read it."""
    workers = database.query("SELECT count(*), count(DISTINCT worker) FROM ddb2pg.chunk GROUP BY data_file, first_item")
    assert workers == [(loads, 1)] * chunks
