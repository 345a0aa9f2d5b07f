"""validate --repair: inserts rows that are missing, and changes none that is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.pipeline.planted import found_in, plant, report_of
from tests.postgres_server import Database
from tests.truth import assert_equals_truth, records

pytestmark = pytest.mark.plain


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repair") / "export"
    write_sample_exports(root, items=800, seed=41, faulty=0.1, odd=0.2, items_per_file=300)
    return root


@pytest.mark.parametrize("arguments", [["--direct_num_workers=2"], ["--direct_runner_bundle_repeat=1"]])
def test_deleted_rows_are_there_again_as_they_were(export: Path, run: CommandLine, database: Database, arguments: list[str]) -> None:
    """Half of all rows deleted, at random: after it the target equals the truth, and the exit code says so."""
    run.migrate(export, "--chunk_items=60")
    deleted = 0
    for target in ("video_call_sessions", "clinical_notes", "video_call_audit_log"):
        deleted += len(database.query(f"DELETE FROM {target} WHERE md5(id::text) < '8' RETURNING id"))

    repaired = run.validate(export, "--repair", *arguments)

    assert repaired.exit_code == 0, repaired.output
    assert_equals_truth(export, database, run.run_folders[0])
    reports = [table["mismatches"] for table in report_of(run.run_folders[-1])["tables"]]
    assert sum(mismatches["repaired"] for mismatches in reports) == deleted
    assert all(mismatches.keys() == {"repaired"} for mismatches in reports)
    assert len(found_in(run.run_folders[-1] / "mismatches")["others"]["repaired"]) == deleted
    assert run.validate(export).exit_code == 0


def test_rows_that_are_there_are_never_touched(export: Path, run: CommandLine, database: Database) -> None:
    """Changed and added rows stay as they are, and are differences still."""
    run.migrate(export)
    planted = plant(database)
    statement = "SELECT id, xmin::text, ctid::text FROM video_call_sessions ORDER BY 1"
    before = set(database.query(statement))

    finished = run.validate(export, "--repair")

    assert finished.exit_code == 3
    after = set(database.query(statement))
    assert before <= after
    assert {str(row[0]) for row in after - before} == planted.deleted["video_call_sessions"]
    found = found_in(run.run_folders[-1] / "mismatches")
    assert found["planted"].different == planted.different
    assert found["planted"].deleted["video_call_sessions"] == set()


def test_what_postgresql_refuses_is_told_with_its_reason(export: Path, run: CommandLine, database: Database) -> None:
    """A check that came later refuses one of two missing rows: the other is inserted."""
    run.migrate(export)
    ids = sorted(str(row[0]) for row in database.query("SELECT id FROM clinical_notes ORDER BY id LIMIT 2"))
    database.execute("DELETE FROM clinical_notes WHERE id = ANY (%s::uuid[])", ids)
    database.execute(f"ALTER TABLE clinical_notes ADD CONSTRAINT late CHECK (id <> '{ids[0]}') NOT VALID")

    finished = run.validate(export, "--repair")

    assert finished.exit_code == 3, finished.output
    found = list(records(run.run_folders[-1] / "mismatches" / "medzen-soap-notes"))
    assert {(one["key"]["id"]["S"].lower(), one["kind"]) for one in found} == {(ids[0], "missing"), (ids[1], "repaired")}
    refused = next(one["refused"] for one in found if one["kind"] == "missing")
    assert refused == {"code": "check_violation", "sqlstate": "23514", "constraint": "late"}
