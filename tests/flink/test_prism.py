"""Prism, Beam's runner in Go: a third engine, and the same rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.handmade_export import write_export
from tests.pipeline.made_readings import TARGETS, assert_one_reading, definitions, lines
from tests.postgres_server import Database
from tests.truth import assert_equals_truth


@pytest.mark.timeout(3600)
def test_prism_gives_the_same(flink_parts: Path, tmp_path: Path, database: Database, run: CommandLine) -> None:
    """All three tables of a faulty export end at the truth, and nothing of Prism's log, which may quote items, is printed."""
    write_sample_exports(tmp_path / "export", items=2_000, seed=63, faulty=0.2, odd=0.2, items_per_file=500)

    finished = run.migrate(
        tmp_path / "export", "--chunk_items=100", "--runner=PrismRunner", f"--prism_location={flink_parts / 'bin' / 'prism'}"
    )

    assert finished.exit_code == 3, finished.output
    assert finished.stderr == ""
    assert_equals_truth(tmp_path / "export", database, run.run_folders[0])


@pytest.mark.timeout(3600)
def test_tables_of_one_export_are_loaded_in_one_reading(flink_parts: Path, tmp_path: Path, database: Database, run: CommandLine) -> None:
    database.execute(TARGETS)
    export = write_export(tmp_path / "export", "App", lines())

    finished = run.migrate(
        export,
        definitions(tmp_path, "CUSTOMER, ORDER, EVERYTHING"),
        "--chunk_items=10",
        "--runner=PrismRunner",
        f"--prism_location={flink_parts / 'bin' / 'prism'}",
    )

    assert finished.exit_code == 0, finished.output
    assert_one_reading(database, chunks=8, loads=3)
