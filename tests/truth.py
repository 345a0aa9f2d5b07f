"""A migration held against the truth of its sample export: every row, every dead letter, every notice, value by value.

The truth was written by the generator from what it planted. Rows are compared by PostgreSQL, as text, so that 1.50 is not 1.5.
"""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.postgres_server import Database
from transforms.table import Table
from transforms.tables.medzen import TABLES

Place = tuple[str, int]


def assert_equals_truth(root: Path, database: Database, run_folder: Path, tables: Iterable[Table] = TABLES) -> None:
    """The target, and the run's dead letters and notices, are what the truth says; and the ledger agrees."""
    for table in tables:
        _check_table(table, root, database, run_folder)


def text_of(path: Path) -> str:
    """The text of a file, whether compressed or not."""
    content = path.read_bytes()
    return (gzip.decompress(content) if path.suffix == ".gz" else content).decode()


def records(folder: Path) -> Iterator[dict[str, Any]]:
    """All records of a folder of dead letters, notices or mismatches, in whichever form, read without our code."""
    for path in [*sorted(folder.glob("*.jsonl.gz")), *sorted(folder.glob("*.parquet"))]:
        yield from records_in(path)


def records_in(path: Path) -> Iterator[dict[str, Any]]:
    """Those of one file."""
    if path.suffix == ".parquet":
        yield from pq.read_table(path).to_pylist()
        return
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def lines_of_export(root: Path, source_table: str) -> dict[Place, bytes]:
    """Every line of an export, read without our code."""
    found = {}
    for path in root.glob(f"{source_table}/AWSDynamoDB/*/data/*"):
        content = gzip.decompress(path.read_bytes())
        for number, line in enumerate(content.split(b"\n")):
            found[path.name, number] = line
    return found


def _check_table(table: Table, root: Path, database: Database, run_folder: Path) -> None:
    truth = read_truth(root, table.source)
    dead_letters = _by_place(records(run_folder / "dead_letters" / table.source))
    losers = _check_conflicts(truth, dead_letters)
    _check_dead_letters(truth, losers, dead_letters, lines_of_export(root, table.source))
    rows = [entry["row"] for place, entry in truth.items() if entry["outcome"] != "dead_letter" and place not in losers]
    lacking, beyond = row_differences(table, rows, database)
    assert (lacking[:3], beyond[:3]) == ([], [])
    expected = Counter(
        (*place, notice["code"], notice["attribute"])
        for place, entry in truth.items()
        if entry["outcome"] != "dead_letter" and place not in losers
        for notice in entry["notices"]
    )
    found = Counter(
        (notice["data_file"], notice["item_number"], notice["code"], notice["attribute"])
        for notice in records(run_folder / "notices" / table.source)
    )
    assert found == expected
    totals = database.query(
        "SELECT sum(items), sum(c.rows), sum(dead_letters), sum(notices) FROM ddb2pg.chunk c JOIN ddb2pg.load l USING (load_id) "
        "WHERE source_table = %s AND l.rolled_back_at IS NULL",
        table.source,
    )
    assert totals == [(len(truth), len(rows), len(dead_letters), sum(expected.values()))]


def read_truth(root: Path, source_table: str) -> dict[Place, dict[str, Any]]:
    """By place, what must become of an item."""
    with (root / "truth" / f"{source_table}.jsonl").open(encoding="utf-8") as lines:
        entries = [json.loads(line) for line in lines]
    return {(entry["data_file"], entry["item_number"]): entry for entry in entries}


def _by_place(dead_letters: Iterable[dict[str, Any]]) -> dict[Place, dict[str, Any]]:
    found: dict[Place, dict[str, Any]] = {}
    for record in dead_letters:
        place = record["data_file"], record["item_number"]
        assert place not in found, "a dead letter was written twice"
        found[place] = record
    return found


def _check_conflicts(truth: dict[Place, dict[str, Any]], dead_letters: dict[Place, dict[str, Any]]) -> set[Place]:
    """Of items that share a primary key one is a row, whichever; returns the others."""
    groups: dict[str, list[Place]] = defaultdict(list)
    for place, entry in truth.items():
        if entry["outcome"] == "conflict":
            groups[entry["group"]].append(place)
    losers = {place for places in groups.values() for place in places if place in dead_letters}
    for places in groups.values():
        assert sum(place not in losers for place in places) == 1
    return losers


def _check_dead_letters(
    truth: dict[Place, dict[str, Any]], losers: set[Place], dead_letters: dict[Place, dict[str, Any]], lines: dict[Place, bytes]
) -> None:
    expected = {place: (entry["stage"], _errors(entry)) for place, entry in truth.items() if entry["outcome"] == "dead_letter"}
    expected |= {place: ("write", [("primary_key_conflict", "")]) for place in losers}
    found = {place: (record["stage"], _errors(record)) for place, record in dead_letters.items()}
    differences = {
        place: (expected.get(place), found.get(place))
        for place in expected.keys() | found.keys()
        if expected.get(place) != found.get(place)
    }
    assert not differences, f"{len(differences)} differ (expected, found): {dict(list(differences.items())[:10])}"
    for place, record in dead_letters.items():
        assert _item_of(record) == lines[place]


def _errors(entry: dict[str, Any]) -> list[tuple[str, str]]:
    return sorted((error["code"], error["attribute"] or "") for error in entry["errors"])


def _item_of(record: dict[str, Any]) -> bytes:
    item: str = record["item"]
    return item.encode() if record["item_encoding"] == "utf-8" else base64.b64decode(item)


def row_differences(
    table: Table, rows: list[dict[str, Any]], database: Database, migration_time: str | None = None
) -> tuple[list[str], list[str]]:
    """Rows that the target lacks, and rows that it has beyond these; PostgreSQL itself reads the values.

    The time of the load is the ledger's, unless it is given.
    """
    migration_time = migration_time or migration_time_of(table, database)
    content = io.StringIO()
    writer = csv.writer(content)
    names = table.column_names
    defaults = {
        name: database.value(f"SELECT ({expression})::text")
        for name, expression in database.query(
            "SELECT attname, pg_get_expr(adbin, adrelid) FROM pg_attrdef JOIN pg_attribute ON (attrelid, attnum) = (adrelid, adnum) "
            "WHERE adrelid = %s::regclass AND attname = ANY (%s)",
            table.target,
            [column.name for column in table.columns if column.takes_default],
        )
    }
    for row in rows:
        assert row.keys() == set(names)
        values = (defaults[name] if row[name] == "column_default" else row[name] for name in names)
        writer.writerow([_csv_value(value, migration_time) for value in values])
    content.seek(0)
    columns = ", ".join(names)
    connection = database.connect()
    found = []
    with connection.cursor() as cursor:
        cursor.execute("SET TimeZone = 'UTC'")
        cursor.execute(f"CREATE TEMP TABLE truth AS SELECT {columns} FROM {table.target} WITH NO DATA")
        cursor.copy_expert(f"COPY truth ({columns}) FROM STDIN (FORMAT csv, NULL '~NULL~')", content)
        # A json is compared by what it says: how it is spaced is nobody's business.
        compared = ", ".join(f"{each.name}::jsonb" if each.rule.pg_type.name == "json" else each.name for each in table.columns)
        for left, right in (("truth", table.target), (table.target, "truth")):
            cursor.execute(
                f"SELECT l::text FROM (SELECT {compared} FROM {left}) l EXCEPT ALL SELECT r::text FROM (SELECT {compared} FROM {right}) r"
            )
            found.append([row[0] for row in cursor.fetchall()])
    connection.close()
    return found[0], found[1]


def migration_time_of(table: Table, database: Database) -> str:
    """That of its load; it is its child rows' as well."""
    found: str = database.value(
        "SELECT to_char(migration_time AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM ddb2pg.load WHERE source_table = %s "
        "AND target_table IN (%s, 'public.' || %s) ORDER BY load_id DESC LIMIT 1",
        *(table.source, table.target, table.target),
    )
    return found


def _csv_value(value: Any, migration_time: str) -> str:
    if value is None:
        return "~NULL~"
    if isinstance(value, dict):
        text: str = value["jsonb"]
        return text
    if value == "migration_time":
        return migration_time
    return json.dumps(value) if isinstance(value, bool) else str(value)
