"""What definitions of tables are made of (docs/tables.md): `from ddb2pg import Column, Table, Text, Uuid`."""

from transforms.rejects import NoticeCode
from transforms.rules import Boolean, Jsonb, OneOf, Text, Timestamp, UpperCased, Uuid
from transforms.table import EMPTY_OBJECT, Column, LaterOf, Missing, Otherwise, Table

__all__ = [
    "EMPTY_OBJECT",
    "Boolean",
    "Column",
    "Jsonb",
    "LaterOf",
    "Missing",
    "NoticeCode",
    "OneOf",
    "Otherwise",
    "Table",
    "Text",
    "Timestamp",
    "UpperCased",
    "Uuid",
]
