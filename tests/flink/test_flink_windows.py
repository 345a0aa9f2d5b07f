"""A large window on a Flink cluster of which a TaskManager is killed: applied once, and equal to the truth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sample_export import ChainSettings, rows_after, write_sample_chains
from tests.command_line import CommandLine
from tests.flink.cluster import Cluster, wait_until
from tests.postgres_server import Database
from tests.truth import row_differences
from transforms.tables.medzen import VIDEO_SESSIONS

# The parts of the cluster may have to be fetched and built first.
pytestmark = [pytest.mark.timeout(7200), pytest.mark.soak]

RECORDS = 300_000


def _applied(database: Database) -> int:
    """Chunks of the window."""
    return int(database.value("SELECT count(*) FROM ddb2pg.applied_chunk"))


def test_a_killed_task_manager_changes_nothing_of_a_large_window(
    flink: Cluster, database: Database, tmp_path: Path, run: CommandLine
) -> None:
    # A few of the planned changes are no record, as an item that comes and goes within the window.
    settings = ChainSettings(
        windows=1,
        view="NEW_AND_OLD_IMAGES",
        items=RECORDS,
        changes=RECORDS * 3 // 2,
        faulty=0.01,
        odd=0.02,
        seed=91,
        items_per_file=RECORDS // 12,
    )
    source = VIDEO_SESSIONS.source
    [chain] = write_sample_chains(tmp_path / "in", settings, [source])
    assert chain.records >= RECORDS
    assert run.migrate(chain.full.folder).exit_code == 3

    process = flink.submit(database.url, "--export", chain.windows[0], "--output", tmp_path / "out", "--chunk_items=2500")
    wait_until(lambda: _applied(database) >= 30 or process.poll() is not None)
    flink.kill_task_manager(2)
    output = "".join(process.communicate(timeout=3600))

    assert process.returncode == 3, output
    job = flink.newest_job
    assert job["state"] == "FINISHED"
    assert flink.failures(job["jid"]) >= 1
    standing = rows_after(tmp_path / "in", source, 1)
    assert row_differences(VIDEO_SESSIONS, [one.row for one in standing.values()], database) == ([], [])
    folder = max((tmp_path / "out").iterdir())  # the other one is of the full export
    [window] = [one for one in json.loads((folder / "report.json").read_text())["tables"] if one["counted"] == "record"]
    assert sum(part["count"] for part in window["parts"]) == window["total"] == chain.records
    assert window["outdated"] == sum(one.is_outdated for one in standing.values())
    flink.up()
