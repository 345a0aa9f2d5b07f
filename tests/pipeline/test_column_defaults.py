"""`Missing.COLUMN_DEFAULT`: a column's DEFAULT is evaluated once, when the load begins, and every row and comparison has that value."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Refused
from pipeline.ledger.loads import all_loads
from pipeline.options import PreflightCommandOptions
from pipeline.preflight.check import check_with_sample
from pipeline.preflight.targets import taken_default_findings
from pipeline.target.session import Session
from pipeline.target.target import evaluate_defaults, find_target_of
from tests.command_line import CommandLine
from tests.faults.gate import COMMITTED, held_at, wait_until_held
from tests.handmade_export import write_export
from tests.made_options import made_options
from tests.pipeline.planted import parts_of, report_of
from tests.pipeline.target.made_loads import PLAIN, THING, reference_to, uuid
from tests.pipeline.windows.test_as_of import AsOf, parts
from tests.pipeline.windows.test_windows import Chain
from tests.plain_windows import Migration, use_plain_visits
from tests.postgres_server import Database
from tests.processes import kill_group
from tests.transforms.both_ways import compile_rows_both_ways
from transforms.rules import (
    Array,
    BigInt,
    Boolean,
    Bytes,
    Cast,
    Char,
    Conversion,
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
    Text,
    Time,
    Timestamp,
    Uuid,
    Varchar,
)
from transforms.sources import POSITION, Clean, Joined, LaterOf, Parent, Part
from transforms.table import Child, Column, Missing, Table
from transforms.types import timestamptz_field

TYPES = """
    CREATE TYPE mood AS ENUM ('calm', 'it''s {odd}');
    CREATE DOMAIN short AS varchar(5) DEFAULT 'five5' CHECK (length(VALUE) > 1);
    CREATE FUNCTION stable_word() RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'word'::text $$;
"""
EACH: dict[str, tuple[str, str, Conversion]] = {
    "a_text": ("text", "'it''s 100% {odd} %s'", Text()),
    "a_varchar": ("varchar(7)", "upper('seven') || 7", Varchar(7)),
    "a_wide": ("varchar(40)", "'four'", Varchar(4)),
    "a_char": ("char(6)", "'ab'", Char(6)),
    "a_word": ("text", "stable_word()", Text()),
    "a_user": ("text", "CURRENT_USER", Text()),
    "an_enum": ("mood", "'it''s {odd}'", Enum("mood")),
    "a_domain": ("short", "", Domain("short", Varchar(5))),
    "an_own_domain": ("short", "'own'", Domain("short", Varchar(5))),
    "a_point": ("point", "'(1.5,-2)'", Cast("point")),
    "moods": ("mood[]", "'{calm,\"it''s {odd}\"}'", Array(Enum("mood"))),
    "shorts": ("short[]", "'{ab,cd}'", Array(Domain("short", Varchar(5)))),
    "numbers": ("bigint[]", "ARRAY[1, NULL, 3]", Array(BigInt())),
    "documents": ("jsonb[]", "ARRAY['{\"a\": 1.50}'::jsonb]", Array(Jsonb())),
    "a_jsonb": ("jsonb", '\'{"b": 1.50, "a": []}\'', Jsonb()),
    "a_json": ("json", "'{ \"b\":1 }'", Json()),
    "a_flag": ("boolean", "true", Boolean()),
    "an_integer": ("integer", "7", Integer()),
    "a_bigint": ("bigint", "-7", BigInt()),
    "a_numeric": ("numeric(12,2)", "1.255", Numeric(precision=12, scale=2)),
    "a_double": ("double precision", "0.1", Double()),
    "a_uuid": ("uuid", "'00000000-0000-4000-8000-00000000000a'", Uuid()),
    "some_bytes": ("bytea", r"'\x00ff'", Bytes()),
    "an_address": ("inet", "'192.0.2.7/24'", Inet()),
    "an_instant": ("timestamptz", "now()", Timestamp()),
    "a_local_time": ("timestamp", "LOCALTIMESTAMP + interval '1 day'", LocalTimestamp()),
    "a_day": ("date", "CURRENT_DATE", Date()),
    "a_time": ("time", "'09:30:15.25'", Time()),
    "a_span": ("interval", "'1 mon 2 days 03:00'", Interval(unit="iso")),
}
OF_EACH = ", ".join(f"{name} {type_name} {default and f'DEFAULT {default}'}" for name, (type_name, default, _) in EACH.items())
EVERY = Table(
    "every",
    "every",
    ("id",),
    (
        Column("id", "id", Integer(), Missing.REFUSED),
        *(Column(name, name, rule, Missing.COLUMN_DEFAULT) for name, (_, _, rule) in EACH.items()),
        Column(None, "fed_by_nothing", Timestamp(), Missing.COLUMN_DEFAULT),
    ),
)


def line(**attributes: Any) -> bytes:
    return json.dumps(
        {"Item": {name: value if isinstance(value, dict) else {"N": str(value)} for name, value in attributes.items()}}
    ).encode()


def with_defaults(database: Database, table: Table) -> Table:
    """As rows of the last load are made by it."""
    with Session(reference_to(database.url)) as session:
        load = session.transact(all_loads)[-1]
    return load.with_defaults(table)


# -- every type ----------------------------------------------------------------------------------------------------------------------------


def test_a_default_of_every_type_is_what_postgres_would_store(bare: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of one instant, in both ways of conversion; where it is changed afterwards, only that row is different."""
    use_plain_visits(monkeypatch)
    bare.execute(f"{TYPES} CREATE TABLE every (id integer PRIMARY KEY, {OF_EACH}, fed_by_nothing timestamptz DEFAULT now())")
    lines = [line(id=1), line(id=2, **{name: {"NULL": True} for name in EACH}), line(id=3, a_text={"S": "given"}, a_bigint=5)]
    export = write_export(tmp_path, "every", [lines])
    migration = Migration(bare, tmp_path, EVERY)
    report = migration.run(export)
    assert report.exit_code == 0, report.tables

    assert bare.query("SELECT id, a_text, a_bigint FROM every ORDER BY id")[2] == (3, "given", 5)
    bare.execute("SET TimeZone = 'UTC'; INSERT INTO every (id) VALUES (9)")
    names = [name for name in EACH if name not in ("an_instant", "a_local_time")]
    plain = ", ".join(f"{name}::text" for name in names)
    defaults = bare.query(f"SELECT {plain} FROM every WHERE id = 9")[0]
    assert None not in defaults
    assert bare.query(f"SELECT {plain} FROM every WHERE id < 3") == [defaults] * 2
    began = bare.value("SELECT migration_time FROM ddb2pg.load")
    times = bare.query("SELECT an_instant, fed_by_nothing, (a_local_time - interval '1 day') AT TIME ZONE 'UTC' FROM every WHERE id < 3")
    assert times == [(began, began, began)] * 2
    to_row = compile_rows_both_ways(with_defaults(bare, EVERY), migration_time=0)
    assert len({to_row(one)[0] for one in (line(id=1), line(id=1, **{name: {"NULL": True} for name in EACH}))}) == 1

    bare.execute("DELETE FROM every WHERE id = 9")
    assert migration.validate(export).exit_code == 0
    bare.execute('DELETE FROM every WHERE id = 1; UPDATE every SET a_jsonb = \'{"b": 1.5, "a": []}\' WHERE id = 2')
    found = migration.validate(export)
    assert [(one["kind"], one["columns"]) for one in found.mismatches()] == [("missing", []), ("different", ["a_jsonb"])]
    migration.validate(export, repair=True)
    bare.execute("UPDATE every SET a_jsonb = DEFAULT WHERE id = 2")
    assert bare.query(f"SELECT {plain} FROM every WHERE id < 3") == [defaults] * 2


# What no attribute can become, and what a column may have for its DEFAULT: as type, DEFAULT, rule, and as preflight's sample shows it.
FAR = {
    "for ever": ("timestamptz", "'infinity'", Timestamp(), "infinity"),
    "since ever": ("timestamp", "'-infinity'", LocalTimestamp(), "-infinity"),
    "last instant": ("timestamptz", "'294276-12-31 23:59:59.999999+00'", Timestamp(), "after the year 9999"),
    "before Christ": ("timestamp", "'4713-01-01 00:00 BC'", LocalTimestamp(), "before the year 1"),
    "day for ever": ("date", "'infinity'", Date(), "infinity"),
    "first day": ("date", "'4713-01-01 BC'", Date(), "before the year 1"),
    "last day": ("date", "'5874897-12-31'", Date(), "after the year 9999"),
    "midnight": ("time", "'24:00'", Time(), "24:00:00"),
    "span": ("interval", "'infinity'", Interval(unit="iso"), ""),
    "spans": ("interval", "'-1 mon 2 days -03:00:00.5'", Interval(unit="iso"), ""),
    "dimensions": ("integer[]", "'{{1,2,NULL},{3,4,5}}'", Array(Integer()), '{{"1","2",NULL},{"3","4","5"}}'),
    "begins at 0": ("integer[]", "'[0:1]={1,2}'", Array(Integer()), '{"1","2"}'),
    "instants": (
        "timestamptz[]",
        "'{{infinity},{2026-01-01 00:00+00}}'",
        Array(Timestamp()),
        '{{"infinity"},{"2026-01-01T00:00:00+00:00"}}',
    ),
    "no number": ("numeric", "'NaN'", Numeric(), "NaN"),
    "without end": ("double precision", "'-Infinity'", Double(), "-inf"),
}


@pytest.mark.parametrize("name", FAR)
def test_a_default_may_be_what_no_attribute_can_become(bare: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """It is shown before the load, loaded, compared, looked for by the SQL checks, and taken back."""
    use_plain_visits(monkeypatch)
    type_name, default, rule, shown = FAR[name]
    bare.execute(f"CREATE TABLE one (id integer PRIMARY KEY, v {type_name} DEFAULT {default})")
    table = Table("one", "one", ("id",), (Column("id", "id", Integer(), Missing.REFUSED), Column("v", "v", rule, Missing.COLUMN_DEFAULT)))
    export = write_export(tmp_path, "one", [[line(id=1), line(id=2, v={"NULL": True})]])
    options = made_options(PreflightCommandOptions, [export], reference_to(bare.url), tmp_path / "out", tables=(table,))
    [sample] = check_with_sample(options, 2, show_values=True).samples
    assert (sample.problem, len(sample.items)) == (None, 2)
    assert shown in str(sample)

    migration = Migration(bare, tmp_path, table)
    assert migration.run(export).exit_code == 0
    assert bare.query(f"SELECT count(*) FROM one WHERE v = CAST({default} AS {type_name})") == [(2,)]
    assert migration.validate(export).exit_code == 0
    assert migration.roll_back(export).exit_code == 0
    assert bare.value("SELECT count(*) FROM one") == 0


# -- what is refused -----------------------------------------------------------------------------------------------------------------------

UNUSABLE = {
    "uuid DEFAULT gen_random_uuid()": (
        Uuid(),
        "another value for each row (it is VOLATILE), ",
        "; write UuidV5 of the item's key, or leave",
    ),
    "bigserial": (
        BigInt(),
        "its DEFAULT nextval('one_v_seq'::regclass) has another value",
        "; leave the column out, and every row gets a number",
    ),
    "double precision DEFAULT random()": (Double(), "random() has another value", "; take a value that can be made again from the item"),
    "timestamptz DEFAULT clock_timestamp()": (Timestamp(), "has another value", "; write Missing.MIGRATION_TIME, or ALTER COLUMN"),
    "text DEFAULT 'a' || my_word()": (Text(), "has another value", "; take a value"),
    "integer DEFAULT 1 <+> 2": (Integer(), "has another value", "; take a value"),
    "bigint GENERATED ALWAYS AS IDENTITY": (BigInt(), "it is an identity or generated, and", "leave the column out"),
    "bigint GENERATED BY DEFAULT AS IDENTITY": (BigInt(), "it is an identity or generated, and", "leave the column out"),
    "bigint GENERATED ALWAYS AS (2 * id) STORED": (BigInt(), "it is an identity or generated, and", "leave the column out"),
    "text": (Text(), "it has no DEFAULT; write Missing.NULL", ""),
    "text DEFAULT NULL": (Text(), "it has no DEFAULT; write Missing.NULL", ""),
    "text DEFAULT current_setting('not.there', true)": (Text(), "is NULL now; write Missing.NULL", ""),
    "integer DEFAULT 1 / (length(CURRENT_USER) - length(CURRENT_USER))": (Integer(), "cannot be evaluated (SQLSTATE 22012)", ""),
    "varchar(3) DEFAULT 'longer'": (Varchar(3), "is no value of character varying(3)", ""),
    "varchar(30) DEFAULT 'longer'": (Varchar(3), "is no value of character varying(3)", ""),
    "bit(5) DEFAULT '101'::bit(3)": (Cast("bit varying"), "is no value of bit(5)", ""),
    "numeric(12,4) DEFAULT 1.2345": (Numeric(precision=12, scale=2), "is no value of numeric(12,2)", ""),
}


@pytest.mark.parametrize("column", UNUSABLE)
def test_what_is_not_one_value_for_all_rows_is_refused(bare: Database, column: str) -> None:
    """Each with what to write instead. PostgreSQL itself says what is volatile: of operators and functions of the user, too."""
    bare.execute(
        "CREATE FUNCTION my_word() RETURNS text LANGUAGE sql AS $$ SELECT 'word'::text $$;"
        "CREATE FUNCTION my_sum(integer, integer) RETURNS integer LANGUAGE sql AS $$ SELECT $1 + $2 $$;"
        "CREATE OPERATOR <+> (LEFTARG = integer, RIGHTARG = integer, FUNCTION = my_sum);"
        f"CREATE TABLE one (id bigint PRIMARY KEY, v {column})"
    )
    rule, says, advises = UNUSABLE[column]
    table = Table("one", "one", ("id",), (Column("id", "id", BigInt(), Missing.REFUSED), Column("v", "v", rule, Missing.COLUMN_DEFAULT)))
    with Session(reference_to(bare.url)) as session:
        target = session.transact(lambda cursor: find_target_of(cursor, table))
        assert target is not None
        with pytest.raises(Refused) as refused:
            session.transact(lambda cursor: evaluate_defaults(cursor, table, target))
        [finding] = session.transact(lambda cursor: list(taken_default_findings(cursor, table, target)))
    assert says in str(refused.value)
    assert advises in str(refused.value)
    assert (finding.name, finding.detail) == ("default_unusable", f"column v: {refused.value}")


STATUS = Table(
    "things",
    "thing",
    ("id",),
    (Column("id", "id", Uuid(), Missing.REFUSED), Column("name", "name", Text()), Column("kind", "kind", Text(), Missing.COLUMN_DEFAULT)),
)


def test_a_load_that_cannot_have_its_defaults_does_not_begin(bare: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has begun asks the column for nothing any more."""
    use_plain_visits(monkeypatch)
    bare.execute(PLAIN)
    export = write_export(tmp_path, "things", [[line(id={"S": uuid(1)})]])
    migration = Migration(bare, tmp_path, STATUS)
    assert migration.problems(export) == ("thing: column kind: it has no DEFAULT; write Missing.NULL, or ALTER COLUMN ... SET DEFAULT",)
    bare.execute("ALTER TABLE thing ALTER kind SET DEFAULT 'first'")
    assert migration.run(export).exit_code == 0
    bare.execute("ALTER TABLE thing ALTER kind SET DEFAULT gen_random_uuid()::text")
    assert migration.run(export).exit_code == 0
    assert bare.query("SELECT kind FROM thing") == [("first",)]
    assert bare.value("SELECT column_defaults FROM ddb2pg.load") == [{"kind": (b"\0\0\0\5first").hex()}]


def test_a_default_is_not_made_up_where_the_ledger_lacks_it() -> None:
    """What forgets to ask the load stops, and makes no row."""
    with pytest.raises(ValueError, match="kind: the value of its DEFAULT is the load's, and was not given"):
        compile_rows_both_ways(STATUS, migration_time=0)
    with pytest.raises(KeyError, match="kind"):
        STATUS.with_defaults([{}])


def test_a_default_is_taken_whatever_the_column_is_made_of() -> None:
    """In both ways of conversion; without a notice, but for what cleaning says."""
    word, later = b"\0\0\0\4word", timestamptz_field(1_700_000_000_000_000)
    sources = {"path": "a", "nested": "m.a", "part": Part("a", "X#{x}", "x"), "joined": Joined(("a", "b"), "-"), "cleaned": "c"}
    columns = [
        Column(source, name, Text(), Missing.COLUMN_DEFAULT, clean=(Clean.EMPTY_AS_NULL,) if name == "cleaned" else ())
        for name, source in sources.items()
    ]
    columns.append(Column(LaterOf("a", "b"), "later", Timestamp(), Missing.COLUMN_DEFAULT))
    table = Table("things", "thing", ("id",), tuple(columns)).with_defaults([{**dict.fromkeys(sources, word), "later": later}])
    to_row = compile_rows_both_ways(table, migration_time=0)
    for attributes in ({}, {"a": {"NULL": True}, "b": {"NULL": True}, "m": {"M": {}}}, {"m": {"M": {"a": {"NULL": True}}}}):
        row, notices, *_ = to_row(line(**attributes))
        assert (row, list(notices)) == (word * 5 + later, [])
    row, notices, *_ = to_row(line(c={"S": ""}))
    assert (row, [notice.code for notice in notices]) == (word * 5 + later, ["empty_as_null"])


# -- windows and children ------------------------------------------------------------------------------------------------------------------


def test_a_chain_keeps_the_default_of_its_beginning(bare: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In windows, in comparisons with a fresh export and with its own, and where the chain is taken back."""
    use_plain_visits(monkeypatch)
    bare.execute(PLAIN.replace("kind text", "kind text DEFAULT 'first'"))
    table = replace(
        THING, columns=tuple(replace(one, missing=Missing.COLUMN_DEFAULT) if one.name == "kind" else one for one in THING.columns)
    )
    given = {"name": {"S": "g"}, "kind": {"S": "given"}}
    chain = Chain(bare, tmp_path, {1: "a", 2: "a", 3: given}, {1: "b", 3: "no kind any more", 4: "b"}, {2: None, 5: "c"}, table=table)
    chain.begin()
    bare.execute("ALTER TABLE thing ALTER kind SET DEFAULT 'second'")
    report = chain.migration.run(*chain.windows)
    assert report.exit_code == 0, report.tables
    assert bare.query("SELECT DISTINCT kind, count(*) FROM thing GROUP BY 1") == [("first", 4)]
    assert bare.value("SELECT count(DISTINCT column_defaults) FROM ddb2pg.load") == 1

    as_of = AsOf(chain, tmp_path)
    assert as_of.compare(2).exit_code == 0
    assert chain.migration.validate(chain.full, *chain.windows).exit_code == 0
    bare.execute("UPDATE thing SET kind = DEFAULT WHERE id = %s", uuid(4))
    for found in (as_of.compare(2), chain.migration.validate(chain.full, *chain.windows)):
        assert [(one["kind"], one["columns"]) for one in found.mismatches()] == [("changed_by_others", ["kind"])]
        assert parts(found)["equal"] >= 3
    bare.execute("UPDATE thing SET kind = 'first' WHERE id = %s", uuid(4))
    assert chain.migration.roll_back(chain.windows[1]).exit_code == 0
    assert bare.query("SELECT DISTINCT kind FROM thing") == [("first",)]


def test_child_rows_have_defaults_of_their_own(bare: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of columns that are called alike, each its own."""
    use_plain_visits(monkeypatch)
    bare.execute(
        PLAIN.replace("kind text", "kind text DEFAULT 'of the item'")
        + "; CREATE TABLE part (thing uuid, place integer, kind text DEFAULT 'of the part', size integer, PRIMARY KEY (thing, place))"
    )
    child = Child(
        "parts",
        "part",
        (
            Column(Parent("id"), "thing", Uuid(), Missing.REFUSED),
            Column(POSITION, "place", Integer(), Missing.REFUSED),
            Column("kind", "kind", Text(), Missing.COLUMN_DEFAULT),
            Column("size", "size", Integer()),
        ),
    )
    table = replace(STATUS, children=(child,))
    parts_of_one = {"L": [{"M": {"size": {"N": "1"}}}, {"M": {"kind": {"S": "given"}}}]}
    export = write_export(tmp_path, "things", [[line(id={"S": uuid(1)}, parts=parts_of_one), line(id={"S": uuid(2)}, kind={"S": "k"})]])
    migration = Migration(bare, tmp_path, table)
    assert migration.run(export).exit_code == 0
    assert bare.query("SELECT id::text, kind FROM thing ORDER BY id") == [(uuid(1), "of the item"), (uuid(2), "k")]
    assert bare.query("SELECT place, kind, size FROM part ORDER BY place") == [(0, "of the part", 1), (1, "given", None)]
    bare.execute("ALTER TABLE part ALTER kind DROP DEFAULT")
    assert migration.validate(export).exit_code == 0
    bare.execute("UPDATE part SET kind = 'of the item' WHERE place = 0")
    assert [one["kind"] for one in migration.validate(export).mismatches()] == ["different"]
    compile_rows_both_ways(with_defaults(bare, table), migration_time=0)(line(id={"S": uuid(1)}, parts=parts_of_one))

    with Session(reference_to(bare.url)) as session:
        target = session.transact(lambda cursor: find_target_of(cursor, table))
        assert target is not None
        [finding] = session.transact(lambda cursor: list(taken_default_findings(cursor, table.child_tables[0], target.children[0])))
    assert finding.detail.startswith("column kind: it has no DEFAULT")


# -- other processes -----------------------------------------------------------------------------------------------------------------------

TOML = """
[[tables]]
source = "things"
target = "thing"
key = ["id"]

[[tables.columns]]
source = "id"
name = "id"
rule = "Uuid"
missing = "REFUSED"

[[tables.columns]]
source = "name"
name = "name"
rule = "Text"

[[tables.columns]]
source = "kind"
name = "kind"
rule = "Text"
missing = "COLUMN_DEFAULT"
"""


def test_a_load_that_is_killed_goes_on_with_the_value_it_began_with(bare: Database, tmp_path: Path) -> None:
    """Whatever the column's DEFAULT has become; so does a replay, in a process of its own. The definition is TOML."""
    bare.execute(PLAIN.replace("kind text", "kind text DEFAULT 'first'"))
    tables = tmp_path / "things.toml"
    tables.write_text(TOML)
    wrong = line(id={"S": uuid(99)}, name={"BOOL": True})
    of_ids = [line(id={"S": uuid(number)}) for number in range(16)]
    export = write_export(tmp_path / "export", "things", [of_ids[:8], [*of_ids[8:], wrong]])
    run, with_tables = CommandLine(bare.url, tmp_path), f"--tables={tables}"
    with held_at(bare, 2, COMMITTED, "thing"):
        process = run.start_migrate(export, with_tables, "--chunk_items=4")
        wait_until_held(bare, process)
        kill_group(process)
    assert bare.value("SELECT count(*) FROM ddb2pg.chunk") in (1, 2)
    bare.execute("ALTER TABLE thing ALTER kind SET DEFAULT 'second'")
    resumed = run.migrate(export, with_tables, "--chunk_items=4", "--direct_num_workers=2")
    assert resumed.exit_code == 3, resumed.output
    assert bare.query("SELECT kind, count(*) FROM thing GROUP BY 1") == [("first", 16)]

    mended = tmp_path / "mended" / "things"
    mended.mkdir(parents=True)
    for path in (run.run_folders[-1] / "dead_letters").glob("*/*.jsonl.gz"):
        letters = [json.loads(one) for one in gzip.decompress(path.read_bytes()).splitlines()]
        content = b"".join(json.dumps({**one, "item": line(id={"S": uuid(99)}).decode()}).encode() + b"\n" for one in letters)
        (mended / path.name).write_bytes(gzip.compress(content))
    replayed = run("dead-letters", "replay", mended.parent, "--output", run.output, with_tables)
    assert replayed.exit_code == 0, replayed.output
    assert bare.query("SELECT kind, count(*) FROM thing GROUP BY 1") == [("first", 17)]
    validated = run("validate", "--export", export, "--output", run.output, with_tables)
    assert validated.exit_code == 0, validated.output
    assert parts_of(report_of(run.run_folders[-1])["tables"][0])["equal"] == 17
