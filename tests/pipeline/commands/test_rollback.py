"""rollback, as a user runs it: takes exactly what the load wrote and nobody changed, and leaves everything else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sample_export import write_sample_exports
from tests.command_line import CommandLine, LoadedOnce
from tests.faults.gate import COMMITTED, TAKEN_BACK, held_at, wait_until_held
from tests.faults.jobs import wait_until
from tests.pipeline.planted import add_rows, parts_of, report_of, versions
from tests.postgres_server import Database, Server
from tests.processes import kill_group
from tests.truth import assert_equals_truth, records, text_of
from transforms.tables.medzen import TABLES

pytestmark = pytest.mark.plain

TARGETS = [table.target for table in TABLES]
MARK = "PATIENT-SECRET"


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faulty and unusual, with keys that conflict."""
    root = tmp_path_factory.mktemp("rollback") / "export"
    write_sample_exports(root, items=600, seed=71, faulty=0.1, odd=0.2, items_per_file=160)
    return root


@pytest.fixture(scope="module")
def load(export: Path, server: Server, tmp_path_factory: pytest.TempPathFactory) -> LoadedOnce:
    def migrate(run: CommandLine) -> None:
        finished = run.migrate(export, "--chunk_items=20", "--split_items=44")
        assert finished.exit_code == 3, finished.output

    return LoadedOnce(server, tmp_path_factory.mktemp("loaded"), migrate, is_plain=True)


@pytest.fixture
def loaded(export: Path, load: LoadedOnce, run: CommandLine, database: Database) -> Path:
    load.copy_to(run, database)
    return export


def ids(database: Database, target: str) -> set[str]:
    return {row[0] for row in database.query(f"SELECT id::text FROM {target}")}


def change(database: Database) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """In each table 10 rows changed, 5 deleted, 3 of somebody else added; the ids of the changed and of the added."""
    changed, added = {}, {}
    for target, set_ in zip(
        TARGETS,
        (f"join_url = '{MARK}'", "plan = jsonb_build_object('x', plan)", "created_at = created_at + interval '1 microsecond'"),
        strict=True,
    ):
        picked = sorted(ids(database, target))[:15]
        database.execute(f"UPDATE {target} SET {set_} WHERE id = ANY (%s::uuid[])", picked[:10])
        database.execute(f"DELETE FROM {target} WHERE id = ANY (%s::uuid[])", picked[10:])
        changed[target] = set(picked[:10])
        added[target] = add_rows(database, target, 3)
    return changed, added


def told(folder: Path) -> dict[str, set[tuple[str, str, tuple[str, ...]]]]:
    return {
        table.target: {
            (record["key"]["id"]["S"].lower(), record["kind"], tuple(record["columns"]))
            for record in records(folder / "discrepancies" / table.source)
        }
        for table in TABLES
    }


@pytest.mark.parametrize("arguments", [["--direct_num_workers=1"], ["--direct_num_workers=2"], ["--direct_runner_bundle_repeat=1"]])
def test_what_is_left_is_what_others_changed_and_added(loaded: Path, run: CommandLine, database: Database, arguments: list[str]) -> None:
    """First it shows what it would do, and does nothing; then it does it; then there is nothing left to do."""
    changed, added = change(database)
    before, ledger_before = versions(database), database.query("SELECT * FROM ddb2pg.chunk ORDER BY load_id, data_file, first_item")
    loaded_rows = {
        target: database.value(
            "SELECT sum(c.rows)::int FROM ddb2pg.chunk c JOIN ddb2pg.load USING (load_id) WHERE target_table = %s", f"public.{target}"
        )
        for target in TARGETS
    }

    shown = run.roll_back(loaded, *arguments)
    assert shown.exit_code == 3, shown.output
    assert "nothing was deleted" in shown.stdout
    assert versions(database) == before
    assert database.query("SELECT * FROM ddb2pg.chunk ORDER BY load_id, data_file, first_item") == ledger_before
    assert database.query("SELECT * FROM ddb2pg.compared_chunk") == []

    done = run.roll_back(loaded, "--yes", *arguments)
    assert done.exit_code == 3, done.output
    again = run.roll_back(loaded, "--yes", *arguments)
    assert again.exit_code == 3, again.output

    columns = {"video_call_sessions": "join_url", "clinical_notes": "plan", "video_call_audit_log": "created_at"}
    for folder in run.run_folders[1:]:
        assert told(folder) == {target: {(one, "different", (columns[target],)) for one in changed[target]} for target in TARGETS}
        for result in report_of(folder)["tables"]:
            target = result["target_table"].removeprefix("public.")
            deletable, gone, kept = parts_of(result).values()
            assert (deletable, gone, kept, result["kept"]) == (loaded_rows[target] - 15, 5, 10, {"different": 10})
    assert [table["done_now"] for table in report_of(run.run_folders[-1])["tables"]] == [0, 0, 0]
    assert "The loads are rolled back, and rows are left" in again.stdout
    for target in TARGETS:
        assert ids(database, target) == changed[target] | added[target]
    assert MARK not in shown.output + done.output + again.output
    assert not any(MARK in text_of(path) for folder in run.run_folders[1:] for path in folder.rglob("*") if path.is_file())
    assert database.value("SELECT count(*) FROM ddb2pg.chunk WHERE rolled_back_at IS NULL OR rows <> deleted + gone + kept") == 0


def test_after_it_the_same_export_is_loaded_as_if_for_the_first_time(loaded: Path, run: CommandLine, database: Database) -> None:
    """Again and again: each time the truth; a rollback takes the last load only. What is left keeps a new load out."""
    for _ in range(2):
        assert run.roll_back(loaded, "--yes").exit_code == 0
        assert [ids(database, target) for target in TARGETS] == [set(), set(), set()]
        assert run.roll_back(loaded, "--yes").exit_code == 0
        assert run.migrate(loaded, "--chunk_items=28").exit_code == 3
        database.execute("DELETE FROM ddb2pg.chunk WHERE load_id IN (SELECT load_id FROM ddb2pg.load WHERE rolled_back_at IS NOT NULL)")
        assert_equals_truth_of_open_load(loaded, database, run)
    database.execute("UPDATE clinical_notes SET status = status || ' ' WHERE id = (SELECT min(id::text)::uuid FROM clinical_notes)")
    assert run.roll_back(loaded, "--yes").exit_code == 3

    refused = run.migrate(loaded)

    assert refused.exit_code == 2
    assert "clinical_notes: is not empty" in refused.stderr
    assert "video_call_sessions" not in refused.stderr
    status = run("status").stdout
    assert status.count("rolled back") == 9
    assert "1 left" in status


def assert_equals_truth_of_open_load(export: Path, database: Database, run: CommandLine) -> None:
    """Closed loads have other times of migration, so they are put aside."""
    database.execute("CREATE TABLE aside AS SELECT * FROM ddb2pg.load WHERE rolled_back_at IS NOT NULL")
    database.execute("DELETE FROM ddb2pg.load WHERE rolled_back_at IS NOT NULL")
    assert_equals_truth(export, database, run.run_folders[-1])
    database.execute("INSERT INTO ddb2pg.load OVERRIDING SYSTEM VALUE SELECT * FROM aside")
    database.execute("DROP TABLE aside")


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_in_the_middle_it_goes_on(loaded: Path, run: CommandLine, database: Database, workers: int) -> None:
    """SIGKILL to all its processes, twice: migrate is refused in between; run again it ends as if nothing had been."""
    changed, added = change(database)
    for more in (7, 20):
        with held_at(database, database.value(f"SELECT count(*) FROM {TAKEN_BACK}") + more, TAKEN_BACK, "ddb2pg.chunk"):
            process = run.start("rollback", "--export", loaded, "--output", run.output, "--yes", f"--direct_num_workers={workers}")
            wait_until_held(database, process)
            kill_group(process)
        refused = run.migrate(loaded)
        assert refused.exit_code == 2
        assert refused.stderr.count("a rollback of its load was begun") == 3
        assert run.validate(loaded).exit_code == 2
        assert "rollback begun" in run("status").stdout

    finished = run.roll_back(loaded, "--yes")

    assert finished.exit_code == 3, finished.output
    for target in TARGETS:
        assert ids(database, target) == changed[target] | added[target]
        assert {one for one, _, _ in told(run.run_folders[-1])[target]} == changed[target]
    assert database.value("SELECT count(*) FROM ddb2pg.load WHERE rolled_back_at IS NULL") == 0
    database.execute(f"TRUNCATE {', '.join(TARGETS)}")
    database.execute("CREATE TABLE aside AS SELECT * FROM ddb2pg.chunk; DELETE FROM ddb2pg.chunk; DELETE FROM ddb2pg.load")
    assert run.migrate(loaded).exit_code == 3
    assert_equals_truth(loaded, database, run.run_folders[-1])


def test_a_load_that_is_running_is_ended_and_leaves_nothing(export: Path, run: CommandLine, database: Database) -> None:
    """The rollback begins in the middle of it: the load stops with a sentence, and no row of it is in the table afterwards."""
    with held_at(database, 6, COMMITTED, TARGETS[0]):
        process = run.start_migrate(export, "--chunk_items=10", "--direct_num_workers=2")
        wait_until_held(database, process)
        rollback = run.start("rollback", "--export", export / TABLES[0].source, "--output", run.output, "--yes")
        # It waits for the chunks that are on their way.
        wait_until(lambda: database.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objsubid = 2"))

    finished = rollback.communicate()
    _, stderr = process.communicate()
    assert process.returncode == 1
    assert "a rollback of this load was begun" in stderr
    assert rollback.returncode == 0, finished
    assert ids(database, TARGETS[0]) == set()
    assert database.query("SELECT rolled_back_at IS NOT NULL FROM ddb2pg.load WHERE source_table = %s", TABLES[0].source) == [(True,)]


def test_rows_of_others_with_the_key_of_a_dead_letter_are_not_touched(tmp_path: Path, run: CommandLine, database: Database) -> None:
    """Somebody was faster with a key, with the very same row: the item is a dead letter, and the row is not ours to delete."""
    write_sample_exports(tmp_path / "export", items=60, seed=72, faulty=0, odd=0, tables=[TABLES[0].source])
    assert run.migrate(tmp_path / "export").exit_code == 0
    database.execute("CREATE TABLE kept AS SELECT * FROM video_call_sessions ORDER BY id LIMIT 7")
    assert run.roll_back(tmp_path / "export", "--yes").exit_code == 0
    # They come after the check that the table is empty: when the first chunk of the load is written.
    database.execute(
        "CREATE FUNCTION come() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF pg_trigger_depth() = 1 THEN "
        "INSERT INTO video_call_sessions SELECT * FROM kept ON CONFLICT DO NOTHING; END IF; RETURN NULL; END $$; "
        "CREATE TRIGGER come BEFORE INSERT ON video_call_sessions FOR EACH STATEMENT EXECUTE FUNCTION come()"
    )
    assert run.migrate(tmp_path / "export", "--validate=none").exit_code == 3
    database.execute("DROP TRIGGER come ON video_call_sessions")

    finished = run.roll_back(tmp_path / "export", "--yes")

    assert finished.exit_code == 0, finished.output
    assert ids(database, "video_call_sessions") == {row[0] for row in database.query("SELECT id::text FROM kept")}


def test_a_data_file_that_is_missing_leaves_it_unfinished(loaded: Path, tmp_path: Path, run: CommandLine, database: Database) -> None:
    """Exit code 1 and the file's name; with the file back the same command ends it."""
    import shutil

    broken = shutil.copytree(loaded, tmp_path / "broken")
    path = max(broken.glob("medzen-soap-notes/AWSDynamoDB/*/data/*"), key=lambda file: file.stat().st_size)
    content = path.read_bytes()
    path.write_bytes(content[:-1])

    finished = run.roll_back(broken, "--yes")

    assert finished.exit_code == 1, finished.output
    assert str(path) in finished.stdout
    assert ids(database, "video_call_sessions") == set() != ids(database, "clinical_notes")
    path.write_bytes(content)
    assert run.roll_back(broken, "--yes").exit_code == 0
    assert ids(database, "clinical_notes") == set()


def test_what_was_never_loaded_is_refused(export: Path, run: CommandLine) -> None:
    finished = run.roll_back(export, "--yes")

    assert finished.exit_code == 2
    assert "no load was ever started" in finished.stderr


def test_json_is_for_programs(loaded: Path, run: CommandLine) -> None:
    """Standard output is JSON and nothing else."""
    finished = run.roll_back(loaded, "--json")

    assert finished.exit_code == 0
    report = json.loads(finished.stdout)
    assert report["is_dry"]
    assert [table["source_table"] for table in report["tables"]] == [table.source for table in reversed(TABLES)]
