"""Loads that are repeated end at the same truth. Those that are broken off, or run twice at once: tests/faults/."""

from __future__ import annotations

from pathlib import Path

import pytest

from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.postgres_server import Database
from tests.truth import assert_equals_truth, records


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faulty and unusual, in many small chunks once --chunk_items=50 cuts it."""
    root = tmp_path_factory.mktemp("resume") / "export"
    write_sample_exports(root, items=3_000, seed=7, faulty=0.05, odd=0.1, items_per_file=700)
    return root


def test_a_second_run_writes_nothing_and_tells_all(export: Path, database: Database, run: CommandLine) -> None:
    """The same command again: same exit code, no row written, no chunk, and dead letters and notices as complete as the first time."""
    first = run.migrate(export)
    written = database.query("SELECT xmin::text, count(*) FROM video_call_sessions GROUP BY 1 ORDER BY 1")
    chunks = database.query("SELECT * FROM ddb2pg.chunk ORDER BY load_id, data_file, first_item")

    second = run.migrate(export)

    assert (first.exit_code, second.exit_code) == (3, 3), second.output
    assert "nothing to do" in second.stdout
    assert database.query("SELECT xmin::text, count(*) FROM video_call_sessions GROUP BY 1 ORDER BY 1") == written
    assert database.query("SELECT * FROM ddb2pg.chunk ORDER BY load_id, data_file, first_item") == chunks
    for folder in run.run_folders:
        assert_equals_truth(export, database, folder)


def test_a_finished_clean_load_is_not_even_read_again(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """With nothing to tell, the second run opens no data file."""
    write_sample_exports(tmp_path / "export", items=500, seed=8, faulty=0, odd=0)
    assert run.migrate(tmp_path / "export").exit_code == 0
    for path in (tmp_path / "export").glob("*/AWSDynamoDB/*/data/*"):
        path.write_bytes(b"no gzip at all")

    again = run.migrate(tmp_path / "export")

    assert again.exit_code == 0, again.output
    assert database.value("SELECT count(*) FROM video_call_sessions") == 500


def test_a_finished_clean_load_is_told_without_importing_beam(tmp_path: Path, run: CommandLine) -> None:
    """Which takes longer than all the rest of it."""
    write_sample_exports(tmp_path / "export", items=100, seed=9, faulty=0, odd=0)
    assert run.migrate(tmp_path / "export").exit_code == 0

    again = run.start_python("migrate", "--export", tmp_path / "export", "--output", run.output, PYTHONPROFILEIMPORTTIME="1")
    stdout, imports = again.communicate(timeout=300)

    assert again.returncode == 0, imports
    assert "nothing to do" in stdout
    assert "pipeline.outcome.page" in imports
    assert "apache_beam" not in imports


def test_records_of_a_refused_run_are_not_left_half(export: Path, run: CommandLine) -> None:
    """Files of dead letters are whole or not there: none has the name of a whole one unless it is."""
    run.migrate(export)

    assert list(records(run.run_folders[0] / "dead_letters" / "medzen-soap-notes"))
    assert not list(run.output.rglob("*.part"))
