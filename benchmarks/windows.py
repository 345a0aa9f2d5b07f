r"""What applying a window takes, beside loading as many items: both into a target that is large already.

    .test-venv/bin/python benchmarks/windows.py [--rows 2000000] [--records 150000] [--rounds 3]

The target, sessions, is loaded once. In each round copies of that database get, one after the other, a load of further items, and a
window of each view: 60 % of its records are updates, 20 % inserts, 20 % deletes, spread over the whole table. One worker without Beam does
it: the ratios are of what a record takes, from checking the data file to the last commit, without preflight and proof.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import orjson

from benchmarks.server import BenchmarkServer
from pipeline.job.load import LoadChunks
from pipeline.job.plan import LoadPlan
from pipeline.job.visit import VisitPlan, visit_plainly
from pipeline.ledger.changes import AppliedCounts, applied_totals
from pipeline.ledger.loads import Link, Load, create_ledger, start_load
from pipeline.places.storage import LOCAL_AND_AWS
from pipeline.source.chunks import ChunkSize, SplitSize, plan_splits
from pipeline.source.data_file import read_lines
from pipeline.source.manifest import Export, read_export
from pipeline.target.database_url import DatabaseReference
from pipeline.target.fates import Conflicts
from pipeline.target.session import Cursor, Session
from pipeline.target.target import find_target_of
from pipeline.windows.apply import ApplyChunks
from sample_export import write_sample_exports
from tests.handmade_export import write_export
from tests.postgres_server import Database
from transforms.lines import View
from transforms.table import Table, Unmapped
from transforms.tables.medzen import MEETING_AUDIT, VIDEO_SESSIONS

URL = "DDB2PG_BENCHMARK_DATABASE"
SPLITS = SplitSize(items=1, most=1)
LOAD = "load"
# Each with an attribute to change, and what it becomes; the audit log's rows are found by old images alone.
SUBJECTS: dict[str, tuple[Table, str, object]] = {
    "sessions": (VIDEO_SESSIONS, "finalizationStatus", {"S": "CHANGED"}),
    "audit": (MEETING_AUDIT, "eventData", {"M": {"changed": {"BOOL": True}}}),
}
BAR = 2.0
"""Times what a record of a load takes."""


@dataclass(frozen=True, slots=True)
class Exports:
    table: Table
    full: Export
    further: Export
    windows: dict[View, Export]


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds; `server` and `client` are of CPU."""

    seconds: float
    client: float
    server: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--records", type=int, default=150_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--table", choices=SUBJECTS, default="sessions")
    arguments = parser.parse_args()
    server = BenchmarkServer()
    try:
        with tempfile.TemporaryDirectory(prefix="ddb2pg-bench-") as folder:
            exports = make_exports(Path(folder), arguments.table, arguments.rows, arguments.records)
            runs = run(exports, server, arguments.rounds)
    finally:
        server.stop()
    tell(runs, arguments.rows, arguments.records)


def tell(runs: dict[str, list[Measured]], rows: int, records: int) -> None:
    print(f"\n{records:,} records into {rows:,} rows, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}; us a record, medians")
    for name, of_name in runs.items():
        client, own, of_server = (
            statistics.median(getattr(one, figure) for one in of_name) / records * 1e6 for figure in ("seconds", "client", "server")
        )
        times = statistics.median(one.seconds / load.seconds for one, load in zip(of_name, runs[LOAD], strict=True))
        cpu = statistics.median(
            (one.client + one.server) / (load.client + load.server) for one, load in zip(of_name, runs[LOAD], strict=True)
        )
        print(
            f"{name:20} {client:7.1f}   CPU {own:6.1f} client {of_server:6.1f} server   beside the load: time {times:.2f}, CPU {cpu:.2f}"
            + ("" if name == LOAD else f"   bar {BAR}: {'met' if times <= BAR else 'MISSED'}")
        )


# -- the exports ---------------------------------------------------------------------------------------------------------------------------


def make_exports(folder: Path, subject: str, rows: int, records: int) -> Exports:
    """The full one; one of other items; and a window of the full one's items in each view by which rows are found."""
    table, attribute, value = SUBJECTS[subject]
    full, further = (sample(folder / f"{seed}", table.source, items, seed) for seed, items in ((1, rows), (2, records)))
    chosen = list(spread_lines(full, records * 4 // 5))
    inserted = list(spread_lines(further, records - len(chosen)))
    windows = {}
    for view in View if subject == "sessions" else (View.NEW_AND_OLD_IMAGES,):
        changes = list(window_lines(chosen, inserted, view, table.key, {attribute: value}))
        Random(0).shuffle(changes)
        written = write_export(
            folder / view.value,
            table.source,
            [changes[begin::4] for begin in range(4)],
            is_shared=True,
            tableId=full.table_id,
            exportTime=None,
            exportFromTime="2026-11-30T00:00:00.000Z",
            exportToTime="2026-11-30T01:00:00.000Z",
            outputView=view.value,
            exportType="INCREMENTAL_EXPORT",
            version="2023-08-01",
        )
        windows[view] = read_export(str(written))
    return Exports(table, full, further, windows)


def sample(folder: Path, source: str, items: int, seed: int) -> Export:
    [written] = write_sample_exports(
        folder,
        items=items,
        faulty=0,
        odd=0,
        seed=seed,
        tables=[source],
        items_per_file=max(1_000, items // 4),
        processes=os.cpu_count() or 1,
    )
    return read_export(str(written.folder))


def spread_lines(export: Export, count: int) -> Iterator[bytes]:
    """At equal distances."""
    step = export.items // count
    place = taken = 0
    for data_file in export.data_files:
        for line in read_lines(data_file.uri, LOCAL_AND_AWS):
            if place % step == 0 and taken < count:
                taken += 1
                yield line
            place += 1


def window_lines(
    chosen: list[bytes], inserted: list[bytes], view: View, key: tuple[str, ...], changed: dict[str, object]
) -> Iterator[bytes]:
    """Three of the chosen ones are updated, the fourth is deleted."""
    for number, line in enumerate(chosen):
        old = orjson.loads(line)["Item"]
        new = None if number % 4 == 3 else {**old, **changed}
        yield record(old, new, view, key)
    for line in inserted:
        yield record(None, orjson.loads(line)["Item"], view, key)


def record(old: dict[str, object] | None, new: dict[str, object] | None, view: View, key: tuple[str, ...]) -> bytes:
    item = new or old or {}
    images: dict[str, object] = {"NewImage": new} if new else {}
    if old and view is View.NEW_AND_OLD_IMAGES:
        images = {"OldImage": old, **images}
    keys = {name: item[name] for name in key}
    return orjson.dumps({"Metadata": {"WriteTimestampMicros": {"N": "1780000000000000"}}, "Keys": keys, **images})


# -- the runs ------------------------------------------------------------------------------------------------------------------------------


def run(exports: Exports, server: BenchmarkServer, rounds: int) -> dict[str, list[Measured]]:
    full, base = build(exports, server)
    runs: dict[str, list[Measured]] = {}
    for _ in range(rounds):
        for name, export in ((LOAD, exports.further), *((view.value, window) for view, window in exports.windows.items())):
            database = server.new_database(with_targets=False)
            server.refill(database, base)
            server.settle()
            os.environ[URL] = database.url
            link = None if export.window is None else Link(full.load_id, 1, export.window)
            measured = visit_all(begin(exports.table, export, link), export, server)
            runs.setdefault(name, []).append(measured)
            print(f"{name:20} {measured.seconds:7.2f} s   CPU {measured.client:6.2f} client {measured.server:6.2f} server", flush=True)
            if link is not None:
                check(export)
            server.drop(database)
    return runs


def build(exports: Exports, server: BenchmarkServer) -> tuple[Load, Database]:
    """The large target."""
    export = exports.full
    base = server.new_database()
    os.environ[URL] = base.url
    plan = begin(exports.table, export, None)
    measured = visit_all(plan, export, server)
    print(f"{export.items:,} rows in {measured.seconds:.0f} s, {measured.seconds / export.items * 1e6:.1f} us each", flush=True)
    base.execute("VACUUM ANALYZE")
    return plan.load_plan.load, base


def begin(table: Table, export: Export, link: Link | None) -> VisitPlan:
    reference = DatabaseReference(f"env:{URL}")

    def work(cursor: Cursor) -> LoadPlan:
        create_ledger(cursor)
        target = find_target_of(cursor, table)
        if target is None:
            raise LookupError(table.target)
        load = start_load(cursor, export, table, target.qualified, ChunkSize(), Unmapped.NOTICE, SPLITS, target_oid=target.oid, link=link)
        return LoadPlan(load, table, target, reference, "run", table.source)

    with Session(reference) as session:
        plan = session.transact(work)
    return LoadChunks(plan) if link is None else ApplyChunks(plan, (), Conflicts.STOP)


def visit_all(plan: VisitPlan, export: Export, server: BenchmarkServer) -> Measured:
    splits = plan_splits(export.data_files, SPLITS)
    seconds, client, of_server = time.monotonic(), time.process_time(), server.cpu_seconds()
    for _ in visit_plainly(splits, plan):
        pass
    return Measured(time.monotonic() - seconds, time.process_time() - client, server.cpu_seconds() - of_server)


def check(export: Export) -> None:
    """Every record did what it was made for."""
    with Session(DatabaseReference(f"env:{URL}")) as session:
        counts = session.transact(lambda cursor: applied_totals(cursor, max_load(cursor)))
    fifth = export.items // 5
    if counts != AppliedCounts(inserted=export.items - 4 * fifth, updated=3 * fifth, deleted=fifth):
        raise AssertionError(counts)


def max_load(cursor: Cursor) -> int:
    cursor.execute("SELECT max(load_id) FROM ddb2pg.load")
    return int(cursor.fetchone()[0])


if __name__ == "__main__":
    main()
