"""The orders of `examples/orders.py` with their lines as rows of a child table, and the truth of those."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

from tests.pipeline.test_orders import EXAMPLES, App
from tests.postgres_server import Database

TARGETS = (EXAMPLES / "orders.sql").read_text() + (
    "CREATE TABLE order_line (pk text, sk text, position integer, sku text NOT NULL, price numeric(12, 2) NOT NULL, n smallint, "
    "PRIMARY KEY (pk, sk, position));"
)
DEFINITION = (
    (EXAMPLES / "orders.py").read_text()
    + """

from dataclasses import replace

from ddb2pg import POSITION, Child, Integer, Parent, SmallInt

LINES = Child(
    "lines",
    "order_line",
    (
        Column(Parent("PK"), "pk", Text(), Missing.REFUSED),
        Column(Parent("SK"), "sk", Text(), Missing.REFUSED),
        Column(POSITION, "position", Integer(), Missing.REFUSED),
        Column("sku", "sku", Text(), Missing.REFUSED),
        Column("price", "price", Numeric(precision=12, scale=2), Missing.REFUSED),
        Column("n", "n", SmallInt()),
    ),
)
TABLES[1] = replace(ORDERS, children=(LINES,))
"""
)


def write_definition(folder: Path) -> str:
    """The argument that names it."""
    path = folder / "orders_with_lines.py"
    path.write_text(DEFINITION)
    return f"--tables={path}"


def planted_lines(made: App) -> set[tuple[str, str, int, str, Decimal, int]]:
    """A row of each line of an order that is a row."""
    planted = set()
    for row in made.truth["customer_order"].rows:
        key = f"CUSTOMER#{row['customer_id']}", f"ORDER#{row['ordered_on']}#{int(row['number']):08d}"
        lines = json.loads(row["lines"]["jsonb"], parse_float=Decimal)
        planted |= {(*key, place, line["sku"], Decimal(line["price"]), int(line["n"])) for place, line in enumerate(lines)}
    return planted


def lines_in(database: Database) -> set[tuple[str, str, int, str, Decimal, int]]:
    return set(database.query("SELECT pk, sk, position, sku, price, n FROM order_line"))
