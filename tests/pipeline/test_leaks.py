"""No value of an item is anywhere but in the target and in the dead letters; the key alone is in the notices."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.broken_tables import BROKEN_TABLES
from tests.command_line import CommandLine, Finished
from tests.handmade_export import write_export
from tests.postgres_server import Database, Server
from tests.truth import text_of

MARK = "PATIENT-SECRET"

SOUND = {
    "id": {"S": "11111111-1111-4111-8111-111111111111"},
    "appointmentId": {"S": "22222222-2222-4222-8222-222222222222"},
    "providerId": {"S": "33333333-3333-4333-8333-333333333333"},
    "patientId": {"S": "44444444-4444-4444-8444-444444444444"},
    "status": {"S": "ACTIVE"},
    "joinUrl": {"S": f"https://example/{MARK}"},
    "meetingId": {"S": MARK},
}


def _lines() -> list[bytes]:
    """Good items and one for every kind of refusal, each with the mark where the fault is, or beside it."""
    number = iter(range(10, 99))

    def item(**changes: object) -> bytes:
        identity = {"id": {"S": f"11111111-1111-4111-8111-1111111111{next(number)}"}}
        return json.dumps({"Item": {**SOUND, **identity, **changes}}).encode()

    return [
        item(),
        item(notes={"S": MARK}),
        item(id={"S": MARK}),
        item(status={"S": MARK}),
        item(startTime={"S": MARK}),
        item(startTime={"N": MARK}),
        item(endTime={"N": "1700000000000.0001"}),
        item(createdAt={"N": "1700000000"}),
        item(joinUrl={"S": f"{MARK}\0"}),
        item(joinUrl={"X": MARK}),
        item(joinUrl=MARK),
        item()[:-3] + MARK.encode(),
        b"\xff" + item(),
        b'{"Item": {}, "%s": 1}' % MARK.encode(),
        item(id={"S": "99999999-9999-4999-8999-999999999999"}),
        item(id={"S": "99999999-9999-4999-8999-999999999999"}),
    ]


def _assert_no_mark(run: CommandLine, finished: Finished, database: Database, server: Server) -> None:
    assert MARK not in finished.output
    assert "44444444-4444-4444-8444-444444444444" not in finished.output
    for path in run.output.rglob("*"):
        if path.is_file() and "dead_letters" not in path.parts:
            assert MARK not in text_of(path), path
    dump = subprocess.run(
        [server.bin_path / "pg_dump", "--schema=ddb2pg", "--dbname", database.url], capture_output=True, text=True, check=True
    ).stdout
    assert "ddb2pg.chunk" in dump
    assert MARK not in dump


@pytest.mark.parametrize("workers", [1, 2])
def test_a_finished_load_prints_and_keeps_no_value(
    tmp_path: Path, run: CommandLine, database: Database, server: Server, workers: int
) -> None:
    """Whatever is refused or noted, output, report, notices and ledger hold no value."""
    write_export(tmp_path / "export", "medzen-video-sessions", [_lines(), _lines()[:1]])

    finished = run.migrate(tmp_path / "export", f"--direct_num_workers={workers}")

    assert finished.exit_code == 3, finished.output
    assert MARK in database.value("SELECT string_agg(join_url, '') FROM video_call_sessions"), "the mark must be somewhere"
    assert MARK in "".join(text_of(path) for path in run.output.rglob("dead_letters/*/*"))
    _assert_no_mark(run, finished, database, server)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_load_that_stops_prints_no_value(tmp_path: Path, run: CommandLine, database: Database, server: Server, workers: int) -> None:
    """A failure that PostgreSQL explains with a row's values is told without them."""
    write_export(tmp_path / "export", "medzen-video-sessions", [_lines(), _lines()[:1]])
    database.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'no room for %', NEW.join_url USING ERRCODE = '53100', DETAIL = NEW::text; END $$"
    )
    database.execute("CREATE TRIGGER refuse BEFORE INSERT ON video_call_sessions FOR EACH ROW EXECUTE FUNCTION refuse()")

    finished = run.migrate(tmp_path / "export", f"--direct_num_workers={workers}")

    assert finished.exit_code == 1
    assert "disk is full (53100)" in finished.stderr
    assert database.value("SELECT count(*) FROM video_call_sessions") == 0
    _assert_no_mark(run, finished, database, server)


def test_a_bug_in_ddb2pg_prints_no_value(tmp_path: Path, run: CommandLine, database: Database, server: Server) -> None:
    """The words of an exception that nobody foresaw may quote a value, so only its place is printed."""
    write_export(tmp_path / "export", "medzen-video-sessions", [_lines()])
    broken = tmp_path / "broken_tables.py"
    broken.write_text(BROKEN_TABLES)

    finished = run.migrate(tmp_path / "export", "--tables", broken)

    assert finished.exit_code == 1
    assert "bug" in finished.stderr
    assert "in explode" in finished.stderr
    _assert_no_mark(run, finished, database, server)


def test_records_are_readable_by_their_owner_only(tmp_path: Path, run: CommandLine) -> None:
    """Dead letters hold patient data: nobody else on the machine may read them."""
    write_export(tmp_path / "export", "medzen-video-sessions", [_lines()])
    run.migrate(tmp_path / "export")

    modes = {path.stat().st_mode & 0o077 for path in (run.output, *run.output.rglob("*"))}

    assert modes == {0}
