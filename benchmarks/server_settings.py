r"""What settings of the server, indexes and compression change: the same rows, copied by one psql session, one thing different at a time.

    .test-venv/bin/python benchmarks/server_settings.py

Each group has a base, and the ratio of every other to it is of medians of the same run. Chunks of notes are loaded by ddb2pg itself. What
a small machine cannot show is not here: indexes that are larger than memory, disks that are slower than one core. The PostgreSQL from
pip knows no lz4; Debian's does: --binaries /usr/lib/postgresql/15/bin
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rich.console import Console
from rich.table import Table

from benchmarks.contestants import ALL, Task, migrate_command
from benchmarks.data import AUDIT, NOTES, PARTS, SESSIONS, TARGETS, make_dataset, psql_command, target_bytes
from benchmarks.places import add_places, results_file
from benchmarks.processes import measure
from benchmarks.results import Results, machine, median
from benchmarks.server import BenchmarkServer

JSONB_OF_NOTES: Final = ("subjective", "objective", "assessment", "plan")
LZ4: Final = "ALTER TABLE clinical_notes ALTER COLUMN {} SET COMPRESSION lz4"
SECONDARY: Final = (
    "CREATE INDEX sessions_by_patient ON video_call_sessions (patient_id)",
    "CREATE INDEX sessions_by_time ON video_call_sessions (created_at)",
)
NO_KEY: Final = "ALTER TABLE video_call_sessions DROP CONSTRAINT video_call_sessions_pkey"
KEY: Final = "ALTER TABLE video_call_sessions ADD PRIMARY KEY (id)"
FOREIGN_KEY: Final = "ALTER TABLE video_call_audit_log ADD FOREIGN KEY (session_id) REFERENCES video_call_sessions"


@dataclass(frozen=True, slots=True)
class Variant:
    """What is different: settings of the server, statements before the rows and after them, or arguments of ddb2pg, which then loads."""

    name: str
    settings: tuple[tuple[str, str], ...] = ()
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    chunk: tuple[str, ...] = ()
    needs_lz4: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Variants of loading the same tables; the first is what the others are compared with."""

    name: str
    tables: tuple[str, ...]
    variants: tuple[Variant, ...]


GROUPS: Final = (
    Group(
        "write-ahead log",
        ALL,
        (
            Variant("max_wal_size 4GB"),
            Variant("max_wal_size 1GB, the default", (("max_wal_size", "1GB"),)),
            Variant("max_wal_size 16GB", (("max_wal_size", "16GB"),)),
            Variant("wal_compression pglz", (("wal_compression", "pglz"),)),
            Variant("wal_compression lz4", (("wal_compression", "lz4"),), needs_lz4=True),
            Variant("synchronous_commit off", (("synchronous_commit", "off"),)),
        ),
    ),
    Group(
        "indexes of sessions",
        (SESSIONS,),
        (
            Variant("primary key kept"),
            Variant("primary key dropped, made after the load", before=(NO_KEY,), after=(KEY,)),
            Variant("two more indexes kept", before=SECONDARY),
            Variant("two more indexes made after the load", after=SECONDARY),
        ),
    ),
    Group(
        "foreign key from audit to sessions",
        (SESSIONS, AUDIT),
        (Variant("none"), Variant("kept", before=(FOREIGN_KEY,)), Variant("made after the load", after=(FOREIGN_KEY,))),
    ),
    Group(
        "compression of notes",
        (NOTES,),
        (
            Variant("pglz, the default"),
            Variant("lz4", before=tuple(map(LZ4.format, JSONB_OF_NOTES)), needs_lz4=True),
        ),
    ),
    Group(
        "chunks of notes (ddb2pg)",
        (NOTES,),
        (
            Variant("--chunk_items as it is", chunk=("--validate=none",)),
            *(
                Variant(f"--chunk_items {count:,}", chunk=("--validate=none", f"--chunk_items={count}"))
                for count in (100, 500, 2_000, 20_000)
            ),
        ),
    ),
)


def main() -> None:
    """All groups, round after round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=900_000, help="of all tables together (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--groups", nargs="+", default=[group.name for group in GROUPS], help="(default: all)")
    parser.add_argument("--binaries", type=Path, help="folder of another PostgreSQL's programs (default: the one that comes with pip)")
    add_places(parser)
    arguments = parser.parse_args()
    server = BenchmarkServer(arguments.binaries)
    groups = [_measurable(group, server) for group in GROUPS if group.name in arguments.groups]
    output = Path(tempfile.mkdtemp(prefix="ddb2pg-bench-"))
    results = Results(surroundings={"machine": machine(), "server": server.told_settings(), "items": arguments.items})
    try:
        task = Task(make_dataset(arguments.cache, arguments.items, server, with_ready_files=True), ALL, server, arguments.cache, output)
        for number in range(1, arguments.rounds + 1):
            print(f"round {number} of {arguments.rounds}", flush=True)
            for group in groups:
                for variant in group.variants:
                    _run(group, variant, task, number, results)
    finally:
        server.stop()
        shutil.rmtree(output, ignore_errors=True)
    written = results_file(arguments, results, "server-settings")
    results.write(written)
    console = Console(width=160)
    for group in groups:
        console.print(_table(group, results))
    print(f"results  {written}")


def _run(group: Group, variant: Variant, whole: Task, number: int, results: Results) -> None:
    server = whole.server
    task = Task(whole.dataset, group.tables, server, whole.cache, whole.output)
    with server.changed(dict(variant.settings)):
        database = server.fresh_database()
        command = migrate_command(task, *variant.chunk) if variant.chunk else psql_command(server, list(_statements(variant, task)))
        usage = measure([command], server)
    what = f"{group.name}: {variant.name}"
    results.add(what, _told(group), task.dataset.items_of(group.tables), number, usage)
    results.surroundings.setdefault("target_bytes", {})[what] = target_bytes(database)


def _measurable(group: Group, server: BenchmarkServer) -> Group:
    left_out = [variant.name for variant in group.variants if variant.needs_lz4 and not server.has_lz4]
    if left_out:
        print(f"this PostgreSQL is built without lz4, so left out: {', '.join(left_out)} ({group.name}); --binaries takes another")
    return replace(group, variants=tuple(variant for variant in group.variants if variant.name not in left_out))


def _told(group: Group) -> str:
    return "all" if group.tables == ALL else "+".join(TARGETS[table].rpartition("_")[2] for table in group.tables)


def _statements(variant: Variant, task: Task) -> Iterator[str]:
    yield from variant.before
    for table in task.tables:
        for part in range(PARTS):
            yield task.dataset.copy_line(table, "binary", part)
    yield from variant.after


def _table(group: Group, results: Results) -> Table:
    tables = _told(group)
    table = Table("", title=group.name, title_justify="left")
    for column in ("median", "range", "beside the first", "server CPU s/million", "WAL", "tables and indexes"):
        table.add_column(column, justify="right")
    base = results.seconds(f"{group.name}: {group.variants[0].name}", tables)
    for variant in group.variants:
        what = f"{group.name}: {variant.name}"
        runs = results.of(what, tables)
        seconds = [run.seconds for run in runs]
        middle, server_cpu = median(seconds), median(run.server_cpu_seconds / run.items * 1e6 for run in runs)
        table.add_row(
            variant.name,
            f"{middle:.2f} s",
            f"{min(seconds):.2f} to {max(seconds):.2f}",
            f"{middle / base:.2f}" if middle and base else "",
            f"{server_cpu:.1f}",
            f"{(median(run.wal_bytes for run in runs) or 0) / 1e6:,.0f} MB",
            f"{results.surroundings['target_bytes'][what] / 1e6:,.0f} MB",
        )
    return table


if __name__ == "__main__":
    main()
