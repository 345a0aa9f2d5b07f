"""A load is begun on an empty target, and goes on only as it was begun."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.places.storage import LOCAL_AND_AWS
from pipeline.preflight.exports import find_exports
from pipeline.preflight.findings import Code
from pipeline.source.given import ExportArgument
from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.pipeline.conftest import Attempt, Look, everything_in
from tests.pipeline.source.made_exports import base64_md5
from tests.pipeline.target.made_loads import reference_to
from tests.plain_loads import begin_loads, load_into_files
from tests.postgres_server import Database
from transforms.table import Missing, Table, Unmapped
from transforms.tables.medzen import TABLES, VIDEO_SESSIONS

pytestmark = pytest.mark.plain

SOAP_NOTES = "medzen-soap-notes"


def stricter(table: Table) -> Table:
    """Another definition: an optional attribute of it is required."""
    index = next(number for number, column in enumerate(table.columns) if column.missing is Missing.NULL)
    columns = list(table.columns)
    columns[index] = replace(columns[index], missing=Missing.REFUSED)
    return replace(table, columns=tuple(columns))


# -- a target with rows --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", [table.target for table in TABLES])
def test_a_table_with_rows_and_no_load_of_this_export_is_refused(database: Database, exports: Path, run: CommandLine, table: str) -> None:
    """One row is enough; as a user sees it, with exit code 2."""
    columns = database.query("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND attnotnull", table)
    values = ["'x'" if name in ("status", "note_type", "event_type") else "gen_random_uuid()" for (name,) in columns]
    database.execute(f"INSERT INTO {table} ({', '.join(name for (name,) in columns)}) VALUES ({', '.join(values)})")
    before = everything_in(database)

    finished = run.migrate(exports)

    assert finished.exit_code == 2, finished.output
    assert f"{table}: is not empty" in finished.stderr
    assert everything_in(database) == before


def test_all_tables_with_rows_are_named_at_once(database: Database, exports: Path, attempt: Attempt, tmp_path: Path) -> None:
    """Of an export that was never loaded; that another one was is no help."""
    begin_loads(exports, reference_to(database.url))
    for table in TABLES:
        texts = {"status", "note_type", "event_type"}
        names = [
            name
            for (name,) in database.query(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND attnotnull", table.target
            )
        ]
        values = ", ".join("'x'" if name in texts else "gen_random_uuid()" for name in names)
        database.execute(f"INSERT INTO {table.target} ({', '.join(names)}) VALUES ({values})")
    write_sample_exports(tmp_path / "other", items=5, faulty=0, odd=0, seed=12)

    assert [problem.partition(":")[0] for problem in attempt.problems(exports=tmp_path / "other")] == [table.target for table in TABLES]


# -- a load that was begun otherwise -------------------------------------------------------------------------------------------------------


def test_a_changed_definition_is_refused(database: Database, exports: Path, attempt: Attempt) -> None:
    """All tables whose definition changed, with the ways out."""
    begin_loads(exports, reference_to(database.url))

    problems = attempt.problems(tables=[stricter(TABLES[0]), TABLES[1], stricter(TABLES[2])])
    assert [problem.partition(":")[0] for problem in problems] == [TABLES[0].target, TABLES[2].target]
    assert all("definition" in problem for problem in problems)


def test_a_changed_choice_for_unmapped_attributes_is_refused(database: Database, exports: Path, attempt: Attempt) -> None:
    """The sentence names the choice that it was begun with."""
    begin_loads(exports, reference_to(database.url))

    problems = attempt.problems(unmapped=Unmapped.REJECT)
    assert len(problems) == 3
    assert all("--unmapped=notice" in problem for problem in problems)


def test_a_changed_manifest_is_refused(database: Database, exports: Path, attempt: Attempt, tmp_path: Path) -> None:
    """The same export id with other data files is not the export that was begun."""
    begin_loads(exports, reference_to(database.url))
    other = shutil.copytree(exports, tmp_path / "other")
    [folder] = (other / SOAP_NOTES / "AWSDynamoDB").iterdir()
    entries = [json.loads(line) for line in (folder / "manifest-files.json").read_bytes().splitlines()]
    entries[0]["md5Checksum"], entries[1]["md5Checksum"] = entries[1]["md5Checksum"], entries[0]["md5Checksum"]
    content = b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)
    (folder / "manifest-files.json").write_bytes(content)
    (folder / "manifest-files.md5").write_text(base64_md5(content))

    [problem] = attempt.problems(exports=other)
    assert str(folder) in problem
    assert "manifest" in problem


def test_a_rollback_that_was_begun_is_refused(database: Database, exports: Path, look: Look) -> None:
    """Whatever else is wrong: it must be finished first."""
    begin_loads(exports, reference_to(database.url))
    database.execute("UPDATE ddb2pg.load SET rollback_started_at = now()")

    findings = look.of("rollback_begun")

    assert [finding.table for finding in findings] == [table.target for table in TABLES]
    assert all("ddb2pg rollback" in finding.detail for finding in findings)


def test_a_ledger_of_another_version_is_refused_and_not_read(database: Database, exports: Path, look: Look, attempt: Attempt) -> None:
    """It may hold other things under the same names; the first that is wrong would end the look at all others."""
    begin_loads(exports, reference_to(database.url))
    database.execute("COMMENT ON SCHEMA ddb2pg IS 'ddb2pg ledger, version 0'; ALTER TABLE ddb2pg.load DROP COLUMN definition")

    assert look.beyond_facts() == [("fail", "ledger_of_another_version", None)]
    [problem] = attempt.problems()
    assert "ddb2pg ledger, version 0" in problem


def test_all_that_changed_is_told_at_once(database: Database, exports: Path, attempt: Attempt) -> None:
    """Definition and choice together."""
    begin_loads(exports, reference_to(database.url))

    assert len(attempt.problems(unmapped=Unmapped.REJECT, tables=[stricter(table) for table in TABLES])) == 6


def test_a_load_goes_on_from_a_copy_with_the_settings_it_was_begun_with(
    database: Database, exports: Path, run: CommandLine, tmp_path: Path
) -> None:
    """Another place of the export and another chunk size change nothing: the ledger has the size. A further run has nothing to do."""
    assert run.migrate(exports, "--chunk_items=7").exit_code == 0
    database.execute("DELETE FROM ddb2pg.chunk WHERE first_item = 7; DELETE FROM ddb2pg.tally; UPDATE ddb2pg.load SET finished_at = NULL")
    deleted = 30 * 3 - database.value("SELECT sum(rows)::int FROM ddb2pg.chunk")
    copied = shutil.copytree(exports, tmp_path / "copy")

    finished = run.migrate(copied, "--chunk_items=5")

    # Their rows are still there, so they are conflicts now: which shows that the very same chunks were taken again.
    assert finished.exit_code == 3, finished.output
    assert database.value("SELECT sum(dead_letters)::int FROM ddb2pg.chunk") == deleted
    assert database.query("SELECT DISTINCT chunk_items FROM ddb2pg.load") == [(7,)]
    assert database.query("SELECT DISTINCT mod(first_item, 7) FROM ddb2pg.chunk") == [(0,)]


# -- what was done to the target or the ledger between two runs ----------------------------------------------------------------------------


@pytest.fixture
def loaded(database: Database, exports: Path) -> Path:
    """All is in, two of three loads are finished, the third would go on."""
    load_into_files(exports, reference_to(database.url), {})
    database.execute("UPDATE ddb2pg.load SET finished_at = now() WHERE load_id < 3")
    return exports


@pytest.mark.usefixtures("loaded")
def test_a_table_that_was_renamed_and_made_anew_is_told_before_anything_is_written(
    database: Database, attempt: Attempt, look: Look, run: CommandLine, exports: Path
) -> None:
    """Of a load that goes on as of one that is finished, with the name that it has now; validate and rollback refuse it, too."""
    for table in ("clinical_notes", "video_call_audit_log"):
        database.execute(f"ALTER TABLE {table} RENAME TO {table}_old; CREATE TABLE {table} (LIKE {table}_old INCLUDING ALL)")

    problems = attempt.problems()

    assert [problem.partition(":")[0] for problem in problems] == ["clinical_notes", "video_call_audit_log"]
    assert [found.table for found in look.of("target_replaced")] == ["clinical_notes", "video_call_audit_log"]
    for problem in problems:
        assert "is another table than the one that load" in problem
        assert f"that one is called public.{problem.partition(':')[0]}_old now" in problem
    for command in (run.validate, run.roll_back):
        refused = command(exports)
        assert (refused.exit_code, refused.stderr.count("is another table than the one that load")) == (2, 2), refused.output
    for table in ("clinical_notes", "video_call_audit_log"):
        database.execute(f"DROP TABLE {table}; ALTER TABLE {table}_old RENAME TO {table}")
    assert run.migrate(exports).exit_code == 0


def test_a_table_that_was_dropped_and_made_anew_is_told_before_anything_is_written(
    loaded: Path, database: Database, attempt: Attempt, run: CommandLine
) -> None:
    """The way out is the one that the sentence says."""
    database.execute("CREATE TABLE other (LIKE clinical_notes INCLUDING ALL); DROP TABLE clinical_notes")
    database.execute("ALTER TABLE other RENAME TO clinical_notes")

    [problem] = attempt.problems()

    assert problem.startswith("clinical_notes: is another table than the one that load")
    assert "that one was dropped, with its rows; to begin anew roll export" in problem
    assert run.roll_back(loaded / SOAP_NOTES, "--yes").exit_code == 0
    assert run.migrate(loaded).exit_code == 0
    assert database.value("SELECT count(*) FROM clinical_notes") == 30


@pytest.mark.usefixtures("loaded")
def test_a_definition_that_follows_a_renamed_table_is_told(database: Database, attempt: Attempt, look: Look) -> None:
    """The load is known under the name that the table had: another would be begun into it."""
    database.execute("ALTER TABLE clinical_notes RENAME TO notes; TRUNCATE notes")
    tables = [replace(table, target="notes") if table.target == "clinical_notes" else table for table in TABLES]

    [problem] = attempt.problems(tables=tables)

    assert problem.startswith("notes: is the table that load 2 of export")
    assert "when it was called public.clinical_notes" in problem
    assert [found.table for found in look.of("target_renamed", tables=tables)] == ["notes"]


def test_a_table_that_was_written_anew_by_postgresql_is_the_same(loaded: Path, database: Database, run: CommandLine) -> None:
    for statement in ("VACUUM FULL clinical_notes", "ALTER TABLE clinical_notes ALTER plan SET DEFAULT NULL, ADD more int DEFAULT 7"):
        database.execute(statement)

    assert run.migrate(loaded).exit_code == 0


def test_after_a_restore_from_a_dump_a_load_goes_on(loaded: Path, database: Database, run: CommandLine) -> None:
    """There every table has another oid, the ledger's own, too."""
    database.execute("UPDATE ddb2pg.load SET target_oid = 1, ledger_oid = 2")

    assert run.migrate(loaded).exit_code == 0


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("deleted", ["items = 10", "true"], ids=["some", "all"])
def test_deleted_rows_of_the_ledger_are_told_before_their_items_are_loaded_twice(
    database: Database, attempt: Attempt, look: Look, run: CommandLine, exports: Path, deleted: str
) -> None:
    """Of a load that goes on as of one that is finished. Put back, all is well."""
    database.execute(f"CREATE TABLE aside AS SELECT * FROM ddb2pg.chunk WHERE {deleted}; DELETE FROM ddb2pg.chunk WHERE {deleted}")
    lost = database.query("SELECT count(*), sum(items)::int FROM aside GROUP BY load_id ORDER BY load_id")

    problems = attempt.problems()

    assert [problem.partition(":")[0] for problem in problems] == [table.target for table in TABLES]
    assert len(look.of("ledger_incomplete")) == 3
    for problem, (chunks, items) in zip(problems, lost, strict=True):
        assert f"rows of ddb2pg.chunk were deleted: {chunks} chunk" in problem
        assert f"with {items} items, which would be loaded a second time" in problem
    database.execute("INSERT INTO ddb2pg.chunk SELECT * FROM aside; DROP TABLE aside")
    assert run.migrate(exports).exit_code == 0


def test_a_load_whose_rows_were_deleted_is_not_called_finished(loaded: Path, database: Database, run: CommandLine) -> None:
    """Neither one that goes on nor one that was finished: fewer rows than were loaded end the run, by name."""
    database.execute("DELETE FROM video_call_audit_log WHERE ctid = (SELECT min(ctid) FROM video_call_audit_log)")

    finished = run.migrate(loaded)

    assert finished.exit_code == 1, finished.output
    assert "video_call_audit_log holds 29 rows, fewer than the 30 that were loaded" in finished.stdout
    assert database.value("SELECT finished_at IS NULL FROM ddb2pg.load WHERE target_table LIKE '%audit_log'")


# -- exports -------------------------------------------------------------------------------------------------------------------------------


def test_all_problems_of_all_exports_are_told_at_once(exports: Path, attempt: Attempt, tmp_path: Path) -> None:
    """Three exports below one folder, a data file missing of each."""
    broken = shutil.copytree(exports, tmp_path / "broken")
    missing = [sorted(folder.glob("*/data/*.gz"))[0] for folder in sorted(broken.glob("*/AWSDynamoDB"))]
    for path in missing:
        path.unlink()

    assert {problem.partition(":")[0] for problem in attempt.problems(exports=broken)} == {str(path) for path in missing}


def test_an_export_is_paired_with_each_definition_that_takes_from_it(exports: Path) -> None:
    """In the order of the definitions, with no word of two exports or of one that is missing."""
    tables = [replace(VIDEO_SESSIONS, target=target) for target in ("archive", "sessions")]
    folder = str(exports / VIDEO_SESSIONS.source)

    planned, findings, _ = find_exports([ExportArgument(None, folder)], tables, LOCAL_AND_AWS)

    assert [(pair.table.target, pair.export.source_table) for pair in planned] == [(one.target, VIDEO_SESSIONS.source) for one in tables]
    assert not {finding.name for finding in findings} & {Code.TWO_EXPORTS, Code.NO_EXPORT, Code.UNKNOWN_TABLE}


def test_two_exports_of_one_table_are_refused(exports: Path, attempt: Attempt, tmp_path: Path) -> None:
    """Both are named."""
    both = tmp_path / "both"
    shutil.copytree(exports, both / "a")
    shutil.copytree(exports, both / "b")

    problems = attempt.problems(exports=both)
    assert len(problems) == 3
    assert all("/a/" in problem and "/b/" in problem for problem in problems)


@pytest.mark.parametrize("argument", ["--chunk_items=3000000000", "--chunk_bytes=3000000000"])
def test_a_chunk_size_that_the_ledger_cannot_hold_is_refused(exports: Path, run: CommandLine, argument: str) -> None:
    """A wrong argument is exit code 2 and a sentence, not a bug report."""
    finished = run.migrate(exports, argument)

    assert finished.exit_code == 2, finished.output
    assert "bug" not in finished.stderr
