"""Everything that a runner sends to its workers pickles and comes back equal."""

import copy
import pickle
from decimal import Decimal

import pytest
from sound_items import AUDIT, NOTE, SESSION, SOUND, changed, line_of

from transforms.compile import compile_table
from transforms.rejects import ErrorCode, ItemError, ItemRefused, Notice, NoticeCode, ReadRefused, Stage, TransformRefused, ValueRefused
from transforms.rules import (
    Array,
    BigInt,
    Boolean,
    Bytes,
    Cast,
    Char,
    Citext,
    Date,
    Domain,
    Double,
    Enum,
    Inet,
    Integer,
    Interval,
    Json,
    Jsonb,
    LocalTimestamp,
    Numeric,
    OneOf,
    Real,
    SmallInt,
    Text,
    Time,
    Timestamp,
    UpperCased,
    Uuid,
    UuidV5,
    Varchar,
)
from transforms.rules.text import is_uuid
from transforms.sources import LaterOf
from transforms.table import EMPTY_OBJECT, Column, Missing, Otherwise, Unmapped
from transforms.tables.medzen import TABLES

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)
VALUES = [
    Uuid(),
    Uuid(empty_as_null=True),
    Text(),
    Text(expected=is_uuid, otherwise=NoticeCode.MALFORMED_MEETING_ID),
    OneOf(("A", "B")),
    UpperCased(("A",), NoticeCode.UNKNOWN_EVENT_TYPE),
    Boolean(),
    Timestamp(),
    Timestamp(earliest=0, latest=1, tags=("N", "S")),
    Jsonb(),
    *(UuidV5("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), Varchar(3), Char(3), Citext(), Enum("mood", ("a",)), Cast("ltree"), Inet()),
    *(SmallInt(), Integer(least=0), BigInt(), Numeric(10, 2, most=Decimal("9.5")), Double(), Real(), Boolean(("y",), ("n",), ("S",))),
    *(Timestamp("iso", zone="Europe/Berlin"), LocalTimestamp("ms"), Date("s"), Time(), Interval("iso"), Bytes(), Json(typed=True)),
    *(Array(Numeric(5, 2)), Domain("positive", Integer()), Array(Domain("positive", Integer()))),
    *Missing,
    *Unmapped,
    *Stage,
    *ErrorCode,
    *NoticeCode,
    EMPTY_OBJECT,
    Otherwise(False),
    LaterOf("a", "b"),
    Column("a", "b", Text()),
    ItemError(ErrorCode.WRONG_TYPE, "a", "b", "message", "23505"),
    Notice(NoticeCode.UNMAPPED_ATTRIBUTE, "a"),
    *TABLES,
]
EXCEPTIONS = [
    ReadRefused.because(ErrorCode.NOT_AN_ITEM, "message", "a.b"),
    TransformRefused((ItemError(ErrorCode.WRONG_TYPE, "a", "b", "message"), ItemError(ErrorCode.INVALID_UUID, "c", "d", "other"))),
    ItemRefused((ItemError(ErrorCode.WRONG_TYPE, "a", "b", "message"),)),
    ValueRefused(ErrorCode.NUL_CHARACTER, "message", ".a[3]"),
    ValueRefused(ErrorCode.INVALID_UUID, "message"),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", VALUES, ids=lambda value: str(value)[:20])
def test_values(value, protocol):
    """A table, each conversion, each rule, code, error and notice is equal to itself after pickling and copying."""
    for other in (pickle.loads(pickle.dumps(value, protocol)), copy.deepcopy(value)):  # noqa: S301 - our own bytes
        assert type(other) is type(value)
        assert other == value


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("exception", EXCEPTIONS, ids=lambda exception: type(exception).__name__)
def test_exceptions(exception, protocol):
    """A refusal keeps its class, stage, errors and message: Beam sends exceptions from its workers by pickle."""
    for other in (pickle.loads(pickle.dumps(exception, protocol)), copy.copy(exception)):  # noqa: S301 - our own bytes
        assert type(other) is type(exception)
        assert other.args == exception.args
        assert str(other) == str(exception)
        for name in ("stage", "errors", "code", "message", "path"):
            assert getattr(other, name, None) == getattr(exception, name, None)


@pytest.mark.parametrize(
    ("table", "item"),
    [
        (TABLES[0], changed(SESSION, id={"S": "x"}, status={"N": "1"})),
        (TABLES[1], changed(NOTE, soapData={"M": {"plan": {"S": "\0"}}})),
        (TABLES[2], changed(AUDIT, id=1)),
        (TABLES[2], []),
    ],
    ids=["uuid and type", "nul", "shape", "no item"],
)
def test_refusals_that_were_raised(table, item):
    """A refusal as it is really raised, with its causes behind it, pickles too."""
    with pytest.raises(ItemRefused) as caught:
        compile_table(table, migration_time=0)(line_of(item))
    other = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own bytes
    assert (type(other), other.stage, other.errors) == (type(caught.value), caught.value.stage, caught.value.errors)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.source)
def test_a_pickled_table_makes_the_same_rows(table):
    """A worker that compiles a pickled table makes the same rows, and sees the same fingerprint."""
    other = pickle.loads(pickle.dumps(table))  # noqa: S301 - our own bytes
    line = line_of(SOUND[table.source])
    assert compile_table(other, migration_time=7)(line) == compile_table(table, migration_time=7)(line)
    assert other.fingerprint == table.fingerprint
