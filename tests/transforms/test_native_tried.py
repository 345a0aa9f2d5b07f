"""Many lines at once, whose rows are not wanted: counted as each alone would be, by the way in Python."""

import hashlib
import random
from collections import Counter
from pathlib import Path

import pytest
from both_ways import compile_in_python
from sound_items import SOUND, line_of

from pipeline.definitions.find import find_tables
from tests.fuzzed_lines import mutated_line
from transforms.compile import compile_whole_table
from transforms.native.sound_rows import SoundRows
from transforms.rejects import ItemFiltered, ItemRefused
from transforms.rules import Text
from transforms.table import Column, Missing, Table, Unmapped
from transforms.tables.medzen import TABLES
from transforms.types import split_row
from transforms.where import Check, Equals, Ignore

_ORDERS = find_tables(str(Path(__file__).parents[2] / "examples" / "orders.py"))
_KEYS = ("CUSTOMER#1", "CUSTOMER#2", "ORDER#7", "CUSTOMER", "#", "")


def _lines(table: Table, count: int = 400) -> list[bytes]:
    """Sound ones, some of them twice, and others that somebody has changed."""
    chance = random.Random(table.target)
    if table.source in SOUND:
        items = [SOUND[table.source]]
    else:
        items = [
            {
                "PK": {"S": chance.choice(_KEYS)},
                "SK": {"S": chance.choice(("PROFILE", *_KEYS))},
                "name": {"S": "A"},
                "deleted": {"BOOL": False},
            }
            for _ in range(count)
        ]
    sound = [line_of(chance.choice(items)) for _ in range(count)]
    return sound + [mutated_line(chance, chance.choice(items)) for _ in range(count)]


def _alone(table: Table, lines: list[bytes], key_fields: int) -> tuple[Counter[str], list[bytes]]:
    """What becomes of each, and the digests of the keys of rows."""
    to_row = compile_in_python(table, migration_time=0)
    fates, digests = Counter[str](), list[bytes]()
    for line in lines:
        try:
            encoded, _ = to_row(line)
        except ItemFiltered:
            fates["filtered"] += 1
        except ItemRefused:
            fates["refused"] += 1
        else:
            fates["rows"] += 1
            if key_fields:
                key = b"".join(list(split_row(encoded))[:key_fields])
                digests.append(hashlib.sha1(key, usedforsecurity=False).digest()[:8])
    return fates, digests


@pytest.mark.parametrize("table", [*TABLES, *_ORDERS], ids=lambda table: table.target)
@pytest.mark.parametrize("key_fields", [0, 1, 2])
def test_they_are_counted_as_each_alone(table: Table, key_fields: int) -> None:
    lines = _lines(table)
    tried = compile_whole_table(table, migration_time=0).try_lines(lines, key_fields)
    fates, digests = _alone(table, lines, key_fields)
    of_left, digests_of_left = _alone(table, tried.left, key_fields)
    assert (tried.rows + of_left["rows"], tried.filtered + of_left["filtered"], of_left["refused"]) == (
        fates["rows"],
        fates["filtered"],
        fates["refused"],
    )
    found = [tried.key_digests[at : at + 8] for at in range(0, len(tried.key_digests), 8)]
    assert sorted(found + digests_of_left) == sorted(digests)
    assert len(tried.left) < len(lines)


def test_some_are_rows_some_are_not_for_the_table_and_some_are_left() -> None:
    """Else the test above would compare nothing."""
    tried = compile_whole_table(_ORDERS[0], migration_time=0).try_lines(_lines(_ORDERS[0]), 1)
    assert tried.filtered
    assert tried.left
    assert all(compile_whole_table(table, migration_time=0).try_lines(_lines(table), 1).rows for table in TABLES)


_KEY = Column("id", "id", Text(), Missing.REFUSED)


@pytest.mark.parametrize(
    "table",
    [
        Table("source", "target", ("id",), (_KEY,), where=Check(lambda _: True, reads=("id",))),
        Table("source", "target", ("id",), (_KEY,), where=Equals("id", "a"), others=(Ignore("source", Equals("id", "b")),)),
    ],
    ids=["a condition in Python", "what no definition takes is refused"],
)
def test_where_python_must_look_first_all_are_left(table: Table) -> None:
    lines = [line_of({"id": {"S": text}}) for text in "abc"]
    assert compile_whole_table(table, migration_time=0).try_lines(lines, 1) == (0, 0, b"", lines)


def test_what_no_column_takes_is_refused_by_python() -> None:
    table = Table("source", "target", ("id",), (_KEY,))
    lines = [line_of({"id": {"S": "a"}, "more": {"S": "x"}})]
    assert compile_whole_table(table, migration_time=0).try_lines(lines, 0).rows == 1
    assert compile_whole_table(table, migration_time=0, unmapped=Unmapped.REJECT).try_lines(lines, 0).left == lines


@pytest.mark.parametrize("arguments", [([], -1), ([], 2), ((), 0), ([], None), ([1], 0), ([],)])
def test_anything_else_is_refused(arguments: tuple[object, ...]) -> None:
    rows = SoundRows(1, ((0, "id", -1, True, False),), ())
    with pytest.raises((TypeError, ValueError)):
        rows.try_lines(*arguments)  # type: ignore[arg-type]
