"""What PostgreSQL writes into its log while loads, comparisons, replays and rollbacks run: none of it is a value of an item."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.faults.jobs import Job
from tests.handmade_export import write_export
from tests.postgres_server import Database, Server

MARK = "PATIENT-SECRET"
REFUSED = "REFUSED"
PATIENT_ID = "44444444-4444-4444-8444-444444444444"
ROW_ID = "11111111-1111-4111-8111-11111111"


def _item(number: int, **changes: object) -> bytes:
    item = {
        "id": {"S": f"{ROW_ID}{number:04d}"},
        "appointmentId": {"S": "22222222-2222-4222-8222-222222222222"},
        "providerId": {"S": "33333333-3333-4333-8333-333333333333"},
        "patientId": {"S": PATIENT_ID},
        "status": {"S": "ACTIVE"},
        "joinUrl": {"S": f"https://example/{MARK}/{number}"},
        "meetingId": {"S": MARK},
    }
    return json.dumps({"Item": {**item, **changes}}).encode()


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Sound items; one whose key another has, one that a check refuses, one that a unique index refuses, one that is none."""
    lines = [_item(number) for number in range(20)]
    lines += [_item(3), _item(20, joinUrl={"S": f"{REFUSED}/{MARK}"}), _item(21, joinUrl={"S": f"https://example/{MARK}/5"})]
    return write_export(tmp_path / "export", "medzen-video-sessions", [[*lines, _item(22, status={"S": MARK})]])


ALL_STATEMENTS = {"log_statement": "all", "log_min_duration_statement": "0"}


@pytest.mark.parametrize("logged", [{}, ALL_STATEMENTS], ids=["default settings", "all statements"])
def test_no_value_is_in_the_servers_log(server: Server, database: Database, job: Job, export: Path, logged: dict[str, str]) -> None:
    """Rows are refused for their key, a check and a unique index; then compared, one by one too, replayed and taken back."""
    name = database.value("SELECT current_database()")
    database.execute(f"ALTER TABLE video_call_sessions ADD CHECK (join_url NOT LIKE '{REFUSED}%'), ADD UNIQUE (join_url)")
    for setting, value in logged.items():
        database.execute(f"ALTER DATABASE {name} SET {setting} = '{value}'")
    before = len(server.log)

    assert job.migrate(database.url, export, "--chunk_items=10") == 3, job.stderr
    database.execute("UPDATE video_call_sessions SET meeting_id = 'another' WHERE id::text LIKE '%0007'")
    given = ("--export", export, "--output", job.output)
    assert job(database.url, "validate", *given, "--direct_num_workers=1", "--show_values") == 3, job.stderr
    database.execute("ALTER TABLE video_call_sessions DROP CONSTRAINT video_call_sessions_join_url_key")
    replayed = next(job.output.glob("*/dead_letters")).parent
    assert job(database.url, "dead-letters", "replay", replayed, "--output", job.output) in (0, 3), job.stderr
    assert job(database.url, "rollback", *given, "--yes") in (0, 3), job.stderr

    log = server.log[before:]
    assert "violates" in log, "nothing was refused, or nothing logged"
    assert ("COPY " in log) == bool(logged)
    for planted in (MARK, PATIENT_ID, ROW_ID):
        assert [line for line in log.splitlines() if planted in line] == []
    assert not re.search(r"DETAIL: +(Failing row|Key)", log)
