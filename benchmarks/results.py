"""What was measured: a list of runs, in one JSON file with all that they depend on."""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.processes import Usage
from pipeline import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Usage):
    """One run of one command, or of several at the same time."""

    what: str
    """A contender's name, or what of ddb2pg was measured."""
    tables: str
    """`all` or `sessions`."""
    items: int
    number: int
    """Of the round, from 1."""
    fault: str | None = None
    """Why the time does not count."""

    @property
    def items_per_second(self) -> float:
        """Of the whole command."""
        return self.items / self.seconds


@dataclass(slots=True)
class Results:
    """All runs, and what they were made with."""

    runs: list[Run] = field(default_factory=list)
    surroundings: dict[str, Any] = field(default_factory=dict)

    def add(self, what: str, tables: str, items: int, number: int, usage: Usage, fault: str | None = None) -> Run:
        """Keep a run, and say it."""
        run = Run(**asdict(usage), what=what, tables=tables, items=items, number=number, fault=fault)
        self.runs.append(run)
        told = fault or f"{run.seconds:8.2f} s  {run.items_per_second:>9,.0f} items/s  load before {run.load_average:.1f}"
        print(f"  {what:28} {tables:8} {items:>10,}  {told}", flush=True)
        return run

    def add_data(self, items: int, **figures: int) -> None:
        """What is known of the data of so many items, in bytes."""
        self.surroundings.setdefault("data", {}).setdefault(str(items), {}).update(figures)

    def of(self, what: str, tables: str = "all", items: int | None = None) -> list[Run]:
        """The sound runs of one kind."""
        return [run for run in self.runs if (run.what, run.tables) == (what, tables) and items in (None, run.items) and run.fault is None]

    def seconds(self, what: str, tables: str = "all", items: int | None = None) -> float | None:
        """The median; None where nothing was measured."""
        return median(run.seconds for run in self.of(what, tables, items))

    def rate(self, what: str, tables: str = "all", items: int | None = None) -> float | None:
        """The median of items per second, for contenders that had different numbers of items."""
        return median(run.items_per_second for run in self.of(what, tables, items))

    def kinds(self) -> Iterator[tuple[str, str, int]]:
        """What, tables and items of all that was run, in the order of first runs."""
        yield from dict.fromkeys((run.what, run.tables, run.items) for run in self.runs)

    def write(self, path: Path) -> None:
        """As JSON."""
        content = {**self.surroundings, "runs": [asdict(run) for run in self.runs]}
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def median(values: Iterable[float]) -> float | None:
    """None of nothing."""
    found = list(values)
    return statistics.median(found) if found else None


def read_results(path: Path) -> Results:
    """What `Results.write` wrote."""
    content = json.loads(path.read_text(encoding="utf-8"))
    runs = [Run(**run) for run in content.pop("runs")]
    return Results(runs, content)


def machine() -> Mapping[str, Any]:
    """Where it was measured, without names."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "ddb2pg": f"{__version__} {_commit()}".strip(),
        # Without the folders of this machine, for the file is kept with the source.
        "arguments": [re.sub(r"/.*/", "", argument) for argument in sys.argv[1:]],
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _commit() -> str:
    found = subprocess.run(
        ["git", "-C", Path(__file__).parent, "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip()
