"""The contenders in turn, round after round, each into empty targets; afterwards their rows are compared."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from benchmarks.contestants import ALL, CONTENDERS, Contender, Task
from benchmarks.data import SESSIONS, TARGETS, Dataset, make_dataset, rows_of
from benchmarks.environments import environment_python, installed_versions
from benchmarks.processes import NOTHING, CommandFailed, measure
from benchmarks.results import Results
from benchmarks.server import BenchmarkServer


def run_in_turn(
    contenders: Sequence[Contender],
    items: int,
    rounds: int,
    server: BenchmarkServer,
    cache: Path,
    output: Path,
    results: Results,
    kinds: Collection[str] = ("all", "sessions"),
) -> None:
    """All of them in every round; a slow one in the first only, with its share of the items."""
    prepared = [(contender, _prepare(contender, items, server, cache, results)) for contender in contenders]
    for number in range(1, rounds + 1):
        print(f"round {number} of {rounds}", flush=True)
        for contender, dataset in prepared:
            for tables, name in ((ALL, "all"), ((SESSIONS,), "sessions")):
                if name in kinds and _is_due(contender, name, number):
                    _run(contender, Task(dataset, tables, server, cache, output), name, number, results)


def run_sizes(sizes: Sequence[int], server: BenchmarkServer, cache: Path, output: Path, results: Results) -> None:
    """All three tables of other sizes, once, for those that the chart of time and size shows."""
    for size in sizes:
        for contender in CONTENDERS.values():
            if contender.is_sized:
                _run(contender, Task(_prepare(contender, size, server, cache, results), ALL, server, cache, output), "all", 1, results)


def _is_due(contender: Contender, name: str, number: int) -> bool:
    if number > 1 and (contender.share > 1 or (name == "all" and contender.loads_all_once)):
        return False
    return name == "all" or contender.is_beside_sessions


def _prepare(contender: Contender, items: int, server: BenchmarkServer, cache: Path, results: Results) -> Dataset:
    if contender.packages:
        python = environment_python(cache, contender.packages)
        results.surroundings.setdefault("packages", {})[contender.name] = installed_versions(python)
    return make_dataset(cache, max(9, items // contender.share), server, with_ready_files=contender.share == 1)


def _run(contender: Contender, task: Task, name: str, number: int, results: Results) -> None:
    database = task.server.fresh_database()
    commands, items = contender.commands(task), task.dataset.items_of(task.tables)
    try:
        usage = measure(commands, task.server)
    except CommandFailed as failed:
        print(failed, flush=True)
        results.add(contender.name, name, items, number, NOTHING, "FAILED")
        return
    expected = task.dataset.expected()
    found = rows_of(database)
    differing = [TARGETS[table] for table in task.tables if found[TARGETS[table]] != expected[TARGETS[table]]]
    fault = f"ROWS DIFFER: {', '.join(differing)}" if differing else None
    results.add(contender.name, name, items, number, usage, fault)
