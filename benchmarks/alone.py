"""What only ddb2pg does: small and large exports, a resume, faulty items, validation, inspection, a draft, replay, a report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.contestants import ALL, Task, ddb2pg_command, migrate_command, ours
from benchmarks.data import SESSIONS, TARGETS, make_dataset, target_bytes
from benchmarks.processes import Command, measure
from benchmarks.results import Results
from benchmarks.server import BenchmarkServer

FAULTY: Final = 0.05
_DEAD_LETTERS: Final = (0, 3)
_NO_LIMIT: Final = "--max_dead_letters=100%"
_MOST_ITEMS_OF_ALL_ROUNDS: Final = 3_000_000  # larger ones take minutes, and vary little


def run_alone(items: int, sizes: Sequence[int], rounds: int, server: BenchmarkServer, cache: Path, output: Path, results: Results) -> None:
    """Every part of it; the largest sizes once."""
    clean = make_dataset(cache, items, server, with_ready_files=True)
    faulty = make_dataset(cache, items, server, faulty=FAULTY, with_rows=False)
    for number in range(1, rounds + 1):
        print(f"round {number} of {rounds}", flush=True)
        _run_finished_load(Task(clean, ALL, server, cache, output), number, results)
        _run_faulty(Task(faulty, ALL, server, cache, output / f"faulty-{number}"), number, results)
    for size in sizes:
        dataset = make_dataset(cache, size, server, with_rows=False)
        for number in range(1, rounds + 1 if size <= _MOST_ITEMS_OF_ALL_ROUNDS else 2):
            _load(Task(dataset, ALL, server, cache, output), number, results)


def _run_finished_load(task: Task, number: int, results: Results) -> None:
    """A load as the contenders', and what comes after one."""
    items = task.dataset.items
    _load(task, number, results)
    task.server.settle()
    results.add("resume of a finished load", "all", items, number, measure([migrate_command(task)], task.server))
    results.add("validate", "all", items, number, measure([ddb2pg_command(task, "validate")], task.server))
    exports = task.dataset.export_arguments(task.tables)
    inspect = Command([sys.executable, "-m", "pipeline", "inspect", "--full", *exports], ours(task.server))
    results.add("inspect --full", "all", items, number, measure([inspect], task.server))
    _draft(task, number, results)


def _draft(task: Task, number: int, results: Results) -> None:
    """Of the sessions, whose export is written as one of any table."""
    draft = [sys.executable, "-m", "pipeline", "draft", *task.dataset.export_arguments((SESSIONS,)), "--output"]
    usage = measure([Command([*draft, str(task.output / f"draft_{number}.py")], ours(task.server))], task.server)
    results.add("draft", "sessions", task.dataset.items_of((SESSIONS,)), number, usage)


def _run_faulty(task: Task, number: int, results: Results) -> None:
    """A load with dead letters, and a replay that refuses them all again."""
    database = task.server.fresh_database()
    usage = measure([migrate_command(task, _NO_LIMIT)], task.server, exit_codes=_DEAD_LETTERS)
    results.add("load, 5 % faulty", "all", task.dataset.items, number, usage)
    rows = sum(database.value(f"SELECT count(*) FROM {target}") for target in TARGETS.values())
    [run] = [folder for folder in task.output.iterdir() if (folder / "dead_letters").exists()]
    replay = [sys.executable, "-m", "pipeline", "dead-letters", "replay", str(run), "--output", str(task.output)]
    usage = measure([Command(replay, ours(task.server))], task.server, exit_codes=_DEAD_LETTERS)
    results.add("dead-letters replay", "all", task.dataset.items - rows, number, usage)
    report = [sys.executable, "-m", "pipeline", "report", str(run)]
    usage = measure([Command(report, ours(task.server))], task.server, exit_codes=_DEAD_LETTERS)
    results.add("report", "all", task.dataset.items - rows, number, usage)


def _load(task: Task, number: int, results: Results) -> None:
    database = task.server.fresh_database()
    usage = measure([migrate_command(task)], task.server)
    items = task.dataset.items_by_table
    wrong = [target for table, target in TARGETS.items() if database.value(f"SELECT count(*) FROM {target}") != items[table]]
    results.add("load", "all", task.dataset.items, number, usage, f"WRONG COUNTS: {', '.join(wrong)}" if wrong else None)
    results.add_data(task.dataset.items, **task.dataset.sizes(), target_bytes=target_bytes(database))
