"""A definition compiled both ways, each the other's oracle: with the compiled module, and in Python alone."""

from typing import Any

import pytest

from transforms.children import ToRows, compile_rows
from transforms.compile import ToRow, compile_table
from transforms.native import plan as native
from transforms.rejects import ItemFiltered, ItemRefused
from transforms.table import Table


def compile_in_python(table: Table, **settings: Any) -> ToRow:
    """What `compile_table` makes where the compiled module was not built."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "IS_BUILT", False)
        return compile_table(table, **settings)


def compile_both_ways(table: Table, **settings: Any) -> ToRow:
    """`compile_table`, whose function asserts of each line that both ways make the same of it."""
    return _both(compile_table(table, **settings), compile_in_python(table, **settings))


def compile_rows_both_ways(table: Table, **settings: Any) -> ToRow | ToRows:
    """The same of `compile_rows`."""
    quick = compile_rows(table, **settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "IS_BUILT", False)
        return _both(quick, compile_rows(table, **settings))


def _both(quick: ToRow | ToRows, slow: ToRow | ToRows) -> Any:
    def to_row(line: bytes) -> Any:
        expected = _outcome(slow, line)
        found = _outcome(quick, line)
        assert _comparable(found) == _comparable(expected), line
        if isinstance(found, ItemRefused | ItemFiltered):
            raise found
        return found

    return to_row


def _outcome(to_row: ToRow | ToRows, line: bytes) -> Any:
    try:
        return to_row(line)
    except (ItemRefused, ItemFiltered) as refused:
        return refused


def _comparable(outcome: Any) -> Any:
    if isinstance(outcome, ItemFiltered):
        return outcome.reason
    return (outcome.stage, outcome.errors) if isinstance(outcome, ItemRefused) else (outcome[0], list(outcome[1]), *map(list, outcome[2:]))
