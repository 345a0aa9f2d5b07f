"""Passwords are not echoed, and a secret that vanishes in the middle is a load that stopped, not one that never began."""

from __future__ import annotations

from pathlib import Path

import pytest

from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.faults.gate import COMMITTED, held_at, wait_until_held
from tests.postgres_server import Database

PASSWORD = "t0psecret"


@pytest.mark.parametrize(
    "arguments",
    [
        ["migrate", "--export", "nowhere", "--databse", f"postgresql://u:{PASSWORD}@h/db"],
        ["migrate", "--export", "nowhere", f"--databse=postgresql://u:{PASSWORD}@h/db"],
        ["status", "--databse", f"postgresql://u:{PASSWORD}@h/db"],
        ["status", f"--databse=postgresql://u:{PASSWORD}@h/db"],
        ["status", "--database_secret", f"host=h password={PASSWORD}"],
        ["status", "--database_secret", f"env:postgresql://u:{PASSWORD}@h/db"],
    ],
)
def test_a_misspelt_option_is_named_without_what_it_holds(run: CommandLine, arguments: list[str]) -> None:
    """The command line of a tired person ends in the logs of a CI."""
    finished = run(*arguments)

    assert finished.exit_code == 2, finished.output
    assert PASSWORD not in finished.output


@pytest.mark.parametrize("mode", ["multi_processing", "multi_threading"])
def test_running_modes_that_log_items_are_refused(run: CommandLine, mode: str) -> None:
    """Beam's own modes write their log to the terminal."""
    finished = run.migrate("nowhere", f"--direct_running_mode={mode}", "--direct_num_workers=2")

    assert finished.exit_code == 2
    assert "--direct_num_workers=N" in finished.stderr


def test_a_secret_that_vanishes_stops_the_load(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """Rows are committed, so the exit code is that of a load which can be resumed."""
    write_sample_exports(tmp_path / "export", items=300, faulty=0, odd=0, tables=["medzen-video-sessions"])
    secret = tmp_path / "secret"
    secret.write_text(database.url)
    with held_at(database, 2, COMMITTED, "video_call_sessions"):
        process = run.start_migrate(tmp_path / "export", f"--database_secret=file:{secret}", "--chunk_items=10")
        wait_until_held(database, process)
        secret.unlink()
        database.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ddb2pg' AND datname = current_database()"
        )
    _, stderr = process.communicate(timeout=300)

    assert process.returncode == 1, stderr
    assert "nothing was written" not in stderr
    assert str(secret) in stderr
    assert run.migrate(tmp_path / "export").exit_code == 0
    assert database.value("SELECT count(*) FROM video_call_sessions") == 300
