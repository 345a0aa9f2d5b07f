"""`preflight --sample N`: items beside their rows, and no value of them unless it was asked for."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.options import PreflightCommandOptions
from pipeline.places.storage import LOCAL_AND_AWS
from pipeline.preflight.check import check_with_sample
from pipeline.preflight.exports import Planned
from pipeline.preflight.sample import TableSample, row_shape, sample_table
from pipeline.records.mask import shape_of_value
from pipeline.source.manifest import read_export
from pipeline.target.database_url import DatabaseReference
from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.faults.jobs import Job
from tests.handmade_export import write_export
from tests.made_options import made_options
from tests.postgres_server import Database
from tests.truth import lines_of_export
from transforms.native import plan as native
from transforms.rules import Jsonb, Text, Timestamp
from transforms.table import Column, Missing, Table, Unmapped
from transforms.tables.medzen import MEETING_AUDIT, SOAP_NOTES, TABLES
from transforms.types import JSONB

pytestmark = pytest.mark.plain

ID = "0a1b2c3d-0000-4000-8000-00000000abcd"


def audit(**changed: Any) -> bytes:
    item = {
        "id": {"S": ID},
        "sessionId": {"S": ID},
        "eventType": {"S": "call_joined"},
        "timestamp": {"N": "1700000000123"},
        "eventData": {"M": {"SECRET KEY": {"S": "SECRET"}}},
    }
    return json.dumps({"Item": {**item, **changed}}).encode()


def sampled(tmp_path: Path, *lines: bytes, count: int = 10, show_values: bool = False, **settings: Unmapped) -> TableSample:
    export = read_export(str(write_export(tmp_path / "export", "medzen-meeting-audit", [lines[:2], lines[2:]])))
    unmapped = settings.get("unmapped", Unmapped.NOTICE)
    return sample_table(Planned(MEETING_AUDIT, export), count, unmapped, LOCAL_AND_AWS, 0, show_values=show_values)


def test_source_and_row_stand_side_by_side_as_shapes(tmp_path: Path) -> None:
    """One line for each column of the definition."""
    [item] = sampled(tmp_path, audit()).items

    assert item.is_row
    assert [(column.attribute, column.source, column.column, column.row) for column in item.columns] == [
        ("id", "S(36) uuid", "id", "uuid"),
        ("sessionId", "S(36) uuid", "session_id", "uuid"),
        ("eventType", "S(11) word", "event_type", "text(11) upper-case word"),
        ("eventData", "M(1)", "event_data", "jsonb object(1)"),
        ("timestamp | createdAt", "N(13) digits", "created_at", "timestamp with time zone"),
    ]


def test_values_are_shown_when_they_are_asked_for(tmp_path: Path) -> None:
    """What DynamoDB has, and what PostgreSQL would get."""
    [item] = sampled(tmp_path, audit(createdAt={"N": "1700000000124"}), show_values=True).items

    assert [(column.source, column.row) for column in item.columns[2:]] == [
        ('{"S":"call_joined"}', "CALL_JOINED"),
        ('{"M":{"SECRET KEY":{"S":"SECRET"}}}', '{"SECRET KEY":"SECRET"}'),
        ('{"N":"1700000000123"} | {"N":"1700000000124"}', "2023-11-14T22:13:20.124000+00:00"),
    ]


@pytest.mark.parametrize(
    ("line", "code", "attribute"),
    [
        (b"SECRET", "invalid_json", None),
        (audit(id={"S": "SECRET"}), "invalid_uuid", "id"),
        (audit(eventData={"M": {"SECRET": {"S": "\0"}}}), "nul_character", "eventData"),
        (audit(eventData={"M": {"SECRET": {"X": "Y"}}}), "not_an_item", "eventData"),
        (audit(SECRET={"X": "SECRET"}), "not_an_item", "(an attribute that no column takes)"),
    ],
)
def test_a_line_that_would_be_a_dead_letter_says_why(tmp_path: Path, line: bytes, code: str, attribute: str | None) -> None:
    """With its code, its place as far as the definition names it, and no value."""
    sample = sampled(tmp_path, line)
    [item] = sample.items

    assert not item.is_row
    assert [error.code for error in item.errors] == [code]
    assert item.errors[0].attribute in (attribute, f"{attribute} (inside)")
    assert all(column.row is None for column in item.columns)
    assert b"SECRET" not in orjson.dumps(sample)
    assert b"SECRET" in orjson.dumps(sampled(tmp_path / "shown", line, show_values=True)) or code == "invalid_json"


def test_notices_are_told_without_names_that_may_be_data(tmp_path: Path) -> None:
    """And with --unmapped=reject they are dead letters."""
    line = audit(SECRET={"S": "SECRET"}, eventType={"S": "other"})
    [item] = sampled(tmp_path, line).items

    assert {(notice.code, notice.attribute) for notice in item.notices} == {
        ("unknown_event_type", "eventType"),
        ("unmapped_attribute", "(an attribute that no column takes)"),
    }
    [rejected] = sampled(tmp_path / "rejecting", line, unmapped=Unmapped.REJECT).items
    assert [error.code for error in rejected.errors] == ["unmapped_attribute"]


def test_as_many_items_as_asked_for_file_by_file(tmp_path: Path) -> None:
    """With their places; the first of the first file first."""
    items = sampled(tmp_path, *[audit()] * 5, count=3).items

    assert [(item.data_file[25], item.item_number) for item in items] == [("0", 0), ("0", 1), ("1", 0)]
    assert len(sampled(tmp_path / "all", *[audit()] * 5, count=99).items) == 5


def test_a_data_file_that_cannot_be_read_is_named(database: Database, run: CommandLine, tmp_path: Path) -> None:
    """What was read before is shown; the exit code says that there is a problem."""
    export = write_export(tmp_path / "export", "medzen-meeting-audit", [[audit()], [audit()]])
    sorted((export / "data").iterdir())[1].write_bytes(b"\x1f\x8bnonsense")
    finished = run("preflight", "--export", export, "--sample", "5", "--json")

    assert finished.exit_code == 2, finished.output
    report = json.loads(finished.stdout)
    assert [check["name"] for check in report["checks"]["preflight"] if check["verdict"] == "fail"] == ["export_unusable"]
    assert len(report["samples"][0]["items"]) == 1
    assert "json.gz" in report["samples"][0]["problem"]
    assert database.value("SELECT to_regnamespace('ddb2pg') IS NULL")


SHAPES = [
    ({"S": ""}, "S(0) empty"),
    ({"S": "a b."}, "S(4) text"),
    ({"N": "1.5"}, "N(3) number"),
    ({"BOOL": True}, "BOOL"),
    ({"NULL": True}, "NULL"),
    ({"B": "YWJj"}, "B(4)"),
    ({"SS": ["a", "b"]}, "SS(2)"),
    ({"L": []}, "L(0)"),
    ({"M": {"a": {"S": "b"}}}, "M(1)"),
    ({"X": "y"}, "not an attribute value (an object)"),
    ({"N": 5}, "not an attribute value (N with a number)"),
    ("y", "not an attribute value (a string)"),
]


@pytest.mark.parametrize(("value", "shape"), SHAPES)
def test_the_shape_of_each_type_of_attribute_value(value: object, shape: str) -> None:
    """Its tag, its size, and what kind of text it is."""
    assert str(shape_of_value(value)) == shape


@pytest.mark.parametrize(
    ("text", "shape"),
    [('{"a":1}', "object(1)"), ("[1,2]", "array(2)"), ('"abc"', "string(3)"), ("1.5", "number"), ("true", "boolean"), ("null", "null")],
)
def test_the_shape_of_each_kind_of_jsonb(text: str, shape: str) -> None:
    """Its kind and its size."""
    assert row_shape(text, JSONB) == f"jsonb {shape}"


@pytest.mark.parametrize("as_json", [True, False])
def test_no_value_of_an_item_is_shown_without_being_asked_for(run: CommandLine, tmp_path: Path, as_json: bool) -> None:
    """Of 40 items of each table, half of them faulty, half of them odd: no text of eight characters or more, no number of a patient."""
    write_sample_exports(tmp_path / "export", items=40, faulty=0.5, odd=0.5, seed=41)
    arguments = ["--sample", "40", *(["--json"] if as_json else [])]
    finished = run("preflight", "--export", tmp_path / "export", *arguments)

    assert finished.exit_code == 0, finished.output
    # What the definitions say themselves (states, bounds of timestamps) is no value of an item's.
    values = {
        text
        for table in TABLES
        for line in lines_of_export(tmp_path / "export", table.source).values()
        for text in _texts(line)
        if text not in repr(TABLES)
    }
    assert len(values) > 500
    assert {value for value in values if value in finished.output} == set()
    everything = tmp_path / "details"
    shown = run("preflight", "--export", tmp_path / "export", *arguments, "--show_values", "--details", everything)
    output = shown.output if as_json else everything.read_text(encoding="utf-8")
    assert sum(value in output for value in values) > len(values) / 3


def test_the_terminal_has_a_summary_and_a_file_has_every_item(run: CommandLine, tmp_path: Path) -> None:
    """The file is for its owner alone, and nothing is overwritten."""
    lines = [audit(), audit(id={"S": "SECRET"}), audit(id={"S": "SECRET"}), audit(eventType={"S": "other"})]
    export = write_export(tmp_path / "export", "medzen-meeting-audit", [lines])
    arguments = ["preflight", "--export", export, "--sample", "4", "--details", tmp_path / "details"]
    finished = run(*arguments)

    assert finished.exit_code == 0, finished.output
    assert "medzen-meeting-audit -> video_call_audit_log: of 4 items, 2 rows, 2 dead letters\n" in finished.stdout
    assert re.search(r"  invalid_uuid id: .* \(2 items, first item 1 of 0*\.json\.gz\)\n", finished.stdout)
    assert "notice unknown_event_type eventType (1 item, first item 3 of " in finished.stdout
    assert finished.stdout.count("in DynamoDB") == 1, "one item beside its row"
    details = tmp_path / "details"
    assert details.read_text().count("in DynamoDB") == 4
    assert "SECRET" not in details.read_text() + finished.output
    assert oct(details.stat().st_mode & 0o777) == "0o600"

    again = run(*arguments)
    assert again.exit_code == 2
    assert f"--details: {details} is there already" in again.stderr


def _texts(line: bytes) -> set[str]:
    """All strings of a line that are long enough to be nobody's but its own; names are not values."""
    try:
        item = json.loads(line)
    except ValueError:
        return set()
    found: set[str] = set()
    left = [item]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)
        elif isinstance(value, str) and len(value) >= 8 and value.isascii() and value.isprintable():
            found.add(value)
    return found


def test_what_is_shown_is_what_is_loaded(database: Database, run: CommandLine, tmp_path: Path) -> None:
    """The rows of a sample, value by value, are those that PostgreSQL has after the load."""
    write_sample_exports(tmp_path / "export", items=30, faulty=0, odd=0.5, seed=42, tables=["medzen-soap-notes"])
    finished = run("preflight", "--export", tmp_path / "export", "--sample", "30", "--show_values", "--json")
    assert run.migrate(tmp_path / "export").exit_code == 0

    [sample] = json.loads(finished.stdout)["samples"]
    shown = {row["id"]: row for item in sample["items"] if (row := {column["column"]: column["row"] for column in item["columns"]})}
    names = [column.name for column in SOAP_NOTES.columns if column.pg_type.name in ("text", "uuid")]
    rows = database.query(f"SELECT {', '.join(f'{name}::text' for name in names)} FROM clinical_notes")
    assert len(rows) == 30
    for row in rows:
        assert [shown[row[0]][name] for name in names] == list(row)


# -- attributes that no item has -----------------------------------------------------------------------------------------------------------

EVENTS = Table(
    "events",
    "ev",
    ("id",),
    (
        Column("id", "id", Text(), Missing.REFUSED),
        Column("statTime", "at", Timestamp()),
        Column("doc.plann", "v", Text()),
        Column("legacy", "j", Jsonb()),
    ),
)
PATIENT = "patient-4711-0815"


@pytest.fixture
def events(database: Database, tmp_path: Path) -> Path:
    """Of 300 items the last alone has the attribute `legacy`, and it is NULL; a map has members that are names of patients."""
    database.execute("CREATE TABLE ev (id text PRIMARY KEY, v text, at timestamptz, j jsonb)")
    items = [
        {
            "id": {"S": str(number)},
            "startTime": {"N": "1700000000000"},
            "doc": {"M": {"plan": {"S": "x"}, f"plann{number}": {"S": "x"}, PATIENT: {"S": "x"}}},
        }
        for number in range(300)
    ]
    items[-1]["legacy"] = {"NULL": True}
    return write_export(tmp_path, "events", [[json.dumps({"Item": item}).encode() for item in part] for part in (items[:150], items[150:])])


TOLD = "statTime (items have startTime), doc.plann (items have doc.plan)"


def test_an_attribute_that_no_item_of_the_sample_has_is_told_with_the_nearest_name(
    database: Database, events: Path, tmp_path: Path
) -> None:
    os.environ["DDB2PG_TEST_URL"] = database.url
    options = made_options(
        PreflightCommandOptions, [events], DatabaseReference("env:DDB2PG_TEST_URL"), tmp_path / "never", tables=(EVENTS,)
    )

    findings = check_with_sample(options, 0, show_values=False).findings

    [finding] = [finding for finding in findings if finding.name == "attribute_absent"]
    assert (finding.verdict, finding.table) == ("warning", "ev")
    assert finding.detail.startswith(f"of the first 200 items none has {TOLD}, legacy, which the definition takes")
    assert "fail" not in [finding.verdict for finding in findings]


@pytest.mark.parametrize("is_built", [True, False], ids=["compiled", "in Python"])
@pytest.mark.parametrize("chunk_items", ["1000", "7"])
def test_an_attribute_that_no_item_of_all_has_is_a_check_of_the_outcome(
    database: Database, events: Path, job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_built: bool, chunk_items: str
) -> None:
    """Not one that a single item has, though it is NULL. No error. Told again by a run that has nothing to do."""
    monkeypatch.setattr(native, "IS_BUILT", is_built)
    definition = tmp_path / "tables.py"
    definition.write_text(DEFINITION)
    arguments = (f"--chunk_items={chunk_items}", "--tables", str(definition))
    for _ in range(2):
        assert job.migrate(database.url, events, *arguments) == 0, job.printed
        [table] = json.loads((job.last_run / "report.json").read_text())["tables"]
        [check] = [check for check in table["checks"] if check["name"] == "attributes of the definition"]
        assert check["verdict"] == "warning"
        assert check["detail"].startswith(f"no item of the export has {TOLD.partition(', ')[2]}, {TOLD.partition(', ')[0]}, which the")
        assert PATIENT not in job.stdout


def test_an_attribute_that_only_items_of_another_table_have_is_told_so(database: Database, run: CommandLine, tmp_path: Path) -> None:
    """Of a single-table design: it is in the sample of names, and no item of this table has it."""
    database.execute("CREATE TABLE ev (id text PRIMARY KEY, v text, at timestamptz, j jsonb)")
    others = {"id": {"S": "2"}, "statTime": {"N": "1700000000000"}}
    export = write_export(tmp_path / "export", "events", [[json.dumps({"Item": item}).encode() for item in ({"id": {"S": "1"}}, others)]])
    definition = tmp_path / "tables.py"
    definition.write_text(
        DEFINITION.replace("import Column", "import Column, Equals, Ignore").replace(
            "))]", '), where=Equals("id", "1")), Ignore("events", Equals("id", "2"))]'
        )
    )
    finished = run.migrate(export, "--tables", definition)
    assert finished.exit_code == 0, finished.output
    assert "no item that became a row has " in finished.stdout


DEFINITION = """
from ddb2pg import Column, Jsonb, Missing, Table, Text, Timestamp
TABLES = [Table("events", "ev", "id", (
    Column("id", "id", Text(), Missing.REFUSED),
    Column("statTime", "at", Timestamp()),
    Column("doc.plann", "v", Text()),
    Column("legacy", "j", Jsonb()),
))]
"""
