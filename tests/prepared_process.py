"""Commands in processes that have everything imported already: forked from one that did it once. Importing Beam takes a second of CPU.

Otherwise such a process is what `python -m pipeline` is: its own environment, folder, standard streams, signals and exit code.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(["tests.everything_imported"])


def run_prepared(arguments: Sequence[str], environment: Mapping[str, str], timeout: float) -> tuple[int, str, str]:
    """The exit code, standard output and standard error of a command. Raises `subprocess.TimeoutExpired`."""
    with contextlib.chdir(_ROOT):  # where the process that is forked from imports from
        multiprocessing.forkserver.ensure_running()
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder) / name for name in ("stdout", "stderr")]
        process = _FORKING.Process(target=_be_the_command, args=(arguments, dict(environment), Path.cwd(), *streams))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            os.killpg(process.pid or 0, signal.SIGKILL)
            process.join()
            raise subprocess.TimeoutExpired(arguments, timeout)
        stdout, stderr = (stream.read_text(errors="replace") for stream in streams)
        return process.exitcode, stdout, stderr


def _be_the_command(arguments: Sequence[str], environment: Mapping[str, str], folder: Path, stdout: Path, stderr: Path) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    for descriptor, path in enumerate((os.devnull, stdout, stderr)):
        opened = os.open(path, os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115 - open as long as the process lives
    sys.stderr = open(2, "w", closefd=False, buffering=1)  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["pipeline", *arguments]
    from pipeline.cli import main

    try:
        sys.exit(main())
    finally:
        atexit._run_exitfuncs()  # what multiprocessing leaves out: Beam ends its servers there
