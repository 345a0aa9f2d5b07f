r"""The Beam graph of one reading of an export, with visits of any kind, and its DoFns: each a few lines around what other files do.

    files of several splits -> Reshuffle -> CheckFiles -> checked files (a side input: reading waits for them)
                                                \-> refused files -> ledger
    splits -> Reshuffle -> [ ReadChunks -> VisitChunks -> records -> files ]
                                 \-> files that are refused, or changed since -> ledger

The bracket is one fused stage, which a test holds: chunks never cross a shuffle, and neither do records. A file of several splits is
checked in a stage of its own, before it: once for all of them. Who reads a whole file checks it before its first chunk. Where all files are
read whole, there is no such stage.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from pipeline.core_dumps import forbid_core_dumps
from pipeline.errors import Bug, Ddb2pgError
from pipeline.job.plan import LoadPlan, check_data_file, read_split
from pipeline.job.visit import ReadingVisitor, VisitedLoad, VisitPlan, cut_of
from pipeline.ledger.chunks import note_refused_file
from pipeline.ledger.loads import stop_if_not_here
from pipeline.places.place import StorageFailed
from pipeline.places.storage import OutputFolder
from pipeline.records.files import RecordBatch, RecordFiles, RecordForm, form_of
from pipeline.records.kinds import RecordFormat
from pipeline.source.chunks import Chunk, Split, data_files_of
from pipeline.source.data_file import CheckedFile, DataFileRefused
from pipeline.source.manifest import DataFile
from pipeline.source.streams import keep_freed_memory
from pipeline.target.session import Cursor, Session

REFUSED_FILES: Final = "refused_files"


def define_pipeline(
    root: beam.Pipeline,
    splits: Sequence[Split],
    loads: Sequence[VisitedLoad],
    record_format: RecordFormat = RecordFormat.JSONL,
) -> None:
    """Add one reading of an export to a pipeline: each of its chunks is visited for every load, in their order.

    Takes ready objects, never arguments of a command line. Raises `ValueError` for loads that cannot be visited in one reading.
    """
    plans = [load.plan for load in loads]
    load_plan = cut_of(plans)
    load_plans = [plan.load_plan for plan in plans]
    in_parts = data_files_of(split for split in splits if not split.is_whole_file)
    side_inputs = [beam.pvalue.AsDict(_checked(root, in_parts, load_plans))] if in_parts else []
    chunks, changed_files = (
        root
        | "Splits" >> beam.Create(splits, reshuffle=False)
        | "DealOut" >> beam.Reshuffle()
        | "ReadChunks" >> beam.ParDo(ReadChunks(load_plan), *side_inputs).with_outputs(REFUSED_FILES, main="chunks")
    )
    _ = changed_files | "NoteChangedFiles" >> beam.ParDo(NoteRefusedFiles(load_plans))
    kinds = plans[0].kinds
    records = chunks | "VisitChunks" >> beam.ParDo(VisitChunks(plans)).with_outputs(*kinds)
    for kind in kinds:
        write = WriteRecords([load.folders[kind] for load in loads], form_of(kind, record_format))
        _ = records[kind] | f"Write {kind}" >> beam.ParDo(write)


def _checked(root: beam.Pipeline, data_files: Sequence[DataFile], plans: Sequence[LoadPlan]) -> beam.PCollection:
    """The names of the data files that are as their manifest says, each with what the check found."""
    checked, refused_files = (
        root
        | "DataFiles" >> beam.Create(data_files, reshuffle=False)
        | "DealOutFiles" >> beam.Reshuffle()
        | "CheckFiles" >> beam.ParDo(CheckFiles(plans[0])).with_outputs(REFUSED_FILES, main="checked")
    )
    _ = refused_files | "NoteRefusedFiles" >> beam.ParDo(NoteRefusedFiles(plans))
    return checked


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
    """Split -> chunks. A whole file is checked here; one that is not what it should be, or has changed, goes to `REFUSED_FILES`."""

    def __init__(self, plan: LoadPlan) -> None:
        self._plan = plan

    def setup(self) -> None:
        super().setup()
        keep_freed_memory()

    @_without_words
    def process(self, split: Split, checked: Mapping[str, CheckedFile] = MappingProxyType({})) -> Iterator[Chunk | TaggedOutput]:
        """Read one split; nothing of a file that was refused."""
        if not split.is_whole_file and split.data_file.name not in checked:
            return
        try:
            yield from read_split(split, None if split.is_whole_file else checked[split.data_file.name], self._plan)
        except DataFileRefused as refused:
            yield TaggedOutput(REFUSED_FILES, (split.data_file.name, str(refused)))


class VisitChunks(_PrivateDoFn):
    """Chunk -> for each load its place in the reading and a batch of records of each kind, tagged with it, once its work is committed."""

    def __init__(self, plans: Sequence[VisitPlan]) -> None:
        self._plans = plans

    def setup(self) -> None:
        """One connection a worker process."""
        super().setup()
        self._session = Session(cut_of(self._plans).database)
        self._visitor = ReadingVisitor(self._plans, self._session)
        self._is_checked = False

    @_without_words
    def process(self, chunk: Chunk) -> Iterator[TaggedOutput]:
        # For the first chunk, not in `setup`: Flink waits for minutes for a worker that fails before it.
        if not self._is_checked:
            for plan in self._plans:
                self._session.transact(functools.partial(stop_if_not_here, load=plan.load_plan.load))
            self._is_checked = True
        for place, records in enumerate(self._visitor.visit(chunk)):
            for kind, batch in records.items():
                yield TaggedOutput(kind, (place, batch))

    def teardown(self) -> None:
        self._session.close()


class WriteRecords(_PrivateDoFn):
    """Batches of records, each with its load's place in the reading -> files of the load's folder."""

    def __init__(self, folders: Sequence[OutputFolder], form: RecordForm) -> None:
        self._folders = folders
        self._form = form
        self._files: Sequence[RecordFiles] = ()

    def start_bundle(self) -> None:
        """A bundle's splits are whole, so its files are."""
        self._files = [RecordFiles(folder, self._form) for folder in self._folders]

    @_without_words
    def process(self, of_load: tuple[int, RecordBatch]) -> None:
        place, batch = of_load
        self._files[place].write(batch)

    def finish_bundle(self) -> None:
        """Discard the unfinished file of a split that was refused midway."""
        for files in self._files:
            files.abandon()

    def teardown(self) -> None:
        """The same for a bundle that was stopped."""
        self.finish_bundle()


class NoteRefusedFiles(_PrivateDoFn):
    """Writes refused data files into the ledger, for every load of the reading."""

    def __init__(self, plans: Sequence[LoadPlan]) -> None:
        self._plans = plans

    @_without_words
    def process(self, refused: tuple[str, str]) -> None:
        """With its own connection, because refused files are rare."""
        data_file, problem = refused

        def note(cursor: Cursor) -> None:
            for plan in self._plans:
                note_refused_file(cursor, plan.load.load_id, plan.run_id, data_file, problem)

        with Session(self._plans[0].database) as session:
            session.transact(note)
