"""The processes of a command, seen from outside."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path


def group_of(leader: int) -> list[int]:
    """The processes of a command, those that it left behind included; zombies are none."""
    found = subprocess.run(["ps", "-eo", "pid=,pgid=,stat="], capture_output=True, text=True, check=True).stdout.split("\n")
    rows = [line.split() for line in found if line]
    return [int(pid) for pid, group, state in rows if int(group) == leader and not state.startswith("Z")]


def workers_of(leader: int) -> list[int]:
    """Those of Beam."""
    found = []
    for pid in group_of(leader):
        try:
            if b"sdk_worker_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
        except FileNotFoundError:
            continue
    return found


def kill_group(process: subprocess.Popen[str]) -> str:
    """SIGKILL to the command and every process that it started; what it had printed."""
    os.killpg(process.pid, signal.SIGKILL)
    return "".join(process.communicate())
