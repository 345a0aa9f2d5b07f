"""Several entities in one export, each for a table of its own: items = rows + dead letters + filtered, whatever happens on the way."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeline.sql import read_sql
from tests.command_line import CommandLine, Finished
from tests.faults.gate import COMMITTED, held_at, wait_until_held
from tests.faults.jobs import chunks
from tests.handmade_export import write_export
from tests.pipeline.planted import parts_of, report_of
from tests.postgres_server import Database
from tests.processes import kill_group
from tests.truth import records

pytestmark = pytest.mark.plain

SOURCE = "shop"
EXPORT_ID = "01794632786093-0de7e107"
FIRST, ORDERS = f"{SOURCE}--customer", f"{SOURCE}--customer_order"
TARGETS = """
CREATE TABLE customer (id uuid PRIMARY KEY, entity text, name text);
CREATE TABLE customer_order (id uuid PRIMARY KEY, entity text, customer uuid NOT NULL);
"""
DEFINITIONS = """
from ddb2pg import AnyOf, Column, Equals, Ignore, Missing, Table, Text, Uuid

ID = Column("id", "id", Uuid(), Missing.REFUSED)
ENTITY = Column("entity", "entity", Text())
CUSTOMERS = Table("shop", "customer", "id", (ID, ENTITY, Column("name", "name", Text())), where=Equals("entity", "CUSTOMER"))
ORDERS = Table(
    "shop",
    "customer_order",
    "id",
    (ID, ENTITY, Column("customer", "customer", Uuid(), Missing.REFUSED)),
    where=AnyOf(Equals("entity", "ORDER"), Equals("entity", "RETURN")),
)
TABLES = (CUSTOMERS, ORDERS, Ignore("shop", Equals("entity", "AUDIT")))
"""
IS_CUSTOMER, IS_ORDER = 'entity is "CUSTOMER"', 'entity is "ORDER" or entity is "RETURN"'
IGNORED = 'ignored: entity is "AUDIT"'


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


@dataclass
class Shop:
    """A made-up export, and what must become of its items: by kind, the numbers of those that are planted."""

    lines: list[bytes] = field(default_factory=list)
    planted: dict[str, list[int]] = field(default_factory=dict)

    def add(self, kind: str, count: int) -> None:
        for _ in range(count):
            number = len(self.lines)
            self.planted.setdefault(kind, []).append(number)
            self.lines.append(line_of(kind, number))

    def count(self, *kinds: str) -> int:
        return sum(len(self.planted.get(kind, ())) for kind in kinds)

    @property
    def items(self) -> int:
        return len(self.lines)

    def parts(self) -> dict[str, dict[str, int]]:
        """Of each target, the truth. A line that is no item is a dead letter of each; an item of no table is one of the first."""
        customers, orders = self.count("CUSTOMER"), self.count("ORDER", "RETURN")
        parts = {
            "customer": {"rows": customers, "dead_letters": self.count("broken", "STRAY")},
            "customer_order": {"rows": orders, "dead_letters": self.count("broken", "bad order")},
        }
        for part in parts.values():
            part["filtered"] = self.items - part["rows"] - part["dead_letters"]
        return {target: {name: count for name, count in part.items() if count or name != "filtered"} for target, part in parts.items()}

    def write(self, root: Path, files: int = 3, seed: int = 5) -> Path:
        """The items are mixed, so that every file and chunk has all kinds of them."""
        shuffled = list(self.lines)
        random.Random(seed).shuffle(shuffled)
        size = -(-len(shuffled) // files)
        return write_export(root, SOURCE, [shuffled[first : first + size] for first in range(0, len(shuffled), size)], EXPORT_ID)


def line_of(kind: str, number: int) -> bytes:
    match kind:
        case "broken":
            return b"{"
        case "bad order":
            item = {"entity": {"S": "ORDER"}, "customer": {"S": "not a UUID"}}
        case "CUSTOMER":
            item = {"entity": {"S": kind}, "name": {"S": f"name {number}"}}
        case _:
            item = {"entity": {"S": kind}, "customer": {"S": uuid(number)}}
    return json.dumps({"Item": {"id": {"S": uuid(number)}, **item}}).encode()


def shop(**kinds: int) -> Shop:
    made = Shop()
    for kind, count in kinds.items():
        made.add(kind.replace("_", " "), count)
    return made


@pytest.fixture
def targets(database: Database) -> None:
    database.execute(TARGETS)


@pytest.fixture
def tables(tmp_path: Path) -> str:
    return definitions(tmp_path, DEFINITIONS)


def definitions(folder: Path, text: str, name: str = "shop_tables") -> str:
    path = folder / f"{name}.py"
    path.write_text(text)
    return f"--tables={path}"


def ledger(database: Database) -> dict[str, dict[str, int]]:
    """By target what the chunks say; each of them is an equation of its own."""
    assert not database.value("SELECT count(*) FROM ddb2pg.chunk WHERE items <> rows + dead_letters + filtered")
    sums = database.query(
        "SELECT target_table, sum(rows), sum(dead_letters), sum(filtered) FROM ddb2pg.chunk JOIN ddb2pg.load USING (load_id) GROUP BY 1"
    )
    names = ("rows", "dead_letters", "filtered")
    parts = {target.removeprefix("public."): dict(zip(names, map(int, of), strict=True)) for target, *of in sums}
    return {target: {name: count for name, count in part.items() if count or name != "filtered"} for target, part in parts.items()}


def assert_truth(made: Shop, database: Database, folder: Path) -> None:
    """Rows, dead letters, ledger and report, as planted."""
    assert {row[0] for row in database.query("SELECT id::text FROM customer")} == {uuid(number) for number in made.planted["CUSTOMER"]}
    orders = {uuid(number) for kind in ("ORDER", "RETURN") for number in made.planted.get(kind, ())}
    assert {row[0] for row in database.query("SELECT id::text FROM customer_order")} == orders
    assert ledger(database) == made.parts()
    assert {table["target_table"].removeprefix("public."): parts_of(table) for table in report_of(folder)["tables"]} == made.parts()
    codes = {
        of: Counter(error["code"] for one in records(folder / "dead_letters" / of) for error in one["errors"]) for of in (FIRST, ORDERS)
    }
    assert codes[FIRST] == +Counter(invalid_json=made.count("broken"), no_table=made.count("STRAY"))
    assert codes[ORDERS] == +Counter(invalid_json=made.count("broken"), invalid_uuid=made.count("bad order"))


MIXED = {"CUSTOMER": 60, "ORDER": 130, "RETURN": 10, "AUDIT": 70, "STRAY": 6, "bad_order": 5, "broken": 4}


@pytest.mark.usefixtures("targets")
def test_each_item_ends_where_it_was_planted(tmp_path: Path, database: Database, run: CommandLine, tables: str) -> None:
    """Terminal, report, page and status have the third part after the dead letters; the items of the source are added up."""
    made = shop(**MIXED)
    export = made.write(tmp_path / "export")

    finished = run.migrate(export, tables, "--chunk_items=20")

    assert finished.exit_code == 3, finished.output
    folder = run.run_folders[0]
    assert_truth(made, database, folder)
    assert "285 items in the manifest = 285 read = 60 rows + 10 dead letters + 215 filtered" in finished.stdout
    assert "of 285 items of shop: 70 for customer, 149 for customer_order, 70 ignored by the definitions" in finished.stdout
    first, second = report_of(folder)["tables"]
    assert first["filter_reasons"] == {IS_CUSTOMER: 145, IGNORED: 70}
    assert second["filter_reasons"] == {IS_ORDER: 136}
    assert [part["kind"] for part in first["parts"]] == ["good", "review", "filtered"]
    assert first["totals"]["filtered"] == 215
    page = (folder / "report.html").read_text()
    assert "<b>215</b> filtered" in page
    status = run("status").stdout
    assert "60 rows + 10 dead letters + 215 filtered" in status
    assert f"70 {IGNORED}" in status or f"{IGNORED}: 70" in status

    again = run.migrate(export, tables, "--chunk_items=20")
    assert again.exit_code == 3, again.output
    assert "nothing to do" in again.stdout
    assert_truth(made, database, run.run_folders[-1])


@pytest.mark.usefixtures("targets")
def test_filtered_items_are_no_reason_to_read_a_file_again(tmp_path: Path, run: CommandLine, tables: str) -> None:
    """All is a row or filtered: exit code 0, the sentence does not say that all are rows, and a second run opens no data file."""
    made = shop(CUSTOMER=30, ORDER=20, AUDIT=10)
    export = made.write(tmp_path / "export")

    finished = run.migrate(export, tables)

    assert finished.exit_code == 0, finished.output
    assert "Every item is a row, or not for its table by the definition" in finished.stdout
    for path in export.glob("data/*"):
        path.write_bytes(b"no gzip at all")
    again = run.migrate(export, tables)
    assert again.exit_code == 0, again.output


@pytest.mark.usefixtures("targets")
def test_items_that_went_nowhere_are_found(tmp_path: Path, database: Database, run: CommandLine, tables: str) -> None:
    """The sum over the tables of a source is a check of its own: here the ledger of one of them is made to say less."""
    export = shop(CUSTOMER=30, ORDER=20, AUDIT=10).write(tmp_path / "export")
    assert run.migrate(export, tables).exit_code == 0
    database.execute(
        "UPDATE ddb2pg.chunk SET rows = rows - 1, filtered = filtered + 1 WHERE (load_id, data_file, first_item) IN "
        "(SELECT load_id, data_file, first_item FROM ddb2pg.chunk JOIN ddb2pg.load USING (load_id) "
        "WHERE target_table = 'public.customer_order' AND rows > 0 LIMIT 1)"
    )

    finished = run.migrate(export, tables)

    assert finished.exit_code == 1, finished.output
    counts = "of 60 items of shop: 30 for customer, 19 for customer_order, 10 ignored by the definitions"
    each = "50 went to one table, 0 to several, 10 to none"
    assert f"NOT VALIDATED: {counts}; {each}; 1 went nowhere" in finished.stdout


@pytest.mark.usefixtures("targets")
def test_validate_and_rollback(tmp_path: Path, database: Database, run: CommandLine, tables: str) -> None:
    """Filtered items are accounted for, and a row with the key of one is told as that; rollback takes back what was loaded."""
    made = shop(**MIXED)
    export = made.write(tmp_path / "export")
    assert run.migrate(export, tables, "--chunk_items=20").exit_code == 3

    equal = run.validate(export, tables)

    assert equal.exit_code == 0, equal.output
    compared = {table["target_table"].removeprefix("public."): parts_of(table) for table in report_of(run.run_folders[-1])["tables"]}
    assert compared["customer"] == {"equal": 60, "dead_letters": 10, "filtered": 215, "different": 0}
    assert compared["customer_order"] == {"equal": 140, "dead_letters": 9, "filtered": 136, "different": 0}
    counts = [check for check in report_of(run.run_folders[-1])["checks"]["sql"] if check["name"] == "counts"]
    assert {check["verdict"] for check in counts} == {"pass"}
    assert "285 in the ledger = 60 rows + 10 dead letters + 215 filtered" in counts[0]["detail"]

    strangers = [made.planted["ORDER"][0], made.planted["STRAY"][0], 999_999]
    for number in strangers:
        database.execute("INSERT INTO customer VALUES (%s, 'X', 'X')", uuid(number))
    unequal = run.validate(export, tables)

    assert unequal.exit_code == 3, unequal.output
    told = {record["kind"]: record["primary_key"]["id"] for record in records(run.run_folders[-1] / "mismatches" / FIRST)}
    assert told == {
        "filtered_in_target": uuid(strangers[0]),
        "dead_letter_in_target": uuid(strangers[1]),
        "row_without_item": uuid(strangers[2]),
    }

    taken_back = run.roll_back(export, "--yes", tables)
    assert taken_back.exit_code == 0, taken_back.output
    assert database.value("SELECT count(*) FROM customer_order") == 0
    assert {row[0] for row in database.query("SELECT id::text FROM customer")} == set(map(uuid, strangers))


def replay(run: CommandLine, folder: Path, tables: str) -> Finished:
    return run("dead-letters", "replay", folder, "--output", run.output, tables)


def totals_of(run: CommandLine) -> dict[str, Any]:
    """Of the last run's orders."""
    [totals] = [table["totals"] for table in report_of(run.run_folders[-1])["tables"] if table["target_table"] == "public.customer_order"]
    return dict(totals)


ALONE = DEFINITIONS.replace('TABLES = (CUSTOMERS, ORDERS, Ignore("shop", Equals("entity", "AUDIT")))', "TABLES = (ORDERS,)")
NARROWER = ('Equals("entity", "ORDER"), ', "")


@pytest.mark.usefixtures("targets")
def test_a_replay_under_another_definition(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """A dead letter that a changed definition leaves out is filtered, once; tried again it is a dead letter again, or a row."""
    tables = definitions(tmp_path, ALONE, "alone")
    made = shop(CUSTOMER=30, ORDER=20, bad_order=5)
    export = made.write(tmp_path / "export")
    assert run.migrate(export, tables).exit_code == 3
    dead = run.run_folders[0] / "dead_letters"
    returns = definitions(tmp_path, ALONE.replace(*NARROWER), "returns")

    for _ in range(2):
        left_out = replay(run, dead, returns)
        assert left_out.exit_code == 0, left_out.output
        assert "5 dead letters given = 5 tried = 0 rows now + 0 rows before + 0 refused again + 5 filtered" in left_out.stdout
        assert "55 items loaded = 20 rows + 0 dead letters + 35 filtered" in left_out.stdout
        assert totals_of(run) == {"items": 55, "rows": 20, "dead_letters": 0, "filtered": 35, "notices": 0}
    assert 'entity is "RETURN": 5' in left_out.stdout
    again = run.migrate(export, tables)
    assert again.exit_code == 0, again.output
    assert totals_of(run)["filtered"] == 35
    validated = run.validate(export, tables)
    assert validated.exit_code == 0, validated.output

    refused = replay(run, dead, tables)
    assert refused.exit_code == 3, refused.output
    assert totals_of(run) == {"items": 55, "rows": 20, "dead_letters": 5, "filtered": 30, "notices": 0}
    mended = with_customers(dead, tmp_path / "mended")
    assert replay(run, mended, returns).exit_code == 0
    brought_in = replay(run, mended, tables)
    assert brought_in.exit_code == 0, brought_in.output
    assert totals_of(run) == {"items": 55, "rows": 25, "dead_letters": 0, "filtered": 30, "notices": 0}
    stays = replay(run, mended, returns)
    assert "0 rows now + 5 rows before + 0 refused again" in stays.stdout, "what is a row stays one"
    assert database.value("SELECT count(*) FROM customer_order") == 25

    taken_back = run.roll_back(export, "--yes", tables)
    assert taken_back.exit_code == 0, taken_back.output
    assert database.value("SELECT count(*) FROM customer_order") == 0


def with_customers(dead: Path, to: Path) -> Path:
    """A copy of dead letters whose items are sound."""
    for path in dead.glob("*/*.jsonl.gz"):
        copy = to / path.parent.name / path.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(b"not a UUID", uuid(7).encode())))
    return to


@pytest.mark.usefixtures("targets")
def test_a_replay_leaves_no_item_between_two_tables(tmp_path: Path, run: CommandLine, tables: str) -> None:
    """The other tables left it out when it was this one's: it stays a dead letter, unless it is ignored on purpose."""
    export = shop(CUSTOMER=30, ORDER=20, bad_order=5).write(tmp_path / "export")
    assert run.migrate(export, tables).exit_code == 3
    dead = run.run_folders[0] / "dead_letters"

    nowhere = replay(run, dead, definitions(tmp_path, DEFINITIONS.replace(*NARROWER), "narrower"))

    assert nowhere.exit_code == 3, nowhere.output
    assert "0 rows now + 0 rows before + 5 refused again" in nowhere.stdout
    assert report_of(run.run_folders[-1])["tables"][0]["dead_letter_codes"] == {"no_table": 5}
    ignoring = DEFINITIONS.replace(*NARROWER).replace('Ignore("shop", Equals("entity", "AUDIT"))', 'Ignore("shop", Exists("customer"))')
    ignored = replay(run, dead, definitions(tmp_path, ignoring.replace("Equals, ", "Equals, Exists, "), "ignoring"))
    assert ignored.exit_code == 0, ignored.output
    assert "ignored: customer exists: 5" in ignored.stdout
    again = run.migrate(export, tables)
    assert again.exit_code == 0, again.output
    assert "of 55 items of shop: 30 for customer, 20 for customer_order, 5 ignored by the definitions" in again.stdout


@pytest.mark.usefixtures("targets")
def test_what_a_replay_filtered_does_not_stop_a_rollback(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """There is no row of it to take back."""
    tables = definitions(tmp_path, ALONE, "alone")
    export = shop(CUSTOMER=10, ORDER=8, bad_order=5).write(tmp_path / "export")
    assert run.migrate(export, tables).exit_code == 3
    assert replay(run, run.run_folders[0] / "dead_letters", definitions(tmp_path, ALONE.replace(*NARROWER), "returns")).exit_code == 0

    taken_back = run.roll_back(export, "--yes", tables)

    assert taken_back.exit_code == 0, taken_back.output
    assert database.value("SELECT bool_and(rolled_back_at IS NOT NULL) FROM ddb2pg.load")
    counts = [check for check in sql_checks(database) if check[0] == "counts"]
    assert {verdict for _, verdict, _ in counts} == {"PASS"}, counts


def sql_checks(database: Database) -> list[tuple[str, str, str]]:
    rows = database.query(read_sql("validate_migration.sql").partition("-- @expected\n")[2].removesuffix("\nROLLBACK;\n"))
    return [(name, verdict, detail) for name, _, verdict, detail in rows]


def kill_on_the_way(run: CommandLine, database: Database, until: int, export: Path, *arguments: str) -> None:
    with held_at(database, until, COMMITTED, "customer", "customer_order"):
        process = run.start_migrate(export, *arguments)
        wait_until_held(database, process)
        kill_group(process)


@pytest.mark.usefixtures("targets")
@pytest.mark.parametrize("workers", ["--direct_num_workers=1", "--direct_num_workers=2"])
def test_kills_and_resumes(tmp_path: Path, database: Database, run: CommandLine, tables: str, workers: str) -> None:
    """Killed in both tables, with one worker and with two: the end is what was planted, with each item counted once."""
    made = shop(**MIXED)
    export = made.write(tmp_path / "export")
    arguments = (tables, "--chunk_items=5", workers)
    for part in (4, 5):
        kill_on_the_way(run, database, chunks(database) + made.items // 5 // part, export, *arguments)

    finished = run.migrate(export, *arguments)

    assert finished.exit_code == 3, finished.output
    assert_truth(made, database, run.run_folders[-1])


@pytest.mark.usefixtures("targets")
def test_the_sample_of_preflight_passes_over_filtered_items(tmp_path: Path, run: CommandLine, tables: str) -> None:
    """It shows items of the table, and says how many it passed over, and why."""
    export = shop(AUDIT=50, CUSTOMER=3, ORDER=40).write(tmp_path / "export", files=1, seed=1)

    shown = run("preflight", "--export", export, "--sample=3", tables)

    assert shown.exit_code == 0, shown.output
    assert "-> customer: of 3 items, 3 rows, 0 dead letters\n" in shown.stdout
    assert shown.stdout.count("-> customer_order\n") == 1, "one of three is shown beside its row"
    assert f"filtered: {IS_CUSTOMER}" in shown.stdout
    sampled = json.loads(run("preflight", "--export", export, "--sample=3", "--json", tables).stdout)["samples"]
    assert [len(sample["items"]) for sample in sampled] == [3, 3]
    assert sampled[1]["filtered"][IS_ORDER] > 0
