"""ddb2pg as a user runs it: a process of its own, with its output and exit code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.postgres_server import Database, Server
from tests.prepared_process import PLAIN, Running, run_prepared


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


class CommandLine:
    """Runs commands against one database, with one output folder; where it is plain, those that say nothing of Beam run no Beam job."""

    def __init__(self, database_url: str, folder: Path, *, is_plain: bool = False) -> None:
        self.database_url = database_url
        self.output = folder / "out"
        self._is_plain = is_plain

    def __call__(self, *arguments: str | Path, timeout: float = 300, **environment: str) -> Finished:
        of_beam = any(str(argument).startswith(("--direct_num_workers", "--runner")) for argument in arguments)
        plain = {PLAIN: "1"} if self._is_plain and not of_beam else {}
        return Finished(*run_prepared(list(map(str, arguments)), self._environment(environment | plain), timeout))

    def start(self, *arguments: str | Path, **environment: str) -> Running:
        """A command that is still running, in a process group of its own."""
        return Running(list(map(str, arguments)), self._environment(environment))

    def start_python(self, *arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        """As `start`, by a Python of its own: where it matters how a process begins."""
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline", *map(str, arguments)],
            env=self._environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def _environment(self, more: Mapping[str, str]) -> Mapping[str, str]:
        return {**os.environ, "DATABASE_URL": self.database_url, **more}

    def migrate(self, export: str | Path, *arguments: str | Path) -> Finished:
        return self("migrate", "--export", export, "--output", self.output, *arguments)

    def start_migrate(self, export: str | Path, *arguments: str | Path, **environment: str) -> Running:
        return self.start("migrate", "--export", export, "--output", self.output, *arguments, **environment)

    def validate(self, export: str | Path, *arguments: str | Path) -> Finished:
        return self("validate", "--export", export, "--output", self.output, *arguments)

    def roll_back(self, export: str | Path, *arguments: str | Path) -> Finished:
        return self("rollback", "--export", export, "--output", self.output, *arguments)

    @property
    def run_folders(self) -> list[Path]:
        """Of all runs, oldest first."""
        return sorted(self.output.iterdir())


class LoadedOnce:
    """What many tests begin with: a database and an output folder that commands have filled, once; each test gets a copy of both."""

    def __init__(self, server: Server, folder: Path, load: Callable[[CommandLine], None], *, is_plain: bool = False) -> None:
        self._server = server
        self._database = server.new_database()
        self._run = CommandLine(self._database.url, folder, is_plain=is_plain)
        load(self._run)

    def copy_to(self, run: CommandLine, database: Database) -> None:
        """In place of what the database holds; to an output folder that is not there yet."""
        self._server.refill(database, self._database)
        shutil.copytree(self._run.output, run.output)
