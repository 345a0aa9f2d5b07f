"""ddb2pg as a user runs it: a process of its own, with its output and exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.prepared_process import run_prepared


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
    """Runs commands against one database, with one output folder."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.database_url = database_url
        self.output = folder / "out"

    def __call__(self, *arguments: str | Path, timeout: float = 300, **environment: str) -> Finished:
        return Finished(*run_prepared(list(map(str, arguments)), self._environment(environment), timeout))

    def start(self, *arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        """A command that is still running, in a process group of its own."""
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

    def start_migrate(self, export: str | Path, *arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        return self.start("migrate", "--export", export, "--output", self.output, *arguments, **environment)

    def validate(self, export: str | Path, *arguments: str | Path) -> Finished:
        return self("validate", "--export", export, "--output", self.output, *arguments)

    def roll_back(self, export: str | Path, *arguments: str | Path) -> Finished:
        return self("rollback", "--export", export, "--output", self.output, *arguments)

    @property
    def run_folders(self) -> list[Path]:
        """Of all runs, oldest first."""
        return sorted(self.output.iterdir())
