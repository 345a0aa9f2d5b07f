"""One record as a line of JSON: how it is made, and what can be read of the item that it holds.

A dead letter holds the item verbatim, so that it can be loaded again once the cause is fixed; notices and mismatches hold its key only.
Values are in a mismatch only when they were asked for. The fields are those of `kinds.py`: people query them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from pipeline.records.files import RecordBatch
from pipeline.records.kinds import SCHEMAS, FieldType, RecordKind
from pipeline.source.chunks import Chunk, ItemAddress
from pipeline.target.compare import Mismatch, MismatchKind
from transforms.lines import item_of_line, read_keys
from transforms.rejects import ErrorCode, ItemError, Notice, Stage

Record = dict[str, Any]
"""A record as it is read; it may come from a changed copy of a file."""

_CODES: Final = frozenset(ErrorCode)

Values = Mapping[tuple[int, str], Any]
"""(item number, column) -> `{"export", "target"}`, what the export makes and what the target has, both as text; of a column of child rows a
list of them, each with its `row`, the key."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What all records of a load's run have in common."""

    run_id: str
    source_table: str
    target_table: str
    export_id: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """When an item was refused, for which time, and in which run first."""

    at: str
    attempt: int
    first_run_id: str


def dead_letter_record(
    origin: Origin, address: ItemAddress, line: bytes, stage: Stage, errors: Sequence[ItemError], rejection: Rejection
) -> bytes:
    try:
        item, encoding = line.decode(), "utf-8"
    except UnicodeDecodeError:
        item, encoding = base64.b64encode(line).decode(), "base64"
    return _line(
        {
            **_address(origin, address),
            "stage": stage,
            "errors": errors,
            "item": item,
            "item_encoding": encoding,
            "rejected_at": rejection.at,
            "attempt": rejection.attempt,
            "first_run_id": rejection.first_run_id,
        }
    )


def notice_records(origin: Origin, address: ItemAddress, line: bytes, key: Sequence[str], notices: Sequence[Notice]) -> list[bytes]:
    """The notices of one item; `key` names the attributes of its key."""
    beginning, item_key = _address(origin, address), _key_of(line, key)
    return [_line({**beginning, "code": notice.code, "attribute": notice.attribute, "key": item_key}) for notice in notices]


def mismatch_batch(
    origin: Origin, chunk: Chunk, key: Sequence[str], mismatches: Sequence[Mismatch], values: Values | None = None
) -> RecordBatch:
    """The records of a chunk; `key` names the attributes of an item's key."""
    return RecordBatch(chunk.split.name, tuple(_mismatch_records(origin, chunk, key, mismatches, values or {})), chunk.is_last)


def _mismatch_records(origin: Origin, chunk: Chunk, key: Sequence[str], mismatches: Sequence[Mismatch], values: Values) -> Iterator[bytes]:
    for mismatch in mismatches:
        number, refused = mismatch.item_number, mismatch.refused
        record = {
            **_address(origin, ItemAddress(chunk.split.data_file.name, number)),
            "kind": mismatch.kind,
            "key": _key_of(chunk.lines[number - chunk.first_item], key),
            "primary_key": None,
            "columns": mismatch.columns,
            "refused": refused and {"code": refused.code, "sqlstate": refused.sqlstate, "constraint": refused.constraint},
        }
        shown = {column: values[number, column] for column in mismatch.columns if (number, column) in values}
        if shown:
            record["values"] = shown
        yield _line(record)


def row_record(origin: Origin, address: ItemAddress | None, kind: MismatchKind, primary_key: Mapping[str, str]) -> bytes:
    """A row of the target that no loaded item accounts for; `address` is that of a dead letter with its key."""
    return _line(
        {**_address(origin, address), "kind": kind, "key": None, "primary_key": primary_key, "columns": [], "refused": None},
    )


def _line(record: Mapping[str, Any]) -> bytes:
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def _address(origin: Origin, address: ItemAddress | None) -> dict[str, Any]:
    """The fields with which every record begins; those of the address are null where it is about no item."""
    return {
        "run_id": origin.run_id,
        "source_table": origin.source_table,
        "target_table": origin.target_table,
        "export_id": origin.export_id,
        "data_file": address.data_file if address else None,
        "item_number": address.item_number if address else None,
    }


def _key_of(line: bytes, key: Sequence[str]) -> dict[str, Any]:
    """The attributes of an item's key, as they are in the line; empty for a line that is not an item."""
    item = item_of_line(line) or item_of_line(read_keys(line, tuple(key)) or b"") or {}
    return {name: item[name] for name in key if name in item}


# -- what a dead letter holds --------------------------------------------------------------------------------------------------------------


def line_of(record: Record) -> bytes:
    """The line as it was in the export, unless somebody changed the record."""
    text: str = record["item"]
    if record["item_encoding"] != "base64":
        return text.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(text)
    except binascii.Error:
        return b""


def is_dead_letter(record: Record) -> bool:
    """Whether its fields hold what we write; in a changed copy of a file they may not. An optional field may be null."""
    for name, fits, is_optional in _DEAD_LETTER:
        value = record.get(name)
        if not (is_optional if value is None else isinstance(value, str) if fits is None else fits(value)):
            return False
    return True


def _is_number(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 62


def _are_errors(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_error, value))


def _is_error(value: Any) -> bool:
    # A changed file may hold anything in place of a code, what cannot be hashed included.
    return isinstance(value, dict) and isinstance(code := value.get("code"), str) and code in _CODES


_FITS: Final[Mapping[FieldType, Callable[[Any], bool]]] = {
    FieldType.NUMBER: _is_number,
    FieldType.SMALL_NUMBER: _is_number,
    FieldType.ERRORS: _are_errors,
}
# Asked of every record twice; of fields without a function, a text fits.
_DEAD_LETTER: Final = [(one.name, _FITS.get(one.type), one.is_optional) for one in SCHEMAS[RecordKind.DEAD_LETTERS]]
