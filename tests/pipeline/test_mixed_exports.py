"""Two exports of one table never mix in its target, in whatever order or at whatever time they come."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command_line import CommandLine
from tests.handmade_export import write_export
from tests.postgres_server import Database

pytestmark = pytest.mark.plain

TABLE = "medzen-meeting-audit"


def _lines(first: int, count: int, word: str) -> list[bytes]:
    return [
        json.dumps(
            {
                "Item": {
                    "id": {"S": f"00000000-0000-4000-8000-{number:012d}"},
                    "sessionId": {"S": "00000000-0000-4000-8000-00000000abcd"},
                    "eventType": {"S": word},
                    "timestamp": {"N": "1700000000000"},
                }
            }
        ).encode()
        for number in range(first, first + count)
    ]


def test_a_load_that_was_begun_keeps_another_export_out(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """Even when not one of its rows is in yet: its only file was damaged."""
    old = write_export(tmp_path / "old", TABLE, [_lines(0, 50, "OLD")], "01700000000000-00000001")
    new = write_export(tmp_path / "new", TABLE, [_lines(0, 100, "NEW")], "01800000000000-00000002")
    data_file = next((old / "data").iterdir())
    sound = data_file.read_bytes()
    data_file.write_bytes(sound[:-1])
    assert run.migrate(old).exit_code == 1

    refused = run.migrate(new)

    assert refused.exit_code == 2, refused.output
    assert "two exports must not mix" in refused.stderr
    assert "01700000000000-00000001" in refused.stderr
    data_file.write_bytes(sound)
    assert run.migrate(old).exit_code == 0
    assert database.query("SELECT DISTINCT event_type FROM video_call_audit_log") == [("OLD",)]


def test_the_way_to_begin_anew_that_the_docs_show_works(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """After it, the other export goes in as into a table that nothing was ever loaded into."""
    old = write_export(tmp_path / "old", TABLE, [_lines(0, 50, "OLD")], "01794632786093-0de7e107")
    new = write_export(tmp_path / "new", TABLE, [_lines(0, 100, "NEW")], "01800000000000-00000002")
    assert run.migrate(old).exit_code == 0
    assert run.migrate(new).exit_code == 2
    page = (Path(__file__).parents[2] / "docs" / "rollback.md").read_text()
    statements = [line.strip() for line in page.splitlines() if line.startswith(("    TRUNCATE", "    DELETE"))]
    assert len(statements) == 3

    for statement in statements:
        database.execute(statement.replace("video_call_sessions", "video_call_audit_log"))

    assert run.migrate(new).exit_code == 0
    assert database.query("SELECT DISTINCT event_type FROM video_call_audit_log") == [("NEW",)]


def test_two_exports_at_once_do_not_mix(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """One of them is refused."""
    exports = [
        write_export(tmp_path / word, TABLE, [_lines(0, 500, word)], f"01700000000000-0000000{number}")
        for number, word in enumerate(("OLD", "NEW"))
    ]
    both = [run.start_migrate(export) for export in exports]
    outputs = [process.communicate(timeout=300) for process in both]

    assert sorted(process.returncode for process in both) == [0, 2], outputs
    assert database.value("SELECT count(DISTINCT event_type) FROM video_call_audit_log") == 1
    assert database.value("SELECT count(*) FROM video_call_audit_log") == 500


def test_a_folder_that_lost_its_summary_is_not_passed_over(tmp_path: Path, run: CommandLine) -> None:
    """A copy that was cut short must not make a table vanish from the migration."""
    write_export(tmp_path / "all", TABLE, [_lines(0, 5, "X")])
    notes = write_export(tmp_path / "all", "medzen-soap-notes", [[]])
    (notes / "manifest-summary.json").unlink()

    finished = run.migrate(tmp_path / "all")

    assert finished.exit_code == 2, finished.output
    assert str(notes) in finished.stderr


def test_tables_without_an_export_are_named(tmp_path: Path, run: CommandLine) -> None:
    """Nobody believes that all is done because the tables that were given are."""
    write_export(tmp_path / "one", TABLE, [_lines(0, 5, "X")])

    finished = run.migrate(tmp_path / "one")

    assert finished.exit_code == 0, finished.output
    assert "no export was given for medzen-video-sessions" in finished.stdout
    assert "no export was given for medzen-soap-notes" in finished.stdout
