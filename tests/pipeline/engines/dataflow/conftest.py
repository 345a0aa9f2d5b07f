"""A database that workers on Dataflow find by its secret, and a service that runs jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.target import database_url
from tests.command_line import CommandLine, Finished
from tests.dataflow_service import DataflowService
from tests.google_secrets import GoogleSecrets
from tests.postgres_server import Database

SECRET = "projects/project-1/secrets/database"


@pytest.fixture
def service(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataflowService]:
    """Where it runs jobs, and for commands: the secret is known, and no other way to the database."""
    (tmp_path / "credentials").mkdir()
    # Jobs run in this process, which would remember the secret of another test.
    monkeypatch.setattr(database_url, "_LOOKED_UP", {})
    with GoogleSecrets(tmp_path / "credentials") as secrets, DataflowService() as service:
        secrets.versions[f"{SECRET}/versions/latest"] = database.url
        for name, value in {**secrets.environment, "NO_GCE_CHECK": "true"}.items():
            monkeypatch.setenv(name, value)
        yield service


class Migrations:
    """`migrate` of one export on Dataflow."""

    def __init__(self, run: CommandLine, service: DataflowService, folder: Path) -> None:
        self._run = run
        self._service = service
        self._folder = folder

    def __call__(self, export: Path, *arguments: str) -> Finished:
        secret = f"--database_secret=gcp-secretmanager:{SECRET}"
        options = self._service.options(self._folder / "bucket")
        # Not a way to the database: it must come from the secret.
        return self._run(
            "migrate", "--export", export, "--output", self._run.output, "--shared_folders", secret, *options, *arguments, DATABASE_URL=""
        )


@pytest.fixture
def migrate_on_dataflow(run: CommandLine, service: DataflowService, tmp_path: Path) -> Migrations:
    return Migrations(run, service, tmp_path)
