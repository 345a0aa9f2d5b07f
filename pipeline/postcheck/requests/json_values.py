"""JSON with every digit of a number, in which `true` is not 1: what answers are held against."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final, Self

import orjson

Value = None | bool | Decimal | str | list[Any] | dict[str, Any]
"""Numbers are Decimals, all of them."""


class NotJson(Exception):
    """A text is not JSON, or is nested deeper than can be read."""


class Kind(StrEnum):
    """JSON's own kinds of values."""

    NULL = "null"
    BOOLEAN = "boolean"
    NUMBER = "number"
    STRING = "string"
    ARRAY = "array"
    OBJECT = "object"

    @classmethod
    def of(cls, value: Value) -> Self:
        """The kind of a value."""
        return cls(_KINDS[type(value)])


_KINDS: Final = {type(None): "null", bool: "boolean", Decimal: "number", str: "string", list: "array", dict: "object"}


def parse(text: bytes | str) -> Value:
    """The value that a text in UTF-8 stands for. Raises `NotJson`."""
    try:
        decoded = text if isinstance(text, str) else text.decode("utf-8")
        value: Value = json.loads(decoded, parse_int=Decimal, parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, RecursionError, InvalidOperation):
        raise NotJson from None
    return value


def _refuse(_constant: str) -> Value:
    """NaN and Infinity are not JSON."""
    raise NotJson


def to_bytes(value: Value) -> bytes:
    """As a body. Raises `NotJson` for a string that UTF-8 cannot hold."""
    try:
        return orjson.dumps(value, default=lambda number: orjson.Fragment(str(number)))
    except orjson.JSONEncodeError:
        raise NotJson from None


def to_text(value: Value) -> str:
    """As a part of a URL, of a header or of a longer string: a string is itself, everything else its JSON."""
    return value if isinstance(value, str) else to_bytes(value).decode()


def is_same(one: Value, other: Value) -> bool:
    """Whether two values are equal: numbers by their value (1.0 is 1), objects whatever the order of their members."""
    if Kind.of(one) is not Kind.of(other):
        return False
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(value, other[name]) for name, value in one.items())
    return one == other


def at(value: Value, pointer: str) -> tuple[bool, Value]:
    """Whether there is something at a JSON Pointer (RFC 6901), and what."""
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isascii() and name.isdigit() and str(int(name)) == name and int(name) < len(value):
            value = value[int(name)]
        else:
            return False, None
    return True, value
