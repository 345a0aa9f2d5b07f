"""Starts commands, waits for all their processes, and tells what CPU they took. A program of its own, so that nobody else's children count.

The kernel adds a process to its parent's count when the parent waits for it, and forgets it when the parent has said that it will not
(SIGCHLD ignored). Who loses its parent becomes a child of this program, which waits for all: so every process counts once, but for those
that are forgotten. A control group (https://docs.kernel.org/admin-guide/cgroup-v2.html) counts those as well; to make one takes rights.

Standard input: {"commands": [{"arguments", "environment"}], "groups": the tree of control groups, "patience": seconds that processes may
live on after the commands}. Standard output, a line each: the process ids of the commands; what they took. What the commands print goes
to standard error.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

_PR_SET_CHILD_SUBREAPER: Final = 36
_BETWEEN_LOOKS: Final = 0.01  # seconds
_IGNORED_BY_PYTHON: Final = (signal.SIGPIPE, signal.SIGXFSZ)


def main() -> None:
    """Start all commands at the same time, and end when the last process of theirs has ended."""
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    asked = json.load(sys.stdin)
    if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        message = "this kernel gives no orphans to who asks for them, so CPU seconds cannot be counted"
        raise OSError(message)
    with _own_group(Path(asked["groups"])) as group:
        before = _group_cpu_seconds(group)
        told = _run(asked["commands"], asked["patience"])
        after = _group_cpu_seconds(group)
    told["group_cpu_seconds"] = None if before is None or after is None else after - before
    print(json.dumps(told), flush=True)


def _run(commands: Sequence[Mapping[str, Any]], patience: float) -> dict[str, Any]:
    try:
        started = time.perf_counter()
        processes = [_start(command["arguments"], command["environment"]) for command in commands]
        print(json.dumps(processes), flush=True)
        exit_codes: dict[int, int] = {}
        while not exit_codes.keys() >= set(processes):
            process, status = os.wait()
            exit_codes[process] = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
        ended = _wait_for_the_rest(patience)
    except BaseException:
        _wait_for_the_rest(0)
        raise
    waited = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "seconds": seconds,
        "exit_codes": [exit_codes[process] for process in processes],
        "ended": ended,
        "waited_cpu_seconds": waited.ru_utime + waited.ru_stime,
    }


def _start(arguments: list[str], environment: Mapping[str, str]) -> int:
    files = ((os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, 2, 1))
    return os.posix_spawnp(arguments[0], arguments, environment, file_actions=files, setsid=True, setsigdef=_IGNORED_BY_PYTHON)


def _wait_for_the_rest(patience: float) -> int:
    """How many had to be ended, because they outlived the commands by more than that."""
    last = time.monotonic() + patience
    ended: set[int] = set()
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:
            return len(ended)
        if time.monotonic() >= last:
            # Their children become ours, and have their turn in the next look.
            for child in map(int, Path("/proc/thread-self/children").read_text(encoding="utf-8").split()):
                os.kill(child, signal.SIGKILL)
                ended.add(child)
        time.sleep(_BETWEEN_LOOKS)


# -- control group -------------------------------------------------------------------------------------------------------------------------


@contextmanager
def _own_group(groups: Path) -> Iterator[Path | None]:
    """This program is in it, and so is all that it starts; there is none where we may not make one."""
    outer = _group_of_this_process(groups)
    inner = outer / f"ddb2pg-benchmark-{os.getpid()}"
    try:
        inner.mkdir()
    except OSError:
        yield None
        return
    try:
        yield inner if _enter(inner) else None
    finally:
        _enter(outer)
        inner.rmdir()


def _group_of_this_process(groups: Path) -> Path:
    lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    path = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    # Beside the older kind of groups, the tree is in a folder of its own.
    return (groups / "unified" if (groups / "unified").is_dir() else groups) / path


def _enter(group: Path) -> bool:
    try:
        with (group / "cgroup.procs").open("r+") as processes:
            processes.write("0")
    except OSError:
        return False
    return True


def _group_cpu_seconds(group: Path | None) -> float | None:
    """Of all processes that are or were in it, without this one."""
    if group is None:
        return None
    told = dict(line.split() for line in (group / "cpu.stat").read_text(encoding="utf-8").splitlines())
    return int(told["usage_usec"]) / 1e6 - time.process_time()


if __name__ == "__main__":
    main()
