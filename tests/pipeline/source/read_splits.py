"""Reading exports and their data files as the job does: find, check as a whole, then read splits."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import Refused
from pipeline.places.storage import LOCAL_AND_AWS
from pipeline.source.chunks import Chunk, ChunkSize, SplitSize, plan_splits, read_chunks
from pipeline.source.data_file import check_file
from pipeline.source.given import ExportArgument, read_given_exports
from pipeline.source.manifest import DataFile, Export

WHOLE = SplitSize(most=1)


def read_exports(uri: str | Path) -> list[Export]:
    """The exports that `--export URI` means. Raises `Refused` unless all are sound."""
    given, problems, *_ = read_given_exports([ExportArgument(None, str(uri))], LOCAL_AND_AWS)
    if problems:
        raise Refused(problems)
    return [one.export for one in given]


def chunks_of_file(data_file: DataFile, size: ChunkSize, splits: SplitSize = WHOLE) -> list[Chunk]:
    """Every chunk of every split, in the order of the file."""
    checked = check_file(data_file, splits.first_items(data_file.items), LOCAL_AND_AWS)
    planned = sorted(plan_splits([data_file], splits), key=lambda split: split.part)
    return [chunk for split in planned for chunk in read_chunks(split, checked, size)]


def lines_of_file(data_file: DataFile, splits: SplitSize = WHOLE) -> list[bytes]:
    """Every line, as the chunks have them."""
    return [line for chunk in chunks_of_file(data_file, ChunkSize(), splits) for line in chunk.lines]
