"""For the report: one pass over the records of a run. All are counted by code and attribute; the first are kept for the page's list.

Entries of the list are packed in columns, where what comes again is written once: a hundred thousand are a few megabytes, before gzip.

strings     every text, once; 0 is none
error_sets  every combination of errors, once: [[code, attribute, column, message, SQLSTATE], ...] as numbers of strings
blocks      the entries of one folder of files, a column of numbers for each thing that is shown of them
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeVar

import orjson

from pipeline.inspection.names import bounded, is_frequent, looks_like_data, shape_of
from pipeline.places.storage import OutputFolder, Storage
from pipeline.records.files import form_of_file
from pipeline.records.kinds import KINDS, OF_ROWS, RecordKind
from pipeline.records.lines import Record, line_of
from pipeline.records.mask import OF_NO_COLUMN, masked_path, shape_in_words, shape_of_value, value_by_names
from pipeline.records.reading import count_records_in, read_records
from transforms.lines import item_of_line
from transforms.rejects import Stage
from transforms.sources import names_of

MOST_ENTRIES: Final = 100_000
"""In the page; all are counted."""
MOST_TEXT: Final = 64 << 20
"""Characters of items of one folder in a page with values; those beyond have their errors only."""
_OTHERS: Final = "(attributes that no column takes)"
_ADVICE: Final = "a run writes them again, whole, when its command is run again"

Value = TypeVar("Value")
Counts = Counter[tuple[str, str | None]]
"""By code, and attribute or column."""


@dataclass(frozen=True, slots=True)
class RecordCount:
    """How many records of a table say this. A dead letter with two errors says two things."""

    kind: RecordKind
    table: str
    code: str
    attribute: str | None
    """A path, or the column of a mismatch; None where it is about the whole item."""
    count: int


@dataclass(frozen=True, slots=True)
class Gathered:
    counts: tuple[RecordCount, ...]
    """The most frequent of each kind and table first."""
    entries: Mapping[str, Any]
    has_values: bool


@dataclass(slots=True)
class _Folder:
    kind: RecordKind
    table: str
    uris: Sequence[str]
    storage: Storage
    counts: Counts = field(default_factory=Counter)

    def records(self) -> Iterator[Record]:
        """Raises `Refused`."""
        return read_records(self.uris, self.storage, self.kind, _ADVICE)


def gather_records(
    run_folder: OutputFolder, attributes: Mapping[str, Sequence[str]], *, show_values: bool = False, most_entries: int = MOST_ENTRIES
) -> Gathered:
    """Read everything below a run's folder. `attributes` are the paths that each table's definition names.

    Raises `Refused`, `StorageFailed`.
    """
    folders = _folders(run_folder, list(attributes))
    names = {folder.table: TableNames(attributes.get(folder.table, ()), show_values=show_values) for folder in folders}
    listed = [folder for folder in folders if folder.kind is not RecordKind.NOTICES]
    totals = [count_records_in(folder.uris, folder.storage) for folder in listed]
    packer = Packer()
    for folder in folders:
        if folder.kind is RecordKind.NOTICES:
            _count_notices(folder, names[folder.table])
    for folder, total, share in zip(listed, totals, fair_shares(totals, most_entries), strict=True):
        read = Mismatches(show_values) if folder.kind in OF_ROWS else DeadLetters(attributes.get(folder.table, ()), show_values)
        _read_entries(folder, read, names[folder.table], packer, total, share)
    counts = [count for folder in folders for count in _shown_counts(folder, names[folder.table])]
    counts.sort(key=lambda count: (list(RecordKind).index(count.kind), count.table, -count.count, count.code, count.attribute or ""))
    return Gathered(tuple(counts), packer.packed(names), show_values)


def _folders(run_folder: OutputFolder, tables: Sequence[str]) -> list[_Folder]:
    """Those of each kind, in the order of the run's tables. Of a rollback that wrote to S3 each pass has its own, the last one has all."""
    passes: dict[tuple[RecordKind, str], dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    prefix = f"{str(run_folder).rstrip('/')}/"
    for file in run_folder.files():
        kind, *parts = file.uri.removeprefix(prefix).split("/")
        if kind in set(RecordKind) and len(parts) > 1 and form_of_file(parts[-1]) is not None:
            table, number = parts[0], int(parts[1].removeprefix("pass-")) if len(parts) > 2 else 0
            passes[RecordKind(kind), table][number].append(file.uri)
    storage = run_folder.storage
    folders = [_Folder(kind, table, sorted(of_pass[max(of_pass)]), storage) for (kind, table), of_pass in passes.items()]

    def order(folder: _Folder) -> tuple[int, int]:
        return list(RecordKind).index(folder.kind), tables.index(folder.table) if folder.table in tables else len(tables)

    return sorted(folders, key=order)


def fair_shares(totals: Sequence[int], most: int) -> list[int]:
    """How many of each to take, so that no table crowds out another.

    >>> fair_shares([10, 500, 500], 100)
    [10, 45, 45]
    """
    shares = [0] * len(totals)
    left = most
    for taken, position in enumerate(sorted(range(len(totals)), key=totals.__getitem__)):
        shares[position] = min(totals[position], left // (len(totals) - taken))
        left -= shares[position]
    return shares


def _count_notices(folder: _Folder, names: TableNames) -> None:
    for record in folder.records():
        code = record["code"]
        folder.counts[code, names.add(code, record["attribute"])] += 1


def _read_entries(folder: _Folder, read: DeadLetters | Mismatches, names: TableNames, packer: Packer, total: int, share: int) -> None:
    """Count all of a folder's records, and pack the first `share` of the `total`."""
    counts, is_of_rows = folder.counts, folder.kind in OF_ROWS
    for number, record in enumerate(folder.records()):
        if number == 0:
            packer.begin(folder.kind, folder.table, record["target_table"], total)
        errors = read.errors(record, names)
        counted = [(error.code, error.column if is_of_rows else error.attribute) for error in errors]
        for key in counted if len(counted) == 1 else set(counted):
            counts[key] += 1
        if number < share:
            packer.add(read.entry(record, errors))


def _shown_counts(folder: _Folder, names: TableNames) -> Iterator[RecordCount]:
    shown: Counts = Counter()
    for (code, attribute), count in folder.counts.items():
        is_path = attribute is not None and folder.kind not in OF_ROWS
        shown[code, names.shown(code, attribute) if is_path else attribute] += count  # type: ignore[arg-type]
    for (code, attribute), count in shown.items():
        yield RecordCount(folder.kind, folder.table, code, attribute, count)


# -- paths of attributes -------------------------------------------------------------------------------------------------------------------

# Of one table; beyond that they are data, and memory is for better things.
_MOST_PATHS: Final = 10_000
_INDEX: Final = re.compile(r"\[\d+\]")
_PARTS: Final = re.compile(r"[.\[\]]+")


def without_indexes(path: str) -> str:
    """`items[3].dose` -> `items[].dose`."""
    return _INDEX.sub("[]", path)


class TableNames:
    """The paths that records of one table mention, gathered first and shown afterwards.

    A name that the table's definition has is no data. Any other can be schema (a field that was forgotten) or data (a patient's number as a
    key), so it is shown by the rule of `inspect`: when enough of the records have it, and it does not look like data.
    """

    def __init__(self, paths: Sequence[str], *, show_values: bool) -> None:
        self._paths = paths
        self._show_values = show_values
        self._counts: Counter[tuple[str, str]] = Counter()
        self._totals: Counter[str] = Counter()
        self._known: set[str] = set()

    def add(self, code: str, path: str) -> str:
        """Count a path under a code; returns what to keep of it, for `shown`."""
        if "[" in path:
            path = without_indexes(path)
        if path not in self._known:
            if len(self._known) >= _MOST_PATHS:
                path = OF_NO_COLUMN if self._show_values else masked_path(path, self._paths)
            self._known.add(path)
        self._counts[code, path] += 1
        self._totals[code] += 1
        return path

    def shown(self, code: str, path: str) -> str:
        """What of a path that was added may be shown."""
        if self._show_values:
            return path
        masked = masked_path(path, self._paths)
        if path in {masked, OF_NO_COLUMN}:
            return masked
        parts = [part for part in _PARTS.split(path) if part]
        is_schema = not any(looks_like_data(bounded(part)) for part in parts)
        return path if is_schema and is_frequent(self._counts[code, path], self._totals[code]) else masked


# -- entries of the list -------------------------------------------------------------------------------------------------------------------


# Tuples, because a dataclass takes four times as long to make and to find again.
class EntryError(NamedTuple):
    """One thing to say of an entry: an error of a dead letter, or a column of a mismatch."""

    code: str
    attribute: str | None
    column: str | None
    message: str | None
    sqlstate: str | None


class Entry(NamedTuple):
    """One dead letter or mismatch. `fields` are shapes by name; `text` is the item itself, only where values are shown."""

    data_file: str | None
    item_number: int | None
    stage: str | None
    errors: tuple[EntryError, ...]
    fields: dict[str, str]
    size: int
    text: str | None = None


class DeadLetters:
    """Reads dead letters of one table, whose definition names these paths."""

    def __init__(self, paths: Sequence[str], show_values: bool, text_left: int = MOST_TEXT) -> None:
        self._show_values = show_values
        self._text_left = text_left
        # Most paths are an attribute's name, which is found faster.
        self._ways = [(path, str(names[0]) if len(names) == 1 else None, names) for path in paths for names in [names_of(path)]]
        self._attributes = frozenset(names[0] for _, _, names in self._ways)

    def errors(self, record: Record, names: TableNames) -> tuple[EntryError, ...]:
        """What the record says; the paths of attributes are added to the table's names."""
        return tuple([_error(error, names) for error in record["errors"]])

    def entry(self, record: Record, errors: tuple[EntryError, ...]) -> Entry:
        line = record["item"]
        text = None
        if self._show_values and len(line) <= self._text_left:
            self._text_left -= len(line)
            text = line
        content = line_of(record)
        fields = {} if self._show_values else self._shapes(content, is_read=record["stage"] != Stage.READ)
        return Entry(record["data_file"], record["item_number"], record["stage"], errors, fields, len(content), text)

    def _shapes(self, line: bytes, *, is_read: bool) -> dict[str, str]:
        item = item_of_line(line, is_read=is_read)
        if item is None:
            return {}
        shapes = {}
        for path, name, names in self._ways:
            value = value_by_names(item, names) if name is None else item.get(name)
            if value is not None:
                shapes[path] = shape_in_words(value)
        if not self._attributes.issuperset(item):
            shapes[_OTHERS] = f"{len(item.keys() - self._attributes):,}"
        return shapes


def _error(error: Mapping[str, Any], names: TableNames) -> EntryError:
    attribute = error["attribute"] if error["attribute"] is None else names.add(error["code"], error["attribute"])
    return EntryError(error["code"], attribute, error["column"], error["message"], error["sqlstate"])


class Mismatches:
    """Reads mismatches of one table: what differs is a column."""

    def __init__(self, show_values: bool) -> None:
        self._show_values = show_values
        self._text_left = MOST_TEXT

    def errors(self, record: Record, _names: TableNames) -> tuple[EntryError, ...]:
        kind, refused = record["kind"], record["refused"] or {}
        message = KINDS[kind].sentence if kind in KINDS else kind
        if refused:
            message = f"{message}; PostgreSQL refused: {refused['code']}"
            message = f"{message} (constraint {refused['constraint']})" if refused["constraint"] else message
        return tuple(EntryError(kind, None, column, message, refused.get("sqlstate")) for column in record["columns"] or [None])

    def entry(self, record: Record, errors: tuple[EntryError, ...]) -> Entry:
        key, primary_key = record["key"] or {}, record["primary_key"] or {}
        text = None
        if self._show_values:
            shown = orjson.dumps({"key": key, "primary_key": primary_key, "values": record.get("values", {})}).decode()
            if len(shown) <= self._text_left:
                self._text_left -= len(shown)
                text = shown
        fields = {name: str(shape_of_value(value)) for name, value in key.items()}
        fields |= {name: f"text({len(content)}) {shape_of(content)}" for name, content in primary_key.items()}
        return Entry(record["data_file"], record["item_number"], None, errors, fields, 0, text)


# -- packing -------------------------------------------------------------------------------------------------------------------------------


class Numbers(dict[Value, int]):
    """Gives each value that it is asked for the number under which it was first met."""

    def __missing__(self, value: Value) -> int:
        number = self[value] = len(self)
        return number


@dataclass(slots=True)
class _Block:
    kind: str
    table: str
    target: str
    total: int
    columns: dict[str, list[Any]] = field(
        default_factory=lambda: {name: [] for name in ("file", "item", "stage", "errors", "size", "text")}
    )
    fields: dict[str, list[int]] = field(default_factory=dict)

    def packed(self) -> dict[str, Any]:
        count = len(self.columns["item"])
        fields = [[name, [*shapes, *[0] * (count - len(shapes))]] for name, shapes in self.fields.items()]
        columns = dict(self.columns)
        if not any(text is not None for text in columns["text"]):
            columns["text"] = []
        return {"kind": self.kind, "table": self.table, "target": self.target, "total": self.total, "fields": fields, **columns}


class Packer:
    """Takes entries, gives what the page unpacks."""

    def __init__(self) -> None:
        self._strings: Numbers[str | None] = Numbers({None: 0})
        self._errors: Numbers[tuple[str, tuple[EntryError, ...]]] = Numbers()
        self._blocks: list[_Block] = []

    def begin(self, kind: str, table: str, target: str, total: int) -> None:
        """What is added next is of this folder; `total` is how many there are, of which not all may be added."""
        self._blocks.append(_Block(kind, table, target, total))

    def add(self, entry: Entry) -> None:
        """Add to the block that was begun last."""
        block, strings = self._blocks[-1], self._strings
        columns, fields, so_far = block.columns, block.fields, len(block.columns["item"])
        columns["file"].append(strings[entry.data_file])
        columns["item"].append(entry.item_number)
        columns["stage"].append(strings[entry.stage])
        columns["errors"].append(self._errors[block.table, entry.errors])
        columns["size"].append(entry.size)
        columns["text"].append(entry.text)
        for name, shape in entry.fields.items():
            shapes = fields.get(name)
            if shapes is None:
                shapes = fields[name] = []
            if len(shapes) < so_far:
                shapes.extend([0] * (so_far - len(shapes)))
            shapes.append(strings[shape])

    def packed(self, names: Mapping[str, TableNames]) -> dict[str, Any]:
        """For JSON; the names of the tables say how the path of an attribute is to be shown."""
        error_sets = [[self._packed_error(error, names[table]) for error in errors] for table, errors in self._errors]
        blocks = [block.packed() for block in self._blocks]
        return {"strings": list(self._strings), "error_sets": error_sets, "blocks": blocks}

    def _packed_error(self, error: EntryError, names: TableNames) -> list[int]:
        attribute = None if error.attribute is None else names.shown(error.code, error.attribute)
        return [self._strings[text] for text in (error.code, attribute, error.column, error.message, error.sqlstate)]
