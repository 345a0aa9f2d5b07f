"""Chains of sample exports against their truth, written without our conversion: rows, fates and outdated rows after each window."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.definitions.describe import describe
from pipeline.definitions.find import find_tables
from sample_export import ChainSettings, SampleChain, rows_after, write_any_chains, write_sample_chains
from tests.command_line import CommandLine
from tests.faults.jobs import chunks, wait_until
from tests.plain_windows import Migration, Report, use_plain_visits
from tests.postgres_server import Database
from tests.processes import kill_group
from tests.sample_export.orders_with_children import DEFINITION, TARGETS
from tests.truth import migration_time_of, row_differences
from transforms.table import Table
from transforms.tables.medzen import TABLES

EXAMPLES = Path(__file__).parents[3] / "examples"
VIEWS = ["NEW_IMAGE", "NEW_AND_OLD_IMAGES"]
EFFECTS = {"dead_letter": "dead_letters", "nothing": "nothing"}


def settings(view: str, **changed: Any) -> ChainSettings:
    usual = {"windows": 4, "items": 200, "changes": 120, "faulty": 0.05, "odd": 0.1, "seed": 5, "items_per_file": 60}
    return ChainSettings(**{**usual, **changed, "view": view})


def told_effects(root: Path, name: str, window: int) -> Counter[str]:
    """What the records of a window do, by the truth."""
    with (root / "truth" / f"window-{window:02d}" / f"{name}.jsonl").open("rb") as lines:
        return Counter(EFFECTS.get(effect, effect) for effect in (orjson.loads(line)["effect"] for line in lines))


def assert_window(root: Path, name: str, table: Table, window: int, report: Report, database: Database) -> None:
    """All of one table after a window, 0 for the full export."""
    standing = rows_after(root, name, window)
    assert row_differences(table, [one.row for one in standing.values()], database) == ([], [])
    for child in table.child_tables:
        rows = [row for one in standing.values() for row in one.children[child.target]]
        assert row_differences(child, rows, database, migration_time_of(table, database)) == ([], [])
    if window:
        [told] = [one for one in report.tables if one["target_table"] == f"public.{table.target}" and one["counted"] == "record"]
        parts = Counter({part["name"]: part["count"] for part in told["parts"] if part["count"]})
        parts["nothing"] = parts.pop("absent", 0) + parts.pop("filtered", 0)
        assert +parts == told_effects(root, name, window)
        assert told["outdated"] == sum(one.is_outdated for one in standing.values())


def assert_chains(migration: Migration, chains: Sequence[SampleChain], names: Sequence[tuple[str, Table]], root: Path) -> None:
    """Window after window."""
    for number in range(5):
        folders = [chain.full.folder if number == 0 else chain.windows[number - 1] for chain in chains]
        report = migration.run(*folders)
        assert report.exit_code in (0, 3)
        for name, table in names:
            assert_window(root, name, table, number, report, migration.database)
    assert_fresh(migration, chains, names, root)


def assert_fresh(migration: Migration, chains: Sequence[SampleChain], names: Sequence[tuple[str, Table]], root: Path) -> None:
    """Fresh full exports of the end find nothing but the rows that are outdated by the truth."""
    report = migration.validate(*(chain.fresh.folder for chain in chains if chain.fresh), as_of=True)
    for name, table in names:
        [told] = [one for one in report.tables if one["target_table"] == f"public.{table.target}"]
        standing = rows_after(root, name, 4).values()
        outdated = sum(one.is_outdated for one in standing)
        with (root.parent / f"{root.name}-fresh" / "truth" / f"{name}.jsonl").open("rb") as lines:
            outcomes = Counter(orjson.loads(line)["outcome"] for line in lines)
        parts = Counter({part["name"]: part["count"] for part in told["parts"]})
        expected = {"equal": outcomes["row"], "outdated": outdated, "dead_letters": outcomes["dead_letter"] - outdated}
        assert +parts == +Counter({**expected, "filtered": outcomes.total() - outcomes["row"] - outcomes["dead_letter"]})
        assert told["outdated"] == outdated
        assert set(told["mismatches"]) <= {"outdated"}
    # The same by all exports of the chains.
    report = migration.validate(*(folder for chain in chains for folder in (chain.full.folder, *chain.windows)))
    for name, table in names:
        [told] = [one for one in report.tables if one["target_table"] == f"public.{table.target}"]
        standing = rows_after(root, name, 4).values()
        outdated = sum(one.is_outdated for one in standing)
        parts = Counter({part["name"]: part["count"] for part in told["parts"]})
        assert (parts["equal"], parts["outdated"], parts["different"]) == (len(standing) - outdated, outdated, 0)
        assert set(told["mismatches"]) <= {"outdated"}


@pytest.mark.parametrize("view", VIEWS)
def test_the_three_tables_after_each_window(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, view: str) -> None:
    """The audit log's rows are found by old images alone."""
    use_plain_visits(monkeypatch)
    tables = [table for table in TABLES if view != "NEW_IMAGE" or table.target != "video_call_audit_log"]
    root, fresh = tmp_path / "in", tmp_path / "in-fresh"
    chains = write_sample_chains(root, settings(view), [table.source for table in tables], fresh)
    assert_chains(Migration(database, tmp_path, *tables), chains, [(table.source, table) for table in tables], root)


def test_three_tables_of_one_source_after_each_window(bare: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With conditions: an item that belongs to a table no longer leaves it."""
    use_plain_visits(monkeypatch)
    bare.execute((EXAMPLES / "orders.sql").read_text())
    tables = find_tables(str(EXAMPLES / "orders.py"))
    root, fresh = tmp_path / "in", tmp_path / "in-fresh"
    chains = write_any_chains(root, **describe(tables), settings=settings("NEW_AND_OLD_IMAGES"), fresh=fresh)
    assert_chains(Migration(bare, tmp_path, *tables), chains, [(f"App--{table.target}", table) for table in tables], root)


def test_child_rows_after_each_window(bare: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a changed item are replaced, those of one that turned bad stay beside its outdated row."""
    use_plain_visits(monkeypatch)
    bare.execute(TARGETS)
    (tmp_path / "orders.py").write_text(DEFINITION)
    [table] = find_tables(str(tmp_path / "orders.py"))
    # The last child's table has no key that is never NULL. Without a column of lines an item's row can stay while its child rows change.
    columns = [column for column in table.columns if not str(column.source).startswith("lines")]
    tables = [replace(table, columns=tuple(columns), children=table.children[:-1])]
    root, fresh = tmp_path / "in", tmp_path / "in-fresh"
    chains = write_any_chains(root, **describe(tables), settings=settings("NEW_AND_OLD_IMAGES", items=60, changes=45), fresh=fresh)
    assert_chains(Migration(bare, tmp_path, *tables, chunk_items=30, split_items=60), chains, [("Orders", tables[0])], root)
    assert any(one.is_outdated and any(one.children.values()) for one in rows_after(root, "Orders", 4).values())


def test_a_childs_table_without_a_key_takes_no_windows(bare: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_plain_visits(monkeypatch)
    bare.execute(TARGETS)
    (tmp_path / "orders.py").write_text(DEFINITION)
    tables = find_tables(str(tmp_path / "orders.py"))
    [chain] = write_any_chains(tmp_path / "in", **describe(tables), settings=settings("NEW_AND_OLD_IMAGES", items=10, changes=5, windows=1))
    migration = Migration(bare, tmp_path, *tables)
    assert migration.run(chain.full.folder).exit_code in (0, 3)

    [problem] = migration.problems(chain.windows[0])

    assert "order_extra" in problem
    assert "has no primary key or unique index of columns that the definition fills" in problem


def test_commands_that_are_killed_and_run_at_once(database: Database, tmp_path: Path) -> None:
    """Real jobs, of two workers each, of which one dies at any time; a last run ends at the truth."""
    chance = random.Random(7)
    write_sample_chains(tmp_path / "in", settings("NEW_AND_OLD_IMAGES", windows=2))
    run = CommandLine(database.url, tmp_path)
    options = ("--chunk_items=10", "--direct_num_workers=2")
    for more in (chance.randint(0, 30), chance.randint(0, 30), chance.randint(30, 60)):
        until = chunks(database) + more
        both = [run.start_migrate(tmp_path / "in", *options) for _ in range(2)]
        wait_until(lambda until=until, both=both: chunks(database) > until or all(one.poll() is not None for one in both))
        kill_group(both[0])
        if chance.random() < 0.5:
            wait_until(lambda until=until, both=both: chunks(database) > until + 10 or both[1].poll() is not None)
            kill_group(both[1])
        both[1].communicate()
    finished = run.migrate(tmp_path / "in", *options)
    assert finished.exit_code == 3, finished.output
    for table in TABLES:
        standing = rows_after(tmp_path / "in", table.source, 2)
        assert row_differences(table, [one.row for one in standing.values()], database) == ([], [])
        outdated = database.value(
            "SELECT count(*) FROM ddb2pg.outdated o JOIN ddb2pg.load l USING (load_id) WHERE superseded_by IS NULL AND source_table = %s",
            table.source,
        )
        assert outdated == sum(one.is_outdated for one in standing.values())
