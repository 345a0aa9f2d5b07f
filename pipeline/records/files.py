"""Files of records: one a split, whole or not there at all, readable by their owner only."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from pipeline.errors import Stopped
from pipeline.places import StorageFailed
from pipeline.places.output import NewFile, OutputFolder, files_of, new_file, storage_of
from pipeline.records.forms import JSON_LINES, RecordForm, RecordWriter, form_of_file


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Records of one chunk, for the file of its split."""

    split: str
    records: tuple[bytes, ...]
    is_last: bool


@dataclass(frozen=True, slots=True)
class _OpenFile:
    file: NewFile
    writer: RecordWriter


class RecordFiles:
    """Writes batches into `<folder>/<split><ending>`, in one form.

    A file gets its name when the split's last batch is in it. A worker that dies leaves none that anybody mistakes for a whole one; a split
    that is read twice in one run makes the same file twice.
    """

    def __init__(self, folder: OutputFolder, form: RecordForm = JSON_LINES) -> None:
        self._folder = folder
        self._form = form
        self._open: dict[str, _OpenFile] = {}

    def write(self, batch: RecordBatch) -> None:
        """Add a batch to its file; the file exists only if there is a record. Raises `Stopped` when it cannot be written."""
        try:
            if batch.records:
                self._file(batch.split).writer.write(batch.records)
            if batch.is_last and batch.split in self._open:
                one = self._open[batch.split]
                one.writer.close()
                one.file.keep()
                del self._open[batch.split]
        except StorageFailed as failed:
            message = f"{failed}; what is committed stays: run the same command again to go on"
            raise Stopped(message) from None
        except OSError as error:
            reason = error.strerror or type(error).__name__
            message = f"{self._folder}: cannot be written ({reason}); make room or give another --output, and run the same command again"
            raise Stopped(message) from None

    def abandon(self) -> None:
        """Remove the files of splits that did not come to their end."""
        for one in self._open.values():
            # What is left in the buffers may not fit on the disk; a writer that failed before says so with a ValueError.
            with contextlib.suppress(OSError, ValueError, StorageFailed):
                one.writer.close()
            one.file.discard()
        self._open.clear()

    def _file(self, split: str) -> _OpenFile:
        if split not in self._open:
            file = new_file(self._folder, f"{split}{self._form.ending}")
            self._open[split] = _OpenFile(file, self._form.writer(file.stream))
        return self._open[split]


def count_records(folder: OutputFolder) -> int:
    """How many records there are in the whole files of a folder, of whichever form. Raises `StorageFailed`."""
    count = 0
    for file in files_of(folder):
        form = form_of_file(file.uri)
        if form is not None:
            with storage_of(folder).open(file.uri)[0] as stream:
                count += form.count(stream)
    return count
