"""Golden pairs: a line of an export and the row that the mapping makes of it, both written by hand, as files.

`tests/golden/<source table>/<case>.item.json` is one line of an export; `<case>.row.json` the row's columns: timestamps as ISO 8601 with
six decimals or the word `migration_time`, jsonb as JSON with the digits of every number as they must be kept.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from binary_row import TARGETS
from sound_items import MIGRATION_TIME, to_row

from transforms.tables.medzen import TABLES

GOLDEN = Path(__file__).parents[1] / "golden"
BY_SOURCE = {table.source: table for table in TABLES}
PAIRS = [(path.parent.name, path.name.removesuffix(".item.json")) for path in sorted(GOLDEN.glob("*/*.item.json"))]


class Digits(str):
    """A number as it is spelled: not equal to a string of the same letters."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is Digits and str.__eq__(self, other)

    __hash__ = str.__hash__


def parse(text: str) -> Any:
    """JSON with its numbers as they are spelled."""
    return json.loads(text, parse_int=Digits, parse_float=Digits)


def readable(value: Any, sql_type: str) -> Any:
    """A decoded column as the row's file writes it."""
    if value is None:
        return None
    if sql_type == "uuid":
        return str(value)
    if sql_type == "jsonb":
        return parse(value)
    if sql_type == "timestamp with time zone":
        instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value)
        return "migration_time" if value == MIGRATION_TIME else instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value


@pytest.mark.parametrize(("source", "case"), PAIRS, ids=["/".join(pair) for pair in PAIRS])
def test_a_golden_pair(source, case):
    """The item's line becomes exactly the row beside it: every column, and every digit in it."""
    table = BY_SOURCE[source]
    line = (GOLDEN / source / f"{case}.item.json").read_bytes()
    expected = parse((GOLDEN / source / f"{case}.row.json").read_text("utf-8"))
    values = to_row(table, line).values
    assert {name: readable(value, TARGETS[table.target][name]) for name, value in values.items()} == expected


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.source)
def test_every_table_has_golden_pairs(table):
    """A table without at least three golden pairs is not tested by anything that a person can read beside the mapping."""
    assert sum(source == table.source for source, _ in PAIRS) >= 3


def test_every_file_is_half_of_a_pair():
    """No file is left out of the test by a slip in its name, and each item is one line."""
    names = {path.relative_to(GOLDEN).as_posix() for path in GOLDEN.glob("**/*") if path.is_file()}
    assert names == {f"{source}/{case}.{half}.json" for source, case in PAIRS for half in ("item", "row")}
    assert {source for source, _ in PAIRS} <= BY_SOURCE.keys()
    for source, case in PAIRS:
        assert (GOLDEN / source / f"{case}.item.json").read_bytes().count(b"\n") <= 1
