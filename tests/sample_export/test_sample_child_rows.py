"""`sample-export --tables` of definitions with children: child rows in PostgreSQL are those of the truth, full export and windows."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.definitions.describe import describe
from pipeline.definitions.find import find_tables
from sample_export import write_any_exports
from sample_export.any_table import CannotMakeUp
from tests.command_line import CommandLine
from tests.pipeline.order_lines import DEFINITION as ORDERS_WITH_LINES
from tests.pipeline.order_lines import TARGETS as TARGETS_WITH_LINES
from tests.plain_windows import Migration, Report, use_plain_visits
from tests.postgres_server import Database
from tests.sample_export.orders_with_children import DEFINITION, TARGETS
from tests.truth import migration_time_of, read_truth, records, row_differences
from transforms.table import Table


def tables_of(folder: Path, definition: str) -> tuple[Table, ...]:
    (folder / "definition.py").write_text(definition)
    return find_tables(str(folder / "definition.py"))


def assert_rows(database: Database, table: Table, entries: Sequence[dict[str, Any]]) -> Counter[str]:
    """Of a table and its children, those of the entries; returns how many child rows each target has."""
    assert row_differences(table, [entry["row"] for entry in entries], database) == ([], [])
    migration_time = migration_time_of(table, database)
    counts: Counter[str] = Counter()
    for child in table.child_tables:
        rows = [row for entry in entries for row in entry["children"][child.target]]
        assert row_differences(child, rows, database, migration_time) == ([], [])
        counts[child.target] = len(rows)
    return counts


def planted(entries: dict[Any, dict[str, Any]], outcome: str) -> dict[Any, dict[str, Any]]:
    return {place: entry for place, entry in entries.items() if entry["outcome"] == outcome}


def told(entries: dict[Any, dict[str, Any]], name: str) -> Counter[tuple[Any, ...]]:
    """Codes and attributes by place."""
    return Counter((*place, each["code"], each["attribute"]) for place, entry in entries.items() for each in entry[name])


def found(report: Report, kind: str, name: str) -> Counter[tuple[Any, ...]]:
    counts: Counter[tuple[Any, ...]] = Counter()
    for record in records(report.folder / kind / name):
        errors = record["errors"] if kind == "dead_letters" else [record]
        counts.update((record["data_file"], record["item_number"], each["code"], each["attribute"]) for each in errors)
    return counts


def assert_full_export(migration: Migration, root: Path, name: str, table: Table, export: Path) -> tuple[Counter[str], Counter[str]]:
    """Rows, child rows, dead letters and notices; returns child rows by target, and what is refused, without numbers."""
    report = migration.run(export)
    truth = read_truth(root, name)
    rows, dead = planted(truth, "row"), planted(truth, "dead_letter")
    assert found(report, "dead_letters", name) == told(dead, "errors")
    assert found(report, "notices", name) == told(rows, "notices")
    return assert_rows(migration.database, table, list(rows.values())), Counter(
        f"{error['code']} {re.sub('[0-9]+', '', error['attribute'] or '')}" for entry in dead.values() for error in entry["errors"]
    )


def containers(export: Path, path: Sequence[str]) -> Counter[str]:
    """How often the items of an export have which type tag there; of an empty one with a 0, and "absent"."""
    counts: Counter[str] = Counter()
    for data_file in export.glob("data/*.gz"):
        for line in gzip.decompress(data_file.read_bytes()).splitlines():
            if b'"PK"' in line:
                value: Any = {"M": json.loads(line)["Item"]}
                for name in path:
                    value = value["M"].get(name, {"absent": True}) if "M" in value else {"absent": True}
                [(tag, content)] = value.items()
                counts[tag if content else f"{tag}0"] += 1
    return counts


def test_child_rows_and_what_is_refused_of_them(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_plain_visits(monkeypatch)
    database.execute(TARGETS)
    [table] = tables_of(tmp_path, DEFINITION)
    [export] = write_any_exports(tmp_path, **describe([table]), items=600, faulty=0.3, odd=0.2, seed=5, items_per_file=300)
    migration = Migration(database, tmp_path, table, chunk_items=100, split_items=300)

    counts, refused = assert_full_export(migration, tmp_path, "Orders", table, export.folder)

    assert min(counts[child.target] for child in table.children) > 100
    assert refused.keys() >= {
        *("wrong_type lines", "wrong_type info", "wrong_type info.tags", "wrong_type prices", "wrong_type extras"),
        *("wrong_type lines[]", "missing_required lines[].sku", "missing_required lines[].price.amount"),
        *("pattern_mismatch lines[].batch", "number_out_of_range lines[].count", "invalid_timestamp lines[].checked"),
        *("missing_required prices[]", "missing_required steps.name", "missing_required rate.of", "invalid_enum steps[]"),
        *("missing_required info.tags[]", "nul_character info.tags[]"),
    }
    assert containers(export.folder, ["info", "tags"]).keys() >= {"L", "M", "SS", "L0", "NULL", "absent"}
    assert containers(export.folder, ["lines"]).keys() == {"L", "L0", "S"}, "a column of the item takes them, too"
    notices = Counter(each[2:] for each in told(planted(read_truth(tmp_path, "Orders"), "row"), "notices"))
    assert min(notices["timestamp_defaulted", "lines[1].checked"], notices["trimmed", "lines[0].sku"]) > 5


def test_clean_items_have_child_rows_without_notices(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """The whole command, and a real job."""
    database.execute(TARGETS)
    [table] = tables_of(tmp_path, DEFINITION.replace('Exists("shop")', 'Exists("PK")'))
    tables = f"--tables={tmp_path / 'definition.py'}"

    made = run("sample-export", tmp_path / "export", tables, "--items=40", "--faulty=0", "--odd=0")

    assert made.exit_code == 0, made.output
    finished = run.migrate(tmp_path / "export" / "Orders", tables)
    assert finished.exit_code == 0, finished.output
    truth = read_truth(tmp_path / "export", "Orders")
    assert len(truth) == 40
    assert not told(truth, "notices")
    assert min(assert_rows(database, table, list(truth.values())).values()) > 10


def test_an_attribute_that_columns_and_children_take(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of orders, whose lines are a document, and rows of their own; the item's key is their parents'."""
    use_plain_visits(monkeypatch)
    database.execute(TARGETS_WITH_LINES)
    table = replace(tables_of(tmp_path, ORDERS_WITH_LINES)[1], others=())
    [export] = write_any_exports(tmp_path, **describe([table]), items=300, faulty=0.3, odd=0.2, seed=6, items_per_file=300)
    migration = Migration(database, tmp_path, table, chunk_items=100, split_items=300)

    counts, refused = assert_full_export(migration, tmp_path, "App", table, export.folder)

    assert counts["order_line"] > 200
    assert {"missing_required lines[].sku", "wrong_type lines", "wrong_type PK"} <= refused.keys()


@pytest.mark.parametrize(
    ("columns", "child", "problem"),
    [
        ('Column("n", "n", Integer())', 'Column(Parent("n"), "n", BigInt())', "S, t_c, n: the item's own columns take n in another way"),
        ('Column("c", "c", Array(Text()))', "", "S: c and others take parts of the same"),
        ('Column("c[0]", "c", Text())', 'Column(ELEMENT, "e", Varchar(9))', "S, t_c, and c of the item take the same in two ways"),
        ('Column("n", "n", Integer())', 'Column(MEMBER, "m", Text(), Missing.REFUSED)', "its elements have both a position and a name"),
        (
            'Column("n", "n", Integer())',
            'Column(Computed(len, ("e",)), "e", Text())',
            "what Computed makes of an item is not in the definition",
        ),
    ],
)
def test_what_cannot_be_made_up_is_refused(tmp_path: Path, columns: str, child: str, problem: str) -> None:
    of_child = f'Column(POSITION, "p", Integer(), Missing.REFUSED), {child}'
    tables = tables_of(
        tmp_path,
        f'from ddb2pg import *\nCHILD = Child("c", "t_c", ({of_child}))\n'
        f'TABLES = [Table("S", "t", "a", (Column("a", "a", Text()), {columns}), children=(CHILD,))]',
    )
    with pytest.raises(CannotMakeUp, match=problem):
        write_any_exports(tmp_path / "out", **describe(tables), items=1, faulty=0, odd=0, seed=1, items_per_file=1)
