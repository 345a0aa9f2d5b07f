"""validate, as a user runs it: finds every difference that there is, and none that is not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sample_export import write_sample_exports
from tests.command_line import CommandLine, LoadedOnce
from tests.handmade_export import write_export
from tests.pipeline.planted import NEW_ID, add_rows, found_in, parts_of, plant, report_of, versions
from tests.postgres_server import Database, Server
from tests.truth import records, text_of
from transforms.tables.medzen import TABLES

pytestmark = pytest.mark.plain


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faulty and unusual, with keys that conflict; in several files and splits."""
    root = tmp_path_factory.mktemp("validate") / "export"
    write_sample_exports(root, items=1_500, seed=21, faulty=0.1, odd=0.2, items_per_file=400)
    return root


@pytest.fixture(scope="module")
def load(export: Path, server: Server, tmp_path_factory: pytest.TempPathFactory) -> LoadedOnce:
    def migrate(run: CommandLine) -> None:
        finished = run.migrate(export, "--chunk_items=100", "--split_items=110")
        assert finished.exit_code == 3, finished.output

    return LoadedOnce(server, tmp_path_factory.mktemp("loaded"), migrate, is_plain=True)


@pytest.fixture
def loaded(export: Path, load: LoadedOnce, run: CommandLine, database: Database) -> Path:
    load.copy_to(run, database)
    return export


@pytest.mark.parametrize("seed", [31, 32])
def test_right_after_a_load_all_is_equal(tmp_path: Path, run: CommandLine, database: Database, seed: int) -> None:
    """Whatever was faulty, unusual or in conflict: dead letters are no differences. The ledger keeps nothing of the run."""
    write_sample_exports(tmp_path / "export", items=1_200, seed=seed, faulty=0.3, odd=0.5, items_per_file=300)
    run.migrate(tmp_path / "export", "--chunk_items=100")

    finished = run.validate(tmp_path / "export")

    assert finished.exit_code == 0, finished.output
    assert "Every row equals its item" in finished.stdout
    assert not (run.run_folders[-1] / "mismatches").exists()
    assert [table["mismatches"] for table in report_of(run.run_folders[-1])["tables"]] == [{}, {}, {}]
    assert database.query("SELECT * FROM ddb2pg.compared_chunk") == []


@pytest.mark.parametrize("arguments", [["--direct_num_workers=1"], ["--direct_num_workers=2"], ["--direct_runner_bundle_repeat=1"]])
def test_exactly_the_planted_differences_are_found(loaded: Path, run: CommandLine, database: Database, arguments: list[str]) -> None:
    """Of each type, down to a microsecond; deleted and extra rows; by one worker, by two, and when every bundle is run twice."""
    planted = plant(database)
    before = versions(database)

    finished = run.validate(loaded, *arguments)

    assert finished.exit_code == 3, finished.output
    assert found_in(run.run_folders[-1] / "mismatches") == {"planted": planted, "others": {}}
    report = {table["target_table"].removeprefix("public."): table for table in report_of(run.run_folders[-1])["tables"]}
    for target, of_table in report.items():
        assert of_table["mismatches"] == {
            "different": len(planted.different[target]),
            "missing": 2,
            "row_without_item": 3,
        }
        assert parts_of(of_table)["equal"] == of_table["target_rows"] - 3 - len(planted.different[target])
        assert sum(of_table["columns"].values()) == sum(map(len, planted.different[target].values()))
    assert versions(database) == before


def test_a_digit_of_a_number_in_json_is_a_difference_and_its_spelling_is_not(tmp_path: Path, run: CommandLine, database: Database) -> None:
    """The 30th digit is; the order of keys and white space are not."""
    digits = "1.2345678901234567890123456789"
    item = {
        "id": {"S": "00000000-0000-4000-8000-000000000001"},
        "sessionId": {"S": "00000000-0000-4000-8000-00000000abcd"},
        "eventType": {"S": "CALL_JOINED"},
        "timestamp": {"N": "1700000000000"},
        "eventData": {"M": {"dose": {"N": digits + "1"}, "a": {"L": [{"S": " x "}, {"NULL": True}]}}},
    }
    export = write_export(tmp_path / "export", "medzen-meeting-audit", [[json.dumps({"Item": item}).encode()]])
    assert run.migrate(export).exit_code == 0

    for data, exit_code in (
        ('{ "a" : [" x ",null],\n\t"dose": DIGITS1}', 0),
        ('{"dose": DIGITS2, "a": [" x ", null]}', 3),
        ('{"dose": DIGITS1, "a": ["x", null]}', 3),
        ('{"dose": "DIGITS1", "a": [" x ", null]}', 3),
    ):
        database.execute("UPDATE video_call_audit_log SET event_data = %s", data.replace("DIGITS", digits))
        assert run.validate(export).exit_code == exit_code, data


def test_rows_that_no_item_accounts_for_are_all_counted_and_some_listed(loaded: Path, run: CommandLine, database: Database) -> None:
    """However many there are, no more than 1,000 are listed."""
    database.execute(
        "INSERT INTO video_call_audit_log (id, session_id, event_type) "
        "SELECT gen_random_uuid(), gen_random_uuid(), 'X' FROM generate_series(1, 1234)"
    )

    finished = run.validate(loaded)

    assert finished.exit_code == 3, finished.output
    assert "1,234 rows that no item accounts for" in finished.stdout
    audit = report_of(run.run_folders[-1])["tables"][2]
    assert audit["mismatches"] == {"row_without_item": 1234}
    assert audit["listed"] == {"row_without_item": 1000}
    assert len(found_in(run.run_folders[-1] / "mismatches")["planted"].added["video_call_audit_log"]) == 1000


def test_one_row_gone_and_another_come_do_not_cancel_out(loaded: Path, run: CommandLine, database: Database) -> None:
    """The number of rows alone would say nothing of the second."""
    database.execute("DELETE FROM clinical_notes WHERE id = (SELECT id FROM clinical_notes LIMIT 1)")
    add_rows(database, "clinical_notes", 1)

    finished = run.validate(loaded)

    assert finished.exit_code == 3
    assert report_of(run.run_folders[-1])["tables"][1]["mismatches"] == {"missing": 1, "row_without_item": 1}


def test_a_dead_letter_that_is_in_the_target_after_all_is_told(loaded: Path, run: CommandLine, database: Database) -> None:
    """Its key has a row, and no loaded item has that key. Conflicts of keys, which are dead letters too, are none of these."""
    refused = [
        (record["data_file"], record["item_number"], json.loads(record["item"])["Item"]["id"]["S"])
        for record in records(run.run_folders[0] / "dead_letters" / "medzen-video-sessions")
        if record["stage"] == "transform" and all(error["column"] not in ("id", None) for error in record["errors"])
    ]
    assert len(refused) > 20
    conflicts = database.value("SELECT sum((dead_letter_codes ->> 'primary_key_conflict')::int) FROM ddb2pg.chunk")
    assert conflicts > 5, "there must be some for this to say anything"
    data_file, item_number, identity = refused[7]
    database.execute(
        "INSERT INTO video_call_sessions (id, appointment_id, provider_id, patient_id, status) VALUES (%s, %s, %s, %s, 'ACTIVE')",
        *[identity] * 4,
    )
    add_rows(database, "video_call_sessions", 1)

    finished = run.validate(loaded)

    assert finished.exit_code == 3, finished.output
    assert report_of(run.run_folders[-1])["tables"][0]["mismatches"] == {"dead_letter_in_target": 1, "row_without_item": 1}
    [record, other] = records(run.run_folders[-1] / "mismatches" / "medzen-video-sessions")
    assert (record["kind"], record["data_file"], record["item_number"]) == ("dead_letter_in_target", data_file, item_number)
    assert record["primary_key"] == {"id": identity.lower()}
    assert (other["kind"], other["data_file"], other["primary_key"]) == ("row_without_item", None, {"id": NEW_ID.format(1)})


def test_items_of_chunks_that_were_never_committed_are_not_loaded(loaded: Path, run: CommandLine, database: Database) -> None:
    """The load is not at its end: they are told as such, and not as missing."""
    chunk = "SELECT ctid, items FROM ddb2pg.chunk WHERE load_id = 1 AND first_item = 100 ORDER BY data_file LIMIT 1"
    items = database.query(chunk)[0][1]
    database.execute(f"DELETE FROM ddb2pg.chunk WHERE ctid = (SELECT ctid FROM ({chunk}) c)")

    finished = run.validate(loaded)

    assert finished.exit_code == 3, finished.output
    mismatches = report_of(run.run_folders[-1])["tables"][0]["mismatches"]
    assert mismatches["not_loaded"] == items
    assert mismatches.keys() <= {"not_loaded", "row_without_item", "dead_letter_in_target"}


def test_a_data_file_that_cannot_be_read_makes_it_not_whole(tmp_path: Path, loaded: Path, run: CommandLine, database: Database) -> None:
    """Exit code 1, the file named, its rows not told to be nobody's; the other tables are compared."""
    broken = shutil.copytree(loaded, tmp_path / "broken")
    path = sorted(broken.glob("medzen-soap-notes/AWSDynamoDB/*/data/*"))[0]
    path.write_bytes(path.read_bytes()[:-1])

    finished = run.validate(broken)

    assert finished.exit_code == 1, finished.output
    assert str(path) in finished.stdout
    assert [table["mismatches"] for table in report_of(run.run_folders[-1])["tables"]] == [{}, {}, {}]
    assert database.query("SELECT * FROM ddb2pg.compared_chunk") == []


# -- values --------------------------------------------------------------------------------------------------------------------------------


MARK = "PATIENT-SECRET"


def test_values_are_nowhere_unless_they_were_asked_for(loaded: Path, run: CommandLine, database: Database) -> None:
    """Neither in the output nor in the files nor in the report; the files are their owner's only."""
    database.execute(f"UPDATE video_call_sessions SET join_url = '{MARK}'")
    planted_rows = database.value("SELECT count(*) FROM video_call_sessions")

    finished = run.validate(loaded)
    shown = run.validate(loaded, "--show_values", "--direct_runner_bundle_repeat=1")

    assert finished.exit_code == shown.exit_code == 3
    assert MARK not in finished.output + shown.output
    without, with_values = run.run_folders[-2:]
    texts = [text_of(path) for path in without.rglob("*") if path.is_file()]
    assert len(texts) > 3
    assert not any(MARK in text for text in texts)
    assert {path.stat().st_mode & 0o077 for path in run.output.rglob("*.jsonl.gz")} == {0}
    of_values = [record["values"] for folder in (with_values / "mismatches").iterdir() for record in records(folder)]
    assert len(of_values) == planted_rows
    assert {value["join_url"]["target"] for value in of_values} == {MARK}
    assert all(value.keys() == {"join_url"} and value["join_url"]["export"] != MARK for value in of_values)
    assert MARK not in (with_values / "report.json").read_text()


# -- refusals ------------------------------------------------------------------------------------------------------------------------------


def test_without_a_load_it_is_refused(tmp_path: Path, run: CommandLine, database: Database, export: Path) -> None:
    """With all tables named, and nothing written: no ledger, no output."""
    finished = run.validate(export)
    assert finished.exit_code == 2
    assert "no load was ever started" in finished.stderr
    assert not run.output.exists()
    assert database.value("SELECT to_regnamespace('ddb2pg') IS NULL")
    write_sample_exports(tmp_path / "other", items=5, seed=1, faulty=0, odd=0)
    assert run.migrate(tmp_path / "other").exit_code == 0

    other = run.validate(export)

    assert other.exit_code == 2
    assert other.stderr.count("the ledger knows no load of export") == 3


def test_json_is_for_programs(loaded: Path, run: CommandLine) -> None:
    """Standard output is JSON and nothing else."""
    finished = run.validate(loaded, "--json")

    assert finished.exit_code == 0
    assert [table["source_table"] for table in json.loads(finished.stdout)["tables"]] == [table.source for table in TABLES]


def test_a_table_whose_key_no_column_feeds_is_refused(run: CommandLine, database: Database, export: Path) -> None:
    """Which row is an item's cannot be told then; migrate would have refused it, too."""
    assert run.migrate(export).exit_code == 3
    database.execute(
        "ALTER TABLE clinical_notes DROP CONSTRAINT clinical_notes_pkey, ADD COLUMN n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
    )

    finished = run.validate(export)

    assert finished.exit_code == 2
    assert "clinical_notes: has no primary key or unique index of columns that the load fills" in finished.stderr
