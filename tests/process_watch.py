"""What others on the machine may see of a run while it runs: its processes, and its temporary files."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Seen:
    """Of all looks together."""

    commands: set[bytes] = field(default_factory=set)
    environments: set[bytes] = field(default_factory=set)
    files: dict[str, bytes] = field(default_factory=dict)
    """The content of each temporary file, and what it was called."""
    open_to_others: set[str] = field(default_factory=set)
    """Temporary files and folders that not only their owner may enter or read."""


@contextmanager
def watched(process: subprocess.Popen[str], temporary: Path) -> Iterator[Seen]:
    """Look all the time at a process, its descendants (by their process group), and a folder of temporary files."""
    seen = Seen()
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(0.1):
            for folder in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    if os.getpgid(int(folder.name)) == process.pid:
                        seen.commands.add((folder / "cmdline").read_bytes())
                        seen.environments.add((folder / "environ").read_bytes())
            look_at_files(temporary, seen)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join(60)


def look_at_files(temporary: Path, seen: Seen) -> None:
    """Once; what is gone meanwhile is gone."""
    for path in temporary.rglob("*"):
        with contextlib.suppress(OSError):
            mode = path.lstat().st_mode
            if mode & 0o077 and not stat.S_ISLNK(mode):
                seen.open_to_others.add(f"{path.relative_to(temporary)} {stat.filemode(mode)}")
            if stat.S_ISREG(mode):
                seen.files[str(path.relative_to(temporary))] = path.read_bytes()
