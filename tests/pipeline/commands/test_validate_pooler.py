"""preflight, migrate and validate, each whole, through PgBouncer: they say and do what they do without it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.target.row_query import read_rows
from pipeline.target.session import Session
from sample_export import write_sample_exports
from tests.command_line import CommandLine, Finished
from tests.pgbouncer import PgBouncer
from tests.pipeline.planted import found_in, plant
from tests.pipeline.target.made_loads import reference_to
from tests.postgres_server import Database
from tests.truth import assert_equals_truth


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_each_command_does_through_a_pooler_what_it_does_without(database: Database, tmp_path: Path, run: CommandLine, mode: str) -> None:
    """The same findings but for the pooler, the rows of the truth, exactly the differences that were planted."""
    export = tmp_path / "export"
    write_sample_exports(export, items=300, seed=81, faulty=0.2, odd=0.2, items_per_file=150)
    direct = run("preflight", "--export", export, "--output", run.output, "--direct_num_workers=2", "--json")
    with PgBouncer(database.url, mode, pool_size=3) as pooler:
        pooled = CommandLine(pooler.url, tmp_path, is_plain=True)
        looked = pooled("preflight", "--export", export, "--output", pooled.output, "--direct_num_workers=2", "--json")
        migrated = pooled.migrate(export, "--chunk_items=40")
        assert_equals_truth(export, database, pooled.run_folders[0])
        planted = plant(database)
        different = pooled.validate(export, "--direct_num_workers=2")
        with Session(reference_to(pooler.url)) as session:
            notes = read_rows(session, "SELECT id FROM clinical_notes", 1_000)

    assert looked.exit_code == direct.exit_code == 0, looked.output
    assert findings(looked) - findings(direct) == {(f"pooler_in_{mode}_mode", None)}
    assert findings(direct) - findings(looked) == {("no_pooler", None)}
    assert migrated.exit_code == 3, migrated.output
    assert different.exit_code == 3, different.output
    assert found_in(pooled.run_folders[-1] / "mismatches") == {"planted": planted, "others": {}}
    assert len(notes.rows) == database.value("SELECT count(*) FROM clinical_notes")


def findings(finished: Finished) -> set[tuple[str, str | None]]:
    """Code and table of each."""
    return {(finding["name"], finding["table"]) for finding in json.loads(finished.stdout)["checks"]["preflight"]}
