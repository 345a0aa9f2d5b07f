"""The process that workers are forked from says nothing of its own, and does not look for garbage in their place."""

from __future__ import annotations

import gc
import multiprocessing.forkserver
import os
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Self

import apache_beam as beam
import pytest

from pipeline.engines.forked_workers import prepare
from pipeline.engines.run import run_pipeline
from tests.processes import core_dumps_here

ROOT = Path(__file__).parents[3]
# As Beam without the packages of Google: a warning to the root logger, which nobody has told where to.
_LOUD = """
import logging, pathlib, sys, warnings
logging.warning("a warning")
warnings.warn("another")
print("and words", file=sys.stderr)
pathlib.Path(__file__).with_suffix(".imported").touch()
"""
_PROGRAM = """
import sys
from pipeline.engines.forked_workers import prepare

if __name__ == "__main__":
    context = prepare(["loud"])
    process = context.Process(target=print, args=[type(context).__name__])
    process.start()
    process.join()
    sys.stderr.write("its own words")
"""


def test_what_is_said_at_imports_before_workers_are_forked_stays_unsaid(tmp_path: Path) -> None:
    """Warnings of libraries, which the command's process says or silences itself, do not come from another one as well."""
    (tmp_path / "loud.py").write_text(_LOUD)
    (tmp_path / "program.py").write_text(_PROGRAM)

    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert (tmp_path / "loud.imported").exists()
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "ForkServerContext", "its own words")


def test_modules_may_be_imported_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers are started by threads, while the main thread imports what it needs next."""
    monkeypatch.setattr(multiprocessing.forkserver, "ensure_running", lambda: None)
    interval = sys.getswitchinterval()
    with Importing() as importing:
        sys.setswitchinterval(1e-6)
        try:
            for _ in range(200):
                prepare()
        finally:
            sys.setswitchinterval(interval)

    assert importing.rounds > 10


class Importing:
    """A thread that has Python know modules, and forget them."""

    rounds = 0

    def __enter__(self) -> Self:
        self._is_over = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._thread.join()

    def _run(self) -> None:
        names = [f"pipeline_imports_{number}" for number in range(50)]
        while not self._is_over:
            sys.modules.update(dict.fromkeys(names, sys))
            for name in names:
                del sys.modules[name]
            self.rounds += 1


def test_a_worker_collects_its_own_garbage(tmp_path: Path) -> None:
    """But not among what was imported before it was forked; nor was garbage looked for while that was imported."""
    multiprocessing.forkserver._forkserver._stop()  # type: ignore[attr-defined]  # another test may have started one that imports nothing first

    def define(root: beam.Pipeline) -> None:
        note = partial(_note, told=tmp_path / "told")
        _ = root | beam.Create([1], reshuffle=False) | beam.Reshuffle() | beam.Map(note)

    run_pipeline(define, [], 2, "ddb2pg-garbage")

    enabled, imported, whole_collections = (tmp_path / "told").read_text().split()
    assert (enabled, int(imported) > 100_000, int(whole_collections)) == ("True", True, 0)


def test_a_worker_leaves_no_core_file(tmp_path: Path) -> None:
    """Neither in a file nor to a program that takes them, whatever the limit was where the command began."""

    def define(root: beam.Pipeline) -> None:
        _ = root | beam.Create([1], reshuffle=False) | beam.Reshuffle() | beam.Map(partial(_note_core_dumps, told=tmp_path / "told"))

    run_pipeline(define, [], 2, "ddb2pg-core-dumps")

    assert (tmp_path / "told").read_text() == "limit 0, dumpable 0"


def _note_core_dumps(_element: int, told: Path) -> None:
    told.write_text(core_dumps_here())


def _note(_element: int, told: Path) -> None:
    told.write_text(f"{gc.isenabled()} {gc.get_freeze_count()} {gc.get_stats()[2]['collections']}")
