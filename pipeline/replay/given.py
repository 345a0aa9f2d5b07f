"""Dead letters that are given to be loaded again: read from their files, and told apart by their loads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from pipeline.errors import Refused, Stopped
from pipeline.places.storage import Storage
from pipeline.records.lines import Record, is_dead_letter, line_of
from pipeline.records.reading import read_dead_letters
from pipeline.source.chunks import ItemAddress

_MOST_PROBLEMS: Final = 20
_BATCH_ITEMS: Final = 2_000
_BATCH_BYTES: Final = 8 << 20
_CHANGED: Final = "the files of dead letters were changed while they were read; what was loaded stays: run the same command again"


@dataclass(frozen=True, slots=True)
class LoadKey:
    """What identifies a load: an export and a target."""

    source_table: str
    target_table: str
    export_id: str


@dataclass(frozen=True, slots=True)
class GivenItem:
    """One dead letter: its place in the export, and the line to load for it."""

    load: LoadKey
    address: ItemAddress
    line: bytes
    codes: tuple[str, ...]
    attempt: int
    first_run_id: str


@dataclass(slots=True)
class GivenLoad:
    key: LoadKey
    numbers: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    uris: list[str] = field(default_factory=list)
    """The dead-letter files that hold them."""

    @property
    def items(self) -> int:
        return sum(map(len, self.numbers.values()))


def gather(uris: Sequence[str], storage: Storage) -> dict[LoadKey, GivenLoad]:
    """What some files give, by load. Raises `Refused` with what is wrong with them."""
    loads: dict[LoadKey, GivenLoad] = {}
    problems: list[str] = []
    for uri in uris:
        of_file: set[LoadKey] = set()
        for item in _read_items([uri], storage):
            if isinstance(item, str):
                problems.append(f"{uri}: {item}")
                continue
            of_file.add(item.load)
            numbers = loads.setdefault(item.load, GivenLoad(item.load)).numbers[item.address.data_file]
            if item.address.item_number in numbers:
                problems.append(f"{uri}: item {item.address.item_number:,} of {item.address.data_file!r} is given twice; which one counts?")
            numbers.add(item.address.item_number)
        for key in of_file:
            loads[key].uris.append(uri)
    problems.extend(_several_loads(loads))
    if not loads and not problems:
        problems.append("there is no dead letter in it: nothing to bring in")
    if problems:
        more = len(problems) - _MOST_PROBLEMS
        raise Refused([*islice(problems, _MOST_PROBLEMS), *([f"and {more:,} more like these"] if more > 0 else [])])
    return loads


def _several_loads(loads: Mapping[LoadKey, GivenLoad]) -> Iterator[str]:
    """Of each source of which dead letters of several loads are given, the folders to give instead."""
    for source in dict.fromkeys(key.source_table for key in loads):
        of_source = [given for key, given in loads.items() if key.source_table == source]
        if len(of_source) > 1:
            folders = [
                f"{' and '.join(sorted({uri.rpartition('/')[0] for uri in given.uris}))} ({given.key.target_table})" for given in of_source
            ]
            yield (
                f"{source!r}: dead letters of {len(of_source)} loads are given; bring in one after the other, in the order of the "
                f"definitions: give {', then '.join(folders)}"
            )


def batches(given: GivenLoad, storage: Storage) -> Iterator[list[GivenItem]]:
    """The items of one load, in their order. Raises `Stopped` where the files are not as `gather` read them."""
    batch: list[GivenItem] = []
    size = 0
    for item in _read_items(given.uris, storage):
        if isinstance(item, str):
            raise Stopped(_CHANGED)
        if item.load != given.key:
            continue
        if batch and (len(batch) == _BATCH_ITEMS or size + len(item.line) > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += len(item.line)
    if batch:
        yield batch


def _read_items(uris: Sequence[str], storage: Storage) -> Iterator[GivenItem | str]:
    """Each dead letter, or what is wrong with it; people may have edited the files. Raises `Refused` where a file cannot be read."""
    for number, record in enumerate(read_dead_letters(uris, storage)):
        yield _item(record) or f"record {number:,}, from 0, is no dead letter as ddb2pg writes them; docs/dead-letters.md has their fields"


def _item(record: Record) -> GivenItem | None:
    if not is_dead_letter(record):
        return None
    return GivenItem(
        load=LoadKey(record["source_table"], record["target_table"], record["export_id"]),
        address=ItemAddress(record["data_file"], record["item_number"]),
        line=line_of(record),
        codes=tuple(sorted({error["code"] for error in record["errors"]})),
        attempt=record.get("attempt") or 1,
        first_run_id=record.get("first_run_id") or record["run_id"],
    )
