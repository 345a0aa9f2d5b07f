"""Files of records: one a split, whole or not there at all, readable by their owner only."""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from pipeline.dead_letters.forms import JSON_LINES, RecordForm, RecordWriter, form_of_file
from pipeline.errors import Stopped

_PRIVATE_FOLDER: Final = 0o700
_PRIVATE_FILE: Final = 0o600


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Records of one chunk, for the file of its split."""

    split: str
    records: tuple[bytes, ...]
    is_last: bool


@dataclass(frozen=True, slots=True)
class _OpenFile:
    path: Path
    stream: BinaryIO
    writer: RecordWriter


class RecordFiles:
    """Writes batches into `<folder>/<split><ending>`, in one form.

    A file grows under a name of its own and gets its real name when the split's last batch is in it. A worker that dies leaves a file that
    nobody mistakes for a whole one; a split that is read twice in one run makes the same file twice.
    """

    def __init__(self, folder: Path, form: RecordForm = JSON_LINES) -> None:
        self._folder = folder
        self._form = form
        self._open: dict[str, _OpenFile] = {}

    def write(self, batch: RecordBatch) -> None:
        """Add a batch to its file; the file exists only if there is a record. Raises `Stopped` when it cannot be written."""
        try:
            if batch.records:
                self._file(batch.split).writer.write(batch.records)
            if batch.is_last and batch.split in self._open:
                file = self._open[batch.split]
                file.writer.close()
                file.stream.close()
                file.path.rename(self._folder / f"{batch.split}{self._form.ending}")
                del self._open[batch.split]
        except OSError as error:
            reason = error.strerror or type(error).__name__
            message = f"{self._folder}: cannot be written ({reason}); make room or give another --output, and run the same command again"
            raise Stopped(message) from None

    def abandon(self) -> None:
        """Remove the files of splits that did not come to their end."""
        for file in self._open.values():
            # What is left in the buffers may not fit on the disk; a writer that failed before says so with a ValueError.
            with contextlib.suppress(OSError, ValueError):
                file.writer.close()
            with contextlib.suppress(OSError):
                file.stream.close()
            file.path.unlink(missing_ok=True)
        self._open.clear()

    def _file(self, split: str) -> _OpenFile:
        if split not in self._open:
            make_private_folder(self._folder)
            path = self._folder / f"{split}.{secrets.token_hex(4)}.part"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE)
            stream = os.fdopen(descriptor, "wb", buffering=1 << 20)
            self._open[split] = _OpenFile(path, stream, self._form.writer(stream))
        return self._open[split]


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it that are not there, for their owner only."""
    for one in (*reversed(folder.parents), folder):
        if not one.is_dir():
            one.mkdir(_PRIVATE_FOLDER, exist_ok=True)


def count_records(folder: Path) -> int:
    """How many records there are in the whole files of a folder, of whichever form."""
    count = 0
    for path in folder.glob("*"):
        form = form_of_file(path.name)
        if form is not None:
            with path.open("rb") as stream:
                count += form.count(stream)
    return count
