"""One pass over the records of a run: all of them counted by code and attribute, the first of them kept for the page's list."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.places import Storage
from pipeline.places.output import OutputFolder, files_of, storage_of
from pipeline.records.entries import DeadLetters, Mismatches, ReadEntry
from pipeline.records.forms import Record, form_of_file
from pipeline.records.names import TableNames, names_by_table
from pipeline.records.packing import Packer
from pipeline.records.reading import DEAD_LETTER_FIELDS, count_records_in, read_records

MOST_ENTRIES: Final = 100_000
"""In the page; all are counted."""

DEAD_LETTERS: Final = "dead_letters"
NOTICES: Final = "notices"
MISMATCHES: Final = "mismatches"
DISCREPANCIES: Final = "discrepancies"
KINDS: Final = (DEAD_LETTERS, NOTICES, MISMATCHES, DISCREPANCIES)
OF_ROWS: Final = frozenset({MISMATCHES, DISCREPANCIES})
"""Such records are about a row: what they name are columns."""

_MISMATCH_FIELDS: Final = frozenset({"target_table", "data_file", "item_number", "kind", "key", "primary_key", "columns", "refused"})
_FIELDS: Final = {
    DEAD_LETTERS: DEAD_LETTER_FIELDS | {"target_table"},
    NOTICES: frozenset({"code", "attribute"}),
    MISMATCHES: _MISMATCH_FIELDS,
    DISCREPANCIES: _MISMATCH_FIELDS,
}


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
    kind: str
    table: str
    uris: tuple[str, ...]
    storage: Storage

    def records(self) -> Iterator[Record]:
        """All of them. Raises `Refused`."""
        described = f"{self.kind.replace('_', ' ')}; a run writes them again, whole, when its command is run again"
        return read_records(self.uris, self.storage, _FIELDS[self.kind], described)

    def count(self) -> int:
        """How many there are. Raises `Refused`."""
        return count_records_in(self.uris, self.storage)


@dataclass(frozen=True, slots=True)
class _Share:
    """How many records of a folder are listed, and how many there are."""

    listed: int
    total: int


def gather_records(
    run_folder: OutputFolder, attributes: Mapping[str, Sequence[str]], *, show_values: bool = False, most_entries: int = MOST_ENTRIES
) -> Gathered:
    """Read everything below a run's folder. `attributes` are the paths that each table's definition names.

    Raises `Refused`, `StorageFailed`.
    """
    folders = sorted(_folders(run_folder), key=lambda folder: _order(folder, list(attributes)))
    names = names_by_table(attributes, [folder.table for folder in folders], show_values=show_values)
    packer = Packer()
    counts: Counts = Counter()
    totals = {(folder.kind, folder.table): folder.count() for folder in folders if folder.kind != NOTICES}
    shares = dict(zip(totals, fair_shares([*totals.values()], most_entries), strict=True))
    for folder in folders:
        if folder.kind == NOTICES:
            _count_notices(folder, names[folder.table], counts)
        else:
            paths = attributes.get(folder.table, ())
            read = DeadLetters(paths, show_values) if folder.kind == DEAD_LETTERS else Mismatches(show_values)
            place = folder.kind, folder.table
            _read_entries(folder, read, names[folder.table], packer, _Share(shares[place], totals[place]), counts)
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


def _folders(run_folder: OutputFolder) -> Iterator[_Folder]:
    """Those of each kind and table. Of a rollback that wrote to S3 each pass has its own, and the last one tells all of it."""
    passes: dict[tuple[str, str], dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    prefix = f"{str(run_folder).rstrip('/')}/"
    for file in files_of(run_folder):
        kind, *parts = file.uri.removeprefix(prefix).split("/")
        if kind in KINDS and len(parts) > 1 and form_of_file(parts[-1]) is not None:
            table, number = parts[0], int(parts[1].removeprefix("pass-")) if len(parts) > 2 else 0
            passes[kind, table][number].append(file.uri)
    storage = storage_of(run_folder)
    for (kind, table), found in passes.items():
        yield _Folder(kind, table, tuple(sorted(found[max(found)])), storage)


def _order(folder: _Folder, tables: Sequence[str]) -> tuple[int, int]:
    """That of the tables in the run."""
    return KINDS.index(folder.kind), tables.index(folder.table) if folder.table in tables else len(tables)


def _count_notices(folder: _Folder, names: TableNames, counts: Counts) -> None:
    for record in folder.records():
        code = record["code"]
        counts[folder.kind, folder.table, code, names.add(code, record["attribute"])] += 1


def _read_entries(
    folder: _Folder,
    read: ReadEntry,
    names: TableNames,
    packer: Packer,
    share: _Share,
    counts: Counts,
) -> None:
    for number, record in enumerate(folder.records()):
        if number == 0:
            packer.begin(folder.kind, folder.table, record["target_table"], share.total)
        errors = read.errors(record, names)
        counted = [(error.code, read.counted(error)) for error in errors]
        for code, attribute in counted if len(counted) == 1 else set(counted):
            counts[folder.kind, folder.table, code, attribute] += 1
        if number < share.listed:
            packer.add(read.entry(record, errors))


def _shown_counts(counts: Counts, names: Mapping[str, TableNames]) -> Iterator[RecordCount]:
    shown: Counts = Counter()
    for (kind, table, code, attribute), count in counts.items():
        is_path = attribute is not None and kind not in OF_ROWS
        shown[kind, table, code, names[table].shown(code, attribute) if is_path else attribute] += count  # type: ignore[arg-type]

    def order(counted: tuple[tuple[str, str, str, str | None], int]) -> tuple[int, str, int, str, str]:
        (kind, table, code, attribute), count = counted
        return KINDS.index(kind), table, -count, code, attribute or ""

    for of_what, count in sorted(shown.items(), key=order):
        yield RecordCount(*of_what, count)
