"""A line of an export: what it says about one key.

A format or a kind of export is one function here, from a line to a `Change`. The compiled module (`transforms.native`) reads the lines of
full exports itself, several times as fast, and leaves to `read_full_export_line` whatever it is not sure of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import orjson

from transforms.rejects import ErrorCode, ReadRefused
from transforms.values import Item

# What orjson says, as of any other line that it cannot parse, when there is no memory for it.
_NO_MEMORY: Final = "Not enough memory"


@dataclass(frozen=True, slots=True)
class Put:
    """The item that the key has now, its attribute values not yet looked at."""

    item: Item


@dataclass(frozen=True, slots=True)
class Delete:
    """The key has no item any more; `key` holds the attributes of the key alone."""

    key: Item


Change = Put | Delete
ReadLine = Callable[[bytes], Change]
"""Raises `ReadRefused` for a line that says nothing, and `MemoryError`, which says nothing of the line."""


def read_full_export_line(line: bytes) -> Put:
    """A line of a full export in DynamoDB JSON: an item.

    Raises `ReadRefused`: `invalid_json` or `not_an_item`; and `MemoryError`.
    """
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        if error.msg.startswith(_NO_MEMORY):
            raise MemoryError from None
        message = "the line is not one JSON object in UTF-8"
        # The parser's own words can quote the line.
        raise ReadRefused.because(ErrorCode.INVALID_JSON, message) from None
    if type(document) is not dict:
        message = "the line is JSON, but not an object"
        raise ReadRefused.because(ErrorCode.INVALID_JSON, message)
    item = document.get("Item")
    if len(document) != 1 or type(item) is not dict:
        message = 'the object must have one member, "Item", and that must be an object'
        raise ReadRefused.because(ErrorCode.NOT_AN_ITEM, message)
    return Put(item)
