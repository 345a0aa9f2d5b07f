"""`inspect`: what an export is, whether it is whole, and what its items look like. Writes nothing, needs no database.

By default manifests are checked and items are sampled from the beginnings of data files spread over the export; with `full`, every data
file is compared with its manifest and every item is looked at, in several processes.
"""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Final, Protocol, Self, TypeVar

from pipeline.core_dumps import forbid_core_dumps
from pipeline.errors import Stopped
from pipeline.inspection.counting import LineStatistics
from pipeline.inspection.statistics import ItemStatistics
from pipeline.inspection.summary import ItemSummary, summarise
from pipeline.places.place import StorageFailed
from pipeline.places.storage import Storage
from pipeline.source.data_file import DataFileRefused, read_lines, read_whole
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
    if depth.is_full:
        gathered, problems = gather(export.data_files, LineStatistics, depth.processes, storage)
        statistics = gathered.statistics
    else:
        statistics, problems = _sample(export.data_files, depth, storage)
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
    problems: list[str] = []
    for line in sampled_lines(data_files, depth.sample, storage, problems):
        statistics.add_line(line)
    return statistics, problems


def sampled_lines(data_files: Sequence[DataFile], count: int, storage: Storage, problems: list[str]) -> Iterator[bytes]:
    """At most `count` lines, from the beginnings of data files spread over the export; what is wrong with those goes to `problems`.

    Raises `StorageFailed`.
    """
    chosen = spread(data_files, _MOST_SAMPLED_FILES)
    taken = 0
    # The smallest first: what they have too few of, the others give.
    for number, data_file in enumerate(sorted(chosen, key=lambda data_file: data_file.items)):
        left = -(-(count - taken) // (len(chosen) - number))
        try:
            for line in itertools.islice(read_lines(data_file.uri, storage), min(left, data_file.items)):
                taken += 1
                yield line
        except DataFileRefused as refused:
            problems.append(str(refused))


# -- every item ----------------------------------------------------------------------------------------------------------------------------


class Gatherer(Protocol):
    """What takes in lines, and when it has finished what others took in; then it is pickled on its way between processes."""

    def add_lines(self, lines: list[bytes]) -> None: ...

    def finish(self) -> None: ...

    def merge(self, other: Self) -> None: ...


AnyGatherer = TypeVar("AnyGatherer", bound=Gatherer)


def gather(
    data_files: Sequence[DataFile], new: Callable[[], AnyGatherer], processes: int, storage: Storage
) -> tuple[AnyGatherer, list[str]]:
    """What is gathered of every item, in several processes where that pays; and what is wrong with data files, which are left out.

    `new` makes an empty gatherer, in each process its own. Raises `StorageFailed`, `Stopped`.
    """
    largest_first = sorted(data_files, key=lambda data_file: -data_file.items)
    processes = min(processes, len(data_files)) if sum(file.items for file in data_files) >= _ITEMS_WORTH_PROCESSES else 1
    gathered = new()
    problems = []
    for result in _each_looked_at(largest_first, new, processes, storage):
        if isinstance(result, DataFileRefused):
            problems.append(str(result))
        elif isinstance(result, StorageFailed):
            raise result
        else:
            gathered.merge(result)
    return gathered, sorted(problems)


def _each_looked_at(
    data_files: Sequence[DataFile], new: Callable[[], AnyGatherer], processes: int, storage: Storage
) -> Iterator[AnyGatherer | DataFileRefused | StorageFailed]:
    look_at = partial(_look_at, new=new, storage=storage)
    if processes <= 1:
        yield from map(look_at, data_files)
        return
    # Not forked: this process has threads and connections.
    with ProcessPoolExecutor(processes, get_context("spawn"), _begin_process) as pool:
        try:
            yield from pool.map(look_at, data_files)
        except BrokenProcessPool:
            raise Stopped("a process was killed (out of memory?); run it again with fewer --processes") from None


def _begin_process() -> None:
    """Ctrl-C reaches every process of a terminal; the one that was typed speaks for all."""
    forbid_core_dumps()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _look_at(data_file: DataFile, new: Callable[[], AnyGatherer], storage: Storage) -> AnyGatherer | DataFileRefused | StorageFailed:
    """All items of a data file, if it is what the manifest says."""
    gathered = new()
    try:
        for lines in read_whole(data_file, storage):
            gathered.add_lines(lines)
        gathered.finish()
    except (DataFileRefused, StorageFailed) as problem:
        return problem
    return gathered
