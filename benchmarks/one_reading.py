r"""What one reading of an export for several tables saves beside a reading for each: the CPU of one worker, without Beam.

    python benchmarks/one_reading.py [--items 100000] [--rounds 3]

The export is made up for examples/orders.py: customers, orders and payments in one DynamoDB table, sound items only. The last row is
the conversion of the same lines alone, once for each table: one reading does not save that.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pipeline.definitions.find import find_tables, record_folder
from pipeline.job.chunk import convert_lines
from pipeline.job.load import LoadChunks
from pipeline.job.plan import LoadPlan, check_data_file, read_split
from pipeline.job.visit import visit_plainly
from pipeline.ledger.loads import create_ledger, start_load
from pipeline.source.chunks import ChunkSize, Split, SplitSize, plan_splits
from pipeline.source.manifest import Export, read_export
from pipeline.target.database_url import DatabaseReference
from pipeline.target.session import Cursor, Session
from pipeline.target.target import find_target_of
from tests.postgres_server import Server
from transforms.table import Table, Unmapped

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
URL = "DDB2PG_BENCHMARK_DATABASE"
SPLITS = SplitSize(items=1, most=1)


def main() -> None:
    """Make the export, load it in turn in both ways, each time into a new database."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    server = Server()
    try:
        with tempfile.TemporaryDirectory(prefix="ddb2pg-bench-") as folder:
            run(make_export(Path(folder), arguments.items), server, arguments.rounds)
    finally:
        server.stop()


def make_export(folder: Path, items: int) -> Export:
    made_up = [f"--tables={EXAMPLES / 'orders.py'}", f"--items={items}", "--faulty=0", "--odd=0", f"--items_per_file={items // 4}"]
    subprocess.run([sys.executable, "-m", "pipeline", "sample-export", str(folder / "export"), *made_up], check=True, cwd=ROOT)
    return read_export(str(next((folder / "export" / "App" / "AWSDynamoDB").iterdir())))


def run(export: Export, server: Server, rounds: int) -> None:
    tables = find_tables(str(EXAMPLES / "orders.py"))
    seconds: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, split_up in (("one reading", lambda plans: [plans]), ("a reading each", lambda plans: [[plan] for plan in plans])):
            seconds.setdefault(name, []).append(load(export, tables, server, split_up))
    plans, splits = begin(export, tables, server)
    for plan in plans:
        lines = [
            line for split in splits for chunk in read_split(split, check_data_file(split.data_file, plan), plan) for line in chunk.lines
        ]
        started = time.process_time()
        convert_lines(lines, 0, plan.row_maker())
        seconds.setdefault("convert", []).append(time.process_time() - started)
    seconds["convert"] = [sum(seconds["convert"])]
    for name, of_name in seconds.items():
        median = statistics.median(of_name)
        print(f"{name:15} {median:6.2f} s of CPU  {median / export.items * 1e6:6.2f} us/item")


def load(export: Export, tables: Sequence[Table], server: Server, split_up: Callable[[list[LoadPlan]], list[list[LoadPlan]]]) -> float:
    """Seconds of CPU, without the server's."""
    plans, splits = begin(export, tables, server)
    started = time.process_time()
    for reading in split_up(plans):
        for _ in visit_plainly(splits, *map(LoadChunks, reading)):
            pass
    return time.process_time() - started


def begin(export: Export, tables: Sequence[Table], server: Server) -> tuple[list[LoadPlan], list[Split]]:
    """The loads of all tables, in a new database."""
    database = server.new_database(with_targets=False)
    database.execute((EXAMPLES / "orders.sql").read_text())
    os.environ[URL] = database.url
    reference = DatabaseReference(f"env:{URL}")

    def work(cursor: Cursor) -> list[LoadPlan]:
        create_ledger(cursor)
        return [begin_one(cursor, table) for table in tables]

    def begin_one(cursor: Cursor, table: Table) -> LoadPlan:
        target = find_target_of(cursor, table)
        if target is None:
            raise LookupError(table.target)
        begun = start_load(cursor, export, table, target.qualified, ChunkSize(), Unmapped.NOTICE, SPLITS, target_oid=target.oid)
        return LoadPlan(begun, table, target, reference, "run", record_folder(table, tables))

    with Session(reference) as session:
        return session.transact(work), plan_splits(export.data_files, SPLITS)


if __name__ == "__main__":
    main()
