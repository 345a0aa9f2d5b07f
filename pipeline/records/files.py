"""Files of records: JSON Lines (`zcat | jq` reads them) or Parquet, whole or not there at all, readable by their owner only."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import orjson
from isal import igzip

from pipeline.errors import Stopped
from pipeline.places.place import NewFile, StorageFailed
from pipeline.places.storage import OutputFolder
from pipeline.records.kinds import ERROR_FIELDS, SCHEMAS, FieldType, RecordFormat, RecordKind

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK: Final = 1 << 20
_ROW_GROUP: Final = 8 << 20  # bytes of JSON
_ROWS_READ: Final = 256


# -- two forms, which travel with the job --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JsonLines:
    """Compressed with gzip."""

    @property
    def ending(self) -> str:
        return ".jsonl.gz"

    def writer(self, stream: BinaryIO) -> igzip.IGzipFile:
        """Takes lines; the stream stays open when it is closed."""
        # No time in the header: the same records make the same file.
        return igzip.IGzipFile(fileobj=stream, mode="wb", filename="", mtime=0)

    def read(self, stream: BinaryIO) -> Iterator[dict[str, Any]]:
        """The records of a whole file, with memory that does not grow with it."""
        with igzip.IGzipFile(fileobj=stream) as lines:
            yield from map(orjson.loads, lines)

    def count(self, stream: BinaryIO) -> int:
        count = 0
        with igzip.IGzipFile(fileobj=stream) as content:
            while block := content.read(_BLOCK):
                count += block.count(b"\n")
        return count


@dataclass(frozen=True, slots=True)
class Parquet:
    """With the schema of a kind; reading, the kind does not matter. The item stays text, as it is in the export."""

    kind: RecordKind

    @property
    def ending(self) -> str:
        return ".parquet"

    def writer(self, stream: BinaryIO) -> ParquetWriter:
        """Takes lines; the stream stays open when it is closed."""
        return ParquetWriter(stream, self.kind)

    def read(self, stream: BinaryIO) -> Iterator[dict[str, Any]]:
        """The records of a whole file, with memory that does not grow with it."""
        import pyarrow.parquet as pq  # noqa: PLC0415 - it takes long to import, and JSON Lines are the usual form

        for batch in pq.ParquetFile(_seekable(stream)).iter_batches(batch_size=_ROWS_READ):
            for record in batch.to_pylist():
                for name, to_json in _FROM_PARQUET.items():
                    if name in record:
                        record[name] = to_json(record[name])
                yield record

    def count(self, stream: BinaryIO) -> int:
        import pyarrow.parquet as pq  # noqa: PLC0415 - as above

        count: int = pq.ParquetFile(_seekable(stream)).metadata.num_rows
        return count


class ParquetWriter:
    """Gathers records into row groups."""

    def __init__(self, stream: BinaryIO, kind: RecordKind) -> None:
        import pyarrow.parquet as pq  # noqa: PLC0415 - as above

        self._schema = _arrow_schema(kind)
        self._to_parquet = {field.name: _TO_PARQUET[field.type] for field in SCHEMAS[kind] if field.type in _TO_PARQUET}
        self._file = pq.ParquetWriter(stream, self._schema, compression="zstd")
        self._records: list[bytes] = []
        self._bytes = 0

    def write(self, lines: bytes) -> None:
        for record in lines.splitlines():
            self._records.append(record)
            self._bytes += len(record)
            if self._bytes >= _ROW_GROUP:
                self._write_row_group()

    def close(self) -> None:
        self._write_row_group()
        self._file.close()

    def _write_row_group(self) -> None:
        import pyarrow as pa  # noqa: PLC0415 - as above

        if self._records:
            rows = [orjson.loads(record) for record in self._records]
            for row in rows:
                for name, to_parquet in self._to_parquet.items():
                    row[name] = to_parquet(row[name])
            self._file.write_table(pa.Table.from_pylist(rows, self._schema))
            self._records.clear()
            self._bytes = 0


_TO_PARQUET: Final[dict[FieldType, Callable[[Any], Any]]] = {
    FieldType.TIME: datetime.fromisoformat,
    FieldType.OBJECT: lambda members: orjson.dumps(members).decode(),
}
_TO_JSON: Final[dict[FieldType, Callable[[Any], Any]]] = {FieldType.TIME: datetime.isoformat, FieldType.OBJECT: orjson.loads}
_FROM_PARQUET: Final = {field.name: _TO_JSON[field.type] for schema in SCHEMAS.values() for field in schema if field.type in _TO_JSON}


def _arrow_schema(kind: RecordKind) -> pa.Schema:
    import pyarrow as pa  # noqa: PLC0415 - as above

    types = {
        FieldType.TEXT: pa.string(),
        FieldType.NUMBER: pa.int64(),
        FieldType.SMALL_NUMBER: pa.int32(),
        FieldType.TIME: pa.timestamp("us", tz="UTC"),
        FieldType.ERRORS: pa.list_(pa.struct([(name, pa.string()) for name in ERROR_FIELDS])),
        FieldType.OBJECT: pa.string(),
        FieldType.TEXTS: pa.list_(pa.string()),
    }
    return pa.schema([(field.name, types[field.type]) for field in SCHEMAS[kind]])


def _seekable(stream: BinaryIO) -> BinaryIO:
    """Parquet is read from its end. What comes over a network cannot be, so one file is held in memory, compressed as it is."""
    return stream if stream.seekable() else io.BytesIO(stream.read())


RecordForm = JsonLines | Parquet
JSON_LINES: Final = JsonLines()


def form_of(kind: RecordKind, record_format: RecordFormat) -> RecordForm:
    return JSON_LINES if record_format is RecordFormat.JSONL else Parquet(kind)


def form_of_file(name: str) -> RecordForm | None:
    """By its ending; None for a file that holds no records, such as one that is not whole."""
    forms = (JSON_LINES, Parquet(RecordKind.DEAD_LETTERS))
    return next((form for form in forms if name.endswith(form.ending)), None)


# -- folders of files ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Records of one chunk, for the file of its split."""

    split: str
    records: tuple[bytes, ...]
    is_last: bool


@dataclass(frozen=True, slots=True)
class _OpenFile:
    file: NewFile
    writer: igzip.IGzipFile | ParquetWriter


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
                self._file(batch.split).writer.write(b"".join(batch.records))
            if batch.is_last and batch.split in self._open:
                open_file = self._open[batch.split]
                open_file.writer.close()
                open_file.file.keep()
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
        for open_file in self._open.values():
            # What is left in the buffers may not fit on the disk; a writer that failed before says so with a ValueError.
            with contextlib.suppress(OSError, ValueError, StorageFailed):
                open_file.writer.close()
            open_file.file.discard()
        self._open.clear()

    def _file(self, split: str) -> _OpenFile:
        if split not in self._open:
            file = self._folder.new_file(f"{split}{self._form.ending}")
            self._open[split] = _OpenFile(file, self._form.writer(file.stream))
        return self._open[split]


def count_records(folder: OutputFolder) -> int:
    """How many records there are in the whole files of a folder, of whichever form. Raises `StorageFailed`."""
    count = 0
    for file in folder.files():
        form = form_of_file(file.uri)
        if form is not None:
            with folder.storage.open(file.uri)[0] as stream:
                count += form.count(stream)
    return count
