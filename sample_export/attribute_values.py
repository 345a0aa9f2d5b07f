"""Values in pairs: an attribute value as DynamoDB exports it, and the same value as the JSON that must come of it.

Content is built from both sides at once, so the truth is what was planted and no conversion stands between the two.
Numbers are given as text and keep it: `orjson.Fragment` writes the digits as they are.

    >>> mapping({"dose": number("1.50")})[0]
    {'M': {'dose': {'N': '1.50'}}}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson

AttributeValue = dict[str, Any]
Pair = tuple[AttributeValue, Any]

NULL: Pair = ({"NULL": True}, None)
TRUE: Pair = ({"BOOL": True}, True)
FALSE: Pair = ({"BOOL": False}, False)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# A session has four instants, and `datetime.isoformat` would take a third of all the time.
_MINUTES = [f"T{minute // 60:02d}:{minute % 60:02d}:" for minute in range(1440)]


def text(value: str) -> Pair:
    """Pair an S."""
    return {"S": value}, value


def number(digits: str) -> Pair:
    """Pair an N, spelled as `digits`."""
    return {"N": digits}, orjson.Fragment(digits)


def whole(value: int) -> Pair:
    """Pair an N for an integer, where the digits are not in doubt."""
    return {"N": str(value)}, value


def binary(base64_text: str) -> Pair:
    """Pair a B, which JSON takes as the base64 text that was exported."""
    return {"B": base64_text}, base64_text


def mapping(members: Mapping[str, Pair]) -> Pair:
    """Pair an M."""
    typed = {}
    plain = {}
    for name, (typed_member, plain_member) in members.items():
        typed[name] = typed_member
        plain[name] = plain_member
    return {"M": typed}, plain


def sequence(elements: Iterable[Pair]) -> Pair:
    """Pair an L."""
    pairs = list(elements)
    return {"L": [typed for typed, _ in pairs]}, [plain for _, plain in pairs]


def text_set(values: list[str]) -> Pair:
    """Pair an SS; `values` must differ, as DynamoDB demands of a set."""
    return {"SS": values}, values


def number_set(digits: list[str]) -> Pair:
    """Pair an NS."""
    return {"NS": digits}, [orjson.Fragment(member) for member in digits]


def binary_set(base64_texts: list[str]) -> Pair:
    """Pair a BS."""
    return {"BS": base64_texts}, base64_texts


def nested_mapping(levels: int, innermost: Pair) -> Pair:
    """`innermost` below `levels` maps, one in the other."""
    pair = innermost
    for level in range(levels, 0, -1):
        pair = mapping({f"level{level}": pair})
    return pair


def jsonb(plain: Any) -> dict[str, str]:
    """The truth's form of a jsonb value: its text, so that no reader of the truth can lose a digit."""
    return {"jsonb": orjson.dumps(plain).decode()}


def iso(microseconds: int) -> str:
    """The truth's form of an instant: ISO 8601, UTC, six decimals."""
    day, rest = divmod(microseconds, 86_400_000_000)
    minute, rest = divmod(rest, 60_000_000)
    digits = f"{rest:08d}"
    return f"{_date(day)}{_MINUTES[minute]}{digits[:2]}.{digits[2:]}Z"


@lru_cache(maxsize=40_000)
def _date(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).date().isoformat()
