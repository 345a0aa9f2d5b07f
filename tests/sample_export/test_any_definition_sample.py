"""`sample-export --tables`: made-up items of a user's definition, loaded, are what the truth beside them says."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipeline.definitions.describe import describe
from pipeline.definitions.find import find_tables
from sample_export import write_any_exports
from sample_export.any_table import CannotMakeUp
from tests.command_line import CommandLine
from tests.postgres_server import Database
from tests.truth import Place, read_truth, records, row_differences

EXAMPLES = Path(__file__).parents[2] / "examples"
# Of every rule that says what it takes, in tags that it can have.
ALL_RULES = """
from decimal import Decimal
from ddb2pg import *

BOTH = ("N", "S")
RULES = [
    Uuid(), UuidV5("6ba7b810-9dad-11d1-80b4-00c04fd430c8", tags=BOTH), Text(), Text(tags=("S", "N")), Varchar(9), Char(4),
    OneOf(("A", "B")),
    UpperCased(("CALL",), NoticeCode.UNKNOWN_EVENT_TYPE), Enum("mood", ("sad", "ok")), Domain("positive", Integer(least=1)),
    Inet(), SmallInt(), Integer(least=-5, most=5), BigInt(tags=BOTH, zero_padded=True), Numeric(), Numeric(10, 2),
    Numeric(4, 3, least=Decimal("0.5"), tags=BOTH), Double(), Real(), Boolean(), Boolean(("yes",), ("no", "0"), tags=("BOOL", "S")),
    Timestamp(), Timestamp("s"), Timestamp("us", tags=BOTH), Timestamp("epoch"), Timestamp("iso"), Timestamp("iso", zone="Europe/Berlin"),
    LocalTimestamp(), LocalTimestamp("ms"), Date(), Date("s"), Time(), Interval("s"), Interval("iso"), Bytes(), Bytes(tags=("B", "S")),
    Jsonb(), Json(typed=True), Array(Text()), Array(BigInt()), Array(Uuid()), Array(Timestamp("iso")),
]
TYPES = (
    "uuid uuid text text varchar(9) char(4) text text mood positive inet smallint integer bigint numeric numeric(10,2) numeric(4,3) float8 "
    "real boolean boolean timestamptz timestamptz timestamptz timestamptz timestamptz timestamptz timestamp timestamp date date time "
    "interval interval bytea bytea jsonb json text[] bigint[] uuid[] timestamptz[]"
).split()
TABLES = [
    Table(
        "Things",
        "thing",
        "id",
        (
            Column(Part("id", "THING#{id}", "id"), "id", Uuid(), Missing.REFUSED),
            Column("name", "name", Text(), Missing.REFUSED, clean=(TRIM, LOWER)),
            Column(LaterOf("seen", "made"), "at", Timestamp()),
            Column(Joined(("x", "y")), "xy", Text()),
            Column("none", "none", Numeric(10, 2), Otherwise("1.50")),
            Column("usual", "usual", Text(), Missing.COLUMN_DEFAULT),
            *(Column(f"m.a{number}", f"c{number}", rule) for number, rule in enumerate(RULES)),
            Column(REST, "rest", Jsonb(), EMPTY_OBJECT),
        ),
        where=AllOf(Exists("is.thing"), In("kind", (7, "seven")), Not(Equals("gone", True))),
    )
]
"""


def errors_of(entry: dict[str, Any]) -> list[tuple[str, str]]:
    return sorted((error["code"], error["attribute"] or "") for error in entry["errors"])


def assert_truth(root: Path, database: Database, run: CommandLine, tables: str) -> Counter[str]:
    """Rows, dead letters, notices of each table; returns how often each code was planted."""
    codes: Counter[str] = Counter()
    found_tables = find_tables(tables)
    for table, plain in zip(found_tables, describe(found_tables)["tables"], strict=True):
        name = plain["name"]
        truth = read_truth(root, name)
        dead = {place: (entry["stage"], errors_of(entry)) for place, entry in truth.items() if entry["outcome"] == "dead_letter"}
        found: dict[Place, Any] = {
            (record["data_file"], record["item_number"]): (record["stage"], errors_of(record))
            for record in records(run.run_folders[-1] / "dead_letters" / name)
        }
        assert found == dead
        codes.update(code for _, errors in dead.values() for code, _ in errors)
        rows = {place: entry for place, entry in truth.items() if entry["outcome"] == "row"}
        expected = Counter((*place, notice["code"], notice["attribute"]) for place, entry in rows.items() for notice in entry["notices"])
        assert expected == Counter(
            (record["data_file"], record["item_number"], record["code"], record["attribute"])
            for record in records(run.run_folders[-1] / "notices" / name)
        )
        codes.update(code for *_, code, _ in expected.elements())
        assert row_differences(table, [entry["row"] for entry in rows.values()], database) == ([], [])
        assert rows
    return codes


@pytest.mark.parametrize(("faulty", "exit_code"), [("0", 0), ("0.2", 3)])
def test_the_example_of_orders(tmp_path: Path, database: Database, run: CommandLine, faulty: str, exit_code: int) -> None:
    database.execute((EXAMPLES / "orders.sql").read_text())
    tables = str(EXAMPLES / "orders.toml")

    made = run("sample-export", tmp_path / "export", "--tables", tables, "--items=1500", f"--faulty={faulty}", "--items_per_file=400")

    assert made.exit_code == 0, made.output
    finished = run.migrate(tmp_path / "export" / "App", f"--tables={tables}", "--chunk_items=200")
    assert finished.exit_code == exit_code, finished.output
    codes = assert_truth(tmp_path / "export", database, run, tables)
    if exit_code:
        assert {"no_table", "pattern_mismatch", "invalid_json", "precision_lost", "text_too_long", "invalid_inet"} <= codes.keys()


def test_every_rule_and_every_fault_that_it_knows(tmp_path: Path, database: Database, run: CommandLine) -> None:
    tables = tmp_path / "things.py"
    tables.write_text(ALL_RULES)
    rules: dict[str, Any] = {}
    exec(ALL_RULES, rules)  # noqa: S102 - for the types beside the rules
    database.execute("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN positive AS integer CHECK (value > 0)")
    columns = ", ".join(f"c{number} {sql_type}" for number, sql_type in enumerate(rules["TYPES"]))
    database.execute(
        "CREATE TABLE thing (id uuid PRIMARY KEY, name text NOT NULL, at timestamptz, xy text, none numeric(10, 2) NOT NULL, "
        "usual text DEFAULT 'usual', "
        f"rest jsonb, {columns})"
    )
    arguments = ("--items=2000", "--faulty=0.5", "--odd=0.1", "--items_per_file=900")

    made = run("sample-export", tmp_path / "export", "--tables", tables, *arguments)

    assert made.exit_code == 0, made.output
    finished = run.migrate(tmp_path / "export" / "Things", f"--tables={tables}")
    assert finished.exit_code == 3, finished.output
    codes = assert_truth(tmp_path / "export", database, run, str(tables))
    assert codes.keys() >= {
        *("invalid_json", "not_an_item", "missing_required", "wrong_type", "nul_character", "invalid_uuid", "invalid_enum"),
        *("invalid_timestamp", "timestamp_out_of_range", "invalid_number", "not_an_integer", "number_out_of_range", "precision_lost"),
        *("text_too_long", "invalid_boolean", "invalid_date", "invalid_time", "invalid_interval", "invalid_base64", "invalid_inet"),
        *("pattern_mismatch", "trimmed"),
    }


def test_the_same_arguments_make_the_same(tmp_path: Path) -> None:
    plain = describe(find_tables(str(EXAMPLES / "orders.py")))
    settings: dict[str, Any] = {"items": 300, "faulty": 0.3, "odd": 0.1, "seed": 4, "items_per_file": 100}
    texts = []
    for name in ("one", "two"):
        write_any_exports(tmp_path / name, plain["tables"], plain["ignored"], **settings)
        texts.append({str(path.relative_to(tmp_path / name)): path.read_bytes() for path in (tmp_path / name).rglob("*") if path.is_file()})
    assert texts[0] == texts[1]
    assert json.loads(json.dumps(plain)) == plain, "it is plain data"


def test_what_the_definition_does_not_say_is_refused(tmp_path: Path) -> None:
    """A cast's sound texts, and what a function makes, are in no definition."""
    tables = tmp_path / "cast.py"
    tables.write_text('from ddb2pg import *\nTABLES = [Table("S", "t", "a", (Column("a", "a", Cast("ltree")),))]\n')
    plain = describe(find_tables(str(tables)))
    with pytest.raises(CannotMakeUp, match="Cast says too little of what it takes"):
        write_any_exports(tmp_path / "out", plain["tables"], plain["ignored"], items=1, faulty=0, odd=0, seed=1, items_per_file=1)
