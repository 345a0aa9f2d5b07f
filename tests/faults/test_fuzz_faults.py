"""Fuzzed lines through the whole job: it never stops, each line is a row or a dead letter, and the rows are those of the slow reference."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sample_export import write_sample_exports
from tests.faults.conclusion import Conclude
from tests.faults.jobs import Job
from tests.fuzzed_lines import mutated_line
from tests.handmade_export import write_export
from tests.postgres_server import Database
from tests.transforms.reference_conversion import reference_row
from tests.truth import lines_of_export, records, row_differences
from transforms.table import Table
from transforms.tables.medzen import TABLES

MIGRATION_TIME = -1  # no item has it
JSONB = {"subjective", "objective", "assessment", "plan", "event_data"}


def _fuzz(source: str, root: Path, items: int, folder: Path) -> None:
    """An export of lines that were made of the items of a sample export."""
    chance = random.Random(f"{source} {items}")
    write_sample_exports(root, items=items, faulty=0, odd=0.1, seed=5, tables=[source], items_per_file=items)
    sound = [json.loads(line)["Item"] for line in lines_of_export(root, source).values() if line]
    lines = [mutated_line(chance, item).replace(b"\n", b" ") for item in sound]
    write_export(folder, source, [[line for line in lines[part::2] if line.strip()] for part in range(2)])


@pytest.mark.parametrize("items", [1_000, pytest.param(30_000, marks=pytest.mark.soak)])
def test_a_fuzzed_line_is_the_reference_s_row_or_a_dead_letter(
    tmp_path: Path, database: Database, job: Job, conclude: Conclude, items: int
) -> None:
    for table in TABLES:
        _fuzz(table.source, tmp_path / table.source, items, tmp_path / "export")

    exit_code = job.migrate(database.url, tmp_path / "export", "--max_dead_letters=100%")

    assert exit_code == 3, job.stderr
    for table in TABLES:
        _check(table, tmp_path / "export", database, job, conclude)


def _check(table: Table, export: Path, database: Database, job: Job, conclude: Conclude) -> None:
    lines = {place: line for place, line in lines_of_export(export, table.source).items() if line}
    expected = {place: reference_row(table.source, line, MIGRATION_TIME) for place, line in lines.items()}
    told = {(one["data_file"], one["item_number"]): one for one in records(job.last_run / "dead_letters" / table.source)}
    keys = Counter(row["id"] for row in expected.values() if row)
    for place, row in expected.items():
        assert row or place in told, lines[place]
        if row and place in told:
            assert keys[row["id"]] > 1, lines[place]
            assert [error["code"] for error in told[place]["errors"]] == ["primary_key_conflict"]
    rows = [_as_in_truth(row) for place, row in expected.items() if row and place not in told]
    lacking, beyond = row_differences(table, rows, database)
    conclude.note("fuzzed line", len(lines), len(lines), lost=len(lacking), doubled=len(beyond))
    assert (lacking[:3], beyond[:3]) == ([], [])
    assert min(len(rows), len(told)) > len(lines) / 20


def _as_in_truth(row: dict[str, Any]) -> dict[str, Any]:
    """As the truth of sample exports tells values."""
    return {name: _value(name, value) for name, value in row.items()}


def _value(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in JSONB:
        return {"jsonb": _json_text(value)}
    if value == MIGRATION_TIME:
        return "migration_time"
    if type(value) is int:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value)).isoformat()
    return value if isinstance(value, bool) else str(value)


def _json_text(value: Any) -> str:
    """With every digit of a `Decimal`."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{_json_text(member)}" for name, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_json_text, value)) + "]"
    return json.dumps(value)
