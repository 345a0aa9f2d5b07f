"""Both comparisons of a chain as a user runs them: Beam jobs of two workers, killed in between, and with every bundle run twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sample_export import rows_after, write_sample_chains
from tests.command_line import CommandLine, Finished
from tests.faults.jobs import wait_until
from tests.pipeline.planted import parts_of, report_of
from tests.pipeline.windows.test_windows_samples import settings
from tests.postgres_server import Database
from tests.processes import kill_group
from transforms.tables.medzen import VIDEO_SESSIONS as TABLE

# The second chunk of a file is not noted for a minute, so that a run can be killed in the middle.
SLOW = (
    "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$; "
    "CREATE TRIGGER slow BEFORE INSERT ON ddb2pg.compared_chunk FOR EACH ROW WHEN (NEW.first_item > 0) EXECUTE FUNCTION slow()"
)
ENDED = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


def test_comparisons_that_are_killed_and_run_again(database: Database, run: CommandLine, tmp_path: Path) -> None:
    root, fresh = tmp_path / "in", tmp_path / "fresh"
    write_sample_chains(root, settings("NEW_AND_OLD_IMAGES", windows=1, items=90, changes=90, items_per_file=40), [TABLE.source], fresh)
    applied = run.migrate(root, "--chunk_items=10")
    assert applied.exit_code == 3, applied.output
    for given in ([fresh, "--as_of"], [root]):
        database.execute(SLOW)
        process = run.start("validate", "--export", *given, "--output", run.output, "--direct_num_workers=2")
        wait_until(lambda process=process: database.value("SELECT count(*) > 0 FROM ddb2pg.compared_chunk") or process.poll() is not None)
        assert process.poll() is None, "it ended before it was killed"
        kill_group(process)
        database.query(ENDED)
        database.execute("DROP TRIGGER slow ON ddb2pg.compared_chunk; DROP FUNCTION slow")
        finished = run.validate(*given, "--direct_num_workers=2", "--direct_runner_bundle_repeat=1")
        assert finished.exit_code == 3, finished.output
        assert_told(finished, report_of(run.run_folders[-1]), root)
    assert database.value("SELECT count(DISTINCT run_id) FROM ddb2pg.compared_chunk") <= 2, "those of the killed runs alone are left"


def assert_told(finished: Finished, report: dict[str, Any], root: Path) -> None:
    [of_table] = report["tables"]
    standing = rows_after(root, TABLE.source, 1).values()
    outdated = sum(one.is_outdated for one in standing)
    parts = parts_of(of_table)
    assert (parts["equal"], parts["outdated"], parts["different"]) == (len(standing) - outdated, outdated, 0), finished.output
    assert of_table["mismatches"] == {"outdated": outdated}
