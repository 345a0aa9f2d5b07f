"""Files of records: one a split, whole or not there at all, readable by their owner only."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

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
        """Add a batch to its file; the file exists only if there is a record."""
        if batch.records:
            self._stream(batch.split).writelines(batch.records)
        if batch.is_last and batch.split in self._open:
            path, stream = self._open.pop(batch.split)
            stream.close()
            path.rename(self._folder / f"{batch.split}{_ENDING}")

    def abandon(self) -> None:
        """Remove the files of splits that did not come to their end."""
        for path, stream in self._open.values():
            stream.close()
            path.unlink(missing_ok=True)
        self._open.clear()

    def _stream(self, split: str) -> BinaryIO:
        if split not in self._open:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f".{split}.{secrets.token_hex(4)}.part"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._open[split] = path, os.fdopen(descriptor, "wb", buffering=1 << 20)
        return self._open[split][1]


def record_paths(folder: Path) -> Iterable[Path]:
    """The whole files of a folder of records, in order."""
    return sorted(folder.glob(f"*{_ENDING}"))
