r"""The Beam graph of one table's visits of any kind, and its DoFns: each a few lines around a function or a class of another file.

    data files -> Reshuffle -> CheckFiles -> checked files (a side input: reading waits for them)
                                   \-> refused files -> ledger
    splits -> Reshuffle -> [ ReadChunks -> VisitChunks -> records -> files ]
                                 \-> files that changed since -> ledger

The bracket is one fused stage, which a test holds: chunks never cross a shuffle, and neither do records. Files are checked in a stage of
their own, before it: each once, however many splits it has.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from pipeline.core_dumps import forbid_core_dumps
from pipeline.errors import Bug, Ddb2pgError
from pipeline.job.plan import LoadPlan, check_data_file, read_split
from pipeline.job.visit import ChunkVisitor, VisitPlan
from pipeline.ledger.chunks import note_refused_file
from pipeline.ledger.loads import stop_if_not_here
from pipeline.places.place import StorageFailed
from pipeline.places.storage import OutputFolder
from pipeline.records.files import RecordBatch, RecordFiles, RecordForm, form_of
from pipeline.records.kinds import RecordFormat, RecordKind
from pipeline.source.chunks import Chunk, Split, data_files_of
from pipeline.source.data_file import CheckedFile, DataFileRefused
from pipeline.source.manifest import DataFile
from pipeline.target.session import Session

REFUSED_FILES: Final = "refused_files"


def define_pipeline(
    root: beam.Pipeline,
    splits: Sequence[Split],
    plan: VisitPlan,
    folders: Mapping[RecordKind, OutputFolder],
    record_format: RecordFormat = RecordFormat.JSONL,
) -> None:
    """Add the visits of one table's chunks to a pipeline; `folders` take the records of each kind.

    Takes ready objects, never arguments of a command line.
    """
    load_plan = plan.load_plan
    checked, refused_files = (
        root
        | "DataFiles" >> beam.Create(data_files_of(splits), reshuffle=False)
        | "DealOutFiles" >> beam.Reshuffle()
        | "CheckFiles" >> beam.ParDo(CheckFiles(load_plan)).with_outputs(REFUSED_FILES, main="checked")
    )
    chunks, changed_files = (
        root
        | "Splits" >> beam.Create(splits, reshuffle=False)
        | "DealOut" >> beam.Reshuffle()
        | "ReadChunks" >> beam.ParDo(ReadChunks(load_plan), beam.pvalue.AsDict(checked)).with_outputs(REFUSED_FILES, main="chunks")
    )
    _ = refused_files | "NoteRefusedFiles" >> beam.ParDo(NoteRefusedFiles(load_plan))
    _ = changed_files | "NoteChangedFiles" >> beam.ParDo(NoteRefusedFiles(load_plan))
    records = chunks | "VisitChunks" >> beam.ParDo(VisitChunks(plan)).with_outputs(*plan.kinds)
    for kind in plan.kinds:
        write = WriteRecords(folders[kind], form_of(kind, record_format))
        _ = records[kind] | f"Write {kind}" >> beam.ParDo(write)


def _without_words(process: Callable[..., Iterable[Any] | None]) -> Callable[..., Iterator[Any]]:
    """Around `process`: a runner logs what a step raises, and an unexpected exception may quote an item."""

    @functools.wraps(process)
    def guarded(*arguments: Any, **named: Any) -> Iterator[Any]:
        try:
            yield from process(*arguments, **named) or ()
        except (Ddb2pgError, StorageFailed):
            raise
        except Exception as error:  # noqa: BLE001 - its words stay here
            raise Bug(type(error).__name__).with_traceback(error.__traceback__) from None

    return guarded


class _PrivateDoFn(beam.DoFn):
    """In a process that leaves no core file, on another machine, too."""

    def setup(self) -> None:
        """Called by Beam, before anything else."""
        forbid_core_dumps()


class CheckFiles(_PrivateDoFn):
    """Data file -> its name and what the check found; one that is not what its manifest says goes to `REFUSED_FILES` instead."""

    def __init__(self, plan: LoadPlan) -> None:
        self._plan = plan

    @_without_words
    def process(self, data_file: DataFile) -> Iterator[tuple[str, CheckedFile] | TaggedOutput]:
        try:
            yield data_file.name, check_data_file(data_file, self._plan)
        except DataFileRefused as refused:
            yield TaggedOutput(REFUSED_FILES, (data_file.name, str(refused)))


class ReadChunks(_PrivateDoFn):
    """Split -> chunks, of a file that was checked; one that has changed since goes to `REFUSED_FILES`."""

    def __init__(self, plan: LoadPlan) -> None:
        self._plan = plan

    @_without_words
    def process(self, split: Split, checked: Mapping[str, CheckedFile]) -> Iterator[Chunk | TaggedOutput]:
        """Read one split; nothing of a file that was refused."""
        if split.data_file.name not in checked:
            return
        try:
            yield from read_split(split, checked[split.data_file.name], self._plan)
        except DataFileRefused as refused:
            yield TaggedOutput(REFUSED_FILES, (split.data_file.name, str(refused)))


class VisitChunks(_PrivateDoFn):
    """Chunk -> a batch of records of each kind, tagged with it, once the work is committed."""

    def __init__(self, plan: VisitPlan) -> None:
        self._plan = plan

    def setup(self) -> None:
        """One connection a worker process."""
        super().setup()
        self._session = Session(self._plan.load_plan.database)
        self._visitor = ChunkVisitor(self._plan, self._session)
        self._is_checked = False

    @_without_words
    def process(self, chunk: Chunk) -> Iterator[TaggedOutput]:
        # For the first chunk, not in `setup`: Flink waits for minutes for a worker that fails before it.
        if not self._is_checked:
            self._session.transact(lambda cursor: stop_if_not_here(cursor, self._plan.load_plan.load))
            self._is_checked = True
        for kind, batch in self._visitor.visit(chunk).items():
            yield TaggedOutput(kind, batch)

    def teardown(self) -> None:
        self._session.close()


class WriteRecords(_PrivateDoFn):
    """Batches of records -> files of a folder."""

    def __init__(self, folder: OutputFolder, form: RecordForm) -> None:
        self._folder = folder
        self._form = form
        self._files = RecordFiles(folder, form)

    def start_bundle(self) -> None:
        """A bundle's splits are whole, so its files are."""
        self._files = RecordFiles(self._folder, self._form)

    @_without_words
    def process(self, batch: RecordBatch) -> None:
        self._files.write(batch)

    def finish_bundle(self) -> None:
        """Discard the unfinished file of a split that was refused midway."""
        self._files.abandon()

    def teardown(self) -> None:
        """The same for a bundle that was stopped."""
        self._files.abandon()


class NoteRefusedFiles(_PrivateDoFn):
    """Writes refused data files into the ledger."""

    def __init__(self, plan: LoadPlan) -> None:
        self._plan = plan

    @_without_words
    def process(self, refused: tuple[str, str]) -> None:
        """With its own connection, because refused files are rare."""
        data_file, problem = refused
        load_id, run_id = self._plan.load.load_id, self._plan.run_id
        with Session(self._plan.database) as session:
            session.transact(lambda cursor: note_refused_file(cursor, load_id, run_id, data_file, problem))
