"""The processes of a command, seen from outside."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
from pathlib import Path

from tests.prepared_process import Running

_FORKED_FROM = b"multiprocessing.forkserver"


def group_of(leader: int) -> list[int]:
    """The processes of a command, those that it left behind included; zombies are none."""
    return [pid for pid, _ in _group(leader)]


def workers_of(leader: int) -> list[int]:
    """Those that load; the one that they are forked from is none of them."""
    parents = dict(_group(leader))
    return [pid for pid, parent in parents.items() if parent in parents and parent != leader and _is_forked(pid) and _is_forked(parent)]


def _group(leader: int) -> list[tuple[int, int]]:
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,pgid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines() if line]
    return [(int(pid), int(parent)) for pid, parent, group, state in rows if int(group) == leader and not state.startswith("Z")]


def _is_forked(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return _FORKED_FROM in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def core_dumps_here() -> str:
    """Whether this process may leave any, by both of Linux's settings."""
    limit, _ = resource.getrlimit(resource.RLIMIT_CORE)
    return f"limit {limit}, dumpable {ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)}"  # PR_GET_DUMPABLE


def kill_group(process: Running) -> str:
    """SIGKILL to the command and every process that it started, unless it ended just now; what it had printed."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return "".join(process.communicate())
