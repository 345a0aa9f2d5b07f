"""`inspect` of an incremental export: its window, whether it is whole, and what its records are. No value of an item is in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

import orjson
from rich.console import Console

from pipeline.console import counted_in_words
from pipeline.inspection.inspect_exports import Depth, gather, sampled_lines
from pipeline.places.storage import Storage
from pipeline.source.given import GivenExport
from pipeline.source.manifest import Window
from pipeline.source.windows import shown_time
from transforms.lines import View

_MEMBERS: Final = frozenset(("Metadata", "Keys", "OldImage", "NewImage"))
INSERTED: Final = "inserted"
UPDATED: Final = "updated"
WRITTEN: Final = "written"
"""Inserted or updated: new images alone do not tell."""
DELETED: Final = "deleted"
UNREADABLE: Final = "unreadable"


class CountedChanges:
    """How many lines say what; a `Gatherer`."""

    def __init__(self) -> None:
        self.lines = 0
        self.kinds: Counter[str] = Counter()

    def add_line(self, line: bytes) -> None:
        self.lines += 1
        self.kinds[_kind(line)] += 1

    def add_lines(self, lines: list[bytes]) -> None:
        for line in lines:
            self.add_line(line)

    def finish(self) -> None:
        """Nothing waits."""

    def merge(self, other: Self) -> None:
        self.lines += other.lines
        self.kinds += other.kinds


def _kind(line: bytes) -> str:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return UNREADABLE
    if not isinstance(record, dict) or not record.keys() <= _MEMBERS or not isinstance(record.get("Keys"), dict):
        return UNREADABLE
    if "NewImage" not in record:
        return DELETED
    return UPDATED if "OldImage" in record else INSERTED


@dataclass(frozen=True, slots=True)
class WindowInspection:
    """One incremental export; the schema of `inspect --json`."""

    uri: str
    source_table: str
    export_id: str
    from_time: str
    """Inclusive."""
    to_time: str
    """Exclusive."""
    view: str
    are_manifests_verified: bool
    data_files: int
    records: int
    """What the manifest says."""
    are_data_files_verified: bool
    """Whether MD5 and count of every data file were compared with the manifest, and hold."""
    problems: tuple[str, ...]
    lines: int
    """That were looked at."""
    kinds: dict[str, int]
    """How many of those are `inserted`, `updated`, `deleted` or `unreadable`; with new images alone the first two are `written`."""


def inspect_window(given: GivenExport, window: Window, depth: Depth, storage: Storage) -> WindowInspection:
    """Look at one. Raises `StorageFailed`."""
    export = given.export
    problems: list[str] = []
    if depth.is_full:
        counted, problems = gather(export.data_files, CountedChanges, depth.processes, storage)
    else:
        counted = CountedChanges()
        for line in sampled_lines(export.data_files, depth.sample, storage, problems):
            counted.add_line(line)
    kinds = counted.kinds
    if window.view is View.NEW_IMAGE:
        # Whether there was an item before, this view does not say.
        kinds = Counter({WRITTEN: kinds[INSERTED] + kinds[UPDATED], DELETED: kinds[DELETED], UNREADABLE: kinds[UNREADABLE]})
    return WindowInspection(
        uri=export.uri,
        source_table=given.source_table,
        export_id=export.export_id,
        from_time=shown_time(window.from_time),
        to_time=shown_time(window.to_time),
        view=window.view.value,
        are_manifests_verified=export.are_manifests_verified,
        data_files=len(export.data_files),
        records=export.items,
        are_data_files_verified=depth.is_full and not problems,
        problems=tuple(problems),
        lines=counted.lines,
        kinds={kind: count for kind, count in kinds.items() if count},
    )


def print_window(console: Console, inspection: WindowInspection) -> None:
    console.print(f"{inspection.source_table}, a window of changes", style="bold", highlight=False, markup=False)
    for sentence in _sentences(inspection):
        console.print(f"  {sentence}", highlight=False, markup=False)
    for problem in inspection.problems:
        console.print(f"  DAMAGED: {problem}", style="bold red", highlight=False, markup=False)
    console.print()


def _sentences(inspection: WindowInspection) -> Iterator[str]:
    yield f"export {inspection.export_id} from {inspection.from_time} to {inspection.to_time}, {inspection.view}, {inspection.uri}"
    size = f"{counted_in_words(inspection.records, 'record')} in {counted_in_words(inspection.data_files, 'data file')}, by the manifest"
    yield size
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in inspection.kinds.items())
    yield f"looked at {counted_in_words(inspection.lines, 'record')}" + (f": {kinds}" if kinds else "")
    if inspection.are_data_files_verified:
        yield "data files: MD5 and count of each verified"
    elif not inspection.problems:
        yield "data files: all there, not verified; --full compares MD5 and count of each, and counts every record"
