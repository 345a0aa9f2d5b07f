"""Chains of exports: a full one, windows of changes after it, and the truth after each window.

An item is its number and its version, and all of it follows from these two, so that nothing but versions is kept of a table however large.
What changes in a window is planned kind by kind, in a cycle, so that none is left out. The rules of windows are AWS's: one record a key,
the item at the window's end, and in the view with both images the item just before its begin; a key that had no item before and has none
after gives no record.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, Protocol

import orjson

from sample_export.values import to_uuid
from sample_export.write import ExportIdentity, SampleExport, WrittenFile, write_manifests

VIEWS = ("NEW_AND_OLD_IMAGES", "NEW_IMAGE")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = datetime(2026, 11, 1, tzinfo=UTC)
# Of a window, in seconds: AWS's least and most, and something between.
_LENGTHS = (900, 3_600, 7_261, 86_400)

# The kinds of changes, each as often as it stands here.
_KINDS = (
    *["update"] * 8,
    *["insert"] * 4,
    *["delete"] * 3,
    *("insert_and_delete", "delete_and_insert", "unchanged", "reinsert", "reinsert_bad", "move", "swap"),
    *("insert_bad", "turn_bad", "turn_bad", "turn_good", "stay_bad", "delete_bad"),
    *("leave", "enter", "insert_elsewhere", "delete_elsewhere"),
)
# What a change is in place of one that makes a dead letter, where there are to be none.
_WITHOUT_FAULTS = {
    "reinsert_bad": "reinsert",
    "insert_bad": "insert",
    "turn_bad": "update",
    **dict.fromkeys(("turn_good", "stay_bad", "delete_bad"), "update"),
}
# These windows, by number from 1, have nothing in them, and deletes alone.
_EMPTY, _OF_DELETES = 2, 3
_TRIES = 200


class Version(NamedTuple):
    """What an item is: the serial number of its content, of what kind that is, and the unique value that it took from another."""

    serial: int
    kind: str = "sound"
    """Or odd, bad (a dead letter), or elsewhere (for no table)."""
    taken: str | None = None


class Item(NamedTuple):
    """An item with the truth about it: `outcomes` by the names of tables."""

    keys: Any
    attributes: Any
    outcomes: Mapping[str, Mapping[str, Any]]
    unique: str | None
    """What another item may take from it."""


class Content(Protocol):
    """What the items of a DynamoDB table say."""

    @property
    def source(self) -> str: ...

    @property
    def names(self) -> Sequence[str]:
        """Of the tables that take from it, as records have them."""

    @property
    def kinds(self) -> Sequence[str]:
        """Those of versions that there are."""

    def is_one(self, number: int) -> bool:
        """Whether there is an item of this number: not where its key is that of another. Asked of numbers in their order at first."""

    def item(self, number: int, version: Version) -> Item:
        """The same for the same arguments; its keys depend on the number alone."""


@dataclass(frozen=True, slots=True)
class SampleChain:
    """A full export with its truth, and the folders of the windows after it."""

    full: SampleExport
    windows: tuple[Path, ...]
    records: int
    fresh: SampleExport | None
    """The full export of the end of the last window, where it was asked for."""


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """How much of what is written. `changes` are the planned ones of a window; two of a kind may be one more record, or none."""

    windows: int
    view: str
    items: int
    changes: int
    faulty: float
    odd: float
    seed: int
    items_per_file: int

    def problems(self) -> list[str]:
        """In sentences; an empty list when all is well."""
        found = [] if self.view in VIEWS else [f"view must be {' or '.join(VIEWS)}, not {self.view}."]
        if self.windows < 1:
            found.append(f"windows must be at least 1, but is {self.windows}.")
        if not (self.faulty >= 0 <= self.odd and self.faulty + self.odd <= 1):
            found.append("faulty and odd are shares and must be in 0..1, together at most 1.")
        return found


def write_chain(root: Path, content: Content, settings: ChainSettings, fresh: Path | None = None) -> SampleChain:
    """One full export and its windows below `root`, `truth/NAME.jsonl` and `truth/window-NN/NAME.jsonl`.

    Below `fresh`, another root, a full export of the end of the last window is written, with its truth.
    Raises `ValueError` for settings that make no sense, `FileExistsError` where there is something already.
    """
    if problems := settings.problems():
        raise ValueError(" ".join(problems))
    for folder in (one / content.source for one in (root, fresh) if one):
        if folder.exists():
            message = f"There is something in {folder} already: choose another root, or remove it first."
            raise FileExistsError(message)
    chain = _Chain(content, settings)
    full = chain.write_first_export(root)
    windows = [chain.write_window(root, number) for number in range(1, settings.windows + 1)]
    return SampleChain(full, tuple(windows), chain.records, chain.write_fresh_export(fresh) if fresh else None)


# -- one table's chain -------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Change:
    """One record. A version is None where there is no item."""

    number: int
    kind: str
    old: Version | None
    new: Version | None


@dataclass(slots=True)
class _Chain:
    content: Content
    settings: ChainSettings
    versions: dict[int, Version | None] = field(default_factory=dict)
    """Of the items that are no longer, or never were, what they were in the full export."""
    standing: dict[tuple[str, int], bytes | None] = field(default_factory=dict)
    """The row that the target has of an item, where that is not what the full export said."""
    deleted: list[int] = field(default_factory=list)
    bad: list[int] = field(default_factory=list)
    elsewhere: list[int] = field(default_factory=list)
    next_number: int = 0
    serial: int = 0
    records: int = 0

    def __post_init__(self) -> None:
        self.next_number = self.settings.items

    # -- full exports

    def write_first_export(self, root: Path) -> SampleExport:
        self.bad += [number for number in range(self.settings.items) if self.content.is_one(number) and self._initial(number).kind == "bad"]
        return self._write_full_export(root, self._times(0)[1], self._file_stem(0), self.settings.items)

    def write_fresh_export(self, root: Path) -> SampleExport:
        """Of the end of the last window that was written."""
        return self._write_full_export(root, self._times(self.settings.windows)[1], self._digest("fresh")[:16], self.next_number)

    def _write_full_export(self, root: Path, time: datetime, stem: str, numbers: int) -> SampleExport:
        export = self._identity(time, time)
        folder = root / export.prefix
        (folder / "data").mkdir(parents=True)
        (root / "truth").mkdir(parents=True, exist_ok=True)
        truth = [(root / "truth" / f"{name}.jsonl").open("wb") for name in self.content.names]
        files = []
        for first in range(0, max(numbers, 1), self.settings.items_per_file):
            name = f"{stem}{first:010d}.json.gz"
            lines: list[bytes] = []
            for number in range(first, min(first + self.settings.items_per_file, numbers)):
                version = self._now(number)
                if version is None:
                    continue
                item = self.content.item(number, version)
                place = {"data_file": name, "item_number": len(lines), "key": item.keys}
                lines.append(b'{"Item":%b}' % orjson.dumps(item.attributes))
                for stream, table in zip(truth, self.content.names, strict=True):
                    stream.write(orjson.dumps({**place, **item.outcomes[table]}) + b"\n")
            files.append(_write_file(folder / "data" / name, lines))
        for stream in truth:
            stream.close()
        write_manifests(folder, export, files)
        path = root / "truth" / f"{self.content.names[0]}.jsonl"
        return SampleExport(self.content.source, folder, path, sum(file.items for file in files), len(files))

    def _initial(self, number: int) -> Version:
        """Of an item that was there from the beginning."""
        chance = self._random("initial", number).random()
        kind = "bad" if chance < self.settings.faulty else "odd" if chance < self.settings.faulty + self.settings.odd else "sound"
        return Version(0, kind)

    # -- windows

    def write_window(self, root: Path, number: int) -> Path:
        begin, end = self._times(number)
        chance = self._random("window", number)
        changes = sorted(self._changes(number, chance), key=lambda change: change.number)
        export = self._identity(end + timedelta(seconds=chance.randrange(120, 1_800)), begin)
        folder = root / export.prefix
        data = folder.parent / "data"
        for each in (folder, data, root / "truth" / f"window-{number:02d}"):
            each.mkdir(parents=True, exist_ok=True)
        # AWS writes a file for each partition, also where nothing was written.
        count = max(3, -(-len(changes) // self.settings.items_per_file)) + 1
        parts: list[list[_Change]] = [[] for _ in range(count)]
        for change in changes:
            parts[change.number % (count - 1)].append(change)
        truth: dict[str, list[bytes]] = {name: [] for name in self.content.names}
        files = []
        micros = [_micros(begin), _micros(end) - 1]
        for index, part in enumerate(parts):
            name = f"{self._file_stem(number)}{index:010d}.json.gz"
            lines: list[bytes] = []
            for change in part:
                written = micros.pop() if micros else chance.randrange(_micros(begin), _micros(end))
                place = {"data_file": name, "item_number": len(lines)}
                lines.append(self._line(change, written))
                for table in self.content.names:
                    truth[table].append(orjson.dumps({**place, **self._told(change, table)}) + b"\n")
            files.append(_write_file(data / name, lines))
        for table, told in truth.items():
            (root / "truth" / f"window-{number:02d}" / f"{table}.jsonl").write_bytes(b"".join(told))
        window = {
            "version": "2023-08-01",
            "exportTime": None,
            "exportFromTime": _time(begin),
            "exportToTime": _time(end),
            "billedSizeBytes": max(10_000_000, sum(file.size for file in files)),
            "outputView": self.settings.view,
            "exportType": "INCREMENTAL_EXPORT",
        }
        write_manifests(folder, export, files, f"{self.content.source}/AWSDynamoDB/data", window)
        self.records += len(changes)
        return folder

    def _line(self, change: _Change, micros: int) -> bytes:
        old, new = (None if version is None else self.content.item(change.number, version) for version in (change.old, change.new))
        record: dict[str, Any] = {"Metadata": {"WriteTimestampMicros": {"N": str(micros)}}, "Keys": (new or old).keys}  # type: ignore[union-attr]
        if old is not None and self.settings.view == "NEW_AND_OLD_IMAGES":
            record["OldImage"] = old.attributes
        if new is not None:
            record["NewImage"] = new.attributes
        return orjson.dumps(record)

    def _told(self, change: _Change, table: str) -> dict[str, Any]:
        """What a record must do to one table; keeps what stands in it then."""
        place = (table, change.number)
        if place not in self.standing:
            was_there = change.number < self.settings.items
            self.standing[place] = self._row(change.number, self._initial(change.number), table) if was_there else None
        standing = self.standing[place]
        outcome: Mapping[str, Any] = {"outcome": "deleted"}
        key = None
        for version in (change.old, change.new):
            if version is not None:
                item = self.content.item(change.number, version)
                key, told = item.keys, item.outcomes[table]
                if version is change.new:
                    outcome = told
        effect = _effect(outcome, standing)
        if effect in ("inserted", "updated"):
            self.standing[place] = _rows_of(outcome)
        elif effect == "deleted":
            self.standing[place] = None
        is_outdated = effect == "dead_letter" and standing is not None
        return {"key": key, "planted": change.kind, **outcome, "effect": effect, "outdated": is_outdated}

    def _row(self, number: int, version: Version, table: str) -> bytes | None:
        outcome = self.content.item(number, version).outcomes[table]
        return _rows_of(outcome) if outcome["outcome"] == "row" else None

    # -- what changes

    def _changes(self, window: int, chance: Random) -> Iterator[_Change]:
        """Planned one by one; of no item twice in a window."""
        if window == _EMPTY:
            return
        kinds = ["delete"] if window == _OF_DELETES else chance.sample(_KINDS, len(_KINDS))
        if not self.settings.faulty:
            kinds = [_WITHOUT_FAULTS.get(kind, kind) for kind in kinds]
        touched: set[int] = set()
        planned = -(-self.settings.changes // 4) if window == _OF_DELETES else self.settings.changes
        for number in range(planned):
            for change in self._planned(kinds[number % len(kinds)], touched, chance):
                touched.add(change.number)
                self._keep(change)
                if change.old is not None or change.new is not None:
                    yield change

    def _keep(self, change: _Change) -> None:
        self.versions[change.number] = change.new
        kind = None if change.new is None else change.new.kind
        for numbers, is_one in ((self.deleted, kind is None), (self.bad, kind == "bad"), (self.elsewhere, kind == "elsewhere")):
            if is_one:
                numbers.append(change.number)

    def _planned(self, kind: str, touched: set[int], chance: Random) -> Iterator[_Change]:
        """None where there is no item for it."""
        match kind:
            case "insert" | "insert_bad" | "insert_elsewhere":
                yield from self._put(kind, self._new_number(), {"insert_bad": "bad", "insert_elsewhere": "elsewhere"}.get(kind, "sound"))
            case "insert_and_delete":
                yield _Change(self._new_number(), kind, None, None)
            case "reinsert" | "reinsert_bad":
                number = self._one_of(self.deleted, touched, chance, None)
                yield from self._put(kind, number, "sound" if kind == "reinsert" else "bad")
            case "turn_good" | "stay_bad" | "delete_bad":
                number = self._one_of(self.bad, touched, chance, "bad")
                yield from self._put(kind, number, {"turn_good": "sound", "stay_bad": "bad"}.get(kind))
            case "enter" | "delete_elsewhere":
                number = self._one_of(self.elsewhere, touched, chance, "elsewhere")
                yield from self._put(kind, number, "sound" if kind == "enter" else None)
            case "move" | "swap":
                yield from self._moved(kind, touched, chance)
            case _:
                number = self._any(touched, chance)
                if number is not None and kind == "unchanged":
                    yield _Change(number, kind, self._now(number), self._now(number))
                    return
                become = {"delete": None, "turn_bad": "bad", "leave": "elsewhere"}.get(kind, "odd" if chance.random() < 0.1 else "sound")
                yield from self._put(kind, number, become)

    def _put(self, kind: str, number: int | None, become: str | None) -> Iterator[_Change]:
        if number is not None and (become is None or become in self.content.kinds):
            yield _Change(number, kind, self._now(number), None if become is None else self._version(become))

    def _moved(self, kind: str, touched: set[int], chance: Random) -> Iterator[_Change]:
        """One takes another's unique value, which gets its own in exchange, or a new one."""
        one = self._any(touched, chance)
        if one is None:
            return
        other = self._any({*touched, one}, chance)
        if other is None:
            return
        before, after = self._now(one), self._now(other)
        if before is None or after is None:
            return
        first, second = self.content.item(one, before).unique, self.content.item(other, after).unique
        if first is None or second is None:
            return
        yield _Change(one, kind, before, self._version("sound")._replace(taken=second))
        new = self._version("sound")
        yield _Change(other, kind, after, new._replace(taken=first) if kind == "swap" else new)

    def _version(self, kind: str) -> Version:
        self.serial += 1
        return Version(self.serial, kind)

    def _new_number(self) -> int:
        while True:
            self.next_number += 1
            if self.content.is_one(self.next_number - 1):
                return self.next_number - 1

    def _now(self, number: int) -> Version | None:
        if number in self.versions:
            return self.versions[number]
        return self._initial(number) if number < self.settings.items and self.content.is_one(number) else None

    def _any(self, touched: set[int], chance: Random) -> int | None:
        """Of an item that is a row."""
        for _ in range(_TRIES if self.next_number else 0):
            number = chance.randrange(self.next_number)
            version = self._now(number)
            if number not in touched and version is not None and version.kind in ("sound", "odd"):
                return number
        return None

    def _one_of(self, numbers: list[int], touched: set[int], chance: Random, kind: str | None) -> int | None:
        """Taken out of a list, if it still is of the kind. Bad ones are those of the full export as well."""
        for _ in range(min(_TRIES, len(numbers))):
            index = chance.randrange(len(numbers))
            number = numbers[index]
            version = self._now(number)
            if (None if version is None else version.kind) != kind:
                numbers[index] = numbers[-1]
                numbers.pop()
                if not numbers:
                    return None
            elif number not in touched:
                numbers[index] = numbers[-1]
                numbers.pop()
                return number
        return None

    # -- names and times

    def _times(self, number: int) -> tuple[datetime, datetime]:
        """Of a window; that of 0 ends where the full export is. The same for all tables, as of exports that belong together."""
        chance = Random(f"times {self.settings.seed}")
        begin = end = _FIRST + timedelta(seconds=chance.randrange(20 * 86_400))
        for _ in range(number):
            begin, end = end, end + timedelta(seconds=chance.choice(_LENGTHS))
        return begin, end

    def _identity(self, started: datetime, begin: datetime) -> ExportIdentity:
        digest = self._digest("export", begin.isoformat(), self.settings.view)
        account = int(hashlib.blake2b(f"{self.settings.seed}".encode()).hexdigest(), 16) % 10**12
        epoch_ms = (started - _EPOCH) // timedelta(milliseconds=1)
        table_id = to_uuid(hashlib.blake2b(f"{self.settings.seed} {self.content.source}".encode(), digest_size=16).hexdigest())
        return ExportIdentity(self.content.source, f"0{epoch_ms}-{digest[:8]}", started, f"{account:012d}", table_id)

    def _file_stem(self, number: int) -> str:
        return self._digest("file", number)[:16]

    def _digest(self, *parts: object) -> str:
        """The same in both views, which are of one history."""
        settings = replace(self.settings, view="")
        return hashlib.blake2b(repr((settings, self.content.source, parts)).encode(), digest_size=16).hexdigest()

    def _random(self, *parts: object) -> Random:
        return Random(self._digest(*parts))


def _rows_of(outcome: Mapping[str, Any]) -> bytes:
    """The row of an item, and its child rows."""
    return orjson.dumps([outcome["row"], outcome.get("children")])


def _effect(outcome: Mapping[str, Any], standing: bytes | None) -> str:
    """What a record does to a table that has this row of its item."""
    match outcome["outcome"]:
        case "row":
            return "inserted" if standing is None else "unchanged" if standing == _rows_of(outcome) else "updated"
        case "dead_letter":
            return "dead_letter"
    return "nothing" if standing is None else "deleted"


def _write_file(path: Path, lines: Sequence[bytes]) -> WrittenFile:
    content = b"".join(line + b"\n" for line in lines)
    compressed = gzip.compress(content, 1, mtime=0)
    path.write_bytes(compressed)
    return WrittenFile(path.name, len(lines), hashlib.md5(compressed).digest(), len(content))


def _micros(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}.000Z"


# -- the truth, added up -------------------------------------------------------------------------------------------------------------------


class Standing(NamedTuple):
    """What the target has of a key: a row, which is outdated while the key's last record is a dead letter."""

    row: dict[str, Any]
    is_outdated: bool
    children: Mapping[str, Sequence[dict[str, Any]]]
    """Of each child's target the rows beside it."""


def rows_after(root: Path, name: str, window: int) -> dict[str, Standing]:
    """All rows of a table after a window by its number, 0 for the full export; by the key of their items, as JSON."""
    rows: dict[str, Standing] = {}
    for path in [
        root / "truth" / f"{name}.jsonl",
        *(root / "truth" / f"window-{number:02d}" / f"{name}.jsonl" for number in range(1, window + 1)),
    ]:
        with path.open("rb") as lines:
            for told in map(orjson.loads, lines):
                key = orjson.dumps(told["key"]).decode()
                if told["outcome"] == "row":
                    rows[key] = Standing(told["row"], is_outdated=False, children=told.get("children", {}))
                elif told["outcome"] != "dead_letter":
                    rows.pop(key, None)
                elif key in rows:
                    rows[key] = rows[key]._replace(is_outdated=True)
    return rows
