"""One load as a worker knows it, and its data files: checked against their manifest, then read split by split."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pipeline.errors import Stopped
from pipeline.ledger.loads import Load
from pipeline.ledger.threshold import UNLIMITED, Threshold
from pipeline.places.place import StorageFailed
from pipeline.places.storage import LOCAL_AND_AWS, Storage
from pipeline.records.kinds import window_folder
from pipeline.records.lines import Origin
from pipeline.source.chunks import Chunk, Split, read_chunks
from pipeline.source.data_file import CheckedFile, check_file
from pipeline.source.manifest import DataFile, Export
from pipeline.target.database_url import DatabaseReference
from pipeline.target.target import Target
from transforms.children import CompiledRows, ToRows, compile_whole_rows
from transforms.compile import ToRow
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
    folder: str
    """The name of the folders with the run's records of it (`record_folder`)."""
    storage: Storage = LOCAL_AND_AWS
    threshold: Threshold = UNLIMITED

    @property
    def has_siblings(self) -> bool:
        """Whether several definitions of the run take from its source."""
        return self.folder != self.table.source

    @property
    def with_defaults(self) -> Table:
        """The definition with what the load keeps of its columns' DEFAULTs: what rows are made by."""
        return self.load.with_defaults(self.table)

    @property
    def job_name(self) -> str:
        """On a cluster, where there are others."""
        return f"ddb2pg-{self.run_id}-{self.folder}"

    @property
    def origin(self) -> Origin:
        """The fields that every record of this run has."""
        return Origin(self.run_id, self.table.source, self.load.target_table, self.load.export_id)

    def row_maker(self) -> ToRow | ToRows:
        """The function that makes a row of a line, and its child rows if there are any, as it was when the load began."""
        return self.compiled().to_row

    def compiled(self) -> CompiledRows:
        """The same, with what tells which attributes no item had."""
        return compile_whole_rows(self.with_defaults, migration_time=self.load.migration_microseconds, unmapped=self.load.unmapped)


def folder_of_load(load: Load, folder: str) -> str:
    """The name of the folders with the records of a load; of a window another one beside that."""
    return window_folder(folder, load.link.number) if load.link else folder


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


def read_splits(splits: Iterable[Split], plan: LoadPlan) -> Iterator[Chunk]:
    """The chunks of splits, in their order; each file is checked before its first. Raises `DataFileRefused`, `Stopped`."""
    checked: dict[str, CheckedFile] = {}
    for split in splits:
        name = split.data_file.name
        if not split.is_whole_file and name not in checked:
            checked[name] = check_data_file(split.data_file, plan)
        yield from read_split(split, checked.get(name), plan)


def read_split(split: Split, checked: CheckedFile | None, plan: LoadPlan) -> Iterator[Chunk]:
    """The chunks of a split; without `checked` of a whole file, which is checked first. Raises `DataFileRefused`, `Stopped`."""
    try:
        yield from read_chunks(split, checked, plan.load.chunk_size, plan.storage)
    except StorageFailed as failed:
        raise Stopped(_RESUMABLE.format(failed)) from None
