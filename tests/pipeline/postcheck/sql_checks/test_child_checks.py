"""The SQL checks of tables of child rows: their counts, their content, their policies; in the script as psql runs it, too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ddb2pg import POSITION, Child, Column, Integer, Jsonb, Missing, Numeric, Parent, Table, Text, Timestamp, Uuid
from tests.handmade_export import write_export
from tests.pipeline.postcheck.sql_checks.loaded import Loaded, changed, psql, verdicts_of_psql
from tests.postgres_server import Server

LINES = Child(
    "lines",
    "order_line",
    (
        Column(Parent("id"), "order_id", Uuid(), Missing.REFUSED),
        Column(POSITION, "position", Integer(), Missing.REFUSED),
        Column("price", "price", Numeric(10, 2)),
        Column("packedAt", "packed_at", Timestamp()),
        Column("more", "more", Jsonb()),
    ),
)
NAME_COLUMNS = (Column(Parent("id"), "order_id", Uuid(), Missing.REFUSED), Column("name", "name", Text(), Missing.REFUSED))
NAMES = Child("names", "order_name", NAME_COLUMNS)
ORDERS = Table("orders", "orders", "id", (Column("id", "id", Uuid(), Missing.REFUSED),), children=(LINES, NAMES))
TARGETS = """
CREATE TABLE orders (id uuid PRIMARY KEY);
CREATE TABLE order_line (
    order_id uuid, position integer, price numeric(10,2), packed_at timestamptz, more jsonb, PRIMARY KEY (order_id, position)
);
CREATE TABLE order_name (order_id uuid, name text, PRIMARY KEY (order_id, name));
ALTER TABLE order_line ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_line ON order_line FOR SELECT USING (true);
"""
LINE, NAME = "public.order_line", "public.order_name"


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def order(number: int) -> bytes:
    """With as many lines as its number, up to 4; the third order is none."""
    lines = [
        {
            "M": {
                "price": {"N": f"{number}.5{place}"},
                "packedAt": {"N": f"17000000{number:02d}12{place}"},
                "more": {"M": {"n": {"N": "1.50"}, "q": {"S": "'; SELECT 1"}}},
            }
        }
        for place in range(number % 5)
    ]
    return json.dumps({"Item": {"id": {"S": uuid(number) if number != 3 else "x"}, "lines": {"L": lines}}}).encode()


@pytest.fixture
def orders(server: Server, tmp_path: Path) -> Loaded:
    database = server.new_database(with_targets=False)
    database.execute(TARGETS)
    lines = [order(number) for number in range(12)]
    loaded = Loaded(server, database, write_export(tmp_path / "export", "orders", [lines[:7], lines[7:]]), tmp_path, (ORDERS,))
    loaded.load(chunk_items=5)
    return loaded


LINE_ROWS = sum(number % 5 for number in range(12) if number != 3)


def test_counts_content_and_policies_of_child_rows_are_checked(orders: Loaded) -> None:
    """As many rows as there are are looked for; a child of which no item has any has nothing to look for."""
    verdicts = orders.verdicts()

    for check in ("counts", "spot checks", "instants", "JSON content", "policies"):
        assert verdicts[check, LINE] == ["PASS"], orders.details(check, LINE)
    assert orders.details("counts", LINE) == [f"{LINE_ROWS} child rows in the ledger; {LINE_ROWS} rows in the table"]
    assert orders.details("spot checks", LINE) == [f"of {LINE_ROWS} rows of the export 0 are missing, 0 differ"]
    assert orders.details("counts", NAME) == ["0 child rows in the ledger; 0 rows in the table"]
    assert verdicts["spot checks", NAME] == ["SKIP"]
    assert orders.details("ledger", None) == ["1 load"]
    assert ("row security", LINE) in verdicts


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        ("DELETE FROM order_line WHERE position = 3", {"counts": ["FAIL"], "spot checks": ["FAIL"]}),
        ("UPDATE order_line SET price = price + 0.01 WHERE position = 3", {"spot checks": ["FAIL"]}),
        ("UPDATE order_line SET packed_at = packed_at + interval '1 us'", {"spot checks": ["FAIL"], "instants": ["FAIL"]}),
        ("""UPDATE order_line SET more = '{"n": 1.5, "q": "''; SELECT 1"}'""", {"spot checks": ["FAIL"], "JSON content": ["FAIL"]}),
        ("DROP POLICY of_line ON order_line", {"policies": ["FAIL"], "row security": ["SKIP"]}),
        ("ALTER TABLE order_line RENAME TO other", {"counts": ["FAIL"], "spot checks": ["SKIP"]}),
    ],
)
def test_what_was_changed_is_found(orders: Loaded, change: str, failed: dict[str, list[str]]) -> None:
    """In the child's table alone."""
    before = orders.verdicts()
    orders.database.execute(change)

    differ = {key: verdict for key, verdict in changed(before, orders.verdicts()).items() if verdict != ["SKIP"]}

    assert differ == {(check, LINE): verdict for check, verdict in failed.items() if verdict != ["SKIP"]}


def test_rows_of_others_are_no_fault(orders: Loaded) -> None:
    orders.database.execute(f"INSERT INTO order_name VALUES ('{uuid(99)}', 'x')")

    assert orders.verdicts()["counts", NAME] == ["PASS"]
    assert orders.details("counts", NAME) == ["0 child rows in the ledger; 1 rows in the table; 1 are not of this load"]


def test_psql_says_the_same_of_the_emitted_script(orders: Loaded, server: Server, tmp_path: Path) -> None:
    script = orders.emit(tmp_path / "checks.sql")

    verdicts = verdicts_of_psql(psql(server, orders.database.url, script))

    assert verdicts == orders.verdicts()
    assert verdicts["spot checks", LINE] == ["PASS"]
