"""What is loaded: sample exports, kept in the cache folder, and what the targets must hold afterwards.

Sessions, audit events and notes as 4 : 4 : 1. The rows that must come of them are made from the truth that `sample-export` writes, by SQL,
so that they owe nothing to any contender; from them come psql's ready files, too.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.processes import Command, measure
from benchmarks.server import BenchmarkServer
from sample_export import write_sample_exports
from tests.postgres_server import Database

SESSIONS: Final = "medzen-video-sessions"
NOTES: Final = "medzen-soap-notes"
AUDIT: Final = "medzen-meeting-audit"
TARGETS: Final[Mapping[str, str]] = {SESSIONS: "video_call_sessions", NOTES: "clinical_notes", AUDIT: "video_call_audit_log"}

READY_FORMATS: Final = ("text", "binary")
PARTS: Final = 2  # of ready files, so that two sessions have one each
_FILES_A_TABLE: Final = 16

Rows = Mapping[str, tuple[int, str]]
"""Of each target: how many, and a hash of all, whatever their order."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Exports of the three tables with so many items together."""

    folder: Path
    items: int

    @property
    def items_by_table(self) -> Mapping[str, int]:
        """Four ninths, four ninths, a ninth."""
        large = self.items * 4 // 9
        return {SESSIONS: large, AUDIT: large, NOTES: max(1, self.items - 2 * large)}

    def items_of(self, tables: tuple[str, ...]) -> int:
        """Of some tables together."""
        return sum(self.items_by_table[table] for table in tables)

    def export(self, table: str) -> Path:
        """The folder that `--export` takes."""
        [found] = [folder for folder in (self.folder / table / "AWSDynamoDB").iterdir() if folder.is_dir()]
        return found

    def export_arguments(self, tables: Sequence[str]) -> list[str]:
        """For a command that takes exports."""
        return [argument for table in tables for argument in ("--export", str(self.export(table)))]

    def sizes(self) -> dict[str, int]:
        """Bytes of all data files, compressed and not."""
        paths = [path for table in TARGETS for path in (self.export(table) / "data").iterdir()]
        return {"compressed_bytes": sum(path.stat().st_size for path in paths), "json_bytes": sum(map(_uncompressed_bytes, paths))}

    def ready(self, table: str, form: str, part: int) -> Path:
        """Rows as psql takes them."""
        return self.folder / "ready" / f"{table}.{part}.{form}"

    def copy_line(self, table: str, form: str, part: int) -> str:
        r"""The `\copy` of those."""
        return f"\\copy {TARGETS[table]} FROM '{self.ready(table, form, part)}' WITH (FORMAT {form})"

    def expected(self) -> Rows:
        """What the targets hold when all is loaded."""
        known = json.loads((self.folder / "expected.json").read_text(encoding="utf-8"))
        return {target: (count, digest) for target, (count, digest) in known.items()}


def make_dataset(
    cache: Path, items: int, server: BenchmarkServer, *, faulty: float = 0, with_rows: bool = True, with_ready_files: bool = False
) -> Dataset:
    """From the cache, or new. `faulty` is a share; `with_rows` makes what is expected, `with_ready_files` psql's files as well."""
    dataset = Dataset(cache / "data" / f"{items}-{faulty:g}", items)
    whole = dataset.folder / ("ready" if with_ready_files else "expected.json" if with_rows else "written")
    if whole.exists():
        return dataset
    print(f"making {items:,} items{f', {faulty:.0%} of them faulty' if faulty else ''}")
    shutil.rmtree(dataset.folder, ignore_errors=True)
    database = server.fresh_database()
    for table, count in dataset.items_by_table.items():
        write_sample_exports(
            dataset.folder,
            items=count,
            faulty=faulty,
            odd=0,
            tables=[table],
            items_per_file=max(1_000, -(-count // _FILES_A_TABLE)),
            processes=os.cpu_count() or 1,
        )
        if with_rows:
            _load_truth(server, database, table, dataset.folder / "truth" / f"{table}.jsonl")
        shutil.rmtree(dataset.folder / "truth")  # as large as all the rest
    if with_rows:
        (dataset.folder / "expected.json").write_text(json.dumps(rows_of(database)), encoding="utf-8")
    if with_ready_files:
        _write_ready_files(server, database, dataset)
    (dataset.folder / "written").touch()
    return dataset


def _uncompressed_bytes(path: Path) -> int:
    """As the end of a gzip file says; for less than 4 GB."""
    return int.from_bytes(path.read_bytes()[-4:], "little")


def target_bytes(database: Database) -> int:
    """Of the targets with their indexes and TOAST tables."""
    return sum(database.value("SELECT pg_total_relation_size(%s)", target) for target in TARGETS.values())


def rows_of(database: Database) -> Rows:
    """What the targets hold, by PostgreSQL's own equality; columns that a contender added do not count."""
    found = {}
    for target in TARGETS.values():
        columns = ", ".join(name for name, _ in _columns(database, target))
        question = f"SELECT count(*), coalesce(sum(hash_record_extended(ROW({columns}), 0)::numeric), 0)::text FROM {target}"
        [(count, digest)] = database.query(question)
        found[target] = (count, digest)
    return found


def _columns(database: Database, target: str) -> list[tuple[str, str]]:
    question = "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s ORDER BY ordinal_position"
    return [(name, kind) for name, kind in database.query(question, target) if not name.startswith("_dlt_")]


def _load_truth(server: BenchmarkServer, database: Database, table: str, truth: Path) -> None:
    """The rows that the truth tells, in the order of the export."""
    target = TARGETS[table]
    database.execute("CREATE UNLOGGED TABLE truth (line text)")
    psql(server, [f"\\copy truth FROM '{truth}' WITH (FORMAT csv, QUOTE e'\\x01', DELIMITER e'\\x02')"])
    columns = ", ".join(
        f"(told.{name} ->> 'jsonb')::jsonb" if kind == "jsonb" else f"told.{name}" for name, kind in _columns(database, target)
    )
    rows = f"SELECT {columns} FROM truth, LATERAL json_populate_record(NULL::{target}, line::json -> 'row') AS told"
    database.execute(f"INSERT INTO {target} {rows}")
    database.execute("DROP TABLE truth")


def _write_ready_files(server: BenchmarkServer, database: Database, dataset: Dataset) -> None:
    unfinished = dataset.folder / "ready.unfinished"
    unfinished.mkdir()
    for table, target in TARGETS.items():
        middle = database.value("SELECT pg_relation_size(%s) / current_setting('block_size')::int / 2", target)
        for part, condition in enumerate((f"ctid < '({middle},0)'", f"ctid >= '({middle},0)'")):
            rows = f"SELECT * FROM {target} WHERE {condition}"
            files = {form: unfinished / dataset.ready(table, form, part).name for form in READY_FORMATS}
            psql(server, [f"\\copy ({rows}) TO '{path}' WITH (FORMAT {form})" for form, path in files.items()])
    unfinished.rename(dataset.folder / "ready")


def psql(server: BenchmarkServer, statements: list[str]) -> None:
    """One session with some statements."""
    measure([psql_command(server, statements)], server)


def psql_command(server: BenchmarkServer, statements: list[str]) -> Command:
    """One psql session that stops at the first error."""
    return Command(list(_psql_arguments(server, statements)))


def _psql_arguments(server: BenchmarkServer, statements: list[str]) -> Iterator[str]:
    yield from (str(server.bin_path / "psql"), "--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--dbname", server.benchmark_url())
    for statement in statements:
        yield from ("--command", statement)
