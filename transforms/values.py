r"""DynamoDB's typed JSON: what an attribute value must be, and how it becomes JSONB text.

An attribute value is an object with exactly one type tag, `{"S": "text"}` or `{"M": {"dose": {"N": "1.50"}}}`. Tags and shapes:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.Output.html; the rules are in `docs/tables.md`.

    >>> attribute_value_to_json({"M": {"dose": {"N": "1.50"}, "seen": {"NULL": True}}})
    b'{"dose":1.50,"seen":null}'

The way of a sound value is short: one walk that builds what `orjson` then writes, numbers as fragments that keep every digit. Only when
that walk stumbles does `first_fault` look for what is wrong and where.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeGuard

import orjson

from transforms.rejects import ErrorCode, ValueRefused

AttributeValue = dict[str, Any]
Item = dict[str, Any]

# What orjson can write. DynamoDB's own limit is 32 levels.
MAX_NESTING: Final = 254

# What `get` gives for an attribute that is not there: JSON's null is there, and is no attribute value.
ABSENT: Final = object()

# How orjson writes U+0000.
_NUL_ESCAPE: Final = b"\\u0000"
_BACKSLASH: Final = ord("\\")

JSON_TYPE_OF_TAG: Final[dict[str, Any]] = {
    "S": str,
    "N": str,
    "B": str,
    "BOOL": bool,
    "NULL": bool,
    "M": dict,
    "L": list,
    "SS": list,
    "NS": list,
    "BS": list,
}

_JSON_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
# A number of at most this many characters and no exponent cannot leave DynamoDB's range.
_SURELY_IN_RANGE: Final = 120
_LEAST_EXPONENT: Final = -130
_GREATEST_EXPONENT: Final = 125

_INVALID_NUMBER: Final = "must be a JSON number, zero or of a magnitude from 1E-130 up to below 1E126"
HOLDS_NUL: Final = "holds U+0000, which PostgreSQL can store neither in text nor in jsonb"
NOT_AN_ATTRIBUTE_VALUE: Final = "must be an object with exactly one of S N B BOOL NULL M L SS NS BS and a value of that tag's JSON type"


class _Stumble(Exception):
    """The value is not sound; `first_fault` says why."""


# -- an attribute value's shape ------------------------------------------------------------------------------------------------------------


def is_attribute_value(value: object) -> TypeGuard[AttributeValue]:
    """Whether `value` has exactly one known tag and content of its JSON type; what is nested in it is not looked at."""
    if type(value) is not dict or len(value) != 1:
        return False
    ((tag, content),) = value.items()
    if type(content) is not JSON_TYPE_OF_TAG.get(tag):
        return False
    if tag == "NULL":
        return content is True
    if tag in ("SS", "NS", "BS"):
        return all(type(member) is str for member in content)
    return True


def is_missing(value: object) -> bool:
    """Absent and NULL are the same thing (`docs/tables.md`)."""
    return value is ABSENT or (type(value) is dict and len(value) == 1 and value.get("NULL") is True)


# -- numbers -------------------------------------------------------------------------------------------------------------------------------


def is_number(text: str) -> bool:
    """Whether `text` is a JSON number inside DynamoDB's range (`docs/tables.md`)."""
    if len(text) <= _SURELY_IN_RANGE and "e" not in text and "E" not in text:
        return _JSON_NUMBER.fullmatch(text) is not None
    return to_decimal(text) is not None


def check_number(text: str) -> Decimal:
    """The number, exactly; raises `ValueRefused` (`invalid_number`) unless it is one."""
    number = to_decimal(text)
    if number is None:
        raise ValueRefused(ErrorCode.INVALID_NUMBER, _INVALID_NUMBER)
    return number


def to_decimal(text: str) -> Decimal | None:
    """The number, exactly; None unless it is one."""
    if _JSON_NUMBER.fullmatch(text) is None:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        # An exponent beyond what even Decimal holds; a zero is a zero all the same.
        return Decimal(0) if not text.lower().partition("e")[0].strip("-0.") else None
    return number if not number or _LEAST_EXPONENT <= number.adjusted() <= _GREATEST_EXPONENT else None


# -- JSONB ---------------------------------------------------------------------------------------------------------------------------------


def attribute_value_to_json(value: object) -> bytes:
    """JSON text of an attribute value, UTF-8, numbers digit by digit as they were.

    Raises `ValueRefused` with the path of the value at fault: `not_an_item`, `nul_character`, `invalid_number`, or `invalid_json` when it
    is nested deeper than `MAX_NESTING`.
    """
    try:
        text = orjson.dumps(_to_plain(value))
    except (_Stumble, RecursionError, orjson.JSONEncodeError):
        message = "cannot be written as JSON"
        raise first_fault(value) or ValueRefused(ErrorCode.INVALID_JSON, message) from None
    if _NUL_ESCAPE in text and _holds_nul_escape(text):
        raise first_fault(value) or ValueRefused(ErrorCode.NUL_CHARACTER, HOLDS_NUL)
    return text


def _to_plain(value: Any) -> Any:  # noqa: C901 - one branch a tag
    """Attribute value to what orjson writes; `_Stumble` at anything unsound but U+0000. Tags in the order of how often they come."""
    if type(value) is dict and len(value) == 1:
        [tag] = value
        content = value[tag]
        if tag == "S":
            if type(content) is str:
                return content
        elif tag == "N":
            if type(content) is str:
                return _number_to_plain(content)
        elif tag == "M":
            if type(content) is dict:
                return {name: _to_plain(member) for name, member in content.items()}
        elif tag == "L":
            if type(content) is list:
                return [_to_plain(member) for member in content]
        elif tag == "BOOL":
            if type(content) is bool:
                return content
        elif is_attribute_value(value):
            return _rarer_to_plain(tag, content)
    raise _Stumble


def _rarer_to_plain(tag: str, content: Any) -> Any:
    if tag == "NULL":
        return None
    return [_number_to_plain(member) for member in content] if tag == "NS" else content


def _number_to_plain(text: str) -> int | orjson.Fragment:
    # Writing an int of up to 15 digits is writing its digits, and making one is three times as fast as a fragment.
    if len(text) <= 15 and text.isdecimal() and text.isascii() and (text[0] != "0" or text == "0"):
        return int(text)
    if not is_number(text):
        raise _Stumble
    return orjson.Fragment(text)


def _holds_nul_escape(text: bytes) -> bool:
    """Whether JSON text holds an escaped U+0000, and not only a backslash before the letters u0000, which is fine.

    An escape begins after an even number of backslashes. (A pattern that says so takes longer than all the rest of a long note.)
    """
    at = text.find(_NUL_ESCAPE)
    while at >= 0:
        first = at
        while first and text[first - 1] == _BACKSLASH:
            first -= 1
        if (at - first) % 2 == 0:
            return True
        at = text.find(_NUL_ESCAPE, at + 1)
    return False


def first_fault(value: object, *, allow_nul: bool = False) -> ValueRefused | None:
    """The fault that counts: too deep, then misshapen, then U+0000, then a number; the first in document order among equals."""
    faults: dict[ErrorCode, ValueRefused] = {}
    for depth, path, inner in _walk(value):
        if depth > MAX_NESTING:
            return ValueRefused(ErrorCode.INVALID_JSON, f"nested deeper than {MAX_NESTING} levels")
        fault = _own_fault(inner, path)
        if fault is not None and not (allow_nul and fault.code is ErrorCode.NUL_CHARACTER):
            faults.setdefault(fault.code, fault)
    by_weight = (ErrorCode.NOT_AN_ITEM, ErrorCode.NUL_CHARACTER, ErrorCode.INVALID_NUMBER)
    return next((faults[code] for code in by_weight if code in faults), None)


def _own_fault(value: object, path: str) -> ValueRefused | None:
    """What is wrong with one attribute value itself, not with what is nested in it."""
    if not is_attribute_value(value):
        return ValueRefused(ErrorCode.NOT_AN_ITEM, NOT_AN_ATTRIBUTE_VALUE, path)
    ((tag, content),) = value.items()
    if _holds_nul(tag, content):
        return ValueRefused(ErrorCode.NUL_CHARACTER, HOLDS_NUL, path)
    if not _numbers_are_sound(tag, content):
        return ValueRefused(ErrorCode.INVALID_NUMBER, _INVALID_NUMBER, path)
    return None


def _walk(value: object) -> Iterator[tuple[int, str, Any]]:
    """Depth (of containers), path and value of an attribute value and all below it, in document order, without recursion."""
    stack: list[tuple[int, str, Any]] = [(0, "", value)]
    while stack:
        depth, path, inner = stack.pop()
        content = next(iter(inner.values())) if is_attribute_value(inner) else None
        is_container = type(content) in (dict, list)
        yield depth + is_container, path, inner
        if depth > MAX_NESTING:
            return
        if type(content) is dict:
            stack.extend((depth + 1, f"{path}.{name}", member) for name, member in reversed(content.items()))
        elif type(content) is list and "L" in inner:
            stack.extend((depth + 1, f"{path}[{index}]", member) for index, member in reversed(list(enumerate(content))))


def _holds_nul(tag: str, content: Any) -> bool:
    """Whether the value's own strings, or the keys of its map, hold U+0000."""
    if tag in ("S", "B"):
        return "\0" in content
    return tag in ("M", "SS", "BS") and any("\0" in text for text in content)


def _numbers_are_sound(tag: str, content: Any) -> bool:
    if tag == "N":
        return is_number(content)
    return tag != "NS" or all(is_number(member) for member in content)
