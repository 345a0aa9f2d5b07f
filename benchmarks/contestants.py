"""Who loads the same items: the limits (psql with rows made beforehand), ddb2pg, and what one would use otherwise."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.data import PARTS, TARGETS, Dataset, psql_command
from benchmarks.environments import environment_python
from benchmarks.processes import Command
from benchmarks.server import BenchmarkServer

ROOT: Final = Path(__file__).resolve().parent.parent
_SCRIPTS: Final = Path(__file__).resolve().parent / "contenders"

ALL: Final = tuple(TARGETS)
OURS: Final = "ddb2pg"


@dataclass(frozen=True, slots=True)
class Task:
    """Some tables of a dataset, to be loaded into the server's database."""

    dataset: Dataset
    tables: tuple[str, ...]
    server: BenchmarkServer
    cache: Path
    output: Path
    """A folder for what a contender writes beside the rows."""


@dataclass(frozen=True, slots=True)
class Contender:
    """`commands` are started together; a `share` of 10 means a tenth of the items, in one round, for a slow one."""

    name: str
    title: str
    commands: Callable[[Task], Sequence[Command]]
    packages: Sequence[str] = ()
    share: int = 1
    is_beside_sessions: bool = False
    """Whether it loads sessions alone, too: there are bars for that."""
    loads_all_once: bool = False
    """Whether one round of all tables is enough: there is no bar for them, and it takes long."""
    is_sized: bool = False
    """Whether it loads the other sizes, too, for the chart of time and size."""


def migrate_command(task: Task, *arguments: str) -> Command:
    """`ddb2pg migrate` as a user types it."""
    return ddb2pg_command(task, "migrate", *arguments)


def ddb2pg_command(task: Task, name: str, *arguments: str) -> Command:
    """A command that takes exports, a database and an output folder."""
    exports = task.dataset.export_arguments(task.tables)
    command = [sys.executable, "-m", "pipeline", name, *exports, "--output", str(task.output), *arguments]
    return Command(command, ours(task.server))


def ours(server: BenchmarkServer) -> Mapping[str, str]:
    """The environment of a command of ours."""
    python_path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {"DATABASE_URL": server.benchmark_url(), "PYTHONPATH": python_path}


def _psql(form: str, sessions: int, task: Task) -> Sequence[Command]:
    """Each table in two halves: one session copies both, or each of two its own."""
    parts = [range(PARTS)] if sessions == 1 else [[part] for part in range(PARTS)]
    return [
        psql_command(task.server, [task.dataset.copy_line(table, form, part) for table in task.tables for part in own]) for own in parts
    ]


def _script(name: str, packages: Sequence[str], environment: Mapping[str, str], task: Task) -> Sequence[Command]:
    """A script of `contenders/`, in the environment that has its packages."""
    folders = [f"{table}={task.dataset.export(table) / 'data'}" for table in task.tables]
    python = environment_python(task.cache, packages)
    return [Command([str(python), str(_SCRIPTS / name), task.server.benchmark_url(), *folders], environment)]


def _scripted(
    name: str,
    title: str,
    script: str,
    packages: Sequence[str],
    *,
    share: int = 1,
    is_beside_sessions: bool = False,
    is_sized: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Contender:
    commands = partial(_script, script, packages, environment or {})
    return Contender(name, title, commands, packages, share, is_beside_sessions, loads_all_once=True, is_sized=is_sized)


_BY_HAND: Final = ("psycopg2-binary", "orjson", "isal")
_DUCKDB: Final = (
    *("duckdb==1.5.5", "duckdb-extensions==1.5.5", "duckdb-extension-postgres-scanner==1.5.5"),
    *("orjson", "pyarrow", "numpy", "pytz"),
)

CONTENDERS: Final[Mapping[str, Contender]] = {
    contender.name: contender
    for contender in (
        Contender("psql-text", "psql \\copy, ready text", partial(_psql, "text", 1), is_beside_sessions=True, is_sized=True),
        Contender("psql-text-2", "psql \\copy, ready text, two sessions", partial(_psql, "text", 2)),
        Contender("psql-binary", "psql \\copy, ready binary", partial(_psql, "binary", 1)),
        Contender("psql-binary-2", "psql \\copy, ready binary, two sessions", partial(_psql, "binary", 2)),
        Contender(OURS, "ddb2pg migrate", lambda task: [migrate_command(task)], is_beside_sessions=True),
        _scripted("by-hand", "best script by hand, one process", "by_hand.py", _BY_HAND, is_beside_sessions=True),
        _scripted("by-hand-2", "best script by hand, two processes", "by_hand.py", _BY_HAND, environment={"PROCESSES": "2"}),
        _scripted("duckdb", "DuckDB, postgres extension", "duckdb_postgres.py", _DUCKDB, is_beside_sessions=True, is_sized=True),
        _scripted(
            "straightforward",
            "the published way: one process, batched INSERTs",
            "straightforward.py",
            ("psycopg2-binary", "simplejson"),
            share=10,
        ),
        _scripted("dlt", "dlt to Postgres", "dlt_postgres.py", ("dlt[postgres]", "orjson"), share=10, is_beside_sessions=True),
    )
}
