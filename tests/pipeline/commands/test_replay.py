"""dead-letters replay, as a user runs it: what was mended becomes rows, exactly once; the rest is told again, with its history."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import CommandLine, Finished, LoadedOnce
from tests.handmade_export import write_export
from tests.pipeline.planted import parts_of, report_of
from tests.postgres_server import Database, Server
from tests.truth import records

pytestmark = pytest.mark.plain

TABLE = "medzen-meeting-audit"
EXPORT_ID = "01794632786093-0de7e107"
ITEMS, FAULTY = 40, 8
MARK = "PATIENT-SECRET"


def item(number: int, *, session: str | None = None) -> dict[str, Any]:
    return {
        "id": {"S": f"00000000-0000-4000-8000-{number:012d}"},
        "sessionId": {"S": session or f"00000000-0000-4000-9000-{number:012d}"},
        "eventType": {"S": "CALL_JOINED"},
        "timestamp": {"N": "1700000000000"},
        "eventData": {"M": {"note": {"S": f"{MARK}-{number}"}}},
    }


def line(content: dict[str, Any]) -> bytes:
    return json.dumps({"Item": content}).encode()


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of each ten of the items of two data files two have no session: they are dead letters."""
    numbers = range(ITEMS)
    lines = [line(item(number, session="not a UUID" if number % 5 == 0 else None)) for number in numbers]
    return write_export(tmp_path_factory.mktemp("replay") / "export", TABLE, [lines[:25], lines[25:]], EXPORT_ID)


@pytest.fixture(scope="module")
def load(export: Path, server: Server, tmp_path_factory: pytest.TempPathFactory) -> LoadedOnce:
    def migrate(run: CommandLine) -> None:
        finished = run.migrate(export, "--chunk_items=10")
        assert finished.exit_code == 3, finished.output

    return LoadedOnce(server, tmp_path_factory.mktemp("loaded"), migrate, is_plain=True)


@pytest.fixture
def loaded(export: Path, load: LoadedOnce, run: CommandLine, database: Database) -> Path:
    load.copy_to(run, database)
    return export


def replay(run: CommandLine, folder: Path, *arguments: str | Path) -> Finished:
    return run("dead-letters", "replay", folder, "--output", run.output, *arguments)


Mend = Callable[[dict[str, Any]], dict[str, Any] | None]


def mended_copy(run_folder: Path, to: Path, mend: Mend) -> Path:
    """A copy of the dead letters with other items; None leaves one out."""
    for path in (run_folder / "dead_letters").glob("*/*.jsonl.gz"):
        copy = to / path.parent.name / path.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        mended = [mend(json.loads(one)) for one in gzip.decompress(path.read_bytes()).splitlines()]
        copy.write_bytes(gzip.compress(b"".join(json.dumps(one).encode() + b"\n" for one in mended if one is not None)))
    return to


def number_of(record: dict[str, Any]) -> int:
    return int(json.loads(record["item"])["Item"]["id"]["S"][-12:])


def with_session(record: dict[str, Any]) -> dict[str, Any]:
    number = number_of(record)
    return {**record, "item": line(item(number)).decode()}


def loaded_numbers(database: Database) -> list[int]:
    return sorted(int(row[0][-12:]) for row in database.query("SELECT id::text FROM video_call_audit_log"))


@pytest.mark.usefixtures("loaded")
def test_what_is_mended_becomes_rows_and_the_rest_is_told_again(tmp_path: Path, run: CommandLine, database: Database) -> None:
    """Half of them are mended; then the other half. Replayed again, nothing changes; the load's totals count them as rows."""
    (first_run,) = run.run_folders
    half = mended_copy(first_run, tmp_path / "half", lambda one: with_session(one) if number_of(one) < 20 else one)

    finished = replay(run, half)

    assert finished.exit_code == 3, finished.output
    assert "8 dead letters given = 8 tried = 4 rows now + 0 rows before + 4 refused again" in finished.stdout
    assert "40 items loaded = 36 rows + 4 dead letters" in finished.stdout
    assert loaded_numbers(database) == [number for number in range(ITEMS) if number % 5 or number < 20]
    second_run = run.run_folders[-1]
    again = list(records(second_run / "dead_letters" / TABLE))
    assert sorted(number_of(one) for one in again) == [20, 25, 30, 35]
    assert {(one["attempt"], one["first_run_id"], one["run_id"]) for one in again} == {(2, first_run.name, second_run.name)}
    assert {error["code"] for one in again for error in one["errors"]} == {"invalid_uuid"}
    rows = database.query("SELECT *, xmin::text FROM video_call_audit_log ORDER BY id")

    repeated = replay(run, half)

    assert repeated.exit_code == 3, repeated.output
    assert "0 rows now + 4 rows before + 4 refused again" in repeated.stdout
    assert database.query("SELECT *, xmin::text FROM video_call_audit_log ORDER BY id") == rows

    rest = replay(run, mended_copy(second_run, tmp_path / "rest", with_session))

    assert rest.exit_code == 0, rest.output
    assert loaded_numbers(database) == list(range(ITEMS))
    assert "40 items loaded = 40 rows + 0 dead letters" in rest.stdout
    assert report_of(run.run_folders[-1])["tables"][0]["totals"]["rows"] == ITEMS
    assert "40 rows + 0 dead letters" in run("status").stdout
    assert replay(run, first_run / "dead_letters").exit_code == 0, "the old files: all of them are rows by now"
    assert database.query("SELECT count(*) FROM video_call_audit_log") == [(ITEMS,)]
    output = finished.output + repeated.output + rest.output
    assert MARK not in output
    assert "not a UUID" not in output


def test_a_mended_definition_takes_them_as_they_are(loaded: Path, tmp_path: Path, run: CommandLine, database: Database) -> None:
    """The first run's own folder, by the run's id; refused as long as the target does not fit the definition."""
    definition = tmp_path / "mended.py"
    definition.write_text(
        "from dataclasses import replace\n"
        "from transforms.rules import Text\n"
        "from transforms.tables.medzen import MEETING_AUDIT\n"
        "columns = [replace(c, rule=Text()) if c.name == 'session_id' else c for c in MEETING_AUDIT.columns]\n"
        "TABLES = [replace(MEETING_AUDIT, columns=tuple(columns))]\n"
    )
    arguments = ("dead-letters", "replay", run.run_folders[0].name, "--output", run.output, "--tables", definition)
    unfit = run(*arguments)
    assert unfit.exit_code == 2
    assert "session_id" in unfit.stderr
    database.execute("ALTER TABLE video_call_audit_log ALTER COLUMN session_id TYPE text")

    finished = run(*arguments)

    assert finished.exit_code == 0, finished.output
    assert database.value("SELECT count(*) FROM video_call_audit_log WHERE session_id = 'not a UUID'") == FAULTY
    refused = run.migrate(loaded, "--tables", definition)
    assert refused.exit_code == 2, "the load itself keeps its definition"


def test_the_other_commands_know_what_was_brought_in(loaded: Path, tmp_path: Path, run: CommandLine, database: Database) -> None:
    """Migrate tells the rest; validate accounts for their rows, and finds them changed or gone; rollback takes back what is unchanged."""
    copy = mended_copy(run.run_folders[0], tmp_path / "copy", lambda one: with_session(one) if number_of(one) else None)
    assert replay(run, copy).exit_code == 0

    resumed = run.migrate(loaded)
    assert resumed.exit_code == 3, resumed.output
    assert [number_of(one) for one in records(run.run_folders[-1] / "dead_letters" / TABLE)] == [0]
    assert report_of(run.run_folders[-1])["tables"][0]["dead_letter_codes"] == {"invalid_uuid": 1}
    equal = run.validate(loaded)
    assert equal.exit_code == 0, equal.output
    assert report_of(run.run_folders[-1])["tables"][0]["parts"][0]["count"] == ITEMS - 1

    database.execute("UPDATE video_call_audit_log SET event_type = 'X' WHERE id::text LIKE '%0005'")
    database.execute("DELETE FROM video_call_audit_log WHERE id::text LIKE '%0010'")
    database.execute("INSERT INTO video_call_audit_log (id, session_id, event_type) VALUES (gen_random_uuid(), gen_random_uuid(), 'X')")
    unequal = run.validate(loaded)
    assert unequal.exit_code == 3, unequal.output
    assert report_of(run.run_folders[-1])["tables"][0]["mismatches"] == {"different": 1, "missing": 1, "row_without_item": 1}
    places = {(one["kind"], one["item_number"]) for one in records(run.run_folders[-1] / "mismatches" / TABLE)}
    assert places == {("different", 5), ("missing", 10), ("row_without_item", None)}

    shown = run.roll_back(loaded)
    assert shown.exit_code == 3, shown.output
    assert "37 would be deleted" in shown.stdout
    done = run.roll_back(loaded, "--yes")
    assert done.exit_code == 3, done.output
    again = run.roll_back(loaded, "--yes")
    for folder in run.run_folders[-3:]:
        result = report_of(folder)["tables"][0]
        assert (result["total"], *parts_of(result).values(), result["kept"]) == (39, 37, 1, 1, {"different": 1})
        assert [one["item_number"] for one in records(folder / "discrepancies" / TABLE)] == [5]
    assert again.exit_code == 3, again.output
    assert database.value("SELECT count(*) FROM video_call_audit_log") == 2
    late = replay(run, copy)
    assert late.exit_code == 2
    assert "knows no load" in late.stderr


def test_tables_come_in_in_their_order(tmp_path: Path, run: CommandLine, database: Database) -> None:
    """A row that refers to another dead letter of the same folder, though its own table's name comes first in the alphabet."""
    session = "00000000-0000-4000-9000-000000000001"
    row = {
        "id": {"S": session},
        "status": {"S": "no such"},
        "appointmentId": {"S": session},
        "patientId": {"S": session},
        "providerId": {"S": session},
        "createdAt": {"N": "1700000000000"},
    }
    export = tmp_path / "export"
    write_export(export / "a", "medzen-video-sessions", [[line(row)]], "01794632786093-00000001")
    write_export(export / "b", TABLE, [[line(item(1, session=session))]], "01794632786093-00000002")
    database.execute("ALTER TABLE video_call_audit_log ADD FOREIGN KEY (session_id) REFERENCES video_call_sessions")
    assert run.migrate(export).exit_code == 3
    assert database.query("SELECT count(*) FROM video_call_audit_log") == [(0,)]

    def mend(one: dict[str, Any]) -> dict[str, Any]:
        return {**one, "item": one["item"].replace("no such", "ACTIVE")}

    finished = replay(run, mended_copy(run.run_folders[0], tmp_path / "copy", mend))

    assert finished.exit_code == 0, finished.output
    assert database.query("SELECT count(*) FROM video_call_audit_log") == [(1,)]


@pytest.mark.parametrize("workers", [2])
@pytest.mark.usefixtures("loaded")
def test_two_at_once_bring_each_in_once(tmp_path: Path, run: CommandLine, database: Database, workers: int) -> None:
    """Their rows together are those of one."""
    copy = mended_copy(run.run_folders[0], tmp_path / "copy", with_session)

    processes = [run.start("dead-letters", "replay", copy, "--output", tmp_path / f"out{number}") for number in range(workers)]

    outputs = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0] * workers, outputs
    assert loaded_numbers(database) == list(range(ITEMS))
    assert database.value("SELECT count(*) FROM ddb2pg.replayed_item WHERE key_hash IS NOT NULL") == FAULTY


@pytest.mark.usefixtures("loaded")
def test_conflicts_are_refused_again_and_the_others_come_in(tmp_path: Path, run: CommandLine, database: Database) -> None:
    """One is given the key of a row that is there, one that of another of them."""

    def mend(one: dict[str, Any]) -> dict[str, Any]:
        number = {0: 1, 5: 10}.get(number_of(one), number_of(one))
        return {**one, "item": line(item(number)).decode()}

    finished = replay(run, mended_copy(run.run_folders[0], tmp_path / "copy", mend))

    assert finished.exit_code == 3, finished.output
    again = list(records(run.run_folders[-1] / "dead_letters" / TABLE))
    assert [(one["item_number"], [error["code"] for error in one["errors"]]) for one in again] == [
        (0, ["primary_key_conflict"]),
        (10, ["primary_key_conflict"]),
    ]
    assert database.value("SELECT count(*) FROM video_call_audit_log") == ITEMS - 2
    assert database.value("SELECT count(*) FROM ddb2pg.replayed_item") == FAULTY - 2


# -- refused -------------------------------------------------------------------------------------------------------------------------------


def _twice(one: dict[str, Any]) -> dict[str, Any]:
    return {**one, "item_number": 0, "data_file": "a.json.gz"}


WRONG: list[tuple[Mend, str]] = [
    (_twice, "is given twice"),
    (lambda one: {**one, "item_number": 999 + number_of(one)}, "are not in the ledger"),
    (lambda one: {**one, "export_id": "01794632786093-ffffffff"}, "knows no load of export"),
    (lambda one: {**one, "source_table": "another"}, "there is no definition of this table"),
    (lambda one: {**one, "target_table": "private.thing"}, "is not the table"),
    (lambda one: {**one, "errors": [{"code": "made_up"}]}, "is no dead letter as ddb2pg writes them"),
    (lambda one: {**one, "errors": [{"code": ["invalid_uuid"]}]}, "is no dead letter as ddb2pg writes them"),
    (lambda one: {**one, "item_number": -1}, "is no dead letter"),
    (lambda one: {name: value for name, value in one.items() if name != "item"}, "no dead letters"),
]


@pytest.mark.usefixtures("loaded")
def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path: Path, run: CommandLine, database: Database) -> None:
    """Wrong numbers, other loads, other files; no value of an item is told."""
    for number, (mend, sentence) in enumerate(WRONG):
        finished = replay(run, mended_copy(run.run_folders[0], tmp_path / str(number), mend))

        assert finished.exit_code == 2, finished.output
        assert sentence in finished.stderr
        assert MARK not in finished.output
    assert database.value("SELECT count(*) FROM ddb2pg.replayed_item") == 0
    assert len(run.run_folders) == 1


@pytest.mark.usefixtures("loaded")
def test_more_than_were_refused_are_refused(tmp_path: Path, run: CommandLine, database: Database) -> None:
    """Rows that were loaded, given as dead letters under other keys."""
    copy = mended_copy(run.run_folders[0], tmp_path / "copy", with_session)
    path = next(copy.glob("*/*.jsonl.gz"))
    first = json.loads(gzip.decompress(path.read_bytes()).splitlines()[0])
    more = {**first, "item_number": 3, "item": line(item(777)).decode()}
    path.write_bytes(path.read_bytes() + gzip.compress(json.dumps(more).encode() + b"\n"))

    finished = replay(run, copy)

    assert finished.exit_code == 2, finished.output
    assert "were refused, but" in finished.stderr
    assert database.value("SELECT count(*) FROM video_call_audit_log") == ITEMS - FAULTY


@pytest.mark.usefixtures("loaded")
def test_dead_letters_of_several_loads_are_refused_with_the_folders_to_give(run: CommandLine, tmp_path: Path) -> None:
    """In which each is brought in alone."""
    mended_copy(run.run_folders[0], tmp_path / "both" / "first", with_session)
    mended_copy(run.run_folders[0], tmp_path / "both" / "second", lambda record: {**record, "target_table": "public.other"})

    refused = replay(run, tmp_path / "both")

    assert refused.exit_code == 2, refused.output
    shown = " ".join(refused.stderr.split())
    assert "dead letters of 2 loads are given" in shown
    assert f"give {tmp_path}/both/first/{TABLE} (public.video_call_audit_log), then {tmp_path}/both/second/{TABLE} (public.other)" in shown
    assert replay(run, tmp_path / "both" / "first" / TABLE).exit_code == 0


def test_a_folder_of_several_runs_is_refused(loaded: Path, run: CommandLine) -> None:
    """Each has all the dead letters; the newest is named."""
    assert run.migrate(loaded).exit_code == 3

    finished = replay(run, run.output)

    assert finished.exit_code == 2
    assert run.run_folders[-1].name in finished.stderr


def test_the_way_of_the_docs_from_a_faulty_export_to_equal_rows(tmp_path: Path, run: CommandLine, database: Database) -> None:
    """docs/dead-letters.md, "From start to end": summary, the definition is mended, replay, all rows are in, validation is equal."""
    numbers = range(30)
    sessions = [
        {
            **{name: {"S": f"00000000-0000-4000-9000-{number:012d}"} for name in ("id", "appointmentId", "patientId", "providerId")},
            "status": {"S": "PAUSED" if number % 3 == 0 else "ACTIVE"},
            "createdAt": {"N": "1700000000000"},
        }
        for number in numbers
    ]
    export = tmp_path / "export"
    write_export(export / "a", "medzen-video-sessions", [[line(one) for one in sessions]], "01794632786093-00000001")
    write_export(export / "b", TABLE, [[line(item(number)) for number in numbers]], "01794632786093-00000002")
    assert run.migrate(export).exit_code == 3
    loaded = run.run_folders[0]

    summary = run("dead-letters", "summary", loaded)
    assert "status: invalid_enum, 10 items (100.0%)" in summary.stdout
    assert "10 x S(6) upper-case word" in summary.stdout
    database.execute("ALTER TABLE video_call_sessions DROP CONSTRAINT IF EXISTS video_call_sessions_status_check")
    mended = tmp_path / "mended.py"
    page = (Path(__file__).parents[3] / "docs" / "dead-letters.md").read_text(encoding="utf-8")
    beginning = "from dataclasses import replace\n"
    mended.write_text(beginning + page.partition(f"```python\n{beginning}")[2].partition("```")[0])
    again = replay(run, loaded, "--tables", mended)

    assert again.exit_code == 0, again.output
    assert "10 dead letters given = 10 tried = 10 rows now" in again.stdout
    assert "30 items loaded = 30 rows + 0 dead letters" in again.stdout
    assert database.value("SELECT count(*) FROM video_call_sessions WHERE status = 'PAUSED'") == 10
    finished = run.migrate(export)
    assert finished.exit_code == 0, finished.output
    equal = run.validate(export)
    assert "Every row equals its item" in equal.stdout, equal.output
    sessions_of_report = report_of(run.run_folders[-1])["tables"][0]
    assert (parts_of(sessions_of_report), sessions_of_report["mismatches"]) == ({"equal": 30, "dead_letters": 0, "different": 0}, {})
