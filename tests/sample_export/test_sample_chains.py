"""`sample-export --windows`: chains of exports, whose truth after each window is what the changes lead to."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extras import execute_batch

from pipeline.definitions.describe import describe
from pipeline.definitions.find import find_tables
from pipeline.places.storage import LOCAL_AND_AWS
from pipeline.source.data_file import check_file, read_lines
from pipeline.source.given import ExportArgument, read_given_exports
from pipeline.source.manifest import Export, read_export
from sample_export import SOURCE_TABLES, ChainSettings, SampleChain, rows_after, write_any_chains, write_sample_chains
from tests.command_line import CommandLine
from tests.postgres_server import Database
from tests.truth import row_differences
from transforms.changes import compile_changes
from transforms.children import compile_rows
from transforms.lines import View
from transforms.rejects import ItemFiltered, ItemRefused
from transforms.table import Table
from transforms.tables.medzen import TABLES
from transforms.types import row_to_texts

EXAMPLES = Path(__file__).parents[2] / "examples"
MIGRATION_TIME = 1_764_000_123_456_789
AT = "2025-11-24T16:02:03.456789Z"
VIEWS = [view.value for view in View]


def settings(view: str = "NEW_AND_OLD_IMAGES", **changed: Any) -> ChainSettings:
    usual = {"windows": 4, "items": 400, "changes": 150, "faulty": 0.05, "odd": 0.1, "seed": 3, "items_per_file": 130}
    return ChainSettings(**{**usual, **changed, "view": view})


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[SampleChain]]:
    """Where the chains of the three tables are, with both images; not to be changed."""
    root = tmp_path_factory.mktemp("chains")
    return root, write_sample_chains(root, settings())


def places_of(export: Export) -> list[tuple[str, int, bytes]]:
    return [
        (file.name, number, line)
        for file in export.data_files
        for number, line in enumerate(read_lines(file.uri, LOCAL_AND_AWS))
        if number < file.items
    ]


class Replay:
    """The rows of one table, by their keys, as the lines of a chain make them; the plainest way to apply changes."""

    def __init__(self, table: Table, key: tuple[str, ...], view: View) -> None:
        self.table = table
        self._to_row: Any = compile_rows(table, migration_time=MIGRATION_TIME)
        self._key = key
        self._changes = compile_changes(table, key=key, view=view, migration_time=MIGRATION_TIME)
        self.rows: dict[tuple[str | None, ...], bytes] = {}
        self.outdated: set[tuple[str | None, ...]] = set()

    def load(self, export: Export) -> dict[tuple[str, int], Any]:
        done = {}
        for name, number, line in places_of(export):
            try:
                row = self._to_row(line)[0]
            except ItemFiltered:
                done[name, number] = "filtered"
            except ItemRefused as refused:
                done[name, number] = errors_of(refused)
            else:
                self.rows[self._key_of(row)] = row
                done[name, number] = "row"
        return done

    def apply(self, export: Export) -> dict[tuple[str, int], Any]:
        return {(name, number): self._apply(line) for name, number, line in places_of(export)}

    def _apply(self, line: bytes) -> Any:
        try:
            change = self._changes.to_change(line)
        except ItemRefused as refused:
            encoded = self._changes.key_of(line)
            key = None if encoded is None else self._text(encoded)
            is_outdated = key in self.rows
            if is_outdated and key is not None:
                self.outdated.add(key)
            return errors_of(refused), is_outdated
        gone = [self._text(encoded) for encoded in change.deleted_keys]
        there = [key for key in gone if self.rows.pop(key, None) is not None]
        self.outdated -= set(gone)
        if change.row is None:
            return "deleted" if there else "nothing"
        key = self._key_of(change.row)
        assert change.key is not None
        assert self._text(change.key) == key
        before = self.rows.get(key)
        self.rows[key] = change.row
        self.outdated.discard(key)
        return "updated" if there else "inserted" if before is None else "unchanged" if before == change.row else "updated"

    def _text(self, encoded: bytes) -> tuple[str | None, ...]:
        return tuple(row_to_texts(encoded, [column.pg_type for column in self.table.only(self._key).columns]))

    def _key_of(self, row: bytes) -> tuple[str | None, ...]:
        texts = dict(zip(self.table.column_names, row_to_texts(row, [column.pg_type for column in self.table.columns]), strict=True))
        return tuple(texts[name] for name in self._key)

    def write(self, database: Database) -> None:
        columns = ", ".join(self.table.column_names)
        places = ", ".join(["%s"] * len(self.table.column_names))
        types = [column.pg_type for column in self.table.columns]
        connection = database.connect()
        with connection, connection.cursor() as cursor:
            cursor.execute(f"SET TimeZone = 'UTC'; TRUNCATE {self.table.target} CASCADE")
            rows = [row_to_texts(row, types) for row in self.rows.values()]
            execute_batch(cursor, f"INSERT INTO {self.table.target} ({columns}) VALUES ({places})", rows, page_size=1_000)
        connection.close()


def errors_of(refused: ItemRefused) -> Any:
    return sorted((error.code.value, error.attribute or "") for error in refused.errors)


def truth_of(root: Path, name: str, window: int | None = None) -> dict[tuple[str, int], dict[str, Any]]:
    folder = root / "truth" / (f"window-{window:02d}" if window else "")
    entries = map(json.loads, (folder / f"{name}.jsonl").read_bytes().splitlines())
    return {(entry["data_file"], entry["item_number"]): entry for entry in entries}


def expected_of(entry: dict[str, Any]) -> Any:
    if entry["outcome"] == "dead_letter":
        return sorted((error["code"], error["attribute"] or "") for error in entry["errors"]), entry["outdated"]
    return entry["effect"]


def assert_chain(
    root: Path, name: str, table: Table, key: tuple[str, ...], chain: SampleChain, view: View, database: Database
) -> Counter[str]:
    """What each line does, and all rows after each window; returns how often each effect was."""
    replay = Replay(table, key, view)
    truth = truth_of(root, name)
    assert replay.load(read_export(str(chain.full.folder))) == {
        place: "row"
        if entry["outcome"] == "row"
        else "filtered"
        if entry["outcome"] == "filtered"
        else expected_of({**entry, "outdated": 0})[0]
        for place, entry in truth.items()
    }
    effects: Counter[str] = Counter()
    for number, folder in enumerate((chain.full.folder, *chain.windows)):
        if number:
            told = truth_of(root, name, number)
            assert replay.apply(read_export(str(folder))) == {place: expected_of(entry) for place, entry in told.items()}
            effects.update(entry["effect"] for entry in told.values())
        standing = rows_after(root, name, number)
        replay.write(database)
        assert row_differences(table, [each.row for each in standing.values()], database, AT) == ([], [])
        assert len(replay.outdated) == sum(each.is_outdated for each in standing.values())
    return effects


@pytest.mark.parametrize("view", VIEWS)
def test_the_changes_of_the_three_tables_lead_to_the_truth(
    tmp_path: Path, written: tuple[Path, list[SampleChain]], database: Database, view: str
) -> None:
    """In both views; the changes of the audit log can be told by old images alone."""
    root, chains = written if view == "NEW_AND_OLD_IMAGES" else (tmp_path, write_sample_chains(tmp_path, settings(view)))
    for table, chain in zip(TABLES, chains, strict=True):
        if table.source == "medzen-meeting-audit" and view == "NEW_IMAGE":
            continue
        effects = assert_chain(root, table.source, table, ("id",), chain, View(view), database)
        assert effects.keys() == {"inserted", "updated", "unchanged", "deleted", "nothing", "dead_letter"}
        assert any(each.is_outdated for each in rows_after(root, table.source, 4).values())


ONE_FOR_EACH = """
from ddb2pg import *
TABLES = [Table("Things", "thing", ("pk", "sk"), (
    Column("sk", "sk", BigInt(), Missing.REFUSED),
    Column(Part("pk", "T#{tenant}#{id}", "tenant"), "tenant", Text(), Missing.REFUSED),
    Column(Part("pk", "T#{tenant}#{id}", "id"), "id", Uuid(), Missing.REFUSED),
    Column("n", "n", Integer(), Missing.REFUSED),
    Column("doc", "doc", Jsonb()),
    Column(REST, "rest", Jsonb(), EMPTY_OBJECT),
), where=AllOf(Equals("kind", "thing"), Not(Exists("deletedAt"))))]
"""


@pytest.mark.parametrize("view", VIEWS)
def test_the_changes_of_definitions_of_others_lead_to_the_truth(tmp_path: Path, database: Database, view: str) -> None:
    """With conditions: items that begin to belong to a table, and cease to."""
    (tmp_path / "things.py").write_text(ONE_FOR_EACH)
    database.execute(
        "CREATE TABLE thing (sk bigint, tenant text, id uuid, n integer NOT NULL, doc jsonb, rest jsonb, PRIMARY KEY (tenant, id, sk))"
    )
    [table] = find_tables(str(tmp_path / "things.py"))
    [chain] = write_any_chains(tmp_path, **describe([table]), settings=settings(view))
    assert assert_chain(tmp_path, "Things", table, ("tenant", "id", "sk"), chain, View(view), database)["deleted"] > 60
    kinds = Counter(entry["planted"] for number in (1, 4) for entry in truth_of(tmp_path, "Things", number).values())
    assert min(kinds[kind] for kind in ("leave", "enter", "insert_elsewhere", "delete_elsewhere", "turn_bad", "reinsert")) > 1, kinds


@pytest.mark.parametrize("view", VIEWS)
def test_the_changes_of_the_example_of_orders_lead_to_the_truth(tmp_path: Path, database: Database, view: str) -> None:
    """Three tables of one source: what is an order is no customer, although the customer's key is in its own."""
    database.execute((EXAMPLES / "orders.sql").read_text())
    tables = find_tables(str(EXAMPLES / "orders.py"))
    [chain] = write_any_chains(tmp_path, **describe(tables), settings=settings(view))
    for table, key in zip(tables, [("customer_id",), ("customer_id", "ordered_on", "number"), ("id",)], strict=True):
        if table.target == "payment" and view == "NEW_IMAGE":
            continue
        effects = assert_chain(tmp_path, f"App--{table.target}", table, key, chain, View(view), database)
        assert effects.keys() == {"inserted", "updated", "unchanged", "deleted", "nothing", "dead_letter"}


# -- as AWS writes them --------------------------------------------------------------------------------------------------------------------


def test_a_chain_lies_as_aws_lays_it(written: tuple[Path, list[SampleChain]]) -> None:
    """Contiguous windows of one table id, in whole seconds, from the time of the full export on; data files shared, some empty."""
    root, chains = written
    for chain in chains:
        full, *windows = (read_export(str(folder)) for folder in (chain.full.folder, *chain.windows))
        assert full.export_time is not None
        end = datetime.fromisoformat(full.export_time)
        assert end.microsecond == 0
        for export in windows:
            assert export.window is not None
            assert export.window.from_time == end
            end = export.window.to_time
            assert 900 <= (end - export.window.from_time).total_seconds() <= 86_400
            assert (export.table_id, export.table_arn, export.are_manifests_verified) == (full.table_id, full.table_arn, True)
            assert any(file.items == 0 for file in export.data_files)
            assert {Path(file.uri).parent for file in export.data_files} == {chain.full.folder.parent / "data"}
            for file in export.data_files:
                check_file(file, (0,), LOCAL_AND_AWS)
            begin, last = (int(time.timestamp()) * 10**6 for time in (export.window.from_time, export.window.to_time))
            records = [json.loads(line) for *_, line in places_of(export)]
            micros = [int(record["Metadata"]["WriteTimestampMicros"]["N"]) for record in records]
            assert all(begin <= each < last for each in micros)
            assert not records or (min(micros), max(micros)) == (begin, last - 1)
            assert len({json.dumps(record["Keys"]) for record in records}) == len(records)
        assert [export.items == 0 for export in windows] == [False, True, False, False]
        assert all("NewImage" not in json.loads(line) for *_, line in places_of(windows[2]))
        given = read_given_exports([ExportArgument(None, str(root / full.source_table))], LOCAL_AND_AWS)
        assert (len(given.sound), len(given.windows), given.problems) == (1, 4, [])


def test_old_images_are_the_items_before_the_window(written: tuple[Path, list[SampleChain]]) -> None:
    """Byte by byte what the full export, or the window before, had last."""
    for chain in written[1]:
        lines = [json.loads(line)["Item"] for *_, line in places_of(read_export(str(chain.full.folder)))]
        names = key_of(chain)
        now = {json.dumps([item[name] for name in names]): item for item in lines}
        for folder in chain.windows:
            for *_, line in places_of(read_export(str(folder))):
                record = json.loads(line)
                key = json.dumps([record["Keys"][name] for name in names])
                assert record.get("OldImage") == now.pop(key, None)
                assert "OldImage" in record or "NewImage" in record
                if "NewImage" in record:
                    now[key] = record["NewImage"]


def test_a_fresh_export_is_what_the_windows_lead_to(tmp_path: Path) -> None:
    """Of the end of the last one, and of the same table."""
    for chain in write_sample_chains(tmp_path / "in", settings(), fresh=tmp_path / "fresh"):
        assert chain.fresh is not None
        full, *windows, fresh = (read_export(str(folder)) for folder in (chain.full.folder, *chain.windows, chain.fresh.folder))
        now = {}
        for *_, line in places_of(full):
            item = json.loads(line)["Item"]
            now[json.dumps([item[name] for name in key_of(chain)])] = item
        for window in windows:
            for *_, line in places_of(window):
                record = json.loads(line)
                now[json.dumps([record["Keys"][name] for name in key_of(chain)])] = record.get("NewImage")
        items = [json.loads(line)["Item"] for *_, line in places_of(fresh)]
        assert sorted(map(json.dumps, items)) == sorted(json.dumps(item) for item in now.values() if item)
        assert windows[-1].window is not None
        assert (fresh.table_id, fresh.export_time) == (full.table_id, f"{windows[-1].window.to_time:%Y-%m-%dT%H:%M:%S}.000Z")
        assert fresh.export_id not in {full.export_id, *(window.export_id for window in windows)}


def key_of(chain: SampleChain) -> tuple[str, ...]:
    return ("id", "timestamp") if chain.full.source_table == "medzen-meeting-audit" else ("id",)


def test_both_views_are_of_one_history(tmp_path: Path) -> None:
    """The lines of one are those of the other without old images."""
    chains = [write_sample_chains(tmp_path / view, settings(view), SOURCE_TABLES[:1])[0] for view in ("NEW_AND_OLD_IMAGES", "NEW_IMAGE")]
    for both, new in zip(*(chain.windows for chain in chains), strict=True):
        found = [[json.loads(line) for *_, line in places_of(read_export(str(folder)))] for folder in (both, new)]
        assert [{name: member for name, member in record.items() if name != "OldImage"} for record in found[0]] == found[1]
        assert both.name != new.name


def test_unique_values_move_between_items(tmp_path: Path) -> None:
    """From one that gets another, and from both to both, so that an order of writing matters; none comes twice at a window's end."""
    [chain] = write_sample_chains(tmp_path, settings(items=300, changes=120), SOURCE_TABLES[:1])
    planted = Counter(entry["planted"] for number in (1, 4) for entry in truth_of(tmp_path, SOURCE_TABLES[0], number).values())
    assert min(planted["swap"], planted["move"]) > 2
    moved = 0
    for folder in chain.windows:
        images = [json.loads(line) for *_, line in places_of(read_export(str(folder)))]
        before = {image["OldImage"]["meetingId"].get("S") for image in images if "meetingId" in image.get("OldImage", {})}
        for image in images:
            value = image.get("NewImage", {}).get("meetingId", {}).get("S")
            moved += value in before and value != image.get("OldImage", {}).get("meetingId", {}).get("S") and value is not None
    assert moved > 4


def test_the_same_arguments_write_the_same(tmp_path: Path) -> None:
    contents = []
    for name in ("one", "two"):
        write_sample_chains(tmp_path / name, settings(items=100, changes=40))
        contents.append(
            {str(path.relative_to(tmp_path / name)): path.read_bytes() for path in (tmp_path / name).rglob("*") if path.is_file()}
        )
    assert contents[0] == contents[1]


def test_without_faults_no_change_is_a_dead_letter(tmp_path: Path) -> None:
    """So that a chain to rehearse with can be ready for the switch."""
    orders = describe(find_tables(str(EXAMPLES / "orders.py")))
    write_sample_chains(tmp_path / "medzen", settings(items=100, changes=60, faulty=0))
    write_any_chains(tmp_path / "orders", **orders, settings=settings(items=100, changes=60, faulty=0))
    for name in ("medzen", "orders"):
        files = (tmp_path / name / "truth").rglob("*.jsonl")
        told = [json.loads(line) for path in files for line in path.read_bytes().splitlines()]
        assert len(told) > 200
        assert [one for one in told if one["outcome"] == "dead_letter" or one.get("outdated")] == []


def test_the_command_writes_chains(tmp_path: Path, run: CommandLine) -> None:
    """Of the three tables, and of a definition; and refuses what it cannot write."""
    made = run("sample-export", tmp_path / "a", "--windows=3", "--items=200")
    assert made.exit_code == 0, made.output
    assert re.search(r"medzen-soap-notes: 200 items, then \d+ changes in 3 windows, .*/medzen-soap-notes/AWSDynamoDB", made.stdout)
    assert sorted(path.name for path in (tmp_path / "a" / "truth").iterdir()) == [
        *(f"{table}.jsonl" for table in sorted(SOURCE_TABLES)),
        *("window-01", "window-02", "window-03"),
    ]
    made = run("sample-export", tmp_path / "b", "--windows=1", "--items=50", "--view=NEW_IMAGE", "--tables", EXAMPLES / "orders.toml")
    assert made.exit_code == 0, made.output
    [summary] = [
        json.loads(path.read_bytes()) for path in (tmp_path / "b").rglob("manifest-summary.json") if b"INCREMENTAL" in path.read_bytes()
    ]
    assert summary["outputView"] == "NEW_IMAGE"
    for arguments, words in (
        (("--windows=3",), "There is something in"),
        (("--windows=0",), "windows"),
        (("--windows=3", "--view=OLD_IMAGE"), "NEW_AND_OLD_IMAGES"),
        (("--windows=3", "--faulty=0.9", "--odd=0.2"), "shares"),
    ):
        refused = run("sample-export", tmp_path / "a", *arguments)
        assert (refused.exit_code, words in refused.stderr.replace("\n", " ")) == (2, True), refused.output
