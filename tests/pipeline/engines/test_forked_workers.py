"""The process that workers are forked from says nothing of its own, and does not look for garbage in their place."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import apache_beam as beam

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


def test_a_worker_collects_its_own_garbage(tmp_path: Path) -> None:
    """But not among what was imported before it was forked."""

    def define(root: beam.Pipeline) -> None:
        note = partial(_note, told=tmp_path / "told")
        _ = root | beam.Create([1], reshuffle=False) | beam.Reshuffle() | beam.Map(note)

    run_pipeline(define, [], 2, "ddb2pg-garbage")

    enabled, imported = (tmp_path / "told").read_text().split()
    assert (enabled, int(imported) > 100_000) == ("True", True)


def test_a_worker_leaves_no_core_file(tmp_path: Path) -> None:
    """Neither in a file nor to a program that takes them, whatever the limit was where the command began."""

    def define(root: beam.Pipeline) -> None:
        _ = root | beam.Create([1], reshuffle=False) | beam.Reshuffle() | beam.Map(partial(_note_core_dumps, told=tmp_path / "told"))

    run_pipeline(define, [], 2, "ddb2pg-core-dumps")

    assert (tmp_path / "told").read_text() == "limit 0, dumpable 0"


def _note_core_dumps(_element: int, told: Path) -> None:
    told.write_text(core_dumps_here())


def _note(_element: int, told: Path) -> None:
    told.write_text(f"{gc.isenabled()} {gc.get_freeze_count()}")
