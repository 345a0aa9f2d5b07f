"""What the columns of a table got of a sample: counted over items made by hand."""

from __future__ import annotations

import json
from typing import Any

from pipeline.records.columns import ColumnSource, CountColumns, SampledColumn
from transforms.compile import compile_table
from transforms.rejects import ItemRefused
from transforms.rules import Boolean, Json, Text, Uuid
from transforms.sources import REST, LaterOf
from transforms.table import Column, Missing, Otherwise, Table

UUID = "9a3ed888-4b76-41a7-a0b2-1fdfc3f81d3b"
TABLE = Table(
    "things",
    "thing",
    "id",
    (
        Column("id", "id", Uuid(), Missing.REFUSED),
        Column("titel", "title", Text()),
        Column("inside.note", "note", Text()),
        Column("isDone", "is_done", Boolean(), Otherwise(False)),
        Column(REST, "rest", Json()),
    ),
)


def _counted(*items: dict[str, Any]) -> dict[str, SampledColumn]:
    count, to_row = CountColumns(TABLE), compile_table(TABLE, migration_time=0)
    for item in items:
        line = json.dumps({"Item": item}).encode()
        try:
            count.add(line, to_row(line)[0], ())
        except ItemRefused as refused:
            count.add(line, None, {error.column for error in refused.errors})
    sample = count.result()
    assert sample
    assert sample.items == len(items)
    return {column.name: column for column in sample.columns}


def _figures(column: SampledColumn) -> tuple[int | None, int, int, int]:
    return column.present, column.null, column.defaulted, column.refused


def test_columns_are_counted() -> None:
    """A misspelt attribute is in no item; a wrong type is refused; what is missing is NULL or the default."""
    columns = _counted(
        {"id": {"S": UUID}, "title": {"S": "a"}, "inside": {"M": {"note": {"S": ""}}}, "isDone": {"BOOL": True}},
        {"id": {"S": UUID}, "title": {"S": "b"}, "inside": {"M": {"note": {"NULL": True}}}},
        {"id": {"N": "5"}, "title": {"S": "c"}, "inside": {"M": {}}},
        {"id": {"S": "no uuid"}},
    )
    # present, NULL of two rows, defaulted, refused
    assert _figures(columns["id"]) == (4, 0, 0, 2)
    assert _figures(columns["title"]) == (0, 2, 0, 0)
    assert _figures(columns["note"]) == (1, 1, 0, 0)
    assert _figures(columns["is_done"]) == (1, 0, 1, 0)
    assert (columns["rest"].source, columns["rest"].present) == (ColumnSource.REST, None)
    assert columns["id"].shapes == {"S uuid": 2, "N": 1, "S text": 1}
    assert columns["note"].shapes == {"S empty": 1}


def test_of_many_kinds_the_rarest_are_one() -> None:
    """And none of the texts is in the result."""
    contents = ["word", "42", "2026-11-23", "x@y.org", "two words", "https://there.is/it", UUID]
    columns = _counted(*({"id": {"S": UUID}, "titel": {"S": content}} for content in contents for _ in range(1 + (content == "word"))))
    shapes = columns["title"].shapes
    assert next(iter(shapes)) == "S word"
    assert (shapes["S word"], shapes["other"], sum(shapes.values())) == (2, 3, 8)
    assert not any(content in str(columns) for content in contents if content != "word")


def test_a_line_that_is_no_item_is_left_out() -> None:
    """Nothing is counted of it, and of nothing there is no sample."""
    count = CountColumns(TABLE)
    count.add(b"{", None, ())
    assert count.result() is None


def test_attributes_of_which_one_is_enough() -> None:
    """The later of two is there where one of them is; both are counted by their kinds."""
    table = Table("t", "t", "id", (Column(LaterOf("a", "b"), "time", Text()),))
    count = CountColumns(table)
    count.add(b'{"Item":{"a":{"N":"1"},"b":{"S":"x"}}}', None, ())
    count.add(b'{"Item":{"b":{"N":"1"}}}', None, ())
    sample = count.result()
    assert sample
    [column] = sample.columns
    assert (column.present, column.shapes) == (2, {"N": 2, "S word": 1})
