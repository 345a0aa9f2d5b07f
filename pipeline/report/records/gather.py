"""One pass over the records of a run: all of them counted by code and attribute, the first of them kept for the page's list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.dead_letters.files import count_records, read_records
from pipeline.report.records.entries import DeadLetters, Mismatches, ReadEntry
from pipeline.report.records.names import TableNames, names_by_table
from pipeline.report.records.packing import Packer

MOST_ENTRIES: Final = 100_000
"""In the page; all are counted."""

DEAD_LETTERS: Final = "dead_letters"
NOTICES: Final = "notices"
MISMATCHES: Final = "mismatches"
KINDS: Final = (DEAD_LETTERS, NOTICES, MISMATCHES)


@dataclass(frozen=True, slots=True)
class RecordCount:
    """How many records of a table say this. A dead letter with two errors says two things."""

    kind: str
    table: str
    code: str
    attribute: str | None
    """A path, or the column of a mismatch; None where it is about the whole item."""
    count: int


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was found in a run's folder."""

    counts: tuple[RecordCount, ...]
    """The most frequent of each kind and table first."""
    entries: Mapping[str, Any]
    """See `packing.py`."""
    has_values: bool


Counts = Counter[tuple[str, str, str, str | None]]
"""By kind, table, code, and attribute or column."""


@dataclass(frozen=True, slots=True)
class _Folder:
    path: Path
    kind: str
    table: str
    total: int


def gather_records(
    run_folder: Path, attributes: Mapping[str, Sequence[str]], *, show_values: bool = False, most_entries: int = MOST_ENTRIES
) -> Gathered:
    """Read everything below a run's folder. `attributes` are the paths that each table's definition names. Raises `Refused`."""
    folders = sorted(_folders(run_folder), key=lambda folder: _order(folder, list(attributes)))
    names = names_by_table(attributes, [folder.table for folder in folders], show_values=show_values)
    packer = Packer()
    counts: Counts = Counter()
    listed = [folder for folder in folders if folder.kind != NOTICES]
    shares = dict(zip((folder.path for folder in listed), fair_shares([folder.total for folder in listed], most_entries), strict=True))
    for folder in folders:
        if folder.kind == NOTICES:
            _count_notices(folder, names[folder.table], counts)
        else:
            paths = attributes.get(folder.table, ())
            read = DeadLetters(paths, show_values) if folder.kind == DEAD_LETTERS else Mismatches(show_values)
            _read_entries(folder, read, names[folder.table], packer, shares[folder.path], counts)
    entries = packer.packed(lambda table, code, path: names[table].shown(code, path))
    return Gathered(tuple(_shown_counts(counts, names)), entries, show_values)


def fair_shares(totals: Sequence[int], most: int) -> list[int]:
    """How many of each to take, so that no table crowds out another.

    >>> fair_shares([10, 500, 500], 100)
    [10, 45, 45]
    """
    shares = [0] * len(totals)
    left = most
    for taken, place in enumerate(sorted(range(len(totals)), key=totals.__getitem__)):
        shares[place] = min(totals[place], left // (len(totals) - taken))
        left -= shares[place]
    return shares


def _folders(run_folder: Path) -> Iterator[_Folder]:
    for kind in KINDS:
        for path in sorted((run_folder / kind).glob("*/")):
            yield _Folder(path, kind, path.name, count_records(path))


def _order(folder: _Folder, tables: Sequence[str]) -> tuple[int, int]:
    """That of the tables in the run."""
    return KINDS.index(folder.kind), tables.index(folder.table) if folder.table in tables else len(tables)


def _count_notices(folder: _Folder, names: TableNames, counts: Counts) -> None:
    for record in read_records(folder.path):
        code = record["code"]
        counts[folder.kind, folder.table, code, names.add(code, record["attribute"])] += 1


def _read_entries(
    folder: _Folder,
    read: ReadEntry,
    names: TableNames,
    packer: Packer,
    share: int,
    counts: Counts,
) -> None:
    for number, record in enumerate(read_records(folder.path)):
        if number == 0:
            packer.begin(folder.kind, folder.table, record["target_table"], folder.total)
        errors = read.errors(record, names)
        for code, attribute in {(error.code, read.counted(error)) for error in errors}:
            counts[folder.kind, folder.table, code, attribute] += 1
        if number < share:
            packer.add(read.entry(record, errors))


def _shown_counts(counts: Counts, names: Mapping[str, TableNames]) -> Iterator[RecordCount]:
    shown: Counts = Counter()
    for (kind, table, code, attribute), count in counts.items():
        is_path = attribute is not None and kind != MISMATCHES
        shown[kind, table, code, names[table].shown(code, attribute) if is_path else attribute] += count  # type: ignore[arg-type]

    def order(counted: tuple[tuple[str, str, str, str | None], int]) -> tuple[int, str, int, str, str]:
        (kind, table, code, attribute), count = counted
        return KINDS.index(kind), table, -count, code, attribute or ""

    for of_what, count in sorted(shown.items(), key=order):
        yield RecordCount(*of_what, count)
