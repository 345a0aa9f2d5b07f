"""A line of an export: what it says about one key.

A format or a kind of export is one function here, from a line to a `Change`. The compiled module (`transforms.native`) reads the lines of
full exports itself, several times as fast, and leaves to `read_full_export_line` whatever it is not sure of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

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
        document = parse_json(line)
    except json.JSONDecodeError as error:
        if error.msg.startswith(_NO_MEMORY):
            raise MemoryError from None
        message = "the line is not one JSON object in UTF-8"
        # The parser's own words can quote the line.
        raise ReadRefused.because(ErrorCode.INVALID_JSON, message) from None
    if type(document) not in (dict, MemberTwice):
        message = "the line is JSON, but not an object"
        raise ReadRefused.because(ErrorCode.INVALID_JSON, message)
    item = document.get("Item") if type(document) is dict and len(document) == 1 else None
    if type(item) is not dict:
        message = 'the object must have one member, "Item", and that must be an object'
        raise ReadRefused.because(ErrorCode.NOT_AN_ITEM, message)
    return Put(item)


# -- JSON in which a member comes twice ----------------------------------------------------------------------------------------------------


class MemberTwice:
    """In place of an object that has a member twice, of which neither value can be preferred. Not an attribute value, nor an item."""


# A string of sound JSON, or a sign that opens, closes or parts.
_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}:]', re.DOTALL)


def parse_json(text: bytes) -> Any:
    """What `orjson` makes of JSON, with `MemberTwice` where it would take the last of two. Raises `json.JSONDecodeError`."""
    document = orjson.loads(text)
    # What is written as orjson writes it has no member twice, which is nearly every line.
    if _as_orjson_writes(document) == text.strip() or not _has_member_twice(text):
        return document
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        message = "nested too deep for an object that has a member twice"
        raise json.JSONDecodeError(message, "", 0) from None


def _as_orjson_writes(document: Any) -> bytes | None:
    """None for what is nested deeper than it can write."""
    try:
        return orjson.dumps(document)
    except orjson.JSONEncodeError:
        return None


def _object(pairs: list[tuple[str, Any]]) -> Any:
    members = dict(pairs)
    return members if len(members) == len(pairs) else MemberTwice()


def _has_member_twice(text: bytes) -> bool:
    """Of sound JSON, however deep it is nested."""
    names: list[set[str]] = []
    string = b""
    for token in _TOKEN.findall(text):
        if token == b"{":
            names.append(set())
        elif token == b"}":
            names.pop()
        elif token == b":":
            name = orjson.loads(string)
            if name in names[-1]:
                return True
            names[-1].add(name)
        else:
            string = token
    return False
