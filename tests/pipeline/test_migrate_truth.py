"""Whole migrations of sample exports, held against their truth."""

from __future__ import annotations

from pathlib import Path

import pytest

from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.postgres_server import Database
from tests.truth import assert_equals_truth


@pytest.mark.parametrize(
    ("seed", "faulty", "odd", "exit_code"),
    [(1, 0.0, 0.0, 0), (2, 0.01, 0.05, 3), (3, 0.01, 1.0, 3), (4, 1.0, 0.0, 3), (5, 0.3, 0.3, 3)],
)
def test_rows_dead_letters_and_notices_equal_the_truth(
    tmp_path: Path, database: Database, run: CommandLine, seed: int, faulty: float, odd: float, exit_code: int
) -> None:
    """Whatever share of the items is faulty or unusual, target, dead letters and notices are what the generator planted."""
    write_sample_exports(tmp_path / "export", items=3_000, seed=seed, faulty=faulty, odd=odd, items_per_file=800)

    finished = run.migrate(tmp_path / "export", "--chunk_items=300")

    assert finished.exit_code == exit_code, finished.output
    assert_equals_truth(tmp_path / "export", database, run.run_folders[0])


def test_several_workers_give_the_same(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """Two worker processes, dealt the files of an export between them, end at the same truth."""
    write_sample_exports(tmp_path / "export", items=4_000, seed=6, faulty=0.2, odd=0.2, items_per_file=500)

    finished = run.migrate(tmp_path / "export", "--chunk_items=100", "--direct_num_workers=2")

    assert finished.exit_code == 3, finished.output
    assert_equals_truth(tmp_path / "export", database, run.run_folders[0])
