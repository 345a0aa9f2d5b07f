"""The process that workers are forked from says nothing of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# As Beam without the packages of Google: a warning to the root logger, which nobody has told where to.
_LOUD = """
import logging, pathlib, sys, warnings
logging.warning("a warning")
warnings.warn("another")
print("and words", file=sys.stderr)
pathlib.Path(__file__).with_suffix(".imported").touch()
"""
_PROGRAM = """
import multiprocessing
from pipeline.engines import fork_server

if __name__ == "__main__":
    multiprocessing.get_context("forkserver").set_forkserver_preload([*fork_server.PRELOADED, "loud"])
    context = fork_server.get_ready()
    process = context.Process(target=print, args=[type(context).__name__])
    process.start()
    process.join()
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
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "ForkServerContext", "")
