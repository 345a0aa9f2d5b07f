r"""One data file, one worker and two: what splits bring, and what skipping costs.

    python benchmarks/one_large_file.py [--items 1000000] [--rounds 3]

One worker reads the file in one split, two in two. Seconds are of the whole command, from start to exit; CPU seconds are those of all its
processes, the server's not among them: what two cost more is skipping, and starting a process more. With fewer than three cores the
server takes its time from the workers.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pipeline.sample_export import write_sample_exports
from tests.postgres_server import Server

CONTENDERS: Mapping[str, Sequence[str]] = {
    "1": ["--direct_num_workers=1"],
    "2": ["--direct_num_workers=2"],
}


def main() -> None:
    """Make the file, run the contenders in turn, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ddb2pg-bench-") as folder:
        run(Path(folder), arguments.items, arguments.rounds)


def run(folder: Path, items: int, rounds: int) -> None:
    """All contenders in every round, on one server."""
    tables = ["medzen-video-sessions"]
    [export] = write_sample_exports(folder / "export", items=items, faulty=0, odd=0, tables=tables, items_per_file=items)
    server = Server()
    try:
        seconds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
        cpu: dict[str, list[float]] = {name: [] for name in CONTENDERS}
        for _ in range(rounds):
            for name, arguments in CONTENDERS.items():
                database = server.new_database()
                before, started = cpu_seconds(), time.perf_counter()
                command = [sys.executable, "-m", "pipeline", "migrate", "--export", str(export.folder), "--output", str(folder / "out")]
                environment = {**os.environ, "DATABASE_URL": database.url}
                subprocess.run([*command, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)
                seconds[name].append(time.perf_counter() - started)
                cpu[name].append(cpu_seconds() - before)
                database.execute("TRUNCATE video_call_sessions")
    finally:
        server.stop()
    print(f"{items:,} sessions in one data file, {os.cpu_count()} cores")
    for name in CONTENDERS:
        print(f"{name:6} median {statistics.median(seconds[name]):6.1f} s   CPU {statistics.median(cpu[name]):6.1f} s")
    show_ratio("time, 2 workers to 1", seconds["2"], seconds["1"])
    show_ratio("CPU, 2 workers to 1", cpu["2"], cpu["1"])


def cpu_seconds() -> float:
    """Of all processes that ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def show_ratio(name: str, ones: Sequence[float], others: Sequence[float]) -> None:
    """The median and the range of the rounds' ratios."""
    ratios = [one / other for one, other in zip(ones, others, strict=True)]
    print(f"{name:26} {statistics.median(ratios):.2f}  ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
