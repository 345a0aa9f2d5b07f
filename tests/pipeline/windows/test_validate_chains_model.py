"""Any history of a table, and any damage to its target: `validate`, of a chain and with a fresh export, finds it, and nothing else."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.histories import History, histories, write_full, write_history
from tests.pipeline.target.made_loads import PLAIN, THING, uuid
from tests.pipeline.windows.test_windows_model import KEYS, VIEWS, items_of, rows
from tests.plain_windows import Migration, Report
from tests.postgres_server import Database, Server

pytestmark = pytest.mark.usefixtures("plain_visits")


@pytest.fixture(scope="module")
def database(server: Server) -> Database:
    database = server.new_database(with_targets=False)
    database.execute(PLAIN)
    return database


@settings(deadline=None, max_examples=6, suppress_health_check=list(HealthCheck))
@given(history=histories(KEYS, items_of), view=VIEWS, chance=st.integers(0, 2**32).map(Random))
def test_any_damage_is_found_and_nothing_else(database: Database, history: History, view: str, chance: Random) -> None:
    with tempfile.TemporaryDirectory() as folder:
        migration = Migration(database, Path(folder), THING)
        migration.clear("thing")
        full, windows = write_history(Path(folder) / "in", "things", history, view=view, chance=chance)
        applied = windows[: chance.randint(0, len(windows))]
        migration.run(full, *applied)
        fresh = write_full(Path(folder) / "fresh", "things", history, history.cuts[len(applied)], chance=chance)

        def both() -> list[Report]:
            return [migration.validate(fresh, as_of=True), migration.validate(full, *chance.sample(windows, len(windows)))]

        assert [(report.exit_code, report.mismatches()) for report in both()] == [(0, []), (0, [])]
        damaged = damage(database, chance)
        for report in both():
            assert report.exit_code == (3 if damaged else 0)
            assert [key_of(record) for record in report.mismatches()] == damaged


def damage(database: Database, chance: Random) -> list[str]:
    """Of some row, by the application or in a transaction of ours; the keys of what differs then."""
    there = sorted(rows(database))
    number = chance.randint(1, 7)
    key = uuid(number)
    ours = "INSERT INTO ddb2pg.writer (chain, load_id) SELECT min(load_id), max(load_id) FROM ddb2pg.load;"
    row = next((row for row in there if row[0] == key), None)
    changes = [
        ("DELETE FROM thing WHERE id = '{}'", row is not None),
        ("UPDATE thing SET name = 'c' WHERE id = '{}'", row is not None),
        ("UPDATE thing SET kind = coalesce(kind, '') || 'c' WHERE id = '{}'", row is not None),
        ("INSERT INTO thing (id, name) VALUES ('{}', 'a') ON CONFLICT DO NOTHING", row is None),
    ]
    statement, does_something = chance.choice(changes)
    database.execute(f"BEGIN; {chance.choice(['', ours])} {statement.format(key)}; COMMIT")
    return [key] if does_something else []


def key_of(record: dict[str, Any]) -> str:
    return str(record["key"]["id"]["S"] if record["key"] else record["primary_key"]["id"])
