"""A program that takes CPU in all the ways that processes come and go; each process writes to a folder what it took itself.

`sitecustomize.py`, which the program's environment brings along, has every Python write at its end, those of multiprocessing itself too.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

AT_THE_END_OF_EVERY_PYTHON = """
import atexit, os, time
from pathlib import Path
atexit.register(lambda: Path(os.environ["TIMES"], f"python-{os.getpid()}").write_text(str(time.process_time())))
"""
ITSELF, CHILD, WORKER, ORPHAN, BRIEF, BRIEF_PROCESSES = 0.4, 0.5, 0.6, 0.8, 0.01, 40  # seconds, but for the number


def burn(seconds: float) -> None:
    """So much more than this process has taken."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def burn_and_tell(name: str, seconds: float) -> None:
    """For processes that end without Python's usual end."""
    burn(seconds)
    Path(os.environ["TIMES"], f"{name}-{os.getpid()}").write_text(str(time.process_time()), encoding="utf-8")


def fork(name: str, seconds: float) -> int:
    """Its process id."""
    process = os.fork()
    if process == 0:
        burn_and_tell(name, seconds)
        os._exit(0)
    return process


def leave_an_orphan() -> None:
    """A daemon: its own session, no parent; it begins when the command has ended."""
    command_lives, held_by_command = os.pipe()
    parent = os.fork()
    if parent == 0:
        os.setsid()
        os.close(held_by_command)
        if os.fork() == 0:
            os.read(command_lives, 1)
            burn_and_tell("orphan", ORPHAN)
        os._exit(0)
    os.waitpid(parent, 0)


def main() -> None:
    """Every way once."""
    burn(ITSELF)
    subprocess.run([sys.executable, "-c", f"from known_cpu import burn; burn({CHILD})"], cwd=Path(__file__).parent, check=True)
    worker = multiprocessing.get_context("forkserver").Process(target=burn_and_tell, args=("worker", WORKER))
    worker.start()
    worker.join()
    for _ in range(BRIEF_PROCESSES):
        os.waitpid(fork("brief", BRIEF), 0)
    leave_an_orphan()


if __name__ == "__main__":
    main()
