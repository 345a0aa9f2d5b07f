"""A line of an export: what it says about one key.

A format or a kind of export is one function here: `read_full_export_line` gives the item of a line, `read_change_line` the change that a
line of an incremental export says. The compiled module (`transforms.native`) reads the lines itself, several times as fast, and leaves to
these whatever it is not sure of.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NamedTuple

import orjson

from transforms.rejects import ErrorCode, ReadRefused
from transforms.values import AttributeValue, Item, is_attribute_value, to_decimal

# What orjson says, as of any other line that it cannot parse, when there is no memory for it.
_NO_MEMORY: Final = "Not enough memory"


@dataclass(frozen=True, slots=True)
class Put:
    """The item that the key has now, its attribute values not yet looked at."""

    item: Item


def read_full_export_line(line: bytes) -> Put:
    """A line of a full export in DynamoDB JSON: an item.

    Raises `ReadRefused`: `invalid_json` or `not_an_item`; and `MemoryError`.
    """
    document = _parse_object(line)
    item = document.get("Item") if type(document) is dict and len(document) == 1 else None
    if type(item) is not dict:
        message = 'the object must have one member, "Item", and that must be an object'
        raise ReadRefused.because(ErrorCode.NOT_AN_ITEM, message)
    return Put(item)


def _parse_object(line: bytes, parse: Callable[[bytes], Any] | None = None) -> Any:
    """A dict, or `MemberTwice`. Raises `ReadRefused`, `MemoryError`."""
    try:
        document = (parse or parse_json)(line)
    except json.JSONDecodeError as error:
        if error.msg.startswith(_NO_MEMORY):
            raise MemoryError from None
        message = "the line is not one JSON object in UTF-8"
        # The parser's own words can quote the line.
        raise ReadRefused.because(ErrorCode.INVALID_JSON, message) from None
    if type(document) not in (dict, MemberTwice):
        message = "the line is JSON, but not an object"
        raise ReadRefused.because(ErrorCode.INVALID_JSON, message)
    return document


# -- changes -------------------------------------------------------------------------------------------------------------------------------


class View(Enum):
    """What the lines of an incremental export hold; the values are AWS's names."""

    NEW_IMAGE = "NEW_IMAGE"
    """Of each key that was written in the window the item at its end, if there is one."""
    NEW_AND_OLD_IMAGES = "NEW_AND_OLD_IMAGES"
    """The item before its beginning as well, if there was one."""


class Change(NamedTuple):
    """What happened to one key in a window. Each of the three is a line of a full export, as bytes: `{"Item":...}`."""

    write_micros: int
    """When it was last written, in microseconds since 1970-01-01 UTC."""
    keys: bytes
    """The attributes of the key alone."""
    old: bytes | None
    """The item before the window; None where there was none, or the view has it not."""
    new: bytes | None
    """The item at its end; None where it was deleted."""


def read_change_line(line: bytes, key: tuple[str, ...]) -> Change:
    """A line of an incremental export in DynamoDB JSON, of a table whose key has these attributes.

    What is inside of the images is not looked at, apart from the key. Raises `ReadRefused`: `invalid_json`, `not_a_change`, or
    `not_an_item` for an image that is no object or has a member twice; and `MemoryError`.
    """
    document = _parse_object(line)
    if type(document) is MemberTwice:
        raise _not_a_change("the object has a member twice")
    if not {"Metadata", "Keys"} <= document.keys() <= {"Metadata", "Keys", "OldImage", "NewImage"}:
        raise _not_a_change("the object must have the members Metadata, Keys, and no others but OldImage and NewImage")
    keys = document["Keys"]
    if not _are_keys(keys, key):
        raise _not_a_change(f"Keys must hold the attributes of the key as the definition has it, of types S, N or B: {', '.join(key)}")
    for name in ("OldImage", "NewImage"):
        image = document.get(name, keys)
        if type(image) is not dict:
            message = f"{name} must be an object, and have no member twice"
            raise ReadRefused.because(ErrorCode.NOT_AN_ITEM, message)
        if not all(_is_same(image.get(attribute), value) for attribute, value in keys.items()):
            raise _not_a_change(f"Keys must be the attributes of the key in {name}")
    members = _members_of(line)
    old, new = (members.get(name) for name in ("OldImage", "NewImage"))
    return Change(_write_micros(document["Metadata"]), as_item(members["Keys"]), old and as_item(old), new and as_item(new))


def reverse_change_line(line: bytes) -> bytes:
    """The change that takes one back: the same line with its images swapped. Only of what `read_change_line` takes."""
    swapped = {"OldImage": "NewImage", "NewImage": "OldImage"}
    members = _members_of(line).items()
    return b"{%b}" % b",".join(b'"%b":%b' % (swapped.get(name, name).encode(), text) for name, text in members)


def read_keys(line: bytes, key: tuple[str, ...]) -> bytes | None:
    """The keys of what need be no sound change otherwise, as in `Change`; None where they cannot be read."""
    try:
        document = parse_json(line)
    except json.JSONDecodeError:
        return None
    is_sound = type(document) is dict and _are_keys(document.get("Keys"), key)
    return as_item(orjson.dumps(document["Keys"])) if is_sound else None


def read_write_micros(line: bytes) -> int | None:
    """When the key was last written, in microseconds since 1970-01-01 UTC, of what need be no sound change otherwise."""
    try:
        document = parse_json(line)
        return _write_micros(document.get("Metadata")) if type(document) is dict else None
    except (json.JSONDecodeError, ReadRefused):
        return None


def _are_keys(keys: object, key: tuple[str, ...]) -> bool:
    return type(keys) is dict and keys.keys() == set(key) and all(map(_is_of_a_key, keys.values()))


def as_item(text: bytes) -> bytes:
    """The line of a full export for the JSON of an item."""
    return b'{"Item":%b}' % text


def _not_a_change(message: str) -> ReadRefused:
    return ReadRefused.because(ErrorCode.NOT_A_CHANGE, message)


_MICROS: Final = re.compile("[0-9]{1,18}")


def _write_micros(metadata: object) -> int:
    value = metadata.get("WriteTimestampMicros") if type(metadata) is dict else None
    micros = value["N"] if is_attribute_value(value) and "N" in value else ""
    if _MICROS.fullmatch(micros) is None:
        raise _not_a_change("Metadata must have a WriteTimestampMicros, of the type N and a count of microseconds since 1970")
    return int(micros)


def _is_of_a_key(value: object) -> bool:
    return is_attribute_value(value) and value.keys() <= {"S", "N", "B"}


def _is_same(value: object, of_key: AttributeValue) -> bool:
    """Whether a value is that of the key, however its number or its bytes are spelled."""
    if value == of_key:
        return True
    if not is_attribute_value(value) or value.keys() != of_key.keys():
        return False
    ((tag, content), (expected,)) = (*value.items(),)[0], (*of_key.values(),)
    return _meaning(tag, content) == _meaning(tag, expected) is not None


def _meaning(tag: str, content: str) -> object:
    """None for what has none."""
    if tag == "N":
        return to_decimal(content)
    try:
        return b64decode(content, validate=True) if tag == "B" else content
    except (Base64Error, ValueError):
        return None


_SIGN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:,]', re.DOTALL)


def _members_of(text: bytes) -> dict[str, bytes]:
    """The members of a sound JSON object, each as it is written there."""
    members: dict[str, bytes] = {}
    depth = begin = 0
    name = ""
    string = b""
    for sign in _SIGN.finditer(text):
        token = sign[0]
        if token in (b"}", b"]"):
            depth -= 1
        if depth == 1 and token == b":":
            name, begin = orjson.loads(string), sign.end()
        elif name and ((depth == 1 and token == b",") or depth == 0):
            members[name] = text[begin : sign.start()].strip()
            name = ""
        if token in (b"{", b"["):
            depth += 1
        string = token
    return members


def item_of_line(line: bytes, *, is_read: bool = False) -> Item | None:
    """The item that a line of any export is about: of a change the new image, or the old one of what was deleted; None where it is none.

    Of one that was read before it is known that no member comes twice, and that is not looked for again.
    """
    try:
        document = _parse_object(line, orjson.loads if is_read else None)
    except ReadRefused:
        return None
    if type(document) is not dict:
        return None
    names = ("NewImage", "OldImage") if "Keys" in document else ("Item",) if len(document) == 1 else ()
    return next((document[name] for name in names if type(document.get(name)) is dict), None)


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
