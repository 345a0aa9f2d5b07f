"""In which form records are kept in files: JSON Lines or Parquet. Both hold the same; `docs/dead-letters.md` has their schema."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any, BinaryIO, Final, Protocol

from pipeline.records.json_lines import JsonLines

Record = dict[str, Any]
"""One dead letter, notice or mismatch, as a line of JSON has it."""


class RecordFormat(StrEnum):
    """What `--dead_letter_format` takes."""

    JSONL = "jsonl"
    PARQUET = "parquet"


class RecordKind(StrEnum):
    """What a run writes; the names of its folders."""

    DEAD_LETTERS = "dead_letters"
    NOTICES = "notices"


class RecordWriter(Protocol):
    """Writes records into an open file."""

    def write(self, records: Sequence[bytes]) -> None:
        """Add records, each a line of JSON."""
        ...

    def close(self) -> None:
        """Write what is still to be written; the file itself stays open."""
        ...


class RecordForm(Protocol):
    """How the files of one form are written, read and counted. Travels with the job."""

    @property
    def ending(self) -> str:
        """Of its files' names."""

    def writer(self, stream: BinaryIO) -> RecordWriter:
        """What writes into a new file."""

    def read(self, stream: BinaryIO) -> Iterator[Record]:
        """The records of a whole file, with memory that does not grow with it."""

    def count(self, stream: BinaryIO) -> int:
        """How many records a whole file holds."""


JSON_LINES: Final[RecordForm] = JsonLines()


def form_of(kind: RecordKind, record_format: RecordFormat) -> RecordForm:
    """The form of a run's files of one kind."""
    return JSON_LINES if record_format is RecordFormat.JSONL else _parquet(kind)


def form_of_file(name: str) -> RecordForm | None:
    """By its name; None for a file that holds no records, such as one that is not whole."""
    if name.endswith(JSON_LINES.ending):
        return JSON_LINES
    return _parquet(RecordKind.DEAD_LETTERS) if name.endswith(".parquet") else None


def _parquet(kind: RecordKind) -> RecordForm:
    from pipeline.records.parquet import Parquet  # noqa: PLC0415 - pyarrow takes long to import

    return Parquet(kind)
