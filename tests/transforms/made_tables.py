"""From a few columns and an item to what becomes of it, both ways."""

from collections.abc import Sequence
from typing import Any

from binary_row import decode_row
from both_ways import compile_both_ways
from sound_items import MIGRATION_TIME, line_of

from transforms.rejects import ItemFiltered, ItemRefused
from transforms.table import Column, Table, Unmapped


def table_of(*columns: Column, **more: Any) -> Table:
    """A definition that a person could write."""
    return Table("source", "target", ("id",), columns, **more)


def outcome(columns: Sequence[Column], item: Any, unmapped: Unmapped = Unmapped.NOTICE, **more: Any) -> Any:
    """The row's values and its notices (code, attribute) in their order; or its errors; or the reason why it is filtered."""
    return outcome_of_line(columns, line_of(item), unmapped, **more)


def outcome_of_line(columns: Sequence[Column], line: bytes, unmapped: Unmapped = Unmapped.NOTICE, **more: Any) -> Any:
    """As `outcome`, of a line."""
    to_row = compile_both_ways(table_of(*columns, **more), migration_time=MIGRATION_TIME, unmapped=unmapped)
    try:
        encoded, notices = to_row(line)
    except ItemFiltered as filtered:
        return filtered.reason
    except ItemRefused as refused:
        return [(str(error.code), error.attribute) for error in refused.errors]
    values = decode_row(encoded, [column.pg_type.name for column in columns])
    return values, [(str(notice.code), notice.attribute) for notice in notices]
