r"""How fast data files are checked and read, from disk and from an S3 server, beside what is done with their lines.

    python benchmarks/reading.py [--items 400000] [--rounds 3]

MB are of the compressed file. "check" compares MD5 and count, "read" splits into lines; a load does both. "convert" makes rows of the same
lines on one core: as long as it takes much longer than the two before it, reading is not the bottleneck. The S3 server is moto's, in
Python on this machine: it is slower than S3, and shares the cores.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pipeline.places.place import AwsSettings
from pipeline.places.storage import Storage
from pipeline.source.chunks import SplitSize
from pipeline.source.data_file import check_file, read_part
from pipeline.source.manifest import DataFile, read_export
from sample_export import write_sample_exports
from tests.aws_server import AwsServer
from transforms.compile import compile_table
from transforms.tables.medzen import TABLES


def main() -> None:
    """Make one data file, put it into S3, read it in turn from both places."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ddb2pg-bench-") as folder:
        run(Path(folder), arguments.items, arguments.rounds)


def run(folder: Path, items: int, rounds: int) -> None:
    """All figures of one data file of sessions."""
    [written] = write_sample_exports(folder, items=items, faulty=0, odd=0, tables=["medzen-video-sessions"], items_per_file=items)
    on_disk = max(read_export(str(written.folder)).data_files, key=lambda data_file: data_file.items)
    server = AwsServer()
    try:
        os.environ.update(server.environment)
        server.upload_tree(Path(on_disk.uri).parent, "bench")
        in_s3 = replace(on_disk, uri=f"s3://bench/{on_disk.name}")
        storage = Storage(AwsSettings())
        print(f"{items:,} sessions in one data file of {(on_disk.bytes or 0) / 1e6:.0f} MB, {os.cpu_count()} cores")
        for place, data_file in (("disk", on_disk), ("S3", in_s3)):
            show(f"check, {place}", data_file, rounds, lambda data_file=data_file: check(data_file, storage))
            show(f"read, {place}", data_file, rounds, lambda data_file=data_file: read(data_file, storage, last_of=1))
        for splits in (2, 4):
            name = f"read the last of {splits}, disk"
            show(name, on_disk, rounds, lambda splits=splits: read(on_disk, storage, last_of=splits))
        show("convert", on_disk, 1, lambda: convert(on_disk, storage))
    finally:
        server.stop()


def check(data_file: DataFile, storage: Storage) -> None:
    """As before a load."""
    check_file(data_file, [0], storage)


def read(data_file: DataFile, storage: Storage, last_of: int) -> float:
    """The last of some splits, into lines; seconds without the check before it."""
    checked = check_file(data_file, SplitSize(items=1, most=last_of).first_items(data_file.items), storage)
    started = time.perf_counter()
    for _ in read_part(data_file, checked.version, checked.parts[-1], storage):
        pass
    return time.perf_counter() - started


def convert(data_file: DataFile, storage: Storage) -> float:
    """Every line to an encoded row; seconds without reading."""
    to_row = compile_table(TABLES[0], migration_time=0)
    checked = check_file(data_file, [0], storage)
    lines = list(read_part(data_file, checked.version, checked.parts[0], storage))
    started = time.perf_counter()
    for line in lines:
        to_row(line)
    return time.perf_counter() - started


def show(name: str, data_file: DataFile, rounds: int, work: Callable[[], float | None]) -> None:
    """The median of some rounds."""
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        own = work()
        seconds.append(own or time.perf_counter() - started)
    median = statistics.median(seconds)
    print(f"{name:26} {median:6.2f} s  {(data_file.bytes or 0) / 1e6 / median:7.0f} MB/s  {median / data_file.items * 1e6:6.2f} us/item")


if __name__ == "__main__":
    main()
