"""Reading a data file as the job does: check it as a whole, then read its splits."""

from __future__ import annotations

from pipeline.places import LOCAL_AND_AWS
from pipeline.source.chunks import Chunk, ChunkSize, SplitSize, plan_splits, read_chunks
from pipeline.source.data_file import check_file
from pipeline.source.manifest import DataFile

WHOLE = SplitSize(most=1)


def chunks_of_file(data_file: DataFile, size: ChunkSize, splits: SplitSize = WHOLE) -> list[Chunk]:
    """Every chunk of every split, in the order of the file."""
    checked = check_file(data_file, splits.first_items(data_file.items), LOCAL_AND_AWS)
    planned = sorted(plan_splits([data_file], splits), key=lambda split: split.part)
    return [chunk for split in planned for chunk in read_chunks(split, checked, size)]


def lines_of_file(data_file: DataFile, splits: SplitSize = WHOLE) -> list[bytes]:
    """Every line, as the chunks have them."""
    return [line for chunk in chunks_of_file(data_file, ChunkSize(), splits) for line in chunk.lines]
