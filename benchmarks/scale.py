r"""What large loads take, computed from what was measured: `scale.py RESULTS.json`.

    hours       = items / min(workers' rate, server's rate) / 3600
    workers     : cores of workers / CPU seconds of ddb2pg an item
    server      : cores of the server / CPU seconds of the server an item
    full        : the server is busy with so many workers' cores a core of its own: CPU an item of ours / of the server's
    connections = workers' cores (a process a core, a connection a process) + 1 for the progress
    disk        = rate x (bytes of WAL + bytes of tables and indexes) an item, if every page were written once
    cost        = hours x (cores of workers + cores of the server) x price

It takes for granted that a core there is like a core here, that the server's cores add up, and that disk and network keep up: the line
"disk" says with what. An index of random keys that is larger than the server's memory breaks that: docs/scaling.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rich.console import Console
from rich.table import Table

from benchmarks.places import numbers
from benchmarks.results import Results, median, read_results


@dataclass(frozen=True, slots=True)
class PerItem:
    """Means of one item of the mix that was measured."""

    cpu_seconds: float
    server_cpu_seconds: float
    wal_bytes: float
    target_bytes: float
    json_bytes: float
    compressed_bytes: float

    @property
    def worker_cores_per_server_core(self) -> float:
        """So many keep one core of the server busy."""
        return self.cpu_seconds / self.server_cpu_seconds


@dataclass(frozen=True, slots=True)
class Estimate:
    """A load, with so many cores on either side."""

    items: float
    worker_cores: int
    server_cores: int
    per_item: PerItem

    @property
    def items_per_second(self) -> float:
        """Of the slower side."""
        return min(self.worker_cores / self.per_item.cpu_seconds, self.server_cores / self.per_item.server_cpu_seconds)

    @property
    def bottleneck(self) -> str:
        """Which side that is."""
        return "workers" if self.worker_cores < self.server_cores * self.per_item.worker_cores_per_server_core else "server"

    @property
    def hours(self) -> float:
        """From the first row to the last."""
        return self.items / self.items_per_second / 3600

    @property
    def connections(self) -> int:
        """At the same time."""
        return self.worker_cores + 1

    @property
    def disk_megabytes_per_second(self) -> float:
        """That the server's disk must take."""
        return self.items_per_second * (self.per_item.wal_bytes + self.per_item.target_bytes) / 1e6

    def cost(self, price_of_core_hour: float) -> float:
        """In the price's currency."""
        return self.hours * (self.worker_cores + self.server_cores) * price_of_core_hour


def per_item(results: Results) -> PerItem:
    """Of the largest load: start-up counts least there. Raises ValueError where none was measured."""
    runs = [run for run in results.runs if run.what == "load" and run.tables == "all" and run.fault is None]
    if not runs:
        message = "these results have no loads: run.py --parts alone measures them"
        raise ValueError(message)
    items = max(run.items for run in runs)
    data = results.surroundings["data"][str(items)]
    means = [
        median(value) or 0
        for value in (
            [run.cpu_seconds / items for run in runs if run.items == items],
            [run.server_cpu_seconds / items for run in runs if run.items == items],
            [run.wal_bytes / items for run in runs if run.items == items],
        )
    ]
    return PerItem(*means, *(data[name] / items for name in ("target_bytes", "json_bytes", "compressed_bytes")))


def main() -> None:
    """Two tables: 10 billion items, and 1 TB of DynamoDB's JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="what run.py wrote")
    parser.add_argument("--items", type=float, default=10e9, help="(default: %(default)g)")
    parser.add_argument("--bytes", type=float, default=1e12, help="of JSON, not compressed (default: %(default)g)")
    parser.add_argument("--worker_cores", type=numbers, default=[8, 32, 128], metavar="N,N", help="(default: 8,32,128)")
    parser.add_argument("--server_cores", type=numbers, default=[8, 32], metavar="N,N", help="(default: 8,32)")
    parser.add_argument("--price", type=float, help="of one core with its memory for an hour; without it no cost is shown")
    arguments = parser.parse_args()
    try:
        one = per_item(read_results(arguments.results))
    except ValueError as error:
        raise SystemExit(str(error)) from None
    console = Console(width=140)
    console.print(f"an item: {one.cpu_seconds * 1e6:.1f} us of ddb2pg, {one.server_cpu_seconds * 1e6:.1f} us of the server, "
                  f"{one.wal_bytes:.0f} bytes of WAL, {one.target_bytes:.0f} of tables and indexes, {one.json_bytes:.0f} of JSON "
                  f"({one.compressed_bytes:.0f} compressed)")  # fmt: skip
    console.print(f"one core: {1 / one.cpu_seconds:,.0f} items/s of ddb2pg, {1 / one.server_cpu_seconds:,.0f} of the server")
    console.print(f"a core of the server is busy with {one.worker_cores_per_server_core:.1f} cores of workers")
    for name, items in (
        (f"{arguments.items:,.0f} items", arguments.items),
        (f"{arguments.bytes:,.0f} bytes of JSON", arguments.bytes / one.json_bytes),
    ):
        estimates = [Estimate(items, cores, servers, one) for cores in arguments.worker_cores for servers in arguments.server_cores]
        console.print(_table(name, estimates, arguments.price))


def _table(name: str, estimates: Sequence[Estimate], price: float | None) -> Table:
    table = Table("workers' cores", "server's cores", title=f"{name} (computed)", title_justify="left")
    for column in ("items/s", "hours", "limited by", "connections", "disk MB/s", "database GB", *(["cost"] if price else [])):
        table.add_column(column, justify="right")
    for one in estimates:
        table.add_row(
            *(str(one.worker_cores), str(one.server_cores), f"{one.items_per_second:,.0f}", f"{one.hours:,.1f}", one.bottleneck),
            *(str(one.connections), f"{one.disk_megabytes_per_second:,.0f}", f"{one.items * one.per_item.target_bytes / 1e9:,.0f}"),
            *([f"{one.cost(price):,.0f}"] if price else []),
        )
    return table


if __name__ == "__main__":
    main()
