"""How many items a second a Flink cluster of two TaskManagers loads, beside the local runner with two worker processes.

    python benchmarks/flink_beside_local.py [--items 300000] [--rounds 1] [--parallelism 1 2 4]

Starts a cluster (deploy/flink/up.sh) and a PostgreSQL of its own. The rate is that from the first commit to the
last, as the ledger has them: start-up, the check of the data files and the proof are in "in all" only. CPU is user and system time of the
command and all Python workers, and of Flink's Java processes with Beam's job server.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sample_export import write_sample_exports
from tests.flink.cluster import Cluster
from tests.postgres_server import Database, Server

TABLE = "medzen-video-sessions"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Run:
    """What one command did and took: items a second, and seconds."""

    rate: float
    in_all: float
    python: float
    java: float


def main() -> None:
    """Make the data, start the cluster, run the contenders in turn, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--parallelism", type=int, nargs="+", default=[1, 2, 4])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ddb2pg-bench-") as folder:
        export = Path(folder) / "export"
        per_file = max(1, arguments.items // 12)
        write_sample_exports(export, items=arguments.items, faulty=0, odd=0, tables=[TABLE], items_per_file=per_file, processes=2)
        server, cluster = Server(), Cluster(Path(folder) / "flink", {})
        try:
            cluster.up()
            contenders = {
                "local, 2 workers": ["--direct_num_workers=2"],
                **{f"Flink, parallelism {number}": [*flink(cluster), f"--parallelism={number}"] for number in arguments.parallelism},
            }
            # The first job on a cluster pays for loading Java's classes.
            migrate(server, cluster, export, Path(folder), contenders[f"Flink, parallelism {arguments.parallelism[0]}"])
            runs: dict[str, list[Run]] = {name: [] for name in contenders}
            for _ in range(arguments.rounds):
                for name, options in contenders.items():
                    runs[name].append(migrate(server, cluster, export, Path(folder), options))
        finally:
            cluster.down()
            server.stop()
        show(runs, arguments.items)


def flink(cluster: Cluster) -> list[str]:
    """The options of a job for a cluster."""
    return ["--runner=FlinkRunner", f"--flink_master={cluster.address}"]


def migrate(server: Server, cluster: Cluster, export: Path, folder: Path, options: list[str]) -> Run:
    """One load into a database of its own."""
    database = server.new_database()
    secret = folder / "database-url"
    secret.write_text(database.url)
    command = [sys.executable, "-m", "pipeline", "migrate", "--export", str(export), "--output", str(folder / "out"), *options]
    started = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--database_secret", f"file:{secret}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    java = {int(path.read_text().split()[0]) for path in (cluster.folder / "pids").iterdir()}
    before = cpu_seconds(java)
    seen: dict[int, float] = {}
    while process.poll() is None:
        seen |= cpu_seconds({*java, process.pid})
        time.sleep(0.1)
    in_all = time.perf_counter() - started
    if process.returncode:
        message = f"{command} ended with {process.returncode}"
        raise SystemExit(message)
    used = {pid: seconds - before.get(pid, 0.0) for pid, seconds in seen.items()}
    of_java = sum(used.get(pid, 0.0) for pid in java)
    return Run(loading_rate(database), in_all, sum(used.values()) - of_java, of_java)


def cpu_seconds(sessions: set[int]) -> dict[int, float]:
    """User and system time so far of each process of some sessions."""
    return {pid: seconds for pid, session, seconds in processes() if session in sessions}


def processes() -> Iterator[tuple[int, int, float]]:
    """Of all: process, session, seconds. See proc(5)."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        yield int(stat.parent.name), int(fields[3]), (int(fields[11]) + int(fields[12])) / TICKS


def loading_rate(database: Database) -> float:
    """Items a second from the first commit to the last, without those of the first."""
    return float(
        database.value(
            "SELECT (sum(items) - (array_agg(items ORDER BY committed_at))[1]) / extract(epoch FROM max(committed_at) - min(committed_at)) "
            "FROM ddb2pg.chunk"
        )
    )


def show(runs: dict[str, list[Run]], items: int) -> None:
    """Medians, and each rate beside the first."""
    print(f"{items:,} sessions, {os.cpu_count()} cores, load of the machine {os.getloadavg()[0]:.1f}")
    first = statistics.median(run.rate for run in next(iter(runs.values())))
    for name, of_one in runs.items():
        rate, in_all, python, java = (
            statistics.median(getattr(run, field) for run in of_one) for field in ("rate", "in_all", "python", "java")
        )
        print(
            f"{name:22} {rate:>8,.0f} items/s while loading ({first / rate:.2f} times the time)   {in_all:6.1f} s in all   "
            f"CPU: Python {python:5.1f} s, Java {java:5.1f} s"
        )


if __name__ == "__main__":
    main()
