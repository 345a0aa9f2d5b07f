"""Single hand-written lines through the whole job: each by its ruling, none stops it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import CommandLine
from tests.handmade_export import write_export
from tests.postgres_server import Database
from tests.truth import records

pytestmark = pytest.mark.plain

TABLE = "medzen-meeting-audit"


def _item(number: int, event_data: object, **changes: object) -> dict[str, Any]:
    return {
        "Item": {
            "id": {"S": f"00000000-0000-4000-8000-{number:012d}"},
            "sessionId": {"S": "00000000-0000-4000-8000-00000000abcd"},
            "eventType": {"S": "CALL_JOINED"},
            "timestamp": {"N": "1700000000000"},
            "eventData": event_data,
            **changes,
        }
    }


def _nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"S": "innermost"}
    for _ in range(levels):
        value = {"M": {"in": value}}
    return value


def _line(number: int, event_data: object, **changes: object) -> bytes:
    return json.dumps(_item(number, event_data, **changes), ensure_ascii=False).encode()


def test_every_edge_goes_where_its_ruling_says(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """Rows where the value can be kept exactly, dead letters where it cannot."""
    digits = "12345678901234567890123456789012345678"
    lines = {
        "400 KB": _line(1, {"S": "x" * 400_000}),
        "32 deep": _line(2, _nested(32)),
        "38 digits": _line(3, {"N": digits}),
        "1E-130": _line(4, {"N": "1E-130"}),
        "emoji": _line(5, {"S": "👩🏽‍⚕️"}),
        "CRLF": _line(6, {"S": "one\r\ntwo"}),
        "backslash u0000": _line(7, {"S": "\\u0000"}),
        "NUL in a key": _line(8, {"M": {"a\0b": {"S": "x"}}}),
        "surrogate": _line(9, {"S": "MARK"}).replace(b"MARK", b"\\ud800"),
        "BOM": b"\xef\xbb\xbf" + _line(10, {"S": "x"}),
        "two objects": _line(11, {"S": "x"}) + _line(12, {"S": "x"}),
        "numeric that PostgreSQL cannot hold": _line(13, {"N": "0." + "1" * 20_000}),
        "100,000 deep": b'{"Item":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
    }
    export = write_export(tmp_path / "export", TABLE, [list(lines.values())])

    finished = run.migrate(export)

    assert finished.exit_code == 3, finished.output
    names = list(lines)
    dead = {names[record["item_number"]]: record["errors"][0] for record in records(run.run_folders[0] / "dead_letters" / TABLE)}
    assert {name: (error["code"], error["attribute"], error["sqlstate"]) for name, error in dead.items()} == {
        "NUL in a key": ("nul_character", "eventData", None),
        "surrogate": ("invalid_json", None, None),
        "BOM": ("invalid_json", None, None),
        "two objects": ("invalid_json", None, None),
        "numeric that PostgreSQL cannot hold": ("database_rejected", None, "22003"),
        "100,000 deep": ("invalid_json", None, None),
    }
    rows = dict(database.query("SELECT right(id::text, 2)::int, event_data::text FROM video_call_audit_log"))
    assert rows[1] == f'"{"x" * 400_000}"'
    assert rows[2] == '{"in": ' * 32 + '"innermost"' + "}" * 32
    assert rows[3] == digits
    assert rows[4] == f"0.{'0' * 129}1"
    assert rows[5] == '"👩🏽‍⚕️"'
    assert rows[6] == r'"one\r\ntwo"'
    assert rows[7] == r'"\\u0000"'
    assert len(rows) == 7


def test_a_shared_id_is_one_row_and_one_dead_letter_wherever_the_two_meet(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """In one chunk, in two chunks, in two files dealt to two workers: `primary_key_conflict` for one, even with equal columns."""
    twins = [_line(number, {"S": "same"}) for number in (1, 2, 3)]
    near = [twins[0], twins[0]]
    far = [twins[1], *(_line(number, {"S": "other"}) for number in range(100, 120)), twins[1]]
    export = write_export(tmp_path / "export", TABLE, [near, far, [twins[2]], [twins[2]]])

    finished = run.migrate(export, "--chunk_items=5", "--direct_num_workers=2")

    assert finished.exit_code == 3, finished.output
    dead = list(records(run.run_folders[0] / "dead_letters" / TABLE))
    assert [(record["stage"], record["errors"][0]["code"], record["errors"][0]["sqlstate"]) for record in dead] == [
        ("write", "primary_key_conflict", "23505")
    ] * 3
    assert database.value("SELECT count(*) FROM video_call_audit_log WHERE event_data = '\"same\"'") == 3
    assert database.value("SELECT count(*) FROM video_call_audit_log") == 23


def test_a_custom_table_definition_from_a_file(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """Any other table is one small file away, its functions included, on worker processes too."""
    database.execute('CREATE TABLE "My Visits" (visit text PRIMARY KEY, shout text, n jsonb)')
    definition = tmp_path / "my_visits.py"
    definition.write_text(
        "from transforms.rules import Jsonb, Text\n"
        "from transforms.rejects import NoticeCode\n"
        "from transforms.table import Column, Missing, Table\n"
        "def is_loud(text): return text.isupper()\n"
        "TABLES = [Table('visits', '\"My Visits\"', ('visit',), (\n"
        "    Column('visit', 'visit', Text(), Missing.REFUSED),\n"
        "    Column('deep.shout', 'shout', Text(is_loud, NoticeCode.MALFORMED_MEETING_ID)),\n"
        "    Column('n', 'n', Jsonb()),\n"
        "))]\n"
    )
    lines = [
        json.dumps({"Item": {"visit": {"S": str(n)}, "deep": {"M": {"shout": {"S": "hey"}}}, "n": {"N": "1.50"}}}).encode()
        for n in range(50)
    ]
    export = write_export(tmp_path / "export", "visits-prod", [lines[:25], lines[25:]])

    finished = run.migrate(f"visits={export}", "--tables", definition, "--direct_num_workers=2")

    assert finished.exit_code == 0, finished.output
    assert database.query('SELECT count(*), min(shout), min(n::text) FROM "My Visits"') == [(50, "hey", "1.50")]
    assert len(list(records(run.run_folders[0] / "notices" / "visits"))) == 50
