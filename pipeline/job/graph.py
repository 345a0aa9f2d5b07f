r"""The Beam graphs of one table: its load, and a check of what was loaded (validate, rollback), which only does other things with chunks.

    data files -> Reshuffle -> CheckFiles -> checked files (a side input: reading waits for them)
                                   \-> refused files -> ledger
    splits -> Reshuffle -> [ ReadChunks -> LoadChunks -> dead letters, notices -> files ]
                                 \-> files that changed since -> ledger

    a check: ... [ ReadChunks -> CheckChunks -> mismatches -> files ]

The bracket is one fused stage; a test holds that.
"""

from __future__ import annotations

from collections.abc import Sequence

import apache_beam as beam

from pipeline.job.chunk_check import ChunkPlan
from pipeline.job.loading import LoadPlan
from pipeline.job.steps import (
    DEAD_LETTERS,
    NOTICES,
    REFUSED_FILES,
    CheckChunks,
    CheckFiles,
    LoadChunks,
    NoteRefusedFiles,
    ReadChunks,
    WriteRecords,
)
from pipeline.places.storage import OutputFolder
from pipeline.records.files import form_of
from pipeline.records.kinds import RecordFormat, RecordKind
from pipeline.source.chunks import Split, data_files_of


def define_pipeline(
    root: beam.Pipeline, splits: Sequence[Split], plan: LoadPlan, run_folder: OutputFolder, record_format: RecordFormat = RecordFormat.JSONL
) -> None:
    """Add the load of one table to a pipeline. Takes ready objects, never arguments of a command line."""
    loaded = _read(root, splits, plan) | "LoadChunks" >> beam.ParDo(LoadChunks(plan)).with_outputs(DEAD_LETTERS, NOTICES)

    def write(kind: RecordKind) -> beam.ParDo:
        return beam.ParDo(WriteRecords(run_folder / kind / plan.table.source, form_of(kind, record_format)))

    _ = loaded[DEAD_LETTERS] | "WriteDeadLetters" >> write(RecordKind.DEAD_LETTERS)
    _ = loaded[NOTICES] | "WriteNotices" >> write(RecordKind.NOTICES)


def define_check(root: beam.Pipeline, splits: Sequence[Split], plan: ChunkPlan, folder: OutputFolder) -> None:
    """Add a check of one table's chunks to a pipeline; what there is to tell goes to files of a folder."""
    mismatches = _read(root, splits, plan.load_plan) | "CheckChunks" >> beam.ParDo(CheckChunks(plan))
    _ = mismatches | "WriteMismatches" >> beam.ParDo(WriteRecords(folder))


def _read(root: beam.Pipeline, splits: Sequence[Split], plan: LoadPlan) -> beam.PCollection:
    """The chunks of all sound data files; those that are not go to the ledger."""
    checked, refused_files = (
        root
        | "DataFiles" >> beam.Create(data_files_of(splits), reshuffle=False)
        | "DealOutFiles" >> beam.Reshuffle()
        | "CheckFiles" >> beam.ParDo(CheckFiles(plan)).with_outputs(REFUSED_FILES, main="checked")
    )
    chunks, changed_files = (
        root
        | "Splits" >> beam.Create(splits, reshuffle=False)
        | "DealOut" >> beam.Reshuffle()
        | "ReadChunks" >> beam.ParDo(ReadChunks(plan), beam.pvalue.AsDict(checked)).with_outputs(REFUSED_FILES, main="chunks")
    )
    _ = refused_files | "NoteRefusedFiles" >> beam.ParDo(NoteRefusedFiles(plan))
    _ = changed_files | "NoteChangedFiles" >> beam.ParDo(NoteRefusedFiles(plan))
    return chunks
