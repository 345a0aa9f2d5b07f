r"""How long sessions take from their export into PostgreSQL, beside psql's \copy of the same rows as ready text.

    python benchmarks/sessions_beside_psql.py [--items 400000] [--rounds 3]

One server, one run, the two in turn: read the ratio, not the seconds. The time of ddb2pg is of the whole command, from start to exit:
start-up of worker processes, checking the export, ledger, and proving the result included.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pipeline.sample_export import write_sample_exports
from tests.postgres_server import Database, Server

TABLE = "video_call_sessions"


def main() -> None:
    """Make the data, run the rounds, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ddb2pg-bench-") as folder:
        run(Path(folder), arguments.items, arguments.rounds)


def run(folder: Path, items: int, rounds: int) -> None:
    """Both contenders in turn, on one server."""
    exports = write_sample_exports(
        folder / "export",
        items=items,
        faulty=0,
        odd=0,
        tables=["medzen-video-sessions"],
        items_per_file=max(1, items // 8),
        processes=os.cpu_count() or 1,
    )
    server = Server()
    try:
        text = folder / "rows.txt"
        first = server.new_database()
        migrate(exports[0].folder, first, folder / "out")
        psql(server, first, f"\\copy {TABLE} TO '{text}'")
        seconds: dict[str, list[float]] = {"ddb2pg": [], "psql \\copy": []}
        for _ in range(rounds):
            database = server.new_database()
            seconds["ddb2pg"].append(timed(lambda database=database: migrate(exports[0].folder, database, folder / "out")))
            copied = server.new_database()
            seconds["psql \\copy"].append(timed(lambda copied=copied: psql(server, copied, f"\\copy {TABLE} FROM '{text}'")))
            same_rows(database, copied, items)
        show(seconds, items)
    finally:
        server.stop()


def migrate(export: Path, database: Database, output: Path) -> None:
    """The command as a user types it."""
    command = [sys.executable, "-m", "pipeline", "migrate", "--export", str(export), "--output", str(output)]
    subprocess.run(command, env={**os.environ, "DATABASE_URL": database.url}, check=True, stdout=subprocess.DEVNULL)


def psql(server: Server, database: Database, command: str) -> None:
    """One psql session."""
    subprocess.run([server.bin_path / "psql", "--quiet", "--no-psqlrc", "--dbname", database.url, "--command", command], check=True)


def timed(work: object) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - started


def same_rows(one: Database, other: Database, items: int) -> None:
    """Nobody wins by skipping work."""
    question = f"SELECT count(*), sum(hashtextextended(t::text, 0)::numeric) FROM {TABLE} t"
    found = one.query(question), other.query(question)
    if found[0] != found[1] or found[0][0][0] != items:
        message = f"the contenders' rows differ: {found}"
        raise SystemExit(message)


def show(seconds: dict[str, list[float]], items: int) -> None:
    """Medians, ranges, and the ratio of each round."""
    print(f"{items:,} sessions, {os.cpu_count()} cores, Python {platform.python_version()}, {platform.machine()}")
    for name, runs in seconds.items():
        median = statistics.median(runs)
        print(f"{name:12} median {median:6.2f} s  ({min(runs):.2f} to {max(runs):.2f})  {items / median:>9,.0f} items/s")
    ratios = [ours / theirs for ours, theirs in zip(*seconds.values(), strict=True)]
    print(f"ratio        median {statistics.median(ratios):6.2f}    ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
