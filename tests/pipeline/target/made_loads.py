"""A small table of our own with every kind of constraint a test may want, its items, and chunks of them through `ChunkVisitor`."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pipeline.job.load import LoadChunks
from pipeline.job.plan import LoadPlan
from pipeline.job.visit import ChunkVisitor
from pipeline.ledger.loads import Load, create_ledger, start_load
from pipeline.records.files import RecordBatch
from pipeline.records.kinds import RecordKind
from pipeline.source.chunks import Chunk, ChunkSize, Split
from pipeline.source.manifest import DataFile, Export
from pipeline.target.database_url import DatabaseReference
from pipeline.target.rows import Rows
from pipeline.target.session import RetryLimit, Session
from pipeline.target.target import Target, find_target_of
from tests.postgres_server import Database
from transforms.compile import compile_table
from transforms.rules import Jsonb, Text, Uuid
from transforms.table import Column, Missing, Table, Unmapped

THING = Table(
    source="things",
    target="thing",
    key=("id",),
    columns=(
        Column("id", "id", Uuid(), Missing.REFUSED),
        Column("name", "name", Text()),
        Column("kind", "kind", Text()),
        Column("parent", "parent", Uuid()),
        Column("data", "data", Jsonb()),
    ),
)
PLAIN = "CREATE TABLE thing (id uuid PRIMARY KEY, name text, kind text, parent uuid, data jsonb)"

_numbers = itertools.count(1)


def uuid(number: int) -> str:
    return str(UUID(int=number))


def thing(number: int, **attributes: str | int | dict[str, Any]) -> bytes:
    """A line. `name` and `kind` are texts, `parent` is a number like the id, `data` an attribute value."""
    item: dict[str, Any] = {"id": {"S": uuid(number)}}
    for name, value in attributes.items():
        item[name] = {"S": uuid(value)} if isinstance(value, int) else value if isinstance(value, dict) else {"S": value}
    return json.dumps({"Item": item}).encode()


def rows_of(lines: Sequence[bytes], table: Table = THING, first: int = 0) -> Rows:
    """The encoded rows of sound lines."""
    to_row = compile_table(table, migration_time=0)
    return Rows(range(first, first + len(lines)), [to_row(line)[0] for line in lines])


def chunk_of(lines: Sequence[bytes], first: int = 0, name: str = "some.json.gz") -> Chunk:
    return Chunk(Split(DataFile(name, f"/nowhere/{name}", len(lines), ""), 0, 0, len(lines)), first, list(lines), is_last=True)


@dataclass
class Loaded:
    """What a loader told of a chunk: item number -> (code, sqlstate) of each dead letter, and the notices."""

    dead_letters: dict[int, tuple[str, str | None]] = field(default_factory=dict)
    notices: list[tuple[int, str]] = field(default_factory=list)
    records: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, batches: dict[RecordKind, RecordBatch]) -> Loaded:
        dead_letters, notices = (
            [json.loads(record) for record in batches[kind].records] for kind in (RecordKind.DEAD_LETTERS, RecordKind.NOTICES)
        )
        errors = {record["item_number"]: record["errors"] for record in dead_letters}
        assert len(errors) == len(dead_letters), "a dead letter was told twice"
        return cls(
            {number: (first["code"], first["sqlstate"]) for number, (first,) in errors.items()},
            [(record["item_number"], record["code"]) for record in notices],
            batches[RecordKind.DEAD_LETTERS].records,
        )


class Lab:
    """A database with a target and a ledger, and loads into it."""

    def __init__(self, database: Database, *statements: str, table: Table = THING) -> None:
        self.database = database
        self.table = table
        self.reference = reference_to(database.url)
        for statement in statements:
            database.execute(statement)
        with self.session() as session:
            session.transact(create_ledger)

    def session(self, limit: RetryLimit | None = None) -> Session:
        return Session(self.reference, limit)

    def target(self) -> Target:
        with self.session() as session:
            found = session.transact(lambda cursor: find_target_of(cursor, self.table))
        assert found is not None
        return found

    def plan(self, *, table: Table | None = None, unmapped: Unmapped = Unmapped.NOTICE, load: Load | None = None) -> LoadPlan:
        """A load of its own, unless one is given; each plan is another run."""
        number = next(_numbers)
        table, target = table or self.table, self.target()
        export = Export(f"export-{number}", table.source, None, "/nowhere", 0, (), "digest")
        with self.session() as session:
            load = load or session.transact(
                lambda cursor: start_load(cursor, export, table, target.qualified, ChunkSize(), unmapped),
            )
        return LoadPlan(load, table, target, self.reference, f"run-{number}", table.source)

    def load(self, lines: Sequence[bytes], plan: LoadPlan | None = None, first: int = 0) -> Loaded:
        """One chunk through a loader of its own."""
        with self.session() as session:
            return Loaded.of(loader(plan or self.plan(), session).visit(chunk_of(lines, first)))

    def names(self) -> dict[int, str]:
        """The id and the name of every row in the target."""
        return {UUID(identity).int: name for identity, name in self.database.query("SELECT id::text, name FROM thing")}

    def chunks(self) -> list[tuple[Any, ...]]:
        """What the ledger says: first item, items, rows, dead letters."""
        return self.database.query("SELECT first_item, items, rows, dead_letters FROM ddb2pg.chunk ORDER BY load_id, data_file, first_item")


def loader(plan: LoadPlan, session: Session) -> ChunkVisitor:
    return ChunkVisitor(LoadChunks(plan), session)


def reference_to(url: str) -> DatabaseReference:
    """A reference that stands for a URL of this test alone."""
    name = f"DDB2PG_TEST_URL_{next(_numbers)}"
    os.environ[name] = url
    return DatabaseReference(f"env:{name}")
