"""Child rows go in with their item, in its transaction, or not at all: whatever PostgreSQL refuses of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from pipeline.errors import Stopped
from pipeline.job.compare import CompareChunks
from pipeline.job.visit import ChunkVisitor, VisitPlan
from pipeline.rollback.take_back import TakeBackChunks
from pipeline.target.target import find_references
from tests.pipeline.target.made_loads import Lab, chunk_of, loader, reference_to, uuid
from tests.postgres_server import Database
from transforms.rules import Text, Uuid
from transforms.sources import ELEMENT, MEMBER, POSITION, Parent
from transforms.table import Child, Column, Missing, Table

ORDER = Column(Parent("id"), "order_id", Uuid(), Missing.REFUSED)
LINES = Child(
    "lines",
    "order_line",
    (ORDER, Column(POSITION, "position", Text(tags=("N",)), Missing.REFUSED), Column("sku", "sku", Text(), Missing.REFUSED)),
)
TAGS = Child("tags", "order_tag", (ORDER, Column(ELEMENT, "tag", Text(), Missing.REFUSED)))
MARKS = Child("marks", "order_mark", (ORDER, Column(MEMBER, "name", Text(), Missing.REFUSED), Column(ELEMENT, "mark", Text())))
ORDERS = Table(
    "orders",
    "orders",
    "id",  # type: ignore[arg-type]
    (Column("id", "id", Uuid(), Missing.REFUSED), Column("note", "note", Text())),
    children=(LINES, TAGS, MARKS),
)
TARGETS = """
CREATE TABLE orders (id uuid PRIMARY KEY, note text CHECK (note <> 'bad'));
CREATE TABLE order_line (
    order_id uuid REFERENCES orders, position text, sku text UNIQUE CHECK (sku <> 'bad'), PRIMARY KEY (order_id, position)
);
CREATE TABLE order_tag (order_id uuid REFERENCES orders, tag text, PRIMARY KEY (order_id, tag));
CREATE TABLE order_mark (order_id uuid, name text, mark text, PRIMARY KEY (order_id, name));
"""


@pytest.fixture
def orders(bare: Database) -> Lab:
    return Lab(bare, TARGETS, table=ORDERS)


def order(number: int, *skus: str, tags: Sequence[str] = (), marks: dict[str, Any] | None = None, note: str = "") -> bytes:
    item: dict[str, Any] = {"id": {"S": uuid(number)}, "note": {"S": note}}
    item["lines"] = {"L": [{"M": {"sku": {"S": sku}}} for sku in skus]}
    if tags:
        item["tags"] = {"SS": list(tags)}
    if marks:
        item["marks"] = {"M": {name: {"S": mark} for name, mark in marks.items()}}
    return json.dumps({"Item": item}).encode()


def rows(lab: Lab) -> dict[str, set[tuple[Any, ...]]]:
    """Of each target, with the numbers of the orders."""
    return {
        table: {(int(first[-12:]), *rest) for first, *rest in lab.database.query(f"SELECT {columns} FROM {table}")}
        for table, columns in {
            "orders": "id::text",
            "order_line": "order_id::text, position, sku",
            "order_tag": "order_id::text, tag",
            "order_mark": "order_id::text, name, mark",
        }.items()
    }


def child_rows(lab: Lab) -> list[tuple[int, list[int]]]:
    return lab.database.query("SELECT rows, child_rows FROM ddb2pg.chunk")


def test_child_rows_go_in_with_their_item(orders: Lab) -> None:
    """From a list by position, from a set, from a map by name; of an order without any there are none; the ledger counts them."""
    told = orders.load([order(1, "a", "b", tags=["x", "y"]), order(2), order(3, "c", marks={"m": "1", "n": "2"})])

    assert not told.dead_letters
    assert not told.notices
    assert rows(orders) == {
        "orders": {(1,), (2,), (3,)},
        "order_line": {(1, "0", "a"), (1, "1", "b"), (3, "0", "c")},
        "order_tag": {(1, "x"), (1, "y")},
        "order_mark": {(3, "m", "1"), (3, "n", "2")},
    }
    assert child_rows(orders) == [(3, [3, 2, 2])]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (order(2, "b", "bad", tags=["x"]), ("check_violation", "23514")),
        (order(2, "b", "a"), ("unique_conflict", "23505")),
        (order(2, "b", tags=["x", "x"]), ("primary_key_conflict", "23505")),
        (order(2, "b", "c", note="bad", tags=["x"]), ("check_violation", "23514")),
        (order(1, "b", "c", tags=["z"]), ("primary_key_conflict", "23505")),
        (order(2, "b", tags=["x\0"]), ("nul_character", None)),
    ],
    ids=["a child's check", "a child's unique index", "a child's key", "the item's check", "the item's key", "a child's value"],
)
def test_an_item_of_which_a_row_is_refused_has_no_rows(orders: Lab, bad: bytes, code: tuple[str, str | None]) -> None:
    """The others of its chunk go in; the ledger counts their child rows alone."""
    told = orders.load([order(1, "a", tags=["x"]), bad, order(3, "d", "e")])

    assert told.dead_letters == {1: code}
    assert rows(orders) == {
        "orders": {(1,), (3,)},
        "order_line": {(1, "0", "a"), (3, "0", "d"), (3, "1", "e")},
        "order_tag": {(1, "x")},
        "order_mark": set(),
    }
    assert child_rows(orders) == [(2, [3, 1, 0])]


def test_an_item_is_refused_for_no_row_of_an_item_that_is_refused_itself(orders: Lab) -> None:
    """The second order's line has the SKU of the first one's, which does not go in for another of its lines."""
    told = orders.load([order(1, "a", "bad"), order(2, "a"), order(3, "a")])

    assert told.dead_letters == {0: ("check_violation", "23514"), 2: ("unique_conflict", "23505")}
    assert rows(orders)["order_line"] == {(2, "0", "a")}


def test_a_trigger_that_keeps_a_child_out_keeps_its_item_out(orders: Lab) -> None:
    orders.database.execute(
        "CREATE FUNCTION keep_out() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN IF new.tag = ''out'' THEN RETURN NULL; END IF; RETURN new; END'; "
        "CREATE TRIGGER keep_out BEFORE INSERT ON order_tag FOR EACH ROW EXECUTE FUNCTION keep_out()"
    )

    told = orders.load([order(1, "a", tags=["in"]), order(2, "b", tags=["in", "out"])])

    assert told.dead_letters == {1: ("database_rejected", None)}
    assert rows(orders)["order_tag"] == {(1, "in")}
    assert rows(orders)["order_line"] == {(1, "0", "a")}


def test_a_trigger_that_puts_child_rows_elsewhere_stops_the_load(orders: Lab) -> None:
    """They would be told as dead letters of their item, and be in another table; nothing of the chunk is written."""
    orders.database.execute(
        "CREATE TABLE archive (tag text); CREATE FUNCTION divert() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN IF new.tag = ''old'' THEN INSERT INTO archive VALUES (new.tag); RETURN NULL; END IF; RETURN new; END'; "
        "CREATE TRIGGER divert BEFORE INSERT ON order_tag FOR EACH ROW EXECUTE FUNCTION divert()"
    )

    with pytest.raises(
        Stopped, match=r"of trigger divert one keeps rows out and writes into archive.* ALTER TABLE public\.order_tag DISABLE"
    ):
        orders.load([order(1, "a", tags=["new"]), order(2, "b", tags=["old"])])

    assert all(not found for found in rows(orders).values())
    assert orders.database.value("SELECT count(*) FROM archive") == 0


def test_a_trigger_that_takes_child_rows_out_again_stops_the_load(orders: Lab) -> None:
    orders.database.execute(
        "CREATE FUNCTION take_out() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN DELETE FROM order_tag WHERE tag = ''old''; RETURN NULL; END'; "
        "CREATE TRIGGER take_out AFTER INSERT ON order_tag FOR EACH ROW EXECUTE FUNCTION take_out()"
    )

    with pytest.raises(Stopped, match="of trigger take_out one takes 1 of its rows out again"):
        orders.load([order(1, "a", tags=["new"]), order(2, "b", tags=["old"])])

    assert all(not found for found in rows(orders).values())


def test_a_dead_parent_has_no_children(orders: Lab) -> None:
    """And the dead letter tells what is wrong with both, of an attribute that feeds both once."""
    broken = json.dumps({"Item": {"id": {"S": "no"}, "lines": {"L": [{"M": {"sku": {"N": "1"}}}]}}}).encode()

    with orders.session() as session:
        records = loader(orders.plan(), session).visit(chunk_of([broken, order(2, "b")]))

    [dead] = [json.loads(record) for batch in records.values() for record in batch.records]
    assert {(error["code"], error["attribute"], error["column"]) for error in dead["errors"]} == {
        ("invalid_uuid", "id", "id"),
        ("wrong_type", "lines[0].sku", "sku"),
    }
    assert rows(orders)["order_line"] == {(2, "0", "b")}


def test_a_chunk_that_is_committed_is_not_written_again(orders: Lab) -> None:
    """A second worker, or a resume, gives the same dead letters, and writes nothing."""
    lines = [order(1, "a"), order(2, "bad"), order(3, "c", tags=["x"])]
    plan = orders.plan()
    first = orders.load(lines, plan)
    before = rows(orders)

    again = orders.load(lines, plan)

    assert again.dead_letters == first.dead_letters == {1: ("check_violation", "23514")}
    assert rows(orders) == before
    assert child_rows(orders) == [(2, [2, 1, 0])]


LOADED = [
    order(1, "a", "b", tags=["x", "y"]),
    order(2, "c", tags=["x"], marks={"m": "1"}),
    order(3, "d"),
    order(4),
    order(5, "bad"),
    order(6, "e", tags=["z"]),
]


def visit(lab: Lab, plan: VisitPlan) -> list[tuple[int, str, tuple[str, ...]]]:
    """The item's number, kind and columns of each record of the chunk of `LOADED`."""
    with lab.session() as session:
        batches = ChunkVisitor(plan, session).visit(chunk_of(LOADED))
    told = [json.loads(record) for batch in batches.values() for record in batch.records]
    return [(one["item_number"], one["kind"], tuple(one["columns"])) for one in told]


def test_child_rows_are_compared_with_their_item(orders: Lab) -> None:
    """A missing child row is told as its table, a changed one by its column; a repair inserts what is missing, the item's own row first."""
    plan = orders.plan()
    orders.load(LOADED, plan)
    assert visit(orders, CompareChunks(replace(plan, run_id="first"))) == []
    orders.database.execute("UPDATE order_line SET sku = 'other' WHERE sku = 'b'; DELETE FROM order_tag WHERE tag = 'x'")
    orders.database.execute("DELETE FROM order_line WHERE sku = 'd'; DELETE FROM orders WHERE id = %s", uuid(3))
    orders.database.execute("UPDATE order_mark SET mark = '2'")

    assert visit(orders, CompareChunks(replace(plan, run_id="second"))) == [
        (0, "different", ("order_line.sku", "order_tag")),
        (1, "different", ("order_tag", "order_mark.mark")),
        (2, "missing", ()),
    ]
    repaired = visit(orders, CompareChunks(replace(plan, run_id="third"), repair=True))
    assert repaired == [(0, "different", ("order_line.sku",)), (1, "different", ("order_mark.mark",)), (2, "repaired", ())]
    assert rows(orders)["order_tag"] == {(1, "x"), (1, "y"), (2, "x"), (6, "z")}
    assert (3, "0", "d") in rows(orders)["order_line"]


def test_an_item_is_taken_back_with_its_children(orders: Lab) -> None:
    """Children first, for they refer to it; of an item of which a row was changed, or that PostgreSQL keeps, all rows stay."""
    plan = orders.plan()
    orders.load(LOADED, plan)
    orders.database.execute("UPDATE order_mark SET mark = '2'; DELETE FROM order_tag WHERE tag = 'z'")
    orders.database.execute("CREATE TABLE invoice (order_id uuid REFERENCES orders); INSERT INTO invoice VALUES (%s)", uuid(3))
    references = ((),) * 3
    before = rows(orders)

    looked_at = visit(orders, TakeBackChunks(plan, 0, (), is_dry=True, child_references=references))
    assert looked_at == [(1, "different", ("order_mark.mark",))]
    assert rows(orders) == before
    taken_back = visit(orders, TakeBackChunks(plan, 1, (), is_dry=False, child_references=references))

    assert taken_back == [(1, "different", ("order_mark.mark",)), (2, "refused", ())]
    assert rows(orders) == {
        "orders": {(2,), (3,)},
        "order_line": {(2, "0", "c"), (3, "0", "d")},
        "order_tag": {(2, "x")},
        "order_mark": {(2, "m", "2")},
    }
    assert orders.database.query("SELECT rows, deleted, gone, kept FROM ddb2pg.chunk") == [(5, 3, 0, 2)]
    orders.database.execute("DROP TABLE invoice")
    assert visit(orders, TakeBackChunks(plan, 2, (), is_dry=False, child_references=references)) == taken_back[:1]
    assert rows(orders)["orders"] == {(2,)}


@pytest.mark.parametrize("rule", ["ON DELETE CASCADE", "ON DELETE SET NULL"])
def test_rows_of_others_that_refer_to_an_item_keep_it_with_its_children(orders: Lab, rule: str) -> None:
    """Deleting it would delete or change them. Its own child rows, which go first, are none of others."""
    plan = orders.plan()
    orders.load(LOADED, plan)
    orders.database.execute(
        f"ALTER TABLE order_line DROP CONSTRAINT order_line_order_id_fkey, ADD FOREIGN KEY (order_id) REFERENCES orders {rule}"
    )
    orders.database.execute(f"CREATE TABLE invoice (order_id uuid REFERENCES orders {rule}); INSERT INTO invoice VALUES (%s)", uuid(1))
    orders.database.execute(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF old.tag = ''z'' THEN RETURN NULL; END IF; RETURN old; END'; "
        "CREATE TRIGGER keep BEFORE DELETE ON order_tag FOR EACH ROW EXECUTE FUNCTION keep()"
    )
    with orders.session() as session:
        references = tuple(session.transact(lambda cursor: find_references(cursor, plan.target)))

    taken_back = visit(orders, TakeBackChunks(plan, 1, references, is_dry=False, child_references=((),) * 3))

    assert taken_back == [(0, "referenced", ()), (5, "not_deleted", ())]
    assert rows(orders)["order_line"] == {(1, "0", "a"), (1, "1", "b"), (6, "0", "e")}
    assert orders.database.value("SELECT count(*) FROM invoice WHERE order_id IS NOT NULL") == 1


ROLE = "roller_back_of_orders"


def test_under_row_security_an_item_of_which_a_row_is_not_seen_keeps_all(orders: Lab) -> None:
    """Its own row or a child's: what seems to be gone may only be hidden. The role needs no right to UPDATE."""
    plan = orders.plan()
    orders.load(LOADED, plan)
    bare = orders.database
    bare.execute(f"CREATE ROLE {ROLE} LOGIN; GRANT SELECT, DELETE ON ALL TABLES IN SCHEMA public TO {ROLE}")
    bare.execute(f"GRANT TEMP ON DATABASE {bare.value('SELECT current_database()')} TO {ROLE}")
    for table in ("orders", "order_tag"):
        bare.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; CREATE POLICY a ON {table} FOR DELETE USING (true)")
    bare.execute(f"CREATE POLICY b ON orders FOR SELECT USING (id <> '{uuid(3)}')")
    bare.execute(f"CREATE POLICY b ON order_tag FOR SELECT USING (order_id <> '{uuid(2)}')")
    for (table,) in bare.query("SELECT tablename FROM pg_tables WHERE schemaname = 'ddb2pg'"):
        bare.execute(f"ALTER TABLE ddb2pg.{table} OWNER TO {ROLE}")
    bare.execute(f"ALTER SCHEMA ddb2pg OWNER TO {ROLE}")
    bare.execute("DELETE FROM order_tag WHERE tag = 'z'")
    orders.reference = reference_to(make_dsn(**{**parse_dsn(bare.url), "user": ROLE}))
    plan = replace(plan, target=orders.target())
    assert plan.target.hides_rows

    taken_back = visit(orders, TakeBackChunks(plan, 1, (), is_dry=False, child_references=((),) * 3))

    assert taken_back == [(1, "not_seen", ()), (2, "not_seen", ()), (5, "not_seen", ())]
    assert rows(orders) == {
        "orders": {(2,), (3,), (6,)},
        "order_line": {(2, "0", "c"), (3, "0", "d"), (6, "0", "e")},
        "order_tag": {(2, "x")},
        "order_mark": {(2, "m", "1")},
    }
    bare.execute(f"ALTER SCHEMA ddb2pg OWNER TO postgres; REASSIGN OWNED BY {ROLE} TO postgres; DROP OWNED BY {ROLE}; DROP ROLE {ROLE}")
