"""Writes for each table an export in AWS's layout, and beside the exports the truth.

Data files are independent of one another, so that processes can share the work. The manifests have AWS's fields and spelling, compared
with a real export in the tests: `manifest-files.json` ends with a newline, `manifest-summary.json` does not, and the side files hold the
base64 MD5 of the exact bytes.
"""

from __future__ import annotations

import base64
import hashlib
import multiprocessing
import shutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from sample_export.content import world
from sample_export.drafts import Draft, sound_draft
from sample_export.plan import DataFile, Settings, numbered, planting
from sample_export.tables import SOURCE_TABLES, TABLES
from sample_export.values import to_uuid

BUCKET = "medzen-dynamodb-exports"
REGION = "eu-central-1"

# Exports start after everything in them happened, on one of the first 20 days of November 2026.
_FIRST_EXPORT = datetime(2026, 11, 1, tzinfo=UTC)
_EXPORT_WINDOW_MS = 20 * 86_400_000

# What Java's GZIPOutputStream, and so AWS, writes for no items at all.
_EMPTY_GZIP = bytes.fromhex("1f8b0800000000000000") + b"\x03\x00" + bytes(8)

_LINES_AT_ONCE = 256

# Folders below the root: what must become of every item, and the names of what was planted in those that are not ordinary.
_TRUTH = ("truth", "truth/planted")


@dataclass(frozen=True, slots=True)
class SampleExport:
    """A written export: `folder` is its `.../AWSDynamoDB/<ExportId>`, `truth` the JSON Lines file with a line per item."""

    source_table: str
    folder: Path
    truth: Path
    items: int
    data_files: int


@dataclass(frozen=True, slots=True)
class _Task:
    """A data file to write. `parts` are the data file itself, its part of the truth and of what was planted."""

    settings: Settings
    table: str
    data_file: DataFile
    parts: tuple[Path, Path, Path]


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A data file as the manifest describes it. `md5` is of the compressed bytes, `size` in bytes before compression."""

    name: str
    items: int
    md5: bytes
    size: int


def write_sample_exports(
    root: Path,
    *,
    items: int = 20_000,
    faulty: float = 0.005,
    odd: float = 0.02,
    seed: int = 1,
    tables: Sequence[str] = SOURCE_TABLES,
    items_per_file: int = 10_000,
    processes: int = 1,
) -> list[SampleExport]:
    """Write an export of `items` items for each of `tables` below `root`, which plays the bucket's root, and `root/truth`.

    `faulty` and `odd` are shares in 0..1: items that cannot all become rows, and items that are legal but unusual. Equal
    arguments write equal bytes; `processes` only decides how fast.

    Raises ValueError for arguments that make no sense, FileExistsError where a table's folder already holds something.
    """
    settings = Settings(items, faulty, odd, seed, items_per_file)
    problems = settings.problems(tables)
    if processes < 1:
        problems.append(f"processes must be at least 1, but is {processes}.")
    if problems:
        raise ValueError(" ".join(problems))
    used = [root / table for table in tables if (root / table).exists() and any((root / table).iterdir())]
    if used:
        names = ", ".join(str(folder) for folder in used)
        raise FileExistsError(f"There is something in {names} already: choose another root, or remove it first.")
    tasks = [task for table in tables for task in _tasks(root, settings, table)]
    with _mapped(tasks, processes) as written:
        return [_finish(root, settings, table, written) for table in tables]


def _tasks(root: Path, settings: Settings, table: str) -> Iterator[_Task]:
    data = root / ExportIdentity.of(settings, table).prefix / "data"
    for folder in (data, *(root / name for name in _TRUTH)):
        folder.mkdir(parents=True, exist_ok=True)
    for number, data_file in enumerate(settings.data_files(table)):
        truth, planted = (_part(root / name, table, number) for name in _TRUTH)
        yield _Task(settings, table, data_file, (data / data_file.name, truth, planted))


def _part(folder: Path, table: str, number: int) -> Path:
    return folder / f"{table}.part-{number:06d}"


@contextmanager
def _mapped(tasks: list[_Task], processes: int) -> Iterator[Iterator[WrittenFile]]:
    if processes == 1:
        yield map(_write_data_file, tasks)
        return
    with multiprocessing.Pool(min(processes, len(tasks) or 1)) as pool:
        yield pool.imap(_write_data_file, tasks)


def _finish(root: Path, settings: Settings, table: str, written: Iterator[WrittenFile]) -> SampleExport:
    export = ExportIdentity.of(settings, table)
    files = list(islice(written, len(settings.data_files(table))))
    write_manifests(root / export.prefix, export, files)
    for name in _TRUTH:
        with (root / name / f"{table}.jsonl").open("wb") as whole:
            for number in range(len(files)):
                part = _part(root / name, table, number)
                with part.open("rb") as source:
                    shutil.copyfileobj(source, whole, 1 << 20)
                part.unlink()
    return SampleExport(table, root / export.prefix, root / "truth" / f"{table}.jsonl", settings.items, len(files))


# -- data files ----------------------------------------------------------------------------------------------------------------------------


def _write_data_file(task: _Task) -> WrittenFile:
    """The items, a line of truth for each, and a line of what was planted for those that were changed."""
    name, md5, size = task.data_file.name, hashlib.md5(), 0
    compressor = zlib.compressobj(1, zlib.DEFLATED, 31)  # gzip without a name and a time
    lines = _lines(task)
    data, truth, planted = task.parts
    with data.open("wb") as data_stream, truth.open("wb") as truth_stream, planted.open("wb") as planted_stream:
        while some := list(islice(lines, _LINES_AT_ONCE)):
            plain, told, kinds = (b"".join(column) for column in zip(*some, strict=True))
            truth_stream.write(told)
            planted_stream.write(kinds)
            compressed = compressor.compress(plain)
            data_stream.write(compressed)
            md5.update(compressed)
            size += len(plain)
        rest = compressor.flush() if task.data_file.count else _EMPTY_GZIP
        data_stream.write(rest)
        md5.update(rest)
    return WrittenFile(name, task.data_file.count, md5.digest(), size)


def _lines(task: _Task) -> Iterator[tuple[bytes, bytes, bytes]]:
    """For each item its line of the data file, of the truth, and of what was planted, which may be none."""
    for item_number, draft in enumerate(_drafts(task)):
        place = {"data_file": task.data_file.name, "item_number": item_number}
        kinds = orjson.dumps({**place, "kinds": draft.planted}) + b"\n" if draft.planted else b""
        yield draft.to_line() + b"\n", orjson.dumps({**place, **draft.to_truth()}) + b"\n", kinds


def _drafts(task: _Task) -> Iterator[Draft]:
    settings, data_file, table = task.settings, task.data_file, TABLES[task.table]
    everyone = world(settings.seed, settings.items)
    random = settings.random("items", task.table, data_file.first)
    plan = planting(settings, task.table)
    faulty, odd = (numbered(share, random, data_file) for share in (settings.faulty, settings.odd))
    for position in range(data_file.count):
        order = plan.orders[int(random.random() * len(plan.orders))]
        draft = sound_draft(table, everyone, random, data_file.first + position, order)
        if position in faulty or position in odd:
            draft.is_last = position == data_file.count - 1
            if position in faulty:
                plan.plant_fault(draft, random, faulty[position])
            if position in odd:
                plan.plant_oddity(draft, random, odd[position])
            names = random.sample(list(draft.attributes), len(draft.attributes))
            draft.attributes = {name: draft.attributes[name] for name in names}
        yield draft


# -- manifests -----------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExportIdentity:
    """Where an export lies and what it is called; all of it follows from the settings."""

    table: str
    export_id: str
    started: datetime
    account: str
    table_id: str

    @property
    def prefix(self) -> str:
        """The export's folder as a key, from the bucket's root."""
        return f"{self.table}/AWSDynamoDB/{self.export_id}"

    @classmethod
    def of(cls, settings: Settings, table: str) -> ExportIdentity:
        """Other settings give another name."""
        digest = settings.digest("export", table)
        # The seed alone makes the account and the table's id: exports of the same data are of the same table.
        owner = hashlib.blake2b(f"{settings.seed} {table}".encode(), digest_size=16).hexdigest()
        account = int(hashlib.blake2b(f"{settings.seed}".encode()).hexdigest(), 16) % 10**12
        started = _FIRST_EXPORT + timedelta(milliseconds=int.from_bytes(digest[:6], "big") % _EXPORT_WINDOW_MS)
        epoch_ms = (started - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
        return cls(table, f"0{epoch_ms}-{digest[6:10].hex()}", started, f"{account:012d}", to_uuid(owner))


def write_manifests(
    folder: Path, export: ExportIdentity, files: list[WrittenFile], data: str | None = None, changed: Mapping[str, Any] | None = None
) -> None:
    """`data` is the key of the data files' folder, if that is not the export's own. Of `changed` fields of the summary None removes one."""
    (folder / "_started").write_bytes(b"")
    entries = [
        {
            "itemCount": file.items,
            "md5Checksum": base64.b64encode(file.md5).decode(),
            "etag": f"{hashlib.md5(file.md5).hexdigest()}-1",
            "dataFileS3Key": f"{data or f'{export.prefix}/data'}/{file.name}",
        }
        for file in files
    ]
    items = sum(file.items for file in files)
    started, ended = (
        f"{moment.isoformat(timespec='milliseconds')[:23]}Z"
        for moment in (export.started, export.started + timedelta(milliseconds=306_261 + items))
    )
    table_arn = f"arn:aws:dynamodb:{REGION}:{export.account}:table/{export.table}"
    summary = {
        "version": "2020-06-30",
        "exportArn": f"{table_arn}/export/{export.export_id}",
        "startTime": started,
        "endTime": ended,
        "tableArn": table_arn,
        "tableId": export.table_id,
        "exportTime": started,
        "s3Bucket": BUCKET,
        "s3Prefix": export.table,
        "s3SseAlgorithm": "AES256",
        "s3SseKmsKeyId": None,
        "manifestFilesS3Key": f"{export.prefix}/manifest-files.json",
        "billedSizeBytes": sum(file.size for file in files),
        "itemCount": items,
        "outputFormat": "DYNAMODB_JSON",
    }
    summary = {**summary, **(changed or {})}
    summary = {name: value for name, value in summary.items() if value is not None or name not in (changed or {})}
    contents = {"manifest-files": b"".join(orjson.dumps(entry) + b"\n" for entry in entries), "manifest-summary": orjson.dumps(summary)}
    for name, content in contents.items():
        (folder / f"{name}.json").write_bytes(content)
        (folder / f"{name}.md5").write_bytes(base64.b64encode(hashlib.md5(content).digest()))
