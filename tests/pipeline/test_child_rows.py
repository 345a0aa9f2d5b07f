"""A table with child rows, through every command: loaded, killed and resumed, compared, repaired, replayed, taken back."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from tests.command_line import CommandLine, Finished
from tests.faults.gate import COMMITTED, held_at, wait_until_held
from tests.handmade_export import write_export
from tests.pipeline.planted import parts_of, report_of
from tests.postgres_server import Database
from tests.processes import kill_group
from tests.truth import records

pytestmark = pytest.mark.plain

SOURCE = "orders"
DEFINITIONS = """
from ddb2pg import ELEMENT, POSITION, Child, Column, Missing, Parent, Table, Text, Uuid

ORDER = Column(Parent("id"), "order_id", Uuid(), Missing.REFUSED)
POSITION_COLUMN = Column(POSITION, "position", Text(tags=("N",)), Missing.REFUSED)
LINES = Child("lines", "order_line", (ORDER, POSITION_COLUMN, Column("sku", "sku", Text(), Missing.REFUSED)))
TAGS = Child("tags", "order_tag", (ORDER, Column(ELEMENT, "tag", Text(), Missing.REFUSED)))
TABLES = (Table("orders", "orders", "id", (Column("id", "id", Uuid(), Missing.REFUSED),), children=(LINES, TAGS)),)
"""
TARGETS = """
CREATE TABLE orders (id uuid PRIMARY KEY);
CREATE TABLE order_line (
    order_id uuid REFERENCES orders, position text, sku text CHECK (sku <> 'refused'), PRIMARY KEY (order_id, position)
);
CREATE TABLE order_tag (order_id uuid, tag text, PRIMARY KEY (order_id, tag));
"""
ORDERS = 60


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def is_dead(number: int) -> bool:
    return number % 20 == 7


def line(number: int, *, is_sound: bool = False) -> bytes:
    """Of twenty orders one has a line that PostgreSQL refuses, one a line without a SKU, which the definition refuses."""
    skus: list[str | None] = [f"sku-{number}-{place}" for place in range(number % 4)]
    if not is_sound:
        skus += {7: ["refused"], 13: [None]}.get(number % 20, [])
    tags = [f"tag-{number}", "all"] if number % 2 else []
    item: dict[str, Any] = {"id": {"S": uuid(number)}, "lines": {"L": [{"M": {"sku": {"S": sku}} if sku else {}} for sku in skus]}}
    if tags:
        item["tags"] = {"SS": tags}
    return json.dumps({"Item": item}).encode()


DEAD = [number for number in range(ORDERS) if number % 20 in (7, 13)]
LIVE = [number for number in range(ORDERS) if number not in DEAD]
TAG_ROWS = {(uuid(number), tag) for number in LIVE if number % 2 for tag in (f"tag-{number}", "all")}


def line_rows(numbers: list[int]) -> set[tuple[str, str, str]]:
    return {(uuid(number), str(place), f"sku-{number}-{place}") for number in numbers for place in range(number % 4)}


@pytest.fixture
def export(tmp_path: Path, database: Database) -> Path:
    database.execute(TARGETS)
    lines = [line(number) for number in range(ORDERS)]
    return write_export(tmp_path / "export", SOURCE, [lines[:25], lines[25:]], "01794632786093-0de7e107")


@pytest.fixture
def tables(tmp_path: Path) -> str:
    path = tmp_path / "orders_with_lines.py"
    path.write_text(DEFINITIONS)
    return f"--tables={path}"


def assert_truth(database: Database, numbers: list[int] = LIVE) -> None:
    assert {row[0] for row in database.query("SELECT id::text FROM orders")} == set(map(uuid, numbers))
    assert set(database.query("SELECT order_id::text, position, sku FROM order_line")) == line_rows(numbers)
    if numbers is LIVE:
        assert set(database.query("SELECT order_id::text, tag FROM order_tag")) == TAG_ROWS


def dead_letters(run: CommandLine) -> dict[int, str]:
    """Of the last run: number -> code."""
    told = records(run.run_folders[-1] / "dead_letters" / SOURCE)
    return {int(json.loads(one["item"])["Item"]["id"]["S"][-12:]): one["errors"][0]["code"] for one in told}


def mismatches(run: CommandLine) -> list[tuple[str, str, tuple[str, ...], str]]:
    """Of the last run: target, kind, columns, and whose."""
    told = records(run.run_folders[-1] / "mismatches" / SOURCE)
    return sorted(
        (
            one["target_table"],
            one["kind"],
            tuple(one["columns"]),
            one["key"]["id"]["S"] if one["key"] else one["primary_key"].get("order_id") or one["primary_key"]["id"],
        )
        for one in told
    )


def test_it_is_loaded_once_through_kills(database: Database, run: CommandLine, export: Path, tables: str) -> None:
    """With two workers: rows, child rows, dead letters and counts are what was planted; a run more changes nothing."""
    arguments = (tables, "--chunk_items=4", "--direct_num_workers=2")
    with held_at(database, 4, COMMITTED, "order_line"):
        process = run.start_migrate(export, *arguments)
        wait_until_held(database, process)
        kill_group(process)

    for _ in range(2):
        finished = run.migrate(export, *arguments)

        assert finished.exit_code == 3, finished.output
        assert_truth(database)
        assert dead_letters(run) == {number: "check_violation" if is_dead(number) else "missing_required" for number in DEAD}
        [table] = report_of(run.run_folders[-1])["tables"]
        assert parts_of(table) == {"rows": len(LIVE), "dead_letters": len(DEAD)}
        assert table["child_rows"] == {"order_line": len(line_rows(LIVE)), "order_tag": len(TAG_ROWS)}
        assert f"order_line: {len(line_rows(LIVE))}" in finished.stdout


def test_status_counts_them(run: CommandLine, export: Path, tables: str) -> None:
    """From the ledger alone, by the names that the tables have in the database."""
    assert run.migrate(export, tables).exit_code == 3

    finished = run("status")

    assert finished.exit_code == 0, finished.output
    assert f"public.order_line: {len(line_rows(LIVE))}" in finished.stdout
    assert f"public.order_tag: {len(TAG_ROWS)}" in finished.stdout
    told = json.loads(run("status", "--json").stdout)
    expected = {"public.order_line": len(line_rows(LIVE)), "public.order_tag": len(TAG_ROWS)}
    assert [table["child_rows"] for table in told["tables"]] == [expected]
    assert [child["target_table"] for load in told["loads"] for child in load["children"]] == ["public.order_line", "public.order_tag"]


def test_another_table_in_place_of_a_childs_is_refused(database: Database, run: CommandLine, export: Path, tables: str) -> None:
    assert run.migrate(export, tables).exit_code == 3
    database.execute("ALTER TABLE order_tag RENAME TO old_tag; CREATE TABLE order_tag (LIKE old_tag INCLUDING ALL)")

    for refused in (run.migrate(export, tables), run.validate(export, tables)):
        assert refused.exit_code == 2, refused.output
        assert "order_tag: is another table than the one that load" in refused.output
        assert "is called public.old_tag now" in refused.output
    database.execute("DROP TABLE old_tag")
    assert "order_tag: is another table than the one that load 1" in run.migrate(export, tables).output
    # Its rows are gone, and a rollback of the others begins anew.
    assert run.roll_back(export, "--yes", tables).exit_code == 0
    assert database.value("SELECT count(*) FROM orders") == 0


def test_a_repair_needs_the_right_to_insert_child_rows(tmp_path: Path, database: Database, export: Path, tables: str, role: str) -> None:
    as_role = CommandLine(make_dsn(**{**parse_dsn(database.url), "user": role}), tmp_path)
    database.execute(f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO {role}")
    assert as_role.migrate(export, tables).exit_code == 3
    database.execute(f"REVOKE INSERT ON order_tag FROM {role}")

    refused = as_role.validate(export, "--repair", tables)

    assert refused.exit_code == 2, refused.output
    assert "order_tag: --repair inserts rows, but this role may not" in refused.stderr


def test_child_rows_that_are_gone_are_noticed_by_their_number(database: Database, run: CommandLine, export: Path, tables: str) -> None:
    assert run.migrate(export, tables).exit_code == 3
    database.execute("DELETE FROM order_tag WHERE tag = 'all'")

    finished = run.migrate(export, tables)

    assert finished.exit_code == 1, finished.output
    assert "public.order_tag holds" in finished.stdout
    assert "rows were deleted since" in finished.stdout


def test_child_rows_are_compared_and_repaired(database: Database, run: CommandLine, export: Path, tables: str) -> None:
    """Missing, changed and foreign child rows are told with their item; a repair inserts what is missing, and leaves the rest."""
    assert run.migrate(export, tables).exit_code == 3
    equal = run.validate(export, tables)
    assert equal.exit_code == 0, equal.output
    database.execute("UPDATE order_line SET sku = 'other' WHERE order_id = %s AND position = '1'", uuid(2))
    database.execute("DELETE FROM order_line WHERE order_id = %s AND position = '0'", uuid(3))
    database.execute("DELETE FROM order_tag WHERE order_id = %s", uuid(5))
    database.execute("DELETE FROM order_tag WHERE order_id = %s", uuid(9))
    database.execute("DELETE FROM order_line WHERE order_id = %s", uuid(9))
    database.execute("DELETE FROM orders WHERE id = %s", uuid(9))
    database.execute("INSERT INTO order_tag VALUES (%s, 'foreign')", uuid(1))

    unequal = run.validate(export, tables)

    assert unequal.exit_code == 3, unequal.output
    planted = [
        ("public.order_tag", "row_without_item", (), uuid(1)),
        ("public.orders", "different", ("order_line",), uuid(3)),
        ("public.orders", "different", ("order_line.sku",), uuid(2)),
        ("public.orders", "different", ("order_tag",), uuid(5)),
        ("public.orders", "missing", (), uuid(9)),
    ]
    assert mismatches(run) == planted

    repaired = run.validate(export, "--repair", tables)
    assert repaired.exit_code == 3, repaired.output
    assert mismatches(run) == [
        planted[0],
        planted[2],
        *(("public.orders", "repaired", (), uuid(number)) for number in (3, 5, 9)),
    ]
    database.execute("DELETE FROM order_tag WHERE tag = 'foreign'; UPDATE order_line SET sku = 'sku-2-1' WHERE sku = 'other'")
    assert run.validate(export, tables).exit_code == 0
    assert_truth(database)


def test_values_of_child_rows_are_told_where_they_are_asked_for(database: Database, run: CommandLine, export: Path, tables: str) -> None:
    """Each row that is different or missing, by its key."""
    assert run.migrate(export, tables).exit_code == 3
    database.execute("UPDATE order_line SET sku = position || '!' WHERE order_id = %s AND position <> '1'", uuid(3))
    database.execute("DELETE FROM order_tag WHERE order_id = %s", uuid(5))

    assert run.validate(export, tables).exit_code == 3
    assert not any("values" in one for one in records(run.run_folders[-1] / "mismatches" / SOURCE))

    assert run.validate(export, "--show_values", tables).exit_code == 3
    told = {one["key"]["id"]["S"]: one["values"] for one in records(run.run_folders[-1] / "mismatches" / SOURCE)}
    assert told == {
        uuid(3): {
            "order_line.sku": [
                {"row": {"order_id": uuid(3), "position": position}, "export": f"sku-3-{position}", "target": f"{position}!"}
                for position in ("0", "2")
            ]
        },
        uuid(5): {"order_tag": [{"row": {"order_id": uuid(5), "tag": tag}} for tag in ("tag-5", "all")]},
    }


def test_an_item_is_taken_back_whole(database: Database, run: CommandLine, export: Path, tables: str) -> None:
    """Children first; an item of which a row was changed keeps all of its rows, and is told."""
    assert run.migrate(export, tables).exit_code == 3
    database.execute("UPDATE order_line SET sku = 'other' WHERE order_id = %s AND position = '1'", uuid(2))

    looked = run.roll_back(export, tables)
    assert looked.exit_code == 3, looked.output
    assert f"{len(LIVE) - 1} would be deleted + 0 gone before + 1 would be left" in looked.stdout
    assert database.value("SELECT count(*) FROM orders") == len(LIVE)

    taken_back = run.roll_back(export, "--yes", tables)
    assert taken_back.exit_code == 3, taken_back.output
    assert database.query("SELECT id::text FROM orders") == [(uuid(2),)]
    assert database.value("SELECT count(*) FROM order_line") == 2
    assert database.value("SELECT count(*) FROM order_tag") == 0
    [left] = records(run.run_folders[-1] / "discrepancies" / SOURCE)
    assert (left["kind"], left["columns"]) == ("different", ["order_line.sku"])


def replay(run: CommandLine, folder: Path, tables: str) -> Finished:
    return run("dead-letters", "replay", folder, "--output", run.output, tables)


def fixed_dead_letters(tmp_path: Path, run: CommandLine) -> Path:
    """A folder with the dead letters of the first run, each made sound."""
    fixed = tmp_path / "fixed" / SOURCE
    fixed.mkdir(parents=True)
    for path in (run.run_folders[0] / "dead_letters" / SOURCE).glob("*"):
        ones = [json.loads(one) for one in gzip.decompress(path.read_bytes()).splitlines()]
        sound = [{**one, "item": line(int(json.loads(one["item"])["Item"]["id"]["S"][-12:]), is_sound=True).decode()} for one in ones]
        (fixed / path.name).write_bytes(gzip.compress(b"".join(json.dumps(one).encode() + b"\n" for one in sound)))
    return fixed.parent


def test_a_replayed_item_comes_with_its_children(tmp_path: Path, database: Database, run: CommandLine, export: Path, tables: str) -> None:
    """Once; validate knows them, also when one is changed; rollback deletes them but of the item that was changed."""
    assert run.migrate(export, tables).exit_code == 3
    fixed = fixed_dead_letters(tmp_path, run)

    for rows in (f"{len(DEAD)} rows now + 0 rows before", f"0 rows now + {len(DEAD)} rows before"):
        finished = replay(run, fixed, tables)
        assert finished.exit_code == 0, finished.output
        assert rows in finished.stdout
        assert_truth(database, list(range(ORDERS)))
    again = run.migrate(export, tables)
    assert again.exit_code == 0, again.output
    assert report_of(run.run_folders[-1])["tables"][0]["child_rows"]["order_line"] == len(line_rows(list(range(ORDERS))))
    validated = run.validate(export, tables)
    assert validated.exit_code == 0, validated.output

    database.execute("UPDATE order_line SET sku = 'other' WHERE order_id = %s AND position = '0'", uuid(13))
    changed = run.validate(export, tables)
    assert changed.exit_code == 3, changed.output
    assert [(kind, of) for _, kind, _, of in _kinds(run)] == [("different", 13)]

    taken_back = run.roll_back(export, "--yes", tables)
    assert taken_back.exit_code == 3, taken_back.output
    assert database.query("SELECT id::text FROM orders") == [(uuid(13),)]
    assert database.value("SELECT count(*) FROM order_line") == 13 % 4
    assert database.value("SELECT count(*) FROM order_tag") == 2


def test_a_childs_row_may_be_known_by_a_unique_index(database: Database, run: CommandLine, export: Path, tables: str) -> None:
    """Where its primary key is a number of its own, the definition fills the columns of the index."""
    database.execute(
        "DROP TABLE order_tag; CREATE TABLE order_tag (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_id uuid NOT NULL, "
        "tag text NOT NULL, UNIQUE (order_id, tag))"
    )
    looked = run("preflight", "--export", export, tables)
    assert looked.exit_code == 0, looked.output
    assert "child rows cannot be compared" not in looked.output
    assert run.migrate(export, tables).exit_code == 3
    assert_truth(database)
    assert run.validate(export, tables).exit_code == 0

    taken_back = run.roll_back(export, "--yes", tables)

    assert taken_back.exit_code == 0, taken_back.output
    assert database.value("SELECT count(*) FROM order_tag") == 0


def test_without_a_childs_table_nothing_is_begun(tmp_path: Path, database: Database, run: CommandLine, export: Path, tables: str) -> None:
    assert run.migrate(export, tables).exit_code == 3
    fixed = fixed_dead_letters(tmp_path, run)
    database.execute("ALTER TABLE order_tag RENAME TO order_tag_of_before")

    for refused in (run.validate(export, tables), run.roll_back(export, "--yes", tables), replay(run, fixed, tables)):
        assert refused.exit_code == 2, refused.output
        assert "a table of its child rows is not on the search path: order_line or order_tag" in refused.output
    assert database.value("SELECT count(*) FROM orders") == len(LIVE)


def test_a_replayed_item_is_taken_back_whole_or_not_at_all(
    tmp_path: Path, database: Database, run: CommandLine, export: Path, tables: str
) -> None:
    """What a trigger, or a row of others, keeps of an item keeps all of its rows; what is left of an item that is gone is deleted."""
    assert run.migrate(export, tables).exit_code == 3
    assert replay(run, fixed_dead_letters(tmp_path, run), tables).exit_code == 0
    database.execute(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN IF old.tag = ''tag-7'' THEN RETURN NULL; END IF; RETURN old; END'; "
        "CREATE TRIGGER keep BEFORE DELETE ON order_tag FOR EACH ROW EXECUTE FUNCTION keep()"
    )
    database.execute("CREATE TABLE invoice (order_id uuid REFERENCES orders); INSERT INTO invoice VALUES (%s)", uuid(13))
    database.execute(
        "CREATE TABLE pick (order_id uuid, position text, FOREIGN KEY (order_id, position) REFERENCES order_line ON DELETE CASCADE); "
        "INSERT INTO pick VALUES (%s, '1')",
        uuid(27),
    )
    database.execute("DELETE FROM order_line WHERE order_id = %s", uuid(33))
    database.execute("DELETE FROM orders WHERE id = %s", uuid(33))

    taken_back = run.roll_back(export, "--yes", tables)

    assert taken_back.exit_code == 3, taken_back.output
    kept = [7, 13, 27]
    assert_truth(database, kept)
    tags = {(uuid(number), tag) for number in kept for tag in (f"tag-{number}", "all")}
    assert set(database.query("SELECT order_id::text, tag FROM order_tag")) == tags
    assert database.value("SELECT count(*) FROM pick") == 1
    told = [(kind, of) for _, kind, _, of in _kinds(run, "discrepancies")]
    assert told == [("not_deleted", 7), ("refused", 13), ("referenced", 27)]
    assert database.query("SELECT rolled_back, count(*) FROM ddb2pg.replayed_item GROUP BY 1 ORDER BY 1") == [
        ("deleted", len(DEAD) - 4),
        ("gone", 1),
        ("not_deleted", 1),
        ("referenced", 1),
        ("refused", 1),
    ]


def _kinds(run: CommandLine, kind: str = "mismatches") -> list[tuple[str, str, tuple[str, ...], int]]:
    """Of a replayed row what is told is its place in the export: items are in the order of their numbers."""
    told = records(run.run_folders[-1] / kind / SOURCE)
    return [
        (one["target_table"], one["kind"], tuple(one["columns"]), one["item_number"] + 25 * int(one["data_file"].split(".")[0]))
        for one in told
    ]
