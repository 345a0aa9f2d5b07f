"""Rows compared by the bytes that PostgreSQL sends: a difference in every type, and whatever looks like one and is none.

What counts is `PgType.is_distinct`, as PostgreSQL answers it for each pair of values.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from ipaddress import ip_interface
from typing import Any, ClassVar

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2 import sql

from pipeline.errors import Stopped
from pipeline.target.compare import compare_rows, has_same_key, prove_by_bytes
from pipeline.target.rows import ITEM, Rows, Staging, drop_staged, stage_parsed
from pipeline.target.session import Cursor, Session
from pipeline.target.target import Target, find_target_of
from tests.pipeline.target.made_loads import reference_to
from tests.postgres_server import Database, Server
from tests.strategies import examples
from transforms import types
from transforms.native.plan import IS_BUILT
from transforms.native.sent import compile_proof
from transforms.rejects import Notice
from transforms.table import Column, Missing, Table
from transforms.types import NULL, PgType, array_of, parsed_by_server, text_field

pytestmark = pytest.mark.skipif(not IS_BUILT, reason="the compiled module is not there")

STAGING = Staging("ddb2pg_truth")
SEED = 5
INSTANT = 1_717_230_000_123_456
TEXTS = ["a", "A", "a ", "", "\u00e9", "e\u0301", "\ufffd", "\U0001f600", "1", "1.0", "x\ny\\"]
DOCUMENTS = [
    *('{"a":1,"b":2}', '{"b":2,"a":1}', ' { "b" : 2 , "a" : 1 } ', '{"a":1.0,"b":2}', '{"a":1e0,"b":2}', '{"a":1,"b":3}'),
    *('{"a":1,"a":2,"b":2}', '{"a":3,"a":1,"b":2}', '{"bb":1,"a":{"z":1,"y":[{"d":1,"c":2}]}}', '{"a":{"y":[{"c":2,"d":1}],"z":1},"bb":1}'),
    *(
        '{"\\u0061":1,"b":2}',
        '"\\u00e9"',
        '"\u00e9"',
        '"e\u0301"',
        '"\\ud83d\\ude00"',
        '"\U0001f600"',
        '"\ufffd"',
        '"\\u0001\\n\\""',
        '"/"',
        '"\\/"',
    ),
    *("0", "-0", "0.0", "-0.0", "1E+2", "100", "1e-2", "0.01", "0.010", "12345678901234567890123456789012345678"),
    *("{}", "[]", "null", '""', "true", '"true"', "[1,2]", "[2,1]", '{"":1}', '{"\u00e9":1,"zz":2}', '{"zz":2,"\u00e9":1}'),
]
MOOD = parsed_by_server("mood")
TWO_DIGITS = replace(types.NUMERIC, modifier=(10, 2))
THREE_CHARACTERS = replace(types.CHARACTER, modifier=(3,))
NUMBERS = [Decimal(text) for text in ("0", "-0", "0.00", "1", "1.0", "1.00", "10", "1E+1", "-1", "0.25", "12345678.25")]

# Of each type: values of ours, and texts of the target's.
VALUES: dict[PgType, tuple[Sequence[Any], Sequence[str]]] = {
    types.UUID: ([bytes(16), bytes(15) + b"\1"], [f"00000000-0000-0000-0000-00000000000{digit}" for digit in (0, 1)]),
    types.BOOLEAN: ([True, False], ["true", "false"]),
    types.TEXT: ([text.encode() for text in TEXTS], TEXTS),
    types.VARCHAR: ([text.encode() for text in TEXTS], TEXTS),
    types.CITEXT: ([text.encode() for text in TEXTS], TEXTS),
    THREE_CHARACTERS: ([b"a", b"a ", b"abc", b"", "\u00e9".encode()], ["a", "a  ", "abc", "", "\u00e9", "A"]),
    types.CHARACTER: ([b"a", b"b"], ["a", "b"]),
    types.XML: ([b"<a>1</a>", b"<a> 1</a>"], ["<a>1</a>", "<a >1</a>"]),
    types.SMALLINT: ([-1, 0, 1], ["-1", "0", "1"]),
    types.INTEGER: ([-1, 0, 256], ["-1", "0", "256"]),
    types.BIGINT: ([-1, 0, 2**40], ["-1", "0", str(2**40)]),
    types.NUMERIC: (NUMBERS, [str(number) for number in NUMBERS]),
    TWO_DIGITS: (NUMBERS, [str(number) for number in NUMBERS]),
    types.DOUBLE: ([0.0, -0.0, 0.1, 1e22], ["0", "-0", "0.1", "0.10000000000000002", "1e22", "NaN"]),
    types.REAL: ([0.0, -0.0, 0.10000000149011612], ["0", "-0", "0.1", "0.10000002", "NaN"]),
    types.TIMESTAMPTZ: (
        [INSTANT, INSTANT + 1],
        ["2024-06-01T08:20:00.123456Z", "2024-06-01T10:20:00.123456+02", "2024-06-01T08:20:00.123456+01"],
    ),
    types.TIMESTAMP: ([INSTANT, INSTANT + 1], ["2024-06-01T08:20:00.123456", "2024-06-01T08:20:00.123457", "infinity"]),
    types.DATE: ([0, 1], ["2000-01-01", "2000-01-02"]),
    types.TIME: ([0, 86_399_999_999], ["00:00", "23:59:59.999999", "24:00"]),
    types.INTERVAL: ([(1, 0, 0), (0, 30, 0), (0, 1, 0), (0, 0, 86_400_000_000)], ["1 mon", "30 days", "720:00", "1 day", "24:00"]),
    types.BYTEA: ([b"\0\xff", b"", b"a"], ["\\x00ff", "", "a"]),
    types.INET: (
        [ip_interface("10.1.2.3/8"), ip_interface("10.1.2.3"), ip_interface("::1")],
        ["10.1.2.3/8", "10.1.2.3", "::1", "10.0.0.0/8"],
    ),
    types.JSON: ([text.encode() for text in DOCUMENTS], DOCUMENTS),
    types.JSONB: ([text.encode() for text in DOCUMENTS], DOCUMENTS),
    MOOD: ([b"sad", b"Sad"], ["sad", "Sad"]),
    array_of(types.TEXT): (
        [[], [text_field(b"a")], [NULL], [text_field(b"NULL")]],
        ["{}", "{a}", "{NULL}", '{"NULL"}', "[0:0]={a}", "{{a}}"],
    ),
    array_of(types.NUMERIC): ([[types.numeric_field(number)] for number in NUMBERS], [f"{{{number}}}" for number in NUMBERS]),
    array_of(types.JSONB): ([[text_field(text)] for text in (b'{"b":1,"a":2}', b"1.0")], ['{"{\\"a\\": 2, \\"b\\": 1}"}', "{1}", "{1.0}"]),
    array_of(MOOD): ([[text_field(b"sad")], [text_field(b"sad"), NULL]], ["{sad}", "{Sad}", "{sad,NULL}"]),
    array_of(THREE_CHARACTERS): ([[text_field(b"a")], [text_field(b"abc")]], ["{a}", "{abc}", "{b}"]),
}
# No bytes prove anything of these.
UNPROVED = {types.XML, array_of(types.JSONB), array_of(THREE_CHARACTERS)}


def test_every_type_is_here() -> None:
    assert {entry for entry in vars(types).values() if isinstance(entry, PgType)} <= VALUES.keys()


def table_of(pg_type: PgType) -> Table:
    """A definition with a key, and one column of the type."""
    return Table(
        "source", "thing", ("id",), (Column("id", "id", _OfType(types.BIGINT), Missing.REFUSED), Column("a", "a", _OfType(pg_type)))
    )


@dataclass(frozen=True)
class _OfType:
    pg_type: PgType
    tags: ClassVar[tuple[str, ...]] = ("S",)
    content_type: ClassVar[type] = str

    def encoder(self, attribute: str) -> Callable[[Any, list[Notice]], bytes]:
        raise NotImplementedError(attribute)


@dataclass(frozen=True)
class Found:
    """By item number."""

    proved: set[int]
    different: set[int]
    truth: set[int]
    """Those that PostgreSQL calls distinct."""


def find(cursor: Cursor, pg_type: PgType, pairs: Sequence[tuple[bytes, str | None]]) -> Found:
    """Fields of ours, each with what a row of the target has in its place."""
    table = table_of(pg_type)
    cursor.execute(f"CREATE TABLE thing (id bigint PRIMARY KEY, a {pg_type.staged_type})")
    for number, (_, text) in enumerate(pairs):
        cursor.execute("INSERT INTO thing VALUES (%s, %s)", [number, text])
    target = find_target_of(cursor, table)
    assert target is not None
    rows = Rows(range(len(pairs)), [types.BIGINT.encode(number) + field for number, (field, _) in enumerate(pairs)])
    truth = _truth(cursor, target, table, rows)
    proved = prove_by_bytes(cursor, target, table, rows, SEED)
    drop_staged(cursor)
    comparison = compare_rows(cursor, target, table, rows, SEED)
    assert comparison.missing == frozenset()
    assert set(comparison.different.values()) <= {("a",)}
    keys = json.loads(comparison.found_keys.replace("{", "[").replace("}", "]"))
    assert len(set(keys)) == len(keys) == len(pairs)
    assert set(proved.values()) <= set(keys)
    cursor.execute("DROP TABLE thing")
    return Found(set(proved), set(comparison.different), truth)


def _truth(cursor: Cursor, target: Target, table: Table, rows: Rows) -> set[int]:
    stage_parsed(cursor, STAGING, table, rows)
    cursor.execute(
        sql.SQL("SELECT {} FROM {} AS staged JOIN {} AS target ON {} WHERE {}").format(
            ITEM,
            STAGING.identifier,
            target.identifier,
            has_same_key(target),
            sql.SQL(table.columns[1].pg_type.is_distinct).format(sql.SQL("target.a"), sql.SQL("staged.a")),
        )
    )
    distinct = {number for (number,) in cursor.fetchall()}
    cursor.execute(sql.SQL("DROP TABLE {}").format(STAGING.identifier))
    return distinct


@pytest.fixture(scope="module")
def session(server: Server) -> Iterator[Session]:
    database = server.new_database(with_targets=False)
    _prepare(database)
    with Session(reference_to(database.url)) as session:
        yield session


def _prepare(database: Database) -> None:
    # The server of the tests has no citext; in binary form it is text.
    database.execute("CREATE DOMAIN citext AS text; CREATE TYPE mood AS ENUM ('sad', 'Sad')")


@pytest.mark.parametrize("pg_type", VALUES, ids=str)
def test_a_difference_in_every_type_is_told_and_nothing_else(session: Session, pg_type: PgType) -> None:
    """Each value of ours beside each of the target, and beside NULL."""
    ours, theirs = VALUES[pg_type]
    fields = [NULL, *map(pg_type.encode, ours)]
    pairs = list(itertools.product(fields, [None, *theirs]))

    try:
        found = session.transact(lambda cursor: find(cursor, pg_type, pairs))
    except Stopped as stopped:
        if "FeatureNotSupported" in str(stopped):
            pytest.skip("this server was built without the type")
        raise

    assert found.different == found.truth
    assert 0 < len(found.truth) < len(pairs)
    assert not found.proved & found.truth
    if pg_type in UNPROVED:
        assert found.proved == set()
    else:
        # NULL beside NULL, and some values.
        assert len(found.proved) > 1


@pytest.mark.parametrize(
    "pg_type", [types.TEXT, types.NUMERIC, TWO_DIGITS, types.JSONB, types.TIMESTAMPTZ, THREE_CHARACTERS, MOOD], ids=str
)
def test_what_was_loaded_from_plain_items_is_proved(session: Session, pg_type: PgType) -> None:
    """So that documents are not parsed again."""
    plain: dict[PgType, list[Any]] = {
        types.JSONB: [
            text.encode() for text in DOCUMENTS if text[0] == "{" and " " not in text and not any(odd in text for odd in ("e0", "\\", "3,"))
        ],
        THREE_CHARACTERS: [b"a", b"abc", b""],
        types.NUMERIC: NUMBERS,
        TWO_DIGITS: NUMBERS,
    }
    plain[types.JSONB] = [text for text in plain[types.JSONB] if b'"a":1,"a"' not in text]
    values = plain.get(pg_type, VALUES[pg_type][0])
    texts = {types.TIMESTAMPTZ: ["2024-06-01T08:20:00.123456Z", "2024-06-01T08:20:00.123457Z"]}
    pairs = [
        (pg_type.encode(value), text)
        for value, text in zip(
            values, texts.get(pg_type, [one.decode() if isinstance(one, bytes) else str(one) for one in values]), strict=True
        )
    ]

    found = session.transact(lambda cursor: find(cursor, pg_type, pairs))

    assert found.proved == set(range(len(pairs)))


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
)
NAMES = st.text(st.sampled_from('abA\u00e9\U0001f600"\\\n\x7f'), max_size=3)
VALUES_OF_JSON = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=5)), max_leaves=12
)
FORMS: list[Callable[[Any], bytes]] = [
    orjson.dumps,
    lambda value: orjson.dumps(value, option=orjson.OPT_INDENT_2),
    lambda value: json.dumps(value, ensure_ascii=True).encode(),
    lambda value: json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(),
]


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(documents=st.lists(st.tuples(VALUES_OF_JSON, st.one_of(st.none(), VALUES_OF_JSON), st.sampled_from(FORMS)), min_size=1, max_size=12))
def test_documents_in_any_form_are_equal_where_postgresql_says_so(session: Session, documents: list[tuple[Any, Any, Any]]) -> None:
    """Beside themselves, written in another way, or beside another one."""

    def in_range(value: Any) -> Any:
        # orjson takes integers of 64 bits.
        if isinstance(value, list):
            return [in_range(one) for one in value]
        if isinstance(value, dict):
            return {name: in_range(one) for name, one in value.items()}
        return value if not isinstance(value, int) or abs(value) < 2**63 else str(value)

    pairs: list[tuple[bytes, str | None]] = [
        (types.JSONB.encode(form(in_range(ours))), json.dumps(in_range(ours if theirs is None else theirs)))
        for ours, theirs, form in documents
    ]

    found = session.transact(lambda cursor: find(cursor, types.JSONB, pairs))

    assert found.different == found.truth
    assert not found.proved & found.truth


@given(row=st.binary(max_size=60), codes=st.binary(max_size=4), message=st.binary(max_size=60))
def test_bytes_that_are_no_row_prove_nothing(row: bytes, codes: bytes, message: bytes) -> None:
    from transforms.native.sound_rows import prove_rows

    proved = prove_rows({0: row}, codes, [message, b"\0\1" + row + b"\0\0\0\10" + bytes(8) + b"\0\0\0\10" + bytes(7) + b"\7"])

    assert proved in ({}, {0: 7})


def test_a_type_without_an_entry_is_for_postgresql_alone() -> None:
    assert compile_proof(table_of(PgType("integer")).columns, ["id"]) is None
    assert compile_proof(table_of(types.INTEGER).columns, ["id"]) is not None


def test_of_two_rows_with_one_key_the_other_one_is_told(session: Session) -> None:
    """A table that inherits has one that no key keeps apart from the target's."""

    def compare(cursor: Cursor) -> dict[int, tuple[str, ...]]:
        cursor.execute(
            "CREATE TABLE thing (id bigint PRIMARY KEY, a text); CREATE TABLE heir () INHERITS (thing); "
            "INSERT INTO thing VALUES (1, 'a'), (2, 'a'); INSERT INTO heir VALUES (1, 'other')"
        )
        table = table_of(types.TEXT)
        target = find_target_of(cursor, table)
        assert target is not None
        rows = Rows([0, 1], [types.BIGINT.encode(number) + text_field(b"a") for number in (1, 2)])
        comparison = compare_rows(cursor, target, table, rows, SEED)
        cursor.execute("DROP TABLE heir, thing")
        return dict(comparison.different)

    assert session.transact(compare) == {0: ("a",)}
