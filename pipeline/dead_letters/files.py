"""Files of records: one a split, whole or not there at all, readable by their owner only."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from pipeline.errors import Refused, Stopped

_ENDING = ".jsonl"


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Records of one chunk, for the file of its split."""

    split: str
    records: tuple[bytes, ...]
    is_last: bool


class RecordFiles:
    """Writes batches into `<folder>/<split>.jsonl`.

    A file grows under a name of its own and gets its real name when the split's last batch is in it. A worker that dies leaves a file that
    nobody mistakes for a whole one; a split that is read twice in one run makes the same file twice.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, tuple[Path, BinaryIO]] = {}

    def write(self, batch: RecordBatch) -> None:
        """Add a batch to its file; the file exists only if there is a record. Raises `Stopped` when it cannot be written."""
        try:
            if batch.records:
                self._stream(batch.split).writelines(batch.records)
            if batch.is_last and batch.split in self._open:
                path, stream = self._open.pop(batch.split)
                stream.close()
                path.rename(self._folder / f"{batch.split}{_ENDING}")
        except OSError as error:
            message = (
                f"{self._folder}: cannot be written ({error.strerror}); make room or give another --output, and run the same command again"
            )
            raise Stopped(message) from None

    def abandon(self) -> None:
        """Remove the files of splits that did not come to their end."""
        for path, stream in self._open.values():
            with contextlib.suppress(OSError):  # what is left in the buffer may not fit on the disk
                stream.close()
            path.unlink(missing_ok=True)
        self._open.clear()

    def _stream(self, split: str) -> BinaryIO:
        if split not in self._open:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"{split}.{secrets.token_hex(4)}.part"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._open[split] = path, os.fdopen(descriptor, "wb", buffering=1 << 20)
        return self._open[split][1]


def count_records(folder: Path) -> int:
    """How many records there are in the whole files of a folder."""
    count = 0
    for path in folder.glob(f"*{_ENDING}"):
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                count += block.count(b"\n")
    return count


def read_records(folder: Path) -> Iterator[dict[str, Any]]:
    """All records in the whole files of a folder, file by file. Raises `Refused` for what is no record."""
    for path in sorted(folder.glob(f"*{_ENDING}")):
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    record = orjson.loads(line)
                except orjson.JSONDecodeError:
                    record = None
                if not isinstance(record, dict):
                    raise Refused([f"{path}: line {number} is no record; the file is damaged, run migrate or validate again"])
                yield record
