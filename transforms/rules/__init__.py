"""The rules a table definition is written with, each in front of a type: the content of one attribute value to one field of a row."""

from transforms.rules.base import Conversion
from transforms.rules.documents import Array, Bytes, Domain, Json, Jsonb
from transforms.rules.numbers import BigInt, Boolean, Double, Integer, Numeric, Real, SmallInt
from transforms.rules.text import (
    Cast,
    Char,
    Citext,
    Enum,
    Inet,
    OneOf,
    Text,
    UpperCased,
    Uuid,
    UuidV5,
    Varchar,
)
from transforms.rules.times import Date, Interval, LocalTimestamp, Time, Timestamp

__all__ = [
    "Array",
    "BigInt",
    "Boolean",
    "Bytes",
    "Cast",
    "Char",
    "Citext",
    "Conversion",
    "Date",
    "Domain",
    "Double",
    "Enum",
    "Inet",
    "Integer",
    "Interval",
    "Json",
    "Jsonb",
    "LocalTimestamp",
    "Numeric",
    "OneOf",
    "Real",
    "SmallInt",
    "Text",
    "Time",
    "Timestamp",
    "UpperCased",
    "Uuid",
    "UuidV5",
    "Varchar",
]
