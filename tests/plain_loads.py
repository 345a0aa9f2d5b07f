"""Loads of sample exports without the command line: the plans of the three tables, and their records in files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.job.load import LoadChunks
from pipeline.job.plan import LoadPlan
from pipeline.job.visit import visit_plainly
from pipeline.ledger.loads import create_ledger, start_load
from pipeline.places.storage import OutputFolder
from pipeline.records.files import RecordFiles, form_of
from pipeline.records.kinds import OF_A_LOAD, RecordFormat
from pipeline.source.chunks import ChunkSize, Split, SplitSize, plan_splits
from pipeline.target.database_url import DatabaseReference
from pipeline.target.session import Session
from pipeline.target.target import find_target
from tests.pipeline.source.read_splits import read_exports
from transforms.table import Unmapped
from transforms.tables.medzen import TABLES

CHUNK_SIZE = ChunkSize(items=100)
SPLIT_SIZE = SplitSize(items=110)


def plans_of(export: Path, reference: DatabaseReference) -> Iterator[tuple[LoadPlan, list[Split]]]:
    for table in TABLES:
        read = read_exports(export / table.source)[0]
        with Session(reference) as session:

            def start(cursor, table=table, read=read):
                create_ledger(cursor)
                target = find_target(cursor, table.target)
                return target, start_load(
                    cursor, read, table, target.qualified, CHUNK_SIZE, Unmapped.NOTICE, SPLIT_SIZE, target_oid=target.oid
                )

            target, load = session.transact(start)
        yield LoadPlan(load, table, target, reference, "run", table.source), plan_splits(read.data_files, load.split_size)


def begin_loads(export: Path, reference: DatabaseReference) -> None:
    """The loads of three tables, of which nothing is loaded."""
    for _ in plans_of(export, reference):
        pass


def load_into_files(export: Path, reference: DatabaseReference, run_folders: Mapping[RecordFormat, Path]) -> None:
    """Load three tables by the plain loop; the same records go into a run's folder in each format."""
    for plan, splits in plans_of(export, reference):
        files = [
            {
                kind: RecordFiles(OutputFolder(str(run_folder / kind / plan.table.source)), form_of(kind, record_format))
                for kind in OF_A_LOAD
            }
            for record_format, run_folder in run_folders.items()
        ]
        for batches in visit_plainly(splits, LoadChunks(plan)):
            for of_format in files:
                for kind, batch in batches.items():
                    of_format[kind].write(batch)
