"""Where a command is started: a folder that is gone, or that nobody may write to, is one sentence and exit code 2."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.command_line import CommandLine
from tests.postgres_server import Database


def _run_without_folder(folder: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = ["sh", "-c", 'rmdir "$PWD"; exec "$0" -m pipeline "$@"', sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("arguments", [["inspect", "--export", "somewhere"], ["status"], ["migrate", "--export", "somewhere"]])
def test_a_working_directory_that_is_gone(tmp_path: Path, arguments: list[str], database: Database) -> None:
    (tmp_path / "gone").mkdir()

    finished = _run_without_folder(tmp_path / "gone", arguments, {"DATABASE_URL": database.url})

    assert finished.returncode == 2, finished.stderr
    assert finished.stderr.splitlines()[1:] == ["  - the working directory is not there any more; cd to one that is"]


@pytest.mark.parametrize("command", ["migrate", "validate", "rollback", "dead-letters replay"])
def test_an_output_that_cannot_be_written(tmp_path: Path, command: str, run: CommandLine) -> None:
    """As the default is in a folder that is read-only."""
    (tmp_path / "file").write_text("")
    output = tmp_path / "file" / "out"
    where = [tmp_path] if command.startswith("dead") else ["--export", tmp_path]

    finished = run(*command.split(), *where, "--output", output)

    assert finished.exit_code == 2
    assert f"  - --output {output}: {tmp_path}/file is no folder that we may write to\n" in finished.stderr
