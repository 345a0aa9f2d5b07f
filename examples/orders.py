"""A single-table design: customers, their orders and their payments in one DynamoDB table, each for a PostgreSQL table of its own.

    ddb2pg migrate --tables examples/orders.py --export EXPORT

The tables are in orders.sql; orders.toml is this definition without Python; docs/your-own-table.md goes through it line by line.
"""

from ddb2pg import (
    EMPTY_AS_NULL,
    EMPTY_OBJECT,
    ITEM,
    LOWER,
    REST,
    TRIM,
    AllOf,
    AnyOf,
    Array,
    BeginsWith,
    BigInt,
    Boolean,
    Bytes,
    Char,
    Column,
    Date,
    Enum,
    Equals,
    Exists,
    Ignore,
    Inet,
    Json,
    Jsonb,
    Missing,
    Not,
    Numeric,
    OneOf,
    Otherwise,
    Part,
    Table,
    Text,
    Timestamp,
    Uuid,
    Varchar,
)

# Deleted by the application, but still in DynamoDB.
IS_DELETED = AnyOf(Equals("deleted", True), Exists("deletedAt"))

CUSTOMER_ID = Column(Part("PK", "CUSTOMER#{id}", "id"), "customer_id", Uuid(), Missing.REFUSED)

CUSTOMERS = Table(
    "App",
    "customer",
    key=("PK", "SK"),
    where=AllOf(Equals("SK", "PROFILE"), Not(IS_DELETED)),
    columns=(
        CUSTOMER_ID,
        Column("name", "name", Text(), Missing.REFUSED, clean=(TRIM,)),
        Column("email", "email", Varchar(120), clean=(TRIM, LOWER, EMPTY_AS_NULL)),
        Column("address.city", "city", Text()),
        Column("address.country", "country", Char(2)),
        Column("creditLimit", "credit_limit", Numeric(precision=12, scale=2), Otherwise("0")),
        Column("newsletter", "newsletter", Boolean(true=("yes", "1"), false=("no", "0"), tags=("BOOL", "S")), Otherwise(False)),
        Column("tags", "tags", Array(Text())),
        Column("createdAt", "created_at", Timestamp(form="iso"), Missing.MIGRATION_TIME),
        Column(REST, "rest", Jsonb(), EMPTY_OBJECT),
    ),
)

ORDERS = Table(
    "App",
    "customer_order",
    key=("PK", "SK"),
    where=AllOf(BeginsWith("SK", "ORDER#"), Not(IS_DELETED)),
    columns=(
        CUSTOMER_ID,
        Column(Part("SK", "ORDER#{day}#{number}", "day"), "ordered_on", Date(), Missing.REFUSED),
        Column(Part("SK", "ORDER#{day}#{number}", "number"), "number", BigInt(least=1, zero_padded=True, tags=("S",)), Missing.REFUSED),
        Column("status", "status", OneOf(("OPEN", "PAID", "SENT")), Missing.REFUSED),
        Column("total", "total", Numeric(precision=12, scale=2), Missing.REFUSED),
        Column("lines", "lines", Jsonb(), Missing.REFUSED),
        Column("lines[0].sku", "first_sku", Text()),
        Column("tags", "tags", Array(Text())),
        Column("placedAt", "placed_at", Timestamp(form="iso", zone="Europe/Berlin"), Missing.REFUSED),
        Column("ttl", "expires_at", Timestamp(form="s")),
        Column("signature", "signature", Bytes()),
        Column(REST, "rest", Jsonb(), EMPTY_OBJECT),
    ),
)

PAYMENTS = Table(
    "App",
    "payment",
    key=("PK", "SK"),
    where=AllOf(BeginsWith("SK", "PAYMENT#"), Not(IS_DELETED)),
    columns=(
        Column(Part("SK", "PAYMENT#{id}", "id"), "id", Uuid(), Missing.REFUSED),
        CUSTOMER_ID,
        Column("amount", "amount", Numeric(precision=12, scale=2, least=0), Missing.REFUSED),
        Column("method", "method", Enum("payment_method", ("card", "sepa", "cash")), Missing.REFUSED),
        Column("paidAt", "paid_at", Timestamp(form="epoch", tags=("N", "S"))),
        Column("from.ip", "ip", Inet()),
        Column(ITEM, "item", Json(typed=True), EMPTY_OBJECT),
    ),
)

TABLES = [
    CUSTOMERS,
    ORDERS,
    PAYMENTS,
    Ignore("App", Equals("entity", "SESSION")),
    Ignore("App", IS_DELETED),
]
