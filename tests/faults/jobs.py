"""The command line inside this process, which is quicker than one of its own, and waiting for what happens meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.cli import main
from tests.postgres_server import Database


class Job:
    """Runs commands against one URL, with one output folder."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], output: Path) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.output = output
        self.stderr = self.stdout = ""
        self.printed = ""
        """By all commands."""

    def __call__(self, url: str, *arguments: str | Path) -> int:
        """The exit code of one command; what it printed is in `stdout` and `stderr`."""
        self._monkeypatch.setenv("DATABASE_URL", url)
        self._capsys.readouterr()
        exit_code = main([str(argument) for argument in arguments])
        self.stdout, self.stderr = self._capsys.readouterr()
        self.printed += self.stdout + self.stderr
        return exit_code

    def migrate(self, url: str, export: Path, *arguments: str) -> int:
        return self(url, "migrate", "--export", export, "--output", self.output, "--direct_num_workers=1", *arguments)

    @property
    def last_run(self) -> Path:
        return max(self.output.iterdir())


def wait_until(is_so: Callable[[], object], seconds: float = 300, every: float = 0.005) -> None:
    """Look again and again, for so long at most; `every` so often, for a look may cost more than what is waited for."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(every)  # between two looks, not for a state


def chunks(database: Database) -> int:
    """Chunks committed so far."""
    if database.value("SELECT to_regclass('ddb2pg.chunk') IS NULL"):
        return 0
    return int(database.value("SELECT count(*) FROM ddb2pg.chunk"))


@contextmanager
def meanwhile(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Something else at the same time; it is told when the body is over, and what it raises is raised here."""
    is_over = threading.Event()
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work(is_over)
        except BaseException as error:  # noqa: BLE001 - raised below
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(300)
    assert not thread.is_alive(), "what went on meanwhile has no end"
    if raised:
        raise raised[0]
