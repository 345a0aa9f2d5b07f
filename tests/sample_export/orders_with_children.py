"""A table of orders with children of all kinds, as a user defines them."""

# Lists, maps and sets; elements that are maps, texts and documents; columns of the item by each way that a child can take them.
DEFINITION = """
from ddb2pg import *

ORDER = Column(Parent(Part("PK", "CUSTOMER#{customer}#ORDER#{id}", "id")), "order_id", Uuid(), Missing.REFUSED)
TABLES = [
    Table(
        "Orders",
        "orders",
        "PK",
        (
            Column(Part("PK", "CUSTOMER#{customer}#ORDER#{id}", "id"), "id", Uuid(), Missing.REFUSED),
            Column("placed", "placed", Timestamp(), Missing.MIGRATION_TIME),
            Column("lines", "lines", Jsonb()),
            Column("lines[0].sku", "first_sku", Text(), clean=(TRIM,)),
            Column("note", "note", Text()),
        ),
        where=AllOf(Equals("kind", "order"), Exists("shop")),
        children=(
            Child(
                "lines",
                "order_line",
                (
                    ORDER,
                    Column(POSITION, "position", Integer(least=0), Missing.REFUSED),
                    Column("sku", "sku", Text(), Missing.REFUSED, clean=(TRIM,)),
                    Column("price.amount", "amount", Numeric(precision=12, scale=2), Missing.REFUSED),
                    Column("count", "count", SmallInt(), Otherwise("1")),
                    Column(Part("batch", "B#{lot}#{n}", "lot"), "lot", BigInt(tags=("S",)), Missing.REFUSED),
                    Column(LaterOf("made", "seen"), "at", Timestamp()),
                    Column("checked", "checked", Timestamp("iso"), Missing.MIGRATION_TIME),
                    Column(Parent("placed"), "placed", Timestamp(), Missing.MIGRATION_TIME),
                    Column(Parent("note"), "note", Text()),
                    Column(ELEMENT, "line", Jsonb()),
                ),
            ),
            Child("info.tags", "order_tag", (ORDER, Column(ELEMENT, "tag", Text(), Missing.REFUSED))),
            Child(
                "prices",
                "order_price",
                (
                    ORDER,
                    Column(Parent("PK"), "pk", Text(), Missing.REFUSED),
                    Column(MEMBER, "currency", Text(), Missing.REFUSED),
                    Column(ELEMENT, "price", Numeric(), Otherwise("0")),
                    Column(Parent("rate.of"), "rate", Integer(), Missing.REFUSED),
                ),
            ),
            Child(
                "steps",
                "order_step",
                (
                    ORDER,
                    Column(POSITION, "number", Text(tags=("N",)), Missing.REFUSED),
                    Column(ELEMENT, "step", OneOf(("OPEN", "SENT")), Missing.REFUSED),
                ),
            ),
            Child(
                "extras",
                "order_extra",
                (
                    ORDER,
                    Column(POSITION, "position", SmallInt()),
                    Column(MEMBER, "name", Text()),
                    Column(ELEMENT, "extra", Jsonb(typed=True)),
                    Column(None, "source", Text(), Otherwise("made up")),
                    Column(ITEM, "item", Jsonb()),
                ),
            ),
        ),
    )
]
"""
TARGETS = """
CREATE TABLE orders (id uuid PRIMARY KEY, placed timestamptz NOT NULL, lines jsonb, first_sku text, note text);
CREATE TABLE order_line (
    order_id uuid, position integer, sku text NOT NULL, amount numeric(12, 2) NOT NULL, count smallint NOT NULL, lot bigint NOT NULL,
    at timestamptz, checked timestamptz NOT NULL, placed timestamptz NOT NULL, note text, line jsonb, PRIMARY KEY (order_id, position)
);
CREATE TABLE order_tag (order_id uuid, tag text, PRIMARY KEY (order_id, tag));
CREATE TABLE order_price (
    order_id uuid, pk text, currency text, price numeric NOT NULL, rate integer NOT NULL, PRIMARY KEY (order_id, currency)
);
CREATE TABLE order_step (order_id uuid, number text, step text NOT NULL, PRIMARY KEY (order_id, number));
CREATE TABLE order_extra (order_id uuid, position smallint, name text, extra jsonb, source text, item jsonb);
CREATE UNIQUE INDEX ON order_extra (order_id, position, name) NULLS NOT DISTINCT;
"""
