"""Commands in processes that have everything imported already: forked from one that did it once. Importing Beam takes a second of CPU.

Otherwise such a process is what `python -m pipeline` is: its own environment, folder, standard streams, signals and exit code.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import multiprocessing.forkserver
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from multiprocessing import util
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(["tests.everything_imported"])
_NAME = "command of a test"
PLAIN = "DDB2PG_TEST_PLAIN"
"""A variable of a command that is to run no Beam job."""


@atexit.register
def _end_what_is_left() -> None:
    """Commands of tests that failed meanwhile; multiprocessing would wait for them."""
    for process in multiprocessing.active_children():
        if process.name == _NAME:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid or 0, signal.SIGKILL)


class Running:
    """A command that was started, in a process group of its own; as much of `subprocess.Popen` as tests ask for."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        with contextlib.chdir(_ROOT):  # where the process that is forked from imports from
            multiprocessing.forkserver.ensure_running()
        self._folder = tempfile.TemporaryDirectory()
        self._arguments = arguments
        self._streams = [Path(self._folder.name) / name for name in ("stdout", "stderr")]
        self._process = _FORKING.Process(
            target=_be_the_command, name=_NAME, args=(arguments, dict(environment), Path.cwd(), *self._streams)
        )
        self._process.start()
        self.pid: int = self._process.pid or 0
        while self._process.exitcode is None and not self._leads_its_group():
            time.sleep(0.001)  # between two looks, not for a state

    def _leads_its_group(self) -> bool:
        with contextlib.suppress(ProcessLookupError):
            return os.getpgid(self.pid) == self.pid
        return False

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Raises `subprocess.TimeoutExpired`."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._arguments, timeout or 0)
        return self._process.exitcode

    def printed(self, stream: str = "stdout") -> str:
        """What it has printed so far, on `stdout` or `stderr`."""
        (path,) = [path for path in self._streams if path.name == stream]
        return path.read_text(errors="replace") if path.exists() else ""

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Standard output and standard error, once it ended. Raises `subprocess.TimeoutExpired`."""
        self.wait(timeout)
        stdout, stderr = (stream.read_text(errors="replace") if stream.exists() else "" for stream in self._streams)
        return stdout, stderr

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run_prepared(arguments: Sequence[str], environment: Mapping[str, str], timeout: float) -> tuple[int, str, str]:
    """The exit code, standard output and standard error of a command. Raises `subprocess.TimeoutExpired`."""
    command = Running(arguments, environment)
    try:
        stdout, stderr = command.communicate(timeout)
    except subprocess.TimeoutExpired:
        os.killpg(command.pid, signal.SIGKILL)
        command.wait()
        raise
    return command.wait(), stdout, stderr


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
    if any(argument.startswith("--direct_num_workers=") and not argument.endswith("=1") for argument in arguments):
        _prepare_workers()
    if os.environ.pop(PLAIN, ""):
        import pytest

        from tests.plain_windows import use_plain_visits

        use_plain_visits(pytest.MonkeyPatch())
    from pipeline.cli import main

    try:
        sys.exit(main())
    finally:
        atexit._run_exitfuncs()  # what multiprocessing leaves out: Beam ends its servers there


def _prepare_workers() -> None:
    """The process that this command forks its workers from is forked here and now, and so need not import it all again.

    It waits until the command starts it, and is then what multiprocessing makes of a new Python.
    """
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if not pid:
        try:
            ours.close()
            _be_what_workers_are_forked_from(its)
        finally:
            os._exit(0)
    its.close()
    started_by_python = util.spawnv_passfds

    def start(path: bytes, arguments: Sequence[str], passed: Sequence[int]) -> int:
        if not arguments[-1].startswith("from multiprocessing.forkserver"):
            return started_by_python(path, arguments, passed)
        socket.send_fds(ours, [arguments[-1].encode()], [*passed, 1, 2])
        util.spawnv_passfds = started_by_python
        return pid

    util.spawnv_passfds = start


def _be_what_workers_are_forked_from(its: socket.socket) -> None:
    os.dup2(its.fileno(), 3)
    os.closerange(4, 65_536)  # as in a new Python
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    program, (listener, is_alive, stdout, stderr), _, _ = socket.recv_fds(socket.socket(fileno=3), 1_000_000, 4)
    if not program:  # the command ended without workers
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    exec(re.sub(r"main\(\d+, \d+", f"main({listener}, {is_alive}", program.decode()), {})  # noqa: S102 - multiprocessing's own words
