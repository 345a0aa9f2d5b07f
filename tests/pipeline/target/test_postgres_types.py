"""Each entry of `transforms/types.py` on a real server: what it encodes, shows, compares, stages and parses is what PostgreSQL says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import ip_interface
from typing import Any, ClassVar

import pytest
from psycopg2 import sql

from pipeline.errors import Stopped
from pipeline.target.compare import read_values
from pipeline.target.rows import Rows, Staging, stage_parsed, stage_unparsed, unparsed_values
from pipeline.target.session import Cursor, Session
from tests.pipeline.target.made_loads import reference_to
from tests.postgres_server import Server
from transforms import types
from transforms.rejects import Notice
from transforms.table import Column, Table
from transforms.types import PgType, field_to_text

INSTANT = 1_717_230_000_123_456
# Two values of each type: what is encoded, and how it is shown.
SAMPLES: dict[PgType, tuple[tuple[Any, str], tuple[Any, str]]] = {
    types.UUID: (
        (bytes(range(16)), "00010203-0405-0607-0809-0a0b0c0d0e0f"),
        (b"\xff" * 16, "ffffffff-ffff-ffff-ffff-ffffffffffff"),
    ),
    types.BOOLEAN: ((True, "true"), (False, "false")),
    types.TEXT: (("a\n\u00e9\U0001f600 ".encode(), "a\n\u00e9\U0001f600 "), (b"", "")),
    types.TIMESTAMPTZ: ((INSTANT, "2024-06-01T08:20:00.123456+00:00"), (-1, "1969-12-31T23:59:59.999999+00:00")),
    types.JSONB: ((b'{"a":[1.50,null]}', '{"a":[1.50,null]}'), (b"[]", "[]")),
    types.VARCHAR: ((b"x ", "x "), (b"x", "x")),
    types.CHARACTER: ((b"x", "x"), (b"y", "y")),
    types.JSON: ((b'{"a":1}', '{"a":1}'), (b'{"a":2}', '{"a":2}')),
    types.XML: ((b"<a>1</a>", "<a>1</a>"), (b"<a>2</a>", "<a>2</a>")),
    types.CITEXT: ((b"Ab", "Ab"), (b"ab", "ab")),
    types.SMALLINT: ((-32768, "-32768"), (32767, "32767")),
    types.INTEGER: ((-(2**31), "-2147483648"), (7, "7")),
    types.BIGINT: ((-(2**63), "-9223372036854775808"), (2**63 - 1, "9223372036854775807")),
    types.NUMERIC: ((Decimal("-1234567890.00010"), "-1234567890.00010"), (Decimal("1E+5"), "100000")),
    types.DOUBLE: ((0.1, "0.1"), (-1e22, "-1e+22")),
    types.REAL: ((0.10000000149011612, "0.1"), (16777216.0, "16777216")),
    types.TIMESTAMP: ((INSTANT, "2024-06-01T08:20:00.123456"), (-1, "1969-12-31T23:59:59.999999")),
    types.DATE: ((0, "2000-01-01"), (-730119, "0001-01-01")),
    types.TIME: ((86_399_999_999, "23:59:59.999999"), (0, "00:00:00")),
    # Equal to PostgreSQL, and yet not the same span.
    types.INTERVAL: (((1, 0, -1), "1 mons 0 days -1 us"), ((0, 30, -1), "0 mons 30 days -1 us")),
    types.BYTEA: ((b"\0\xff", "\\x00ff"), (b"", "\\x")),
    types.INET: ((ip_interface("10.1.2.3/8"), "10.1.2.3/8"), (ip_interface("::1"), "::1")),
}
OF_EACH_TYPE = pytest.mark.parametrize("pg_type", SAMPLES, ids=str)
STAGING = Staging("ddb2pg_types")


def test_every_type_has_samples() -> None:
    """A new type is one entry, and one line above."""
    assert {entry for entry in vars(types).values() if isinstance(entry, PgType)} == SAMPLES.keys()


def table_of(pg_type: PgType) -> Table:
    """A definition with one column of the type."""

    @dataclass(frozen=True)
    class OfType:
        tags: ClassVar[tuple[str, ...]] = ("S",)
        content_type: ClassVar[type] = str

        @property
        def pg_type(self) -> PgType:
            return pg_type

        def encoder(self, attribute: str) -> Callable[[Any, list[Notice]], bytes]:
            raise NotImplementedError(attribute)

    return Table("source", "target", ("a",), (Column("a", "a", OfType()),))


@pytest.fixture(scope="module")
def session(server: Server) -> Iterator[Session]:
    database = server.new_database(with_targets=False)
    # The server of the tests has no citext; in binary form it is text.
    database.execute("CREATE DOMAIN citext AS text")
    with Session(reference_to(database.url)) as session:
        yield session


def on_server(session: Session, work: Callable[[Cursor], Any]) -> Any:
    try:
        return session.transact(work)
    except Stopped as stopped:
        if "FeatureNotSupported" in str(stopped):
            pytest.skip("this server was built without the type")
        raise


@OF_EACH_TYPE
def test_what_is_encoded_is_what_is_shown(session: Session, pg_type: PgType) -> None:
    """PostgreSQL reads the encoded field as the value that the shown text is; another sample is another value; NULL is no value."""
    first, second = (pg_type.encode(value) for value, _ in SAMPLES[pg_type])
    assert [field_to_text(field, pg_type) for field in (first, second, types.NULL)] == [*(shown for _, shown in SAMPLES[pg_type]), None]

    def differences(cursor: Cursor) -> list[tuple[bool, bool]]:
        stage_parsed(cursor, STAGING, table_of(pg_type), Rows([0, 1, 2], [first, second, types.NULL]))
        form, column = sql.SQL(pg_type.is_distinct), sql.SQL("staged.a")
        shown = [sql.SQL("CAST({} AS {})").format(sql.Literal(text), sql.SQL(pg_type.name)) for _, text in SAMPLES[pg_type]]
        both = sql.SQL(", ").join(form.format(column, other) for other in shown)
        cursor.execute(sql.SQL("SELECT {} FROM {} AS staged ORDER BY ddb2pg_item").format(both, STAGING.identifier))
        return cursor.fetchall()  # type: ignore[no-any-return]

    found = on_server(session, differences)
    assert found == [(False, True), (True, False), (True, True)]


@OF_EACH_TYPE
def test_what_is_staged_unparsed_is_the_same_value(session: Session, pg_type: PgType) -> None:
    """Whatever the server's parser may refuse is parsed later, to the same; and its text is that of the type."""
    fields = [*(pg_type.encode(value) for value, _ in SAMPLES[pg_type]), types.NULL]
    table = table_of(pg_type)

    def texts(cursor: Cursor) -> tuple[list[Any], list[Any]]:
        stage_unparsed(cursor, STAGING, table, Rows([0, 1, 2], fields))
        cursor.execute(
            sql.SQL("SELECT {} FROM (SELECT ddb2pg_item, {} AS a FROM {} AS staged) parsed ORDER BY ddb2pg_item").format(
                sql.SQL(pg_type.as_text).format(sql.SQL("a")), unparsed_values(table), STAGING.identifier
            )
        )
        return cursor.fetchall(), read_values(cursor, table, Rows([0, 1, 2], fields))

    unparsed, parsed = on_server(session, texts)
    assert unparsed == parsed
    if pg_type is types.TIMESTAMPTZ:
        assert parsed == [("2024-06-01 08:20:00.123456+00",), ("1969-12-31 23:59:59.999999+00",), (None,)]


def test_a_type_without_an_entry() -> None:
    """A conversion of somebody's own may fill a column of it; its values are shown as their bytes."""
    integer = PgType("integer")
    assert field_to_text(b"\0\0\0\4\0\0\0\7", integer) == "\\x00000007"
    assert integer.may_go_into("integer")
    assert not integer.may_go_into("bigint")
    with pytest.raises(NotImplementedError, match="no encoding"):
        integer.encode(7)
