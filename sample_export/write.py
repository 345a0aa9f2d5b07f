"""The whole of it: for each table an export in AWS's layout, and beside the exports the truth."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sample_export.data_file import Outputs, write_data_file
from sample_export.manifests import WrittenFile, identity, write_manifests
from sample_export.settings import SOURCE_TABLES, DataFile, Settings

# Folders below the root: what must become of every item, and the names of what was planted in those that are not ordinary.
_TOLD = ("truth", "truth/planted")


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
    settings: Settings
    table: str
    data_file: DataFile
    outputs: Outputs


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
    _refuse_used_folders(root, tables)
    tasks = [task for table in tables for task in _tasks(root, settings, table)]
    with _mapped(tasks, processes) as written:
        return [_finish(root, settings, table, written) for table in tables]


def _refuse_used_folders(root: Path, tables: Sequence[str]) -> None:
    used = [root / table for table in tables if (root / table).exists() and any((root / table).iterdir())]
    if used:
        names = ", ".join(str(folder) for folder in used)
        raise FileExistsError(f"There is something in {names} already: choose another root, or remove it first.")


def _tasks(root: Path, settings: Settings, table: str) -> Iterator[_Task]:
    data = root / identity(settings, table).prefix / "data"
    data.mkdir(parents=True, exist_ok=True)
    for told in _TOLD:
        (root / told).mkdir(parents=True, exist_ok=True)
    for number, data_file in enumerate(settings.data_files(table)):
        truth, planted = (_part(root, told, table, number) for told in _TOLD)
        yield _Task(settings, table, data_file, Outputs(data, truth, planted))


def _part(root: Path, told: str, table: str, number: int) -> Path:
    return root / told / f"{table}.part-{number:06d}"


def _run(task: _Task) -> WrittenFile:
    return write_data_file(task.settings, task.table, task.data_file, task.outputs)


@contextmanager
def _mapped(tasks: list[_Task], processes: int) -> Iterator[Iterator[WrittenFile]]:
    if processes == 1:
        yield map(_run, tasks)
        return
    with multiprocessing.Pool(min(processes, len(tasks) or 1)) as pool:
        yield pool.imap(_run, tasks)


def _finish(root: Path, settings: Settings, table: str, written: Iterator[WrittenFile]) -> SampleExport:
    export = identity(settings, table)
    folder = root / export.prefix
    files = [next(written) for _ in settings.data_files(table)]
    write_manifests(folder, export, files)
    for told in _TOLD:
        _join(root / told / f"{table}.jsonl", [_part(root, told, table, number) for number in range(len(files))])
    return SampleExport(table, folder, root / "truth" / f"{table}.jsonl", settings.items, len(files))


def _join(whole: Path, parts: Iterable[Path]) -> None:
    with whole.open("wb") as stream:
        for part in parts:
            with part.open("rb") as source:
                shutil.copyfileobj(source, stream, 1 << 20)
            part.unlink()
