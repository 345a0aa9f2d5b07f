"""Commands whose chunks are visited in a plain loop in place of a Beam job, and migrations of histories within this process."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from rich.console import Console

from pipeline.commands.migrate import migrate
from pipeline.commands.rollback import rollback
from pipeline.commands.validate import validate
from pipeline.errors import Refused
from pipeline.job.visit import VisitedLoad, visit_plainly
from pipeline.ledger.chunks import note_refused_file
from pipeline.options import MigrateOptions, RollbackOptions, ValidateOptions
from pipeline.outcome.outcome import Run
from pipeline.outcome.report import end_run
from pipeline.outcome.verdict import ExitCode
from pipeline.records.files import RecordFiles, form_of
from pipeline.records.kinds import RecordFormat
from pipeline.source.chunks import Split, data_files_of
from pipeline.source.data_file import DataFileRefused
from pipeline.target.session import Session
from tests.made_options import made_options
from tests.pipeline.target.made_loads import reference_to
from tests.postgres_server import Database
from transforms.table import Table

EVERYTHING = (
    "ddb2pg.load, ddb2pg.chunk, ddb2pg.applied_chunk, ddb2pg.tally, ddb2pg.writer, ddb2pg.outdated, ddb2pg.double, ddb2pg.refused_file, "
    "ddb2pg.stream, ddb2pg.shard, ddb2pg.stream_aside"
)


def run_plainly(
    loads: Sequence[VisitedLoad],
    splits: Sequence[Split],
    *_others: object,
    record_format: RecordFormat = RecordFormat.JSONL,
    **_further: object,
) -> None:
    """In place of `run_visits`: data file after data file; one that is refused is noted, as Beam's job notes it."""
    files = [{kind: RecordFiles(folder, form_of(kind, record_format)) for kind, folder in load.folders.items()} for load in loads]
    plans = [load.plan for load in loads]
    for data_file in data_files_of(splits):
        of_file = [split for split in splits if split.data_file == data_file]
        try:
            for batches, of_load in zip(visit_plainly(of_file, *plans), itertools.cycle(files), strict=False):
                for kind, batch in batches.items():
                    of_load[kind].write(batch)
        except DataFileRefused as refused:
            for kinds in files:
                for of_kind in kinds.values():
                    of_kind.abandon()
            with Session(plans[0].load_plan.database) as session:
                for plan in plans:
                    facts = {"load_id": plan.load_plan.load.load_id, "run_id": plan.load_plan.run_id, "data_file": data_file.name}
                    session.transact(partial(note_refused_file, **facts, problem=str(refused)))


def use_plain_visits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process's commands run no Beam job, which is most of what a small load takes. That both do the same is in `test_job.py`."""
    for module in ("job.compare", "job.load_reading", "rollback.roll_back", "windows.own_exports", "windows.roll_back", "windows.run"):
        monkeypatch.setattr(f"pipeline.{module}.run_visits", run_plainly)
    monkeypatch.setattr("pipeline.commands.migrate.prepare_workers", lambda *_: None)


class Migration:
    """Runs of `migrate` into one target, of one definition."""

    def __init__(self, database: Database, folder: Path, *tables: Table, **others: Any) -> None:
        self.database = database
        self.output = folder / "out"
        self.reference = reference_to(database.url)
        self.tables = tables
        self.others = others

    def run(self, *exports: Path, **others: Any) -> Report:
        """Raises what `migrate` raises."""
        options = made_options(
            MigrateOptions,
            exports,
            self.reference,
            self.output,
            tables=self.tables,
            **{"chunk_items": 4, "split_items": 6, **self.others, **others},
        )
        return self._ended(migrate, options)

    def roll_back(self, *exports: Path, yes: bool = True, **others: Any) -> Report:
        """Raises what `rollback` raises."""
        options = made_options(RollbackOptions, exports, self.reference, self.output, tables=self.tables, yes=yes, **others)
        return self._ended(rollback, options)

    def validate(self, *exports: Path, **others: Any) -> Report:
        """A run of `validate`. Raises what it raises."""
        options = made_options(ValidateOptions, exports, self.reference, self.output, tables=self.tables, **others)
        return self._ended(validate, options)

    def _ended(self, command: Callable[[Any, Console], Run], options: Any) -> Report:
        before = set(self.output.iterdir()) if self.output.exists() else set()
        exit_code = end_run(command(options, Console(quiet=True)), Console(quiet=True))
        [folder] = set(self.output.iterdir()) - before
        return Report(exit_code, folder)

    def problems(self, *exports: Path, run: Callable[..., Report] | None = None, **others: Any) -> tuple[str, ...]:
        """All sentences of a refusal, of `migrate` or of another run; nothing may have been written."""
        before = self.everything()
        with pytest.raises(Refused) as caught:
            (run or self.run)(*exports, **others)
        assert self.everything() == before
        return caught.value.problems

    def everything(self) -> list[Any]:
        """Every row of every table."""
        tables = self.database.query(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"
        )
        return [(table, sorted(self.database.query(f"SELECT t::text FROM {table} t"))) for (table,) in tables]

    def clear(self, *targets: str) -> None:
        """Forget all runs."""
        self.database.execute(f"TRUNCATE {', '.join(targets)}")
        if self.database.value("SELECT to_regclass('ddb2pg.load') IS NOT NULL"):
            self.database.execute(f"TRUNCATE {EVERYTHING}")


class Report:
    """What a run said of itself."""

    def __init__(self, exit_code: ExitCode, folder: Path) -> None:
        self.exit_code = exit_code
        self.folder = folder
        self._report = json.loads((folder / "report.json").read_text())

    @property
    def tables(self) -> list[dict[str, Any]]:
        tables: list[dict[str, Any]] = self._report["tables"]
        return tables

    @property
    def windows(self) -> list[dict[str, int]]:
        """Of each window that was applied, or was before, how many records became what."""
        return [
            {part["name"]: part["count"] for part in table["parts"] if part["count"]}
            for table in self.tables
            if table["counted"] == "record"
        ]

    def kept(self) -> list[tuple[str, list[str]]]:
        """Of a rollback: kind and columns of what was left."""
        paths = sorted(self.folder.glob("discrepancies/*/*"))
        return [(record["kind"], record["columns"]) for path in paths for record in _records(path)]

    def mismatches(self) -> list[dict[str, Any]]:
        """All records of them."""
        return [record for path in sorted(self.folder.glob("mismatches/*/*")) for record in _records(path)]

    def dead_letters(self) -> Iterator[tuple[str, str]]:
        """Code and line."""
        for path in sorted(self.folder.glob("dead_letters/*/*")):
            for record in _records(path):
                yield record["errors"][0]["code"], record["item"]


def _records(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
