"""What becomes of an item that a table does not take: another's, ignored on purpose, or nobody's. The same in both ways of converting."""

from __future__ import annotations

import json

import pytest

from pipeline.definitions.find import with_others
from transforms.compile import ReadPut, compile_table
from transforms.lines import Put, read_full_export_line
from transforms.rejects import ErrorCode, ItemFiltered, ItemRefused
from transforms.rules import Text
from transforms.table import Column, Table
from transforms.where import Check, Condition, Equals, Ignore, In


def _table(target: str, where: Condition | None) -> Table:
    return Table("shop", target, ("id",), (Column("id", "id", Text()), Column("entity", "entity", Text())), where=where)


CUSTOMERS, ORDERS = _table("customer", Equals("entity", "CUSTOMER")), _table("orders", In("entity", ("ORDER", "RETURN")))
AUDIT = Ignore("shop", Equals("entity", "AUDIT"))
CHECKED = Ignore("shop", Check(lambda item: item["entity"] == "AUDIT", ("entity",)))


def _in_python(line: bytes) -> Put:
    """Not the reader that the compiled module knows."""
    return read_full_export_line(line)


def _became(table: Table, entity: str, read: ReadPut) -> str:
    to_row = compile_table(table, migration_time=0, read=read)
    try:
        to_row(json.dumps({"Item": {"id": {"S": "1"}, "entity": {"S": entity}}}).encode())
    except ItemFiltered as left_out:
        return left_out.reason
    except ItemRefused as refused:
        return ", ".join(error.code for error in refused.errors)
    return "row"


@pytest.mark.parametrize("read", [read_full_export_line, _in_python], ids=["compiled", "in Python"])
@pytest.mark.parametrize(
    ("entries", "entity", "became"),
    [
        ([CUSTOMERS, ORDERS, AUDIT], "CUSTOMER", "row"),
        ([CUSTOMERS, ORDERS, AUDIT], "RETURN", 'entity is "CUSTOMER"'),
        ([CUSTOMERS, ORDERS, AUDIT], "AUDIT", 'ignored: entity is "AUDIT"'),
        ([CUSTOMERS, ORDERS, AUDIT], "STRAY", ErrorCode.NO_TABLE),
        ([CUSTOMERS, ORDERS], "AUDIT", ErrorCode.NO_TABLE),
        # A single table leaves out what it does not take; with an Ignore, the rest is told.
        ([CUSTOMERS], "AUDIT", 'entity is "CUSTOMER"'),
        ([CUSTOMERS, AUDIT], "AUDIT", 'ignored: entity is "AUDIT"'),
        ([CUSTOMERS, AUDIT], "STRAY", ErrorCode.NO_TABLE),
        # One without a condition takes all.
        ([CUSTOMERS, _table("all", None), AUDIT], "STRAY", 'entity is "CUSTOMER"'),
        ([CUSTOMERS, CHECKED], "STRAY", ErrorCode.NO_TABLE),
    ],
)
def test_what_the_first_table_does_not_take(entries: list[Table | Ignore], entity: str, became: str, read: ReadPut) -> None:
    assert _became(with_others(entries)[0], entity, read) == became


@pytest.mark.parametrize("read", [read_full_export_line, _in_python], ids=["compiled", "in Python"])
def test_a_later_table_leaves_an_item_of_no_table_to_the_first(read: ReadPut) -> None:
    assert _became(with_others([CUSTOMERS, ORDERS, AUDIT])[1], "STRAY", read) == 'entity is one of "ORDER", "RETURN"'


def test_each_source_has_a_first_table_of_its_own() -> None:
    """The conditions of another source's tables are none of it."""
    elsewhere = Table("elsewhere", "other", ("id",), CUSTOMERS.columns, where=Equals("entity", "X"))

    tables = with_others([elsewhere, CUSTOMERS, ORDERS, AUDIT])

    assert [table.others for table in tables] == [(), (ORDERS.where, AUDIT), ()]
