r"""One data file, one worker and two: what splits bring, and what skipping costs.

    .test-venv/bin/python benchmarks/one_large_file.py [--items 1000000] [--rounds 3]

One worker reads the file in one split, two in two. What two cost more CPU is skipping, and starting a process more. With fewer than three
cores the server takes its time from the workers.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.contestants import ours
from benchmarks.processes import Command, measure
from benchmarks.results import Results, median
from benchmarks.server import BenchmarkServer
from sample_export import write_sample_exports

WORKERS = (1, 2)


def main() -> None:
    """Make the file, run the two in turn, print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    server = BenchmarkServer()
    try:
        with tempfile.TemporaryDirectory(prefix="ddb2pg-bench-") as folder:
            results = run(Path(folder), arguments.items, arguments.rounds, server)
    finally:
        server.stop()
    print(f"{arguments.items:,} sessions in one data file, {os.cpu_count()} cores")
    one, two = (results.of(str(workers), "sessions") for workers in WORKERS)
    time = median(slow.seconds / fast.seconds for fast, slow in zip(one, two, strict=True))
    cpu = median(slow.cpu_seconds / fast.cpu_seconds for fast, slow in zip(one, two, strict=True))
    print(f"2 workers beside 1: time {time:.2f}, CPU {cpu:.2f} (medians of the rounds' ratios)")


def run(folder: Path, items: int, rounds: int, server: BenchmarkServer) -> Results:
    """Both in every round."""
    tables = ["medzen-video-sessions"]
    [export] = write_sample_exports(folder / "export", items=items, faulty=0, odd=0, tables=tables, items_per_file=items)
    results = Results()
    command = [sys.executable, "-m", "pipeline", "migrate", "--export", str(export.folder), "--output", str(folder / "out")]
    for number in range(1, rounds + 1):
        for workers in WORKERS:
            server.fresh_database()
            usage = measure([Command([*command, f"--direct_num_workers={workers}"], ours(server))], server)
            results.add(str(workers), "sessions", items, number, usage)
    return results


if __name__ == "__main__":
    main()
