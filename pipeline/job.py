r"""The Beam graph of one table's load.

    splits -> Reshuffle -> [ ReadChunks -> LoadChunks -> dead letters, notices -> files ]
                                 \-> refused files -> ledger

The bracket is one fused stage; a test holds that.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import apache_beam as beam

from pipeline.export.chunks import Split
from pipeline.loading import LoadPlan
from pipeline.steps import DEAD_LETTERS, NOTICES, REFUSED_FILES, LoadChunks, NoteRefusedFiles, ReadChunks, WriteRecords


def define_pipeline(root: beam.Pipeline, splits: Sequence[Split], plan: LoadPlan, run_folder: Path) -> None:
    """Add the load of one table to a pipeline. Takes ready objects, never arguments of a command line."""
    chunks, refused_files = (
        root
        | "Splits" >> beam.Create(splits, reshuffle=False)
        | "DealOut" >> beam.Reshuffle()
        | "ReadChunks" >> beam.ParDo(ReadChunks(plan)).with_outputs(REFUSED_FILES, main="chunks")
    )
    loaded = chunks | "LoadChunks" >> beam.ParDo(LoadChunks(plan)).with_outputs(DEAD_LETTERS, NOTICES)
    _ = loaded[DEAD_LETTERS] | "WriteDeadLetters" >> beam.ParDo(WriteRecords(run_folder / "dead_letters" / plan.table.source))
    _ = loaded[NOTICES] | "WriteNotices" >> beam.ParDo(WriteRecords(run_folder / "notices" / plan.table.source))
    _ = refused_files | "NoteRefusedFiles" >> beam.ParDo(NoteRefusedFiles(plan))
