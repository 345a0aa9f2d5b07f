"""Where a command is started: a folder that is gone, or that nobody may write to, is one sentence and exit code 2."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from pipeline.cli import main
from tests.command_line import CommandLine
from tests.postgres_server import Database


def _run_without_folder(folder: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = ["sh", "-c", 'rmdir "$PWD"; exec "$0" -m pipeline "$@"', sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300, check=False)


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


@pytest.fixture
def read_only_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory of somebody who may read it and no more: root is another user for so long, for nothing is read-only to root."""
    folder = Path(tempfile.mkdtemp(prefix="ddb2pg-test-"))
    folder.chmod(0o555)
    monkeypatch.chdir(folder)
    is_root = os.geteuid() == 0
    if is_root:
        os.setresuid(65534, 65534, 0)
    yield folder
    if is_root:
        os.setresuid(0, 0, 0)
    folder.rmdir()


@pytest.mark.parametrize("command", ["migrate", "validate", "rollback"])
def test_a_working_directory_that_is_read_only(
    command: str,
    database: Database,
    exports: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    read_only_folder: Path,
) -> None:
    """Without --output the runs' folders would be in it."""
    monkeypatch.setenv("DATABASE_URL", database.url)

    exit_code = main([command, "--export", str(exports)])

    stderr = capsys.readouterr().err
    assert exit_code == 2, stderr
    [sentence] = [line for line in stderr.splitlines() if "--output" in line]
    assert sentence.endswith(f"{read_only_folder} is no folder that we may write to")
    assert list(read_only_folder.iterdir()) == []
