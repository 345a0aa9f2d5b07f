"""One mismatch as a line of JSON, for the files that an engineer looks through. Values are in it only when they were asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from pipeline.records.files import RecordBatch
from pipeline.records.records import Origin, key_of_item, origin_and_address
from pipeline.source.chunks import Chunk, ItemAddress
from pipeline.target.mismatch import Mismatch, MismatchKind

Values = Mapping[tuple[int, str], tuple[Any, Any]]
"""(item number, column) -> what the export makes, what the target has, both as text."""

FOLDER: Final = "mismatches"
"""Of a run's, in which their files are."""


def mismatch_batch(
    origin: Origin, chunk: Chunk, key: Sequence[str], mismatches: Sequence[Mismatch], values: Values | None = None
) -> RecordBatch:
    """The records of a chunk; `key` names the attributes of an item's key."""
    to_record = _to_record(origin, chunk, key, values or {})
    return RecordBatch(chunk.split.name, tuple(map(to_record, mismatches)), chunk.is_last)


def _to_record(origin: Origin, chunk: Chunk, key: Sequence[str], values: Values) -> Callable[[Mismatch], bytes]:
    def to_record(mismatch: Mismatch) -> bytes:
        number = mismatch.item_number
        record: dict[str, Any] = {
            **origin_and_address(origin, ItemAddress(chunk.split.data_file.name, number)),
            "kind": mismatch.kind,
            "key": key_of_item(chunk.lines[number - chunk.first_item], key),
            "primary_key": None,
            "columns": mismatch.columns,
            "refused": _refusal(mismatch),
        }
        shown = {column: values[number, column] for column in mismatch.columns if (number, column) in values}
        if shown:
            record["values"] = {column: {"export": ours, "target": theirs} for column, (ours, theirs) in shown.items()}
        return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)

    return to_record


def _refusal(mismatch: Mismatch) -> dict[str, str | None] | None:
    refused = mismatch.refused
    return None if refused is None else {"code": refused.code, "sqlstate": refused.sqlstate, "constraint": refused.constraint}


def row_record(origin: Origin, address: ItemAddress | None, kind: MismatchKind, primary_key: Mapping[str, str]) -> bytes:
    """A row of the target that no loaded item accounts for; `address` is that of a dead letter with its key."""
    record: dict[str, Any] = {
        **origin_and_address(origin, address),
        "kind": kind,
        "key": None,
        "primary_key": primary_key,
        "columns": [],
        "refused": None,
    }
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
