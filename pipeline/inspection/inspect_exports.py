"""`inspect`: what an export is, whether it is whole, and what its items look like. Writes nothing, needs no database.

By default manifests are checked and items are sampled from the beginnings of data files spread over the export; with `full`, every data
file is compared with its manifest and every item is looked at, in several processes.
"""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Final

from pipeline.core_dumps import forbid_core_dumps
from pipeline.errors import Stopped
from pipeline.inspection.statistics import ItemStatistics
from pipeline.inspection.summary import ItemSummary, summarise
from pipeline.places.place import StorageFailed
from pipeline.places.storage import Storage
from pipeline.source.data_file import DataFileRefused, check_file, read_lines, read_part
from pipeline.source.given import GivenExport
from pipeline.source.manifest import DataFile, spread

# As many data files give samples: each costs a request of its own.
_MOST_SAMPLED_FILES: Final = 20
# Below this, starting processes takes longer than they save.
_ITEMS_WORTH_PROCESSES: Final = 50_000


@dataclass(frozen=True, slots=True)
class Depth:
    """How much is looked at: `sample` items of each export, or, if `is_full`, all of them in so many processes."""

    sample: int
    is_full: bool
    processes: int


@dataclass(frozen=True, slots=True)
class ExportInspection:
    """One export; the schema of `inspect --json`. No value of an item is in it."""

    uri: str
    source_table: str
    export_id: str
    export_time: str | None
    format: str
    has_manifest: bool
    are_manifests_verified: bool
    """Whether both manifests had side files with their MD5."""
    data_files: int
    bytes: int
    """Of the data files, as they are kept."""
    items: int
    """What the manifest says; without one, what was counted."""
    largest_data_file_items: int
    are_data_files_verified: bool
    """Whether MD5 and count of every data file were compared with the manifest, and hold."""
    problems: tuple[str, ...]
    """Data files that are not what the manifest says; found when all are looked at, or by chance in the sample."""
    looked_at: ItemSummary


def inspect_export(given: GivenExport, depth: Depth, storage: Storage) -> ExportInspection:
    """Look at one export. Raises `StorageFailed`."""
    export = given.export
    statistics, problems = _look_at_all(export.data_files, depth, storage) if depth.is_full else _sample(export.data_files, depth, storage)
    return ExportInspection(
        uri=export.uri,
        source_table=given.source_table,
        export_id=export.export_id,
        export_time=export.export_time,
        format="DYNAMODB_JSON",
        has_manifest=export.has_manifest,
        are_manifests_verified=export.are_manifests_verified,
        data_files=len(export.data_files),
        bytes=sum(data_file.bytes or 0 for data_file in export.data_files),
        items=export.items,
        largest_data_file_items=max((data_file.items for data_file in export.data_files), default=0),
        are_data_files_verified=depth.is_full and export.has_manifest and not problems,
        problems=tuple(problems),
        looked_at=summarise(statistics),
    )


def _sample(data_files: Sequence[DataFile], depth: Depth, storage: Storage) -> tuple[ItemStatistics, list[str]]:
    statistics = ItemStatistics()
    problems = []
    chosen = list(spread([data_file for data_file in data_files if data_file.items], _MOST_SAMPLED_FILES))
    # The smallest first: what they have too few of, the others give.
    for number, data_file in enumerate(sorted(chosen, key=lambda data_file: data_file.items)):
        left = -(-(depth.sample - statistics.lines) // (len(chosen) - number))
        try:
            for line in itertools.islice(read_lines(data_file.uri, storage), min(left, data_file.items)):
                statistics.add_line(line)
        except DataFileRefused as refused:
            problems.append(str(refused))
    return statistics, problems


def _look_at_all(data_files: Sequence[DataFile], depth: Depth, storage: Storage) -> tuple[ItemStatistics, list[str]]:
    largest_first = sorted(data_files, key=lambda data_file: -data_file.items)
    processes = min(depth.processes, len(data_files)) if sum(file.items for file in data_files) >= _ITEMS_WORTH_PROCESSES else 1
    statistics = ItemStatistics()
    problems = []
    for result in _each_looked_at(largest_first, processes, storage):
        if isinstance(result, ItemStatistics):
            statistics.merge(result)
        elif isinstance(result, DataFileRefused):
            problems.append(str(result))
        else:
            raise result
    return statistics, sorted(problems)


_Result = ItemStatistics | DataFileRefused | StorageFailed


def _each_looked_at(data_files: Sequence[DataFile], processes: int, storage: Storage) -> Iterator[_Result]:
    if processes <= 1:
        yield from (_look_at(data_file, storage) for data_file in data_files)
        return
    # Not forked: this process has threads and connections.
    with ProcessPoolExecutor(processes, get_context("spawn"), _begin_process) as pool:
        try:
            yield from pool.map(_look_at, data_files, itertools.repeat(storage))
        except BrokenProcessPool:
            raise Stopped("a process was killed (out of memory?); run it again with fewer --processes") from None


def _begin_process() -> None:
    """Ctrl-C reaches every process of a terminal; the one that was typed speaks for all."""
    forbid_core_dumps()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _look_at(data_file: DataFile, storage: Storage) -> _Result:
    """All items of a data file, if it is what the manifest says."""
    statistics = ItemStatistics()
    try:
        checked = check_file(data_file, [0], storage)
        for line in read_part(data_file, checked.version, checked.parts[0], storage):
            statistics.add_line(line)
    except (DataFileRefused, StorageFailed) as problem:
        return problem
    return statistics
