"""Three targets and a child table from one single-table export with faults, equal to what was planted in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command_line import CommandLine
from tests.handmade_export import write_export
from tests.pipeline.order_lines import TARGETS, lines_in, planted_lines, write_definition
from tests.pipeline.test_orders import app, assert_truth
from tests.postgres_server import Database

pytestmark = pytest.mark.plain


@pytest.mark.parametrize("items", [3_000, pytest.param(200_000, marks=pytest.mark.soak)])
def test_every_line_ends_where_it_was_planted(tmp_path: Path, database: Database, run: CommandLine, items: int) -> None:
    """Loaded by two workers, validated, rolled back."""
    made = app(items, seed=6, files=4)
    export = write_export(tmp_path / "export", "App", made.files)
    tables = write_definition(tmp_path)
    database.execute(TARGETS)
    assert len(planted_lines(made)) > items / 5

    finished = run.migrate(export, tables, "--direct_num_workers=2")

    assert finished.exit_code == 3, finished.output
    assert_truth(made, database, run.run_folders[-1])
    assert lines_in(database) == planted_lines(made)
    validated = run.validate(export, tables)
    assert validated.exit_code == 0, validated.output
    rolled_back = run.roll_back(export, "--yes", tables)
    assert rolled_back.exit_code == 0, rolled_back.output
    assert lines_in(database) == set()
