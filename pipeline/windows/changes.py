"""A chunk of a window: its lines, and what each does to the rows of its item."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from pipeline.job.chunk import Refusal, write_refusal
from pipeline.ledger.changes import salted_hash
from pipeline.ledger.chunks import ChunkCounts
from pipeline.target.fates import ChangedRows
from pipeline.target.rows import ChildRows, RefusedRow, Rows
from transforms.changes import RowChange, ToChange
from transforms.lines import read_full_export_line, read_keys
from transforms.rejects import ItemRefused, Notice


@dataclass(frozen=True, slots=True)
class ChangedLines:
    """What became of lines, by item number, before PostgreSQL is asked."""

    items: int
    changes: ChangedRows
    refusals: Mapping[int, Refusal]
    notices: Mapping[int, Sequence[Notice]]
    """Of items that have a row now."""
    filtered: Mapping[int, str]
    """The reason for which an item is not for this table, or not any more."""

    def refusals_with(self, refused: Iterable[RefusedRow]) -> dict[int, Refusal]:
        """With those of PostgreSQL, and of what is somebody else's."""
        return {**self.refusals, **{row.item_number: write_refusal(row) for row in refused}}

    def counts(self, refused: Iterable[RefusedRow] = ()) -> ChunkCounts:
        """For the ledger's row of the chunk: rows are the records that were applied. What became of them is kept beside it."""
        refusals = self.refusals_with(refused)
        notices = [notice for number, notices in self.notices.items() if number not in refusals for notice in notices]
        return ChunkCounts(
            items=self.items,
            rows=self.items - len(refusals),
            notices=len(notices),
            dead_letter_codes=Counter(code for refusal in refusals.values() for code in refusal.codes),
            notice_codes=Counter(notice.code.value for notice in notices),
            filter_reasons=Counter(reason for number, reason in self.filtered.items() if number not in refusals),
        )


def convert_changes(lines: Iterable[tuple[int, bytes]], to_change: ToChange, children: int) -> ChangedLines:
    """Lines by their item numbers, of a table with so many children. Pure."""
    changed: dict[int, RowChange] = {}
    refusals: dict[int, Refusal] = {}
    for number, line in lines:
        try:
            changed[number] = to_change(line)
        except ItemRefused as refused:
            refusals[number] = Refusal(refused.stage, refused.errors)
    new = Rows.of((number, change.row) for number, change in changed.items())
    of_children = [
        [(number, row) for number, change in changed.items() if change.row is not None for row in change.children[child]]
        for child in range(children)
    ]
    return ChangedLines(
        items=len(changed) + len(refusals),
        changes=ChangedRows(
            Rows(new.item_numbers, new.encoded, tuple(_child_rows(pairs) for pairs in of_children)),
            Rows.of((number, key) for number, change in changed.items() for key in change.deleted_keys),
            Rows.of((number, change.old_row) for number, change in changed.items()),
            frozenset(number for number, change in changed.items() if change.is_first),
            old_children={number: change.old_children for number, change in changed.items() if change.old_children},
        ),
        refusals=refusals,
        notices={number: change.notices for number, change in changed.items() if change.notices},
        filtered={number: change.filter_reason for number, change in changed.items() if change.filter_reason is not None},
    )


def _child_rows(pairs: Sequence[tuple[int, bytes]]) -> ChildRows:
    return ChildRows([owner for owner, _ in pairs], [row for _, row in pairs])


# -- items, told apart where no key may be kept -------------------------------------------------------------------------------------------


def item_hash(line: bytes, key: tuple[str, ...], seed: int) -> int | None:
    """A salted hash of 64 bits of the key in DynamoDB that a change names; None where it names none. It can be kept where no key may be."""
    keys = _keys_of_change(line, key)
    return None if keys is None else salted_hash(keys, seed)


def hash_of_item(line: bytes, key: tuple[str, ...], seed: int) -> int | None:
    """The same of a line of a full export."""
    keys = _keys_of_item(line, key)
    return None if keys is None else salted_hash(keys, seed)


def name_of_item(line: bytes, key: tuple[str, ...], seed: int, *, is_change: bool) -> UUID | None:
    """The same of either, of 128 bits: no two items have one."""
    keys = _keys_of_change(line, key) if is_change else _keys_of_item(line, key)
    if keys is None:
        return None
    return UUID(bytes=hashlib.blake2b(keys, digest_size=16, key=seed.to_bytes(8, "big", signed=True)).digest())


def _keys_of_change(line: bytes, key: tuple[str, ...]) -> bytes | None:
    keys = read_keys(line, key)
    return None if keys is None else _ordered(orjson.loads(keys))


def _keys_of_item(line: bytes, key: tuple[str, ...]) -> bytes | None:
    try:
        item = read_full_export_line(line).item
    except ItemRefused:
        return None
    return _ordered({"Item": {name: item[name] for name in key}}) if item.keys() >= set(key) else None


def _ordered(keys: Any) -> bytes:
    return orjson.dumps(keys, option=orjson.OPT_SORT_KEYS)
