"""Commands as a user starts them, from start to exit, with what they took: seconds, CPU, memory. Linux only: it looks into /proc."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from benchmarks.server import BenchmarkServer

_PR_SET_CHILD_SUBREAPER: Final = 36
_BETWEEN_LOOKS: Final = 0.1  # seconds; a peak is kept by the kernel, so only the very end of a process can be missed


@dataclass(frozen=True, slots=True)
class Command:
    """What is started, and what its environment has besides ours."""

    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """What commands took from the start of the first to the end of the last."""

    seconds: float
    cpu_seconds: float
    """Of all their processes."""
    server_cpu_seconds: float
    wal_bytes: int
    """That the server wrote."""
    peak_memory: Sequence[int]
    """Bytes resident, of each process that was seen, the greatest first."""
    load_average: float
    """Of the last minute, before the start."""


NOTHING: Final = Usage(0, 0, 0, 0, (), 0)


class CommandFailed(Exception):
    """A command ended with an exit code that was not expected; says which, and its last lines."""


def measure(commands: Sequence[Command], server: BenchmarkServer, *, exit_codes: Sequence[int] = (0,)) -> Usage:
    """Start all at the same time and wait for all. Raises `CommandFailed`."""
    load_average = os.getloadavg()[0]
    with tempfile.TemporaryFile() as output, _inherited_orphans(), _PeakMemory() as memory:
        wal_before, server_before, before = server.wal_bytes(), server.cpu_seconds(), _children_cpu_seconds()
        started = time.perf_counter()
        processes = [_start(command, output) for command in commands]
        memory.watch([process.pid for process in processes])
        found = [process.wait() for process in processes]
        seconds = time.perf_counter() - started
        _reap_orphans()
        server_cpu, wal_bytes = server.cpu_seconds() - server_before, server.wal_bytes() - wal_before
        if not set(found) <= set(exit_codes):
            output.seek(0)
            last = output.read().decode(errors="replace")[-3000:]
            message = f"{' '.join(map(str, commands[0].arguments[:4]))} ... ended with {found}:\n{last}"
            raise CommandFailed(message)
        return Usage(seconds, _children_cpu_seconds() - before, server_cpu, wal_bytes, memory.peaks(), load_average)


def _start(command: Command, output: IO[bytes]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, **command.environment}
    return subprocess.Popen(
        command.arguments, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
    )


# -- CPU -----------------------------------------------------------------------------------------------------------------------------------


@contextmanager
def _inherited_orphans() -> Iterator[None]:
    """A worker whose parent ends without waiting for it becomes our child, so that its CPU time is counted."""
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _reap_orphans() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _children_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


# -- memory --------------------------------------------------------------------------------------------------------------------------------


class _PeakMemory:
    """Looks at all processes of some sessions until they end. What `wait4` tells counts the memory of whoever forked, too."""

    def __init__(self) -> None:
        self._sessions: frozenset[int] = frozenset()
        self._peaks: dict[int, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> _PeakMemory:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()

    def watch(self, sessions: Sequence[int]) -> None:
        """Begin to look at the processes of these sessions."""
        self._sessions = frozenset(sessions)
        self._thread.start()

    def peaks(self) -> list[int]:
        """Bytes, the greatest first."""
        return sorted(self._peaks.values(), reverse=True)

    def _look(self) -> None:
        while not self._ended.wait(_BETWEEN_LOOKS):
            for process in _processes_of(self._sessions):
                peak = _peak_bytes(process)
                if peak is not None:
                    self._peaks[process] = peak


def _processes_of(sessions: frozenset[int]) -> Iterator[int]:
    for name in os.listdir("/proc"):  # noqa: PTH208 - ten times a second: only names are wanted
        if name.isdigit():
            try:
                if os.getsid(int(name)) in sessions:
                    yield int(name)
            except (ProcessLookupError, PermissionError):
                continue


def _peak_bytes(process: int) -> int | None:
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) << 10 if found else None
