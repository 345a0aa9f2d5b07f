"""Records as Parquet, with a fixed schema: the columns of the JSON Lines. The item stays text, as it is in the export."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.records.forms import RecordKind

_ADDRESS: Final = [
    ("run_id", pa.string()),
    ("source_table", pa.string()),
    ("target_table", pa.string()),
    ("export_id", pa.string()),
    ("data_file", pa.string()),
    ("item_number", pa.int64()),
]
_ERROR: Final = pa.struct([(name, pa.string()) for name in ("code", "attribute", "column", "message", "sqlstate")])

SCHEMAS: Final = {
    RecordKind.DEAD_LETTERS: pa.schema(
        [
            *_ADDRESS,
            ("stage", pa.string()),
            ("errors", pa.list_(_ERROR)),
            ("item", pa.string()),
            ("item_encoding", pa.string()),
            ("rejected_at", pa.timestamp("us", tz="UTC")),
            ("attempt", pa.int32()),
            ("first_run_id", pa.string()),
        ]
    ),
    # The attributes of a key are other ones in every table, so they are JSON in a column of text.
    RecordKind.NOTICES: pa.schema([*_ADDRESS, ("code", pa.string()), ("attribute", pa.string()), ("key", pa.string())]),
}

_ROW_GROUP: Final = 8 << 20  # bytes of JSON
_ROWS_READ: Final = 256


@dataclass(frozen=True, slots=True)
class Parquet:
    """See `RecordForm`; reading, the kind does not matter."""

    kind: RecordKind

    @property
    def ending(self) -> str:
        """See `RecordForm`."""
        return ".parquet"

    def writer(self, stream: BinaryIO) -> ParquetWriter:
        """See `RecordForm`."""
        return ParquetWriter(stream, SCHEMAS[self.kind])

    def read(self, stream: BinaryIO) -> Iterator[dict[str, Any]]:
        """See `RecordForm`."""
        for batch in pq.ParquetFile(_seekable(stream)).iter_batches(batch_size=_ROWS_READ):
            yield from map(_row_to_record, batch.to_pylist())

    def count(self, stream: BinaryIO) -> int:
        """See `RecordForm`; the file's end knows."""
        count: int = pq.ParquetFile(_seekable(stream)).metadata.num_rows
        return count


def _seekable(stream: BinaryIO) -> BinaryIO:
    """The form is read from its end. What comes over a network cannot be, so one file is held in memory, compressed as it is."""
    return stream if stream.seekable() else io.BytesIO(stream.read())


class ParquetWriter:
    """See `RecordWriter`; gathers records into row groups."""

    def __init__(self, stream: BinaryIO, schema: pa.Schema) -> None:
        self._schema = schema
        self._file = pq.ParquetWriter(stream, schema, compression="zstd")
        self._records: list[bytes] = []
        self._bytes = 0

    def write(self, records: Sequence[bytes]) -> None:
        """See `RecordWriter`."""
        for record in records:
            self._records.append(record)
            self._bytes += len(record)
            if self._bytes >= _ROW_GROUP:
                self._write_row_group()

    def close(self) -> None:
        """See `RecordWriter`."""
        self._write_row_group()
        self._file.close()

    def _write_row_group(self) -> None:
        if self._records:
            rows = [_record_to_row(orjson.loads(record)) for record in self._records]
            self._file.write_table(pa.Table.from_pylist(rows, self._schema))
            self._records.clear()
            self._bytes = 0


def _record_to_row(record: dict[str, Any]) -> dict[str, Any]:
    if "key" in record:
        return {**record, "key": orjson.dumps(record["key"]).decode()}
    return {**record, "rejected_at": datetime.fromisoformat(record["rejected_at"])}


def _row_to_record(row: dict[str, Any]) -> dict[str, Any]:
    if "key" in row:
        return {**row, "key": orjson.loads(row["key"])}
    return {**row, "rejected_at": row["rejected_at"].isoformat()}
