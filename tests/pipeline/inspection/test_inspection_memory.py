"""Memory is bounded whatever comes."""

from __future__ import annotations

import pickle
import tracemalloc
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tests.pipeline.inspection.inspected import line_of, printed, statistics_of, told

MANY = 15_000
LINE = 1_000


def _lines(items: Iterable[dict[str, Any]]) -> list[bytes]:
    return [line_of(item) for item in items]


def _runs() -> Iterator[range]:
    return (range(start, start + LINE) for start in range(0, MANY, LINE))


def _long(number: int) -> str:
    return f"{number}{'x' * 500}"


KINDS = {
    "attributes": lambda: _lines({f"a{number}": {"S": "x"} for number in run} for run in _runs()),
    "attributes, shortest last": lambda: _lines({f"a{99_999 - number}": {"S": "x"}} for number in range(5_000)),
    "attributes that are words": lambda: _lines({_letters(number): {"S": "x"} for number in run} for run in _runs()),
    "malformed attributes": lambda: _lines({f"a{number}": 1} for number in range(20_000)),
    "members": lambda: _lines({"a": {"M": {f"m{number}": {"S": "x"} for number in run}}} for run in _runs()),
    "members of members": lambda: _lines(
        {"a": {"M": {_letters(number % 199): {"M": {_letters(number): {"S": "x"}}} for number in run}}} for run in _runs()
    ),
    "members of elements": lambda: _lines({"a": {"L": [{"M": {_letters(number): {"L": []}}} for number in run]}} for run in _runs()),
    "long names": lambda: _lines({"a": {"M": {_long(number): {"S": "x"} for number in run}}} for run in _runs()),
    "strings": lambda: _lines({"a": {"L": [{"S": "x"}]}, "b": {"S": _long(number)}, "c": {"N": str(number)}} for number in range(10_000)),
}


def _letters(number: int) -> str:
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_kept_has_an_end(kind: str) -> None:
    """15,000 different names, or 10,000 strings, leave less than 2 MB, and say that there were too many."""
    lines = KINDS[kind]()
    # What is made once for all, as in patterns, is no part of it.
    told(statistics_of(lines[:1]))

    tracemalloc.start()
    statistics = statistics_of(lines)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kept < 2_000_000
    assert len(pickle.dumps(statistics)) < 1_000_000
    summary = told(statistics)
    capped = summary["other_attributes_capped"], [attribute["other_members_capped"] for attribute in summary["attributes"]]
    assert capped == {"attributes": (True, []), "strings": (False, [False] * 3)}.get(
        kind, (True, []) if "attributes" in kind else (False, [True])
    )
    assert len(printed(statistics)) < 20_000
