"""Memory does not grow with the export."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sample_export import write_sample_exports
from tests.peak_memory import peak_mb
from tests.postgres_server import Database, Server

TABLE = "medzen-video-sessions"


def _peak_mb(export: Path, database: Database, output: Path, faulty: bool) -> int:
    """Peak resident memory of the one process that reads, converts and writes."""
    command = [
        sys.executable,
        "-m",
        "pipeline",
        "migrate",
        "--max_dead_letters=100%",
        "--export",
        export,
        "--output",
        output,
        "--direct_num_workers=1",
    ]
    process = subprocess.Popen(command, env={**os.environ, "DATABASE_URL": database.url}, stdout=subprocess.DEVNULL)
    peak = peak_mb(process)
    assert process.returncode == (3 if faulty else 0)
    return peak


def _peaks(folder: Path, server: Server, sizes: tuple[int, int], faulty: float) -> list[int]:
    peaks = []
    for items in sizes:
        export = write_sample_exports(
            folder / str(items),
            items=items,
            faulty=faulty,
            odd=0,
            tables=["medzen-video-sessions"],
            items_per_file=sizes[0],
            processes=os.cpu_count() or 1,
        )[0]
        peaks.append(_peak_mb(export.folder, server.new_database(), folder / "out", bool(faulty)))
    return peaks


@pytest.mark.parametrize("faulty", [0.5, pytest.param(0.0, marks=pytest.mark.soak), pytest.param(1.0, marks=pytest.mark.soak)])
def test_ten_times_the_items_take_the_same_memory(tmp_path: Path, server: Server, faulty: float) -> None:
    """Peak memory on 100,000 items is within 50 MB of the peak on 10,000, be they rows, dead letters, or half of each."""
    small, large = _peaks(tmp_path, server, (10_000, 100_000), faulty)

    assert large - small < 50, f"{small:.0f} MB, then {large:.0f} MB"


@pytest.mark.soak
def test_a_million_items_take_the_memory_of_a_tenth(tmp_path: Path, server: Server) -> None:
    """Peak memory on 1,000,000 items is within 50 MB of the peak on 100,000."""
    small, large = _peaks(tmp_path, server, (100_000, 1_000_000), 0.0)

    print(f"peak memory: {small:.0f} MB on 100,000 items, {large:.0f} MB on 1,000,000")
    assert large - small < 50, f"{small:.0f} MB, then {large:.0f} MB"
