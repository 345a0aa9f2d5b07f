"""Several definitions may take from one export: a load is of an export into a target, whatever else is made of the export."""

from __future__ import annotations

from pathlib import Path

import pytest

from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.pipeline.planted import report_of
from tests.postgres_server import Database
from tests.truth import records

pytestmark = pytest.mark.plain

SOURCE = "medzen-video-sessions"
DEFINITIONS = """
from ddb2pg import Column, Missing, Table, Text, Uuid
from transforms.tables.medzen import VIDEO_SESSIONS

STATUSES = Table(
    source=VIDEO_SESSIONS.source,
    target="session_status",
    key=VIDEO_SESSIONS.key,
    columns=(Column("id", "id", Uuid(), Missing.REFUSED), Column("status", "status", Text())),
)
TABLES = (VIDEO_SESSIONS, STATUSES)
"""


def test_two_definitions_of_one_export(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """Each has its load, its rows, its records and its part of the report; validate and rollback know both."""
    write_sample_exports(tmp_path / "export", items=200, seed=4, faulty=0.1, odd=0)
    definitions = tmp_path / "two.py"
    definitions.write_text(DEFINITIONS)
    database.execute("CREATE TABLE session_status (id uuid PRIMARY KEY, status text)")
    tables = f"--tables={definitions}"

    finished = run.migrate(tmp_path / "export" / SOURCE, tables)

    assert finished.exit_code == 3, finished.output
    loads = database.query("SELECT target_table, finished_at IS NOT NULL FROM ddb2pg.load ORDER BY load_id")
    assert loads == [("public.video_call_sessions", True), ("public.session_status", True)]
    folder = run.run_folders[0]
    for target in ("video_call_sessions", "session_status"):
        rows = database.value(f"SELECT count(*) FROM {target}")
        dead = list(records(folder / "dead_letters" / f"{SOURCE}--{target}"))
        assert rows + len(dead) == 200
        assert {record["target_table"] for record in dead} == {f"public.{target}"}
    assert database.value("SELECT count(*) FROM session_status") > database.value("SELECT count(*) FROM video_call_sessions")
    report = report_of(folder)
    assert set(report["attributes"]) == {f"{SOURCE}--video_call_sessions", f"{SOURCE}--session_status"}

    validated = run.validate(tmp_path / "export" / SOURCE, tables)
    assert validated.exit_code == 0, validated.output
    rolled_back = run("rollback", "--yes", "--export", tmp_path / "export" / SOURCE, "--output", run.output, tables)
    assert rolled_back.exit_code == 0, rolled_back.output
    assert database.value("SELECT count(*) FROM session_status") == 0
    assert database.value("SELECT count(*) FROM video_call_sessions") == 0


def test_two_definitions_into_one_target_are_refused(tmp_path: Path, database: Database, run: CommandLine) -> None:
    write_sample_exports(tmp_path / "export", items=20, seed=4, faulty=0, odd=0)
    definitions = tmp_path / "twice.py"
    definitions.write_text(DEFINITIONS.replace('target="session_status"', "target=VIDEO_SESSIONS.target"))

    finished = run.migrate(tmp_path / "export" / SOURCE, f"--tables={definitions}")

    assert finished.exit_code == 2
    assert "two definitions go into video_call_sessions" in finished.stderr
    assert database.value("SELECT to_regnamespace('ddb2pg') IS NULL")
