"""One load as a worker knows it, and its data files: checked against their manifest, then read split by split."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pipeline.errors import Stopped
from pipeline.ledger.loads import Load
from pipeline.ledger.threshold import UNLIMITED, Threshold
from pipeline.places.place import StorageFailed
from pipeline.places.storage import LOCAL_AND_AWS, Storage
from pipeline.records.lines import Origin
from pipeline.source.chunks import Chunk, Split, read_chunks
from pipeline.source.data_file import CheckedFile, check_file
from pipeline.source.manifest import DataFile, Export
from pipeline.target.database_url import DatabaseReference
from pipeline.target.target import Target
from transforms.compile import ToRow, compile_table
from transforms.table import Table

_RESUMABLE: Final = "{}; what is committed stays: run the same command again to go on"


def new_run_id() -> str:
    """The id of a run: the name of its folder, and its id in the ledger. Sorts by time; two runs that start at once differ."""
    now = datetime.now(UTC)
    return f"{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03d}-{secrets.token_hex(3)}"


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """All that a worker needs to know of a load. Travels with the job, so it holds no secret."""

    load: Load
    table: Table
    target: Target
    database: DatabaseReference
    run_id: str
    storage: Storage = LOCAL_AND_AWS
    threshold: Threshold = UNLIMITED
    shared_folder: str | None = None
    """Where the run's records of it are kept, if several definitions take from one source."""

    @property
    def folder(self) -> str:
        """The name of the folders with the run's records of it."""
        return self.shared_folder or self.table.source

    @property
    def job_name(self) -> str:
        """On a cluster, where there are others."""
        return f"ddb2pg-{self.run_id}-{self.folder}"

    @property
    def origin(self) -> Origin:
        """The fields that every record of this run has."""
        return Origin(self.run_id, self.table.source, self.load.target_table, self.load.export_id)

    def row_maker(self) -> ToRow:
        """The function that makes a row of a line, as it was when the load began."""
        return compile_table(self.table, migration_time=self.load.migration_microseconds, unmapped=self.load.unmapped)


@dataclass(frozen=True, slots=True)
class BegunLoad:
    export: Export
    plan: LoadPlan


def check_data_file(data_file: DataFile, plan: LoadPlan) -> CheckedFile:
    """A data file as its manifest says, with its splits. Raises `DataFileRefused`, `Stopped`."""
    try:
        return check_file(data_file, plan.load.split_size.first_items(data_file.items), plan.storage)
    except StorageFailed as failed:
        raise Stopped(_RESUMABLE.format(failed)) from None


def read_split(split: Split, checked: CheckedFile, plan: LoadPlan) -> Iterator[Chunk]:
    """The chunks of a split of a checked file. Raises `DataFileRefused`, `Stopped`."""
    try:
        yield from read_chunks(split, checked, plan.load.chunk_size, plan.storage)
    except StorageFailed as failed:
        raise Stopped(_RESUMABLE.format(failed)) from None
