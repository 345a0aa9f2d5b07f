"""When the items of windows were written last, by DynamoDB's clock: whether the application has really stopped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipeline.places.storage import Storage
from pipeline.source.data_file import read_lines
from pipeline.source.manifest import Export
from transforms.lines import read_write_micros

_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class LastWrites:
    """Of all records of some windows."""

    last: datetime | None
    """None where there is no record."""
    later: int
    """Records that were written after a time, or do not tell when."""


def last_writes(exports: Iterable[Export], after: datetime, storage: Storage) -> LastWrites:
    """Look at every record. Raises `DataFileRefused`, `StorageFailed`."""
    last, later = 0, 0
    limit = (after - _EPOCH) // timedelta(microseconds=1)
    for export in exports:
        for data_file in export.data_files:
            for line in read_lines(data_file.uri, storage):
                micros = read_write_micros(line)
                last, later = max(last, micros or 0), later + (micros is None or micros > limit)
    return LastWrites(_EPOCH + timedelta(microseconds=last) if last else None, later)
