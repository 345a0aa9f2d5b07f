"""One dead letter, one notice, as a line of JSON. Their fields are an interface: people query them.

A dead letter holds the item verbatim, so that it can be loaded again once the cause is mended. A notice holds the item's key only.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from pipeline.source.chunks import ItemAddress
from transforms.lines import read_full_export_line
from transforms.rejects import ItemError, Notice, ReadRefused, Stage


@dataclass(frozen=True, slots=True)
class Origin:
    """What all records of a load's run have in common."""

    run_id: str
    source_table: str
    target_table: str
    export_id: str


def origin_and_address(origin: Origin, address: ItemAddress | None) -> dict[str, str | int | None]:
    """The fields with which every record begins; one without an address is of no item."""
    return {
        "run_id": origin.run_id,
        "source_table": origin.source_table,
        "target_table": origin.target_table,
        "export_id": origin.export_id,
        "data_file": address.data_file if address else None,
        "item_number": address.item_number if address else None,
    }


@dataclass(frozen=True, slots=True)
class Rejection:
    """When an item was refused, for which time, and in which run for the first."""

    at: str
    attempt: int
    first_run_id: str


def dead_letter_record(
    origin: Origin, address: ItemAddress, line: bytes, stage: Stage, errors: Sequence[ItemError], rejection: Rejection
) -> bytes:
    """A dead letter; `item` is the line as it was, in base64 where it is not UTF-8."""
    try:
        item, encoding = line.decode(), "utf-8"
    except UnicodeDecodeError:
        item, encoding = base64.b64encode(line).decode(), "base64"
    return orjson.dumps(
        {
            **origin_and_address(origin, address),
            "stage": stage,
            "errors": errors,
            "item": item,
            "item_encoding": encoding,
            "rejected_at": rejection.at,
            "attempt": rejection.attempt,
            "first_run_id": rejection.first_run_id,
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


def key_of_item(line: bytes, key: Sequence[str]) -> dict[str, Any]:
    """The attributes of an item's key, as they stand in the line; nothing of a line that is no item."""
    try:
        item = read_full_export_line(line).item
    except ReadRefused:
        return {}
    return {name: item[name] for name in key if name in item}


def notice_records(origin: Origin, address: ItemAddress, line: bytes, key: Sequence[str], notices: Sequence[Notice]) -> list[bytes]:
    """The notices of one item; `key` names the attributes of its key."""
    item_key = key_of_item(line, key)
    return [
        orjson.dumps(
            {
                **origin_and_address(origin, address),
                "code": notice.code,
                "attribute": notice.attribute,
                "key": item_key,
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
        for notice in notices
    ]
