"""The benchmarks run: their figures depend on the machine, that rows are compared does not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.bars import Bar, bars
from benchmarks.contestants import CONTENDERS, Contender, Task
from benchmarks.data import psql_command
from benchmarks.in_turn import run_in_turn
from benchmarks.processes import NOTHING, Command, measure
from benchmarks.results import Results, Run
from benchmarks.server import BenchmarkServer

COMMAND = Path(__file__).parent.parent.parent / "benchmarks" / "run.py"


def test_one_command_measures_and_writes_its_results(tmp_path: Path) -> None:
    arguments = [
        "--items",
        "200",
        "--rounds",
        "1",
        "--contenders",
        "psql-text,ddb2pg",
        "--tables",
        "all",
        "--parts",
        "contenders",
        "--no_chart",
    ]
    places = ["--cache", str(tmp_path / "cache"), "--results", str(tmp_path / "results")]
    finished = subprocess.run([sys.executable, COMMAND, *arguments, *places], capture_output=True, text=True, timeout=300, check=False)
    assert finished.returncode == 0, finished.stderr
    [written] = (tmp_path / "results").iterdir()
    content = json.loads(written.read_text(encoding="utf-8"))
    runs = {(run["what"], run["tables"], run["items"]): run for run in content["runs"]}
    assert runs.keys() == {("psql-text", "all", 200), ("ddb2pg", "all", 200)}
    assert all(run["fault"] is None and run["seconds"] > 0 and run["wal_bytes"] > 100_000 for run in runs.values())
    assert runs["ddb2pg", "all", 200]["cpu_seconds"] > 0.1
    assert runs["ddb2pg", "all", 200]["peak_memory"][0] > 20_000_000
    assert content["server"]["fsync"] == "on"
    assert "all tables, beside psql with ready text" in finished.stdout


@pytest.fixture(scope="module")
def benchmark_server() -> Iterator[BenchmarkServer]:
    server = BenchmarkServer()
    yield server
    server.stop()


def _one_number_changed(task: Task) -> Sequence[Command]:
    """All rows, and then the last digit of a single number."""
    changed = (
        "UPDATE clinical_notes SET plan = jsonb_set(plan, '{followUp,inDays}', '1.5') WHERE id = (SELECT id FROM clinical_notes LIMIT 1)"
    )
    [copied] = CONTENDERS["psql-binary"].commands(task)
    return [Command([*copied.arguments, *psql_command(task.server, [changed]).arguments[-2:]])]


def test_a_contender_with_other_rows_gets_no_time(benchmark_server: BenchmarkServer, tmp_path: Path) -> None:
    """Nobody wins by skipping work."""
    results = Results()
    contenders = [CONTENDERS["psql-binary-2"], Contender("changed", "changed", _one_number_changed), CONTENDERS["psql-text"]]
    run_in_turn(contenders, 90, 1, benchmark_server, tmp_path, tmp_path, results)
    assert {run.what: run.fault for run in results.runs if run.tables == "all"} == {
        "psql-binary-2": None,
        "changed": "ROWS DIFFER: clinical_notes",
        "psql-text": None,
    }
    assert results.seconds("changed") is None


def test_a_contender_that_fails_gets_no_time(benchmark_server: BenchmarkServer, tmp_path: Path) -> None:
    results = Results()
    failing = Contender("failing", "failing", lambda task: [psql_command(task.server, ["no SQL"])])
    run_in_turn([failing], 90, 1, benchmark_server, tmp_path, tmp_path, results)
    assert [run.fault for run in results.runs] == ["FAILED"]
    assert results.rate("failing") is None


_A_CHILD_THAT_NOBODY_WAITS_FOR = """
import subprocess, sys
busy = "import time\\nheld = bytearray(100_000_000)\\nwhile time.process_time() < 0.5: pass"
subprocess.Popen([sys.executable, "-c", busy], stdout=subprocess.PIPE).stdout.read()
"""


def test_cpu_and_memory_of_all_processes_are_counted(benchmark_server: BenchmarkServer) -> None:
    """Of children that nobody waited for, and of the server's processes that are gone."""
    benchmark_server.fresh_database()
    query = psql_command(benchmark_server, ["CREATE TABLE one AS SELECT md5(n::text) FROM generate_series(1, 300000) AS n"])
    usage = measure([Command([sys.executable, "-c", _A_CHILD_THAT_NOBODY_WAITS_FOR]), query], benchmark_server)
    assert usage.cpu_seconds > 0.5
    assert usage.peak_memory[0] > 100_000_000
    assert usage.server_cpu_seconds > 0.05
    assert usage.wal_bytes > 300_000 * 32


def test_bars_are_ratios_of_medians() -> None:
    """Of the rounds, and of items per second where contenders had different numbers of items."""

    def run(what: str, tables: str, items: int, seconds: float) -> Run:
        return Run(
            **{**asdict(NOTHING), "seconds": seconds, "cpu_seconds": 0.005, "peak_memory": [100_000_000]},
            what=what,
            tables=tables,
            items=items,
            number=1,
        )

    rounds = [run("ddb2pg", "all", 1000, seconds) for seconds in (30, 10, 11)]
    results = Results([*rounds, run("psql-text", "all", 1000, 10), run("ddb2pg", "sessions", 400, 4), run("dlt", "sessions", 40, 4)])
    found = {bar.name: bar for bar in bars(results, 1000) if bar.found is not None}
    assert found == {
        name: Bar(name, *rest)
        for name, *rest in (
            ("all tables, beside psql with ready text, one session", 1.1, 0.6, "x", False),
            ("all tables, CPU of ddb2pg for an item", 5, 6.0, "us", False),
            ("sessions, as fast as dlt", 10, 8.0, "x", True),
            ("peak memory of any process of ours", 100, 300, "MB", False),
        )
    }
    assert [bar.verdict for bar in found.values()] == ["MISSED", "met", "met", "met"]
