"""Commands as a user starts them, from start to exit, with what they took: seconds, CPU, memory. Linux only: it looks into /proc."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from benchmarks.server import BenchmarkServer

_CONTROL_GROUPS: Final = Path("/sys/fs/cgroup")
_PATIENCE: Final = 60.0  # seconds that a process may outlive its command
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


@dataclass(frozen=True, slots=True)
class Supervised:
    """What the supervisor tells of commands; CPU seconds are those of all their processes."""

    seconds: float
    """From the start of the first command to the end of the last; processes may live longer."""
    exit_codes: Sequence[int]
    ended: int
    """Processes that did not end by themselves."""
    waited_cpu_seconds: float
    """Of those that anybody waited for."""
    group_cpu_seconds: float | None
    """Of the control group, where one may be made."""

    @property
    def cpu_seconds(self) -> float:
        """By the best count there is."""
        return self.waited_cpu_seconds if self.group_cpu_seconds is None else self.group_cpu_seconds


def measure(commands: Sequence[Command], server: BenchmarkServer, *, exit_codes: Sequence[int] = (0,)) -> Usage:
    """Start all at the same time and wait for all. Raises `CommandFailed`."""
    load_average = os.getloadavg()[0]
    with _PeakMemory() as memory:
        wal_before, server_before = server.wal_bytes(), server.cpu_seconds()
        told = supervise(commands, memory.watch, exit_codes=exit_codes)
        server_cpu, wal_bytes = server.cpu_seconds() - server_before, server.wal_bytes() - wal_before
        return Usage(told.seconds, told.cpu_seconds, server_cpu, wal_bytes, memory.peaks(), load_average)


def supervise(
    commands: Sequence[Command],
    watch: Callable[[Sequence[int]], None] = lambda _: None,
    *,
    exit_codes: Sequence[int] = (0,),
    groups: Path = _CONTROL_GROUPS,
    patience: float = _PATIENCE,
) -> Supervised:
    """Until the last of their processes has ended; `watch` is told the commands' process ids. Raises `CommandFailed`."""
    asked = {
        "commands": [{"arguments": list(map(str, one.arguments)), "environment": {**os.environ, **one.environment}} for one in commands],
        "groups": str(groups),
        "patience": patience,
    }
    with tempfile.TemporaryFile("w+") as question, tempfile.TemporaryFile() as output:
        json.dump(asked, question)
        question.seek(0)
        with _supervisor(question, output) as answers:
            if processes := next(answers, ""):
                watch(json.loads(processes))
            told = next(answers, "")
        found = Supervised(**json.loads(told)) if told else None
        if found is None or found.ended or not set(found.exit_codes) <= set(exit_codes):
            raise CommandFailed(_failure(commands, found, output))
        return found


@contextmanager
def _supervisor(question: IO[str], output: IO[bytes]) -> Iterator[Iterator[str]]:
    """The lines of its answer. It ends all that it started when we do not wait for them."""
    arguments = [sys.executable, "-I", "-S", str(Path(__file__).with_name("supervisor.py"))]
    with subprocess.Popen(arguments, stdin=question, stdout=subprocess.PIPE, stderr=output, text=True) as process:
        try:
            yield iter(process.stdout or ())
        except BaseException:
            process.terminate()
            raise


def _failure(commands: Sequence[Command], found: Supervised | None, output: IO[bytes]) -> str:
    output.seek(0)
    last = output.read().decode(errors="replace")[-3000:]
    how = "could not be measured" if found is None else f"ended with {found.exit_codes}"
    left = f" and left {found.ended} processes, which were ended" if found and found.ended else ""
    return f"{' '.join(map(str, commands[0].arguments[:4]))} ... {how}{left}:\n{last}"


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
