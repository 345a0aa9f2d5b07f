"""What a fault left behind: counted, told to the table that a test run ends with, and held against the truth."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.fault_table import Faults, note_faults
from tests.postgres_server import Database
from tests.truth import assert_equals_truth, lines_of_export, read_truth, records, row_differences
from transforms.table import Table
from transforms.tables.medzen import MEETING_AUDIT

# Values as long as these are nobody's words but an item's.
_LEAST_LENGTH = 16
_KEY = ("id", "timestamp")
_SHOWN = ("eventType",)  # words of the schema


class Conclude:
    """The end of every test of faults: `conclude("kind of fault", tried, export, database, run_folder, printed)`."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._node = request.node

    def __call__(
        self,
        fault: str,
        tried: int,
        export: Path,
        database: Database,
        run_folder: Path,
        printed: str,
        tables: Iterable[Table] = (MEETING_AUDIT,),
    ) -> None:
        """Target, dead letters, notices and ledger equal the truth, and no value of an item is where none may be."""
        assert tried > 0, "the fault did not come about"
        tables = list(tables)
        found = [_count(table, export, database, run_folder) for table in tables]
        items, lost, doubled = map(sum, zip(*found, strict=True))
        leaked = _leaked_values(export, database, run_folder, printed, tables)
        self.note(fault, tried, items, lost=lost, doubled=doubled, leaked=len(leaked))
        assert_equals_truth(export, database, run_folder, tables)
        assert (lost, doubled, leaked) == (0, 0, set()), (lost, doubled, leaked)

    def note(self, fault: str, tried: int, items: int, *, lost: int = 0, doubled: int = 0, leaked: int = 0) -> None:
        """For the table, where there is no truth to hold it against: the test itself asserts what came of it."""
        note_faults(self._node, Faults(fault, tried, items, lost, doubled, leaked))


def _count(table: Table, export: Path, database: Database, run_folder: Path) -> tuple[int, int, int]:
    """Items, how many of them are neither row nor dead letter, and how many rows and dead letters there are that should not be."""
    truth = read_truth(export, table.source)
    told = Counter((record["data_file"], record["item_number"]) for record in records(run_folder / "dead_letters" / table.source))
    refused = {place for place, entry in truth.items() if entry["outcome"] == "dead_letter"}
    groups = defaultdict(list)
    for place, entry in truth.items():
        if entry["outcome"] == "conflict":
            groups[entry["group"]].append(place)
    losers = {place for places in groups.values() for place in places if place in told}
    rows = [entry["row"] for place, entry in truth.items() if place not in refused | losers]
    lacking, beyond = row_differences(table, rows, database)
    lost = len(lacking) + sum(place not in told for place in refused) + sum(losers.issuperset(places) for places in groups.values())
    return len(truth), lost, len(beyond) + told.total() - len(told) + sum(place not in refused | losers for place in told)


# -- leaks ---------------------------------------------------------------------------------------------------------------------------------


def _leaked_values(export: Path, database: Database, run_folder: Path, printed: str, tables: Iterable[Table]) -> set[str]:
    """Values that were printed, or are in the report, the notices or the ledger. An item's key may be in a notice."""
    report = run_folder / "report.json"
    notices, kept = (
        "\n".join(
            json.dumps(record, ensure_ascii=False, default=str) for table in tables for record in records(run_folder / kind / table.source)
        )
        for kind in ("notices", "dead_letters")
    )
    text = "\n".join([printed, report.read_text(encoding="utf-8"), _ledger_text(database), notices])
    items = [item for table in tables for item in _items(lines_of_export(export, table.source).values())]
    keys = {text for item in items for name in _KEY for text in _texts(item.get(name))}
    values = {text for item in items for name, value in item.items() if name not in _SHOWN for text in _texts(value)} - keys
    assert values, "there is nothing to look for"
    assert not kept or any(value in kept for value in values), "not even the dead letters have what is looked for"
    # A faulty value may be a piece of another item's key.
    return {value for value in values if value in text and not any(value in key for key in keys)}


def _items(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Those of lines that can be read."""
    for line in lines:
        try:
            item = json.loads(line)["Item"]
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if isinstance(item, dict):
            yield item


def _texts(value: Any) -> Iterator[str]:
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    if isinstance(value, str) and len(value) >= _LEAST_LENGTH:
        yield value
    for member in members:
        yield from _texts(member)


def _ledger_text(database: Database) -> str:
    tables = database.query("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'ddb2pg'")
    return "\n".join(row[0] for [table] in tables for row in database.query(f"SELECT t::text FROM {table} t"))
