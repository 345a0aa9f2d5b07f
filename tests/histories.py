"""Histories of a DynamoDB table, cut into a full export and windows by AWS's documented rules, and written as exports.

The rules: an export is of the items as they were at its time. A window, from its begin up to but not including its end, holds one record a
key that was written in it, with the item at its end (`NewImage`) and the item just before its begin (`OldImage`). A key that had no item
before and has none after gives no record. Whether an item that is the same in the end gives one is documented nowhere: both may be.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import strategies as st

from tests.handmade_export import write_export

Item = Mapping[str, Any]
BEGIN = 1_767_225_600
"""In seconds since 1970: the time of the full export, unless another is asked for."""
SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Operation:
    """The item of a key is put, or deleted, at a time in microseconds since 1970. `key` are the attributes of the key alone."""

    micros: int
    key: Item
    item: Item | None


@dataclass(frozen=True, slots=True)
class History:
    """Operations in their order, of which none is earlier than the one before, and the times that cut it, in seconds since 1970.

    The first cut is the time of the full export; a window is from each cut to the next.
    """

    operations: Sequence[Operation]
    cuts: Sequence[int]
    tells_unchanged: bool = True

    def items_at(self, second: int) -> list[Item]:
        """The table as it was."""
        return [item for item in _state(self._before(second)).values() if item is not None]

    def full_export(self) -> list[bytes]:
        """The lines of the full export."""
        return [_line({"Item": item}) for item in self.items_at(self.cuts[0])]

    @property
    def windows(self) -> list[tuple[int, int]]:
        """From and to, in seconds."""
        return list(zip(self.cuts[:-1], self.cuts[1:], strict=True))

    def records(self, window: int, view: str = "NEW_AND_OLD_IMAGES") -> list[bytes]:
        """The lines of a window, by its number from 0."""
        begin, end = self.windows[window]
        return list(records_between(self, begin, end, view))

    def _before(self, second: int) -> list[Operation]:
        return [operation for operation in self.operations if operation.micros < second * SECOND]


def records_between(history: History, begin: int, end: int, view: str = "NEW_AND_OLD_IMAGES") -> Iterator[bytes]:
    """Those of any window, also of one that a chain must refuse."""
    old, new = _state(history._before(begin)), _state(history._before(end))
    inside = [operation for operation in history._before(end) if operation.micros >= begin * SECOND]
    last = {_text(operation.key): operation for operation in inside}
    for key, operation in last.items():
        before, after = old.get(key), new[key]
        if before is after is None or (before == after and not history.tells_unchanged):
            continue
        record: dict[str, Any] = {"Metadata": {"WriteTimestampMicros": {"N": str(operation.micros)}}, "Keys": operation.key}
        if before is not None and view == "NEW_AND_OLD_IMAGES":
            record["OldImage"] = before
        if after is not None:
            record["NewImage"] = after
        yield _line(record)


def write_history(
    root: Path, table: str, history: History, view: str = "NEW_AND_OLD_IMAGES", chance: Random | None = None, files: int = 3
) -> tuple[Path, list[Path]]:
    """The full export and the windows in AWS's layout, `root/table/AWSDynamoDB/...`: the folders of their manifests.

    The lines of each are spread over so many data files by chance, in any order; some files are empty.
    """
    chance = chance or Random(0)
    full = write_full(root, table, history, history.cuts[0], chance=chance, files=files)
    return full, [write_window(root, table, history, *window, view=view, chance=chance, files=files) for window in history.windows]


def write_full(
    root: Path, table: str, history: History, second: int, *, chance: Random | None = None, files: int = 3, **changed: Any
) -> Path:
    """A full export of any time; `changed` are fields of its summary."""
    lines = [_line({"Item": item}) for item in history.items_at(second)]
    return write_export(
        root, table, _spread(lines, files, chance or Random(0)), export_id(second), **{"exportTime": _time(second), **changed}
    )


def write_window(
    root: Path,
    table: str,
    history: History,
    begin: int,
    end: int,
    *,
    view: str = "NEW_AND_OLD_IMAGES",
    chance: Random | None = None,
    files: int = 3,
    **changed: Any,
) -> Path:
    """Any window of a history, which may be one that a chain must refuse; `changed` are other fields of its summary."""
    lines = list(records_between(history, begin, end, view))
    return write_export(
        root,
        table,
        _spread(lines, files, chance or Random(0)),
        export_id(end, begin),
        is_shared=True,
        **{
            "version": "2023-08-01",
            "exportTime": None,
            "exportFromTime": _time(begin),
            "exportToTime": _time(end),
            "billedSizeBytes": 10_000_000,
            "outputView": view,
            "exportType": "INCREMENTAL_EXPORT",
            **changed,
        },
    )


def export_id(second: int, begin: int = 0) -> str:
    """As AWS makes it of the time when it starts; another one for a window that begins otherwise."""
    return f"0{second * 1000}-{begin % 2**32:08x}"


def _spread(lines: Sequence[bytes], files: int, chance: Random) -> list[list[bytes]]:
    shuffled = chance.sample(lines, len(lines))
    spread: list[list[bytes]] = [[] for _ in range(files)]
    for line in shuffled:
        spread[chance.randrange(files)].append(line)
    return spread


def _state(operations: Sequence[Operation]) -> dict[str, Item | None]:
    return {_text(operation.key): operation.item for operation in operations}


def _text(key: Item) -> str:
    return json.dumps(key, sort_keys=True)


def _line(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _time(second: int) -> str:
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}.000Z"


# -- by chance -----------------------------------------------------------------------------------------------------------------------------


@st.composite
def histories(
    draw: st.DrawFn,
    keys: Sequence[Item],
    items: Callable[[Item], st.SearchStrategy[Item]],
    *,
    windows: int = 3,
    most_operations: int = 30,
    begin: int = BEGIN,
) -> History:
    """Dense ones: few keys, and times that are often those of a cut, or a microsecond beside it. `items` are those of a key."""
    cuts = [begin]
    for _ in range(windows):
        cuts.append(cuts[-1] + draw(st.integers(900, 86_400)))
    edges = [cut * SECOND + aside for cut in cuts for aside in (-1, 0, 1)]
    times = st.sampled_from(edges) | st.integers((begin - 1_000) * SECOND, cuts[-1] * SECOND + 1_000)
    operations = []
    for micros in sorted(draw(st.lists(times, max_size=most_operations))):
        key = draw(st.sampled_from(keys))
        operations.append(Operation(micros, key, draw(st.none() | items(key))))
    return History(operations, cuts, draw(st.booleans()))


def history_by_chance(
    chance: Random, keys: Sequence[Item], make: Callable[[Item], Item], *, operations: int, windows: int = 3, begin: int = BEGIN
) -> History:
    """As large as asked: so many operations, a quarter of them deletes, a third of them before the full export."""
    cuts = [begin]
    for _ in range(windows):
        cuts.append(cuts[-1] + chance.randint(900, 86_400))
    length = (cuts[-1] - begin) * SECOND
    times = sorted(begin * SECOND + chance.randrange(-length // 2, length) for _ in range(operations))
    return History([Operation(micros, key := chance.choice(keys), None if chance.random() < 0.25 else make(key)) for micros in times], cuts)
