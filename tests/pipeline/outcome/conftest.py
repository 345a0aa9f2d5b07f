"""One migration and one validation for all tests of the report, what comes after them for some, and one browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg2.extensions import make_dsn

from sample_export import write_sample_exports
from tests.browser import Browser
from tests.command_line import CommandLine
from tests.pipeline.outcome.reported import PASSWORD, REQUESTS, Reported, TakenBack
from tests.pipeline.planted import plant
from tests.pipeline.postcheck.requests.web_server import WebServer
from tests.postgres_server import Server


@pytest.fixture(scope="session")
def reported(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Reported:
    folder = tmp_path_factory.mktemp("reported")
    database = server.new_database()
    run = CommandLine(make_dsn(database.url, password=PASSWORD), folder)
    write_sample_exports(folder / "export", items=1_500, seed=7, faulty=0.05, odd=0.1)
    migrated = run.migrate(folder / "export", "--chunk_items=50", "--direct_num_workers=1")
    assert migrated.exit_code == 3, migrated.output
    plant(database)
    with WebServer() as web:
        (folder / "requests.toml").write_text(REQUESTS.replace("http://APP", web.url), encoding="utf-8")
        validated = run.validate(folder / "export", "--direct_num_workers=1", f"--requests={folder / 'requests.toml'}")
    assert validated.exit_code == 3, validated.output
    first, second = run.run_folders
    return Reported(folder, run, first, second)


@pytest.fixture(scope="session")
def taken_back(reported: Reported) -> TakenBack:
    """After the others: what was refused is given again as it is, then the loads are rolled back, of which some rows were changed."""
    run, export = reported.run, reported.folder / "export"
    for finished in (
        run("dead-letters", "replay", reported.migrated, "--output", run.output),
        run.roll_back(export, "--direct_num_workers=1"),
        run.roll_back(export, "--direct_num_workers=1", "--yes"),
    ):
        assert finished.exit_code == 3, finished.output
    return TakenBack(*run.run_folders[-3:])


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """Where a run's folder may be made."""
    return tmp_path / "out"
