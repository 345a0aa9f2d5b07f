"""The DoFns. As little logic as possible here: each is a few lines around a function or a class of another room.

ReadChunks, LoadChunks (or CheckChunks) and WriteRecords run fused, in one stage: chunks never cross a shuffle, and neither do dead letters,
notices or mismatches. CheckFiles comes before them, in a stage of its own: a file is checked once, however many splits it has.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from pipeline.errors import Bug, Ddb2pgError
from pipeline.job.chunk_check import ChunkPlan
from pipeline.job.loading import ChunkLoader, LoadPlan, check_data_file, read_split
from pipeline.job.worker_session import WorkerSession
from pipeline.ledger.totals import note_refused_file
from pipeline.places.place import StorageFailed
from pipeline.places.storage import OutputFolder
from pipeline.records.files import JSON_LINES, RecordBatch, RecordFiles, RecordForm
from pipeline.source.chunks import Chunk, Split
from pipeline.source.data_file import CheckedFile, DataFileRefused
from pipeline.source.manifest import DataFile
from pipeline.target.session import Session

DEAD_LETTERS: Final = "dead_letters"
NOTICES: Final = "notices"
REFUSED_FILES: Final = "refused_files"


def _without_words(process: Callable[..., Iterable[Any] | None]) -> Callable[..., Iterator[Any]]:
    """Around `process`: a runner logs what a step raises, and what nobody foresaw may quote an item."""

    @functools.wraps(process)
    def guarded(*arguments: Any, **named: Any) -> Iterator[Any]:
        try:
            yield from process(*arguments, **named) or ()
        except (Ddb2pgError, StorageFailed):
            raise
        except Exception as error:  # noqa: BLE001 - its words stay here
            raise Bug(type(error).__name__).with_traceback(error.__traceback__) from None

    return guarded


class CheckFiles(beam.DoFn):
    """Data file -> its name and what the check found; one that is not what its manifest says goes to `REFUSED_FILES` instead."""

    def __init__(self, plan: LoadPlan) -> None:
        self._plan = plan

    @_without_words
    def process(self, data_file: DataFile) -> Iterator[tuple[str, CheckedFile] | TaggedOutput]:
        """Check one data file."""
        try:
            yield data_file.name, check_data_file(data_file, self._plan)
        except DataFileRefused as refused:
            yield TaggedOutput(REFUSED_FILES, (data_file.name, str(refused)))


class ReadChunks(beam.DoFn):
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


class LoadChunks(beam.DoFn):
    """Chunk -> the target; what was refused or noted goes to `DEAD_LETTERS` and `NOTICES`."""

    def __init__(self, plan: LoadPlan) -> None:
        self._plan = plan

    def setup(self) -> None:
        """One connection a worker process."""
        self._session = WorkerSession(self._plan)
        self._loader = ChunkLoader(self._plan, self._session)

    @_without_words
    def process(self, chunk: Chunk) -> Iterator[TaggedOutput]:
        """Load one chunk; what comes out is told only after it is committed."""
        self._session.check()
        dead_letters, notices = self._loader.load(chunk)
        yield TaggedOutput(DEAD_LETTERS, dead_letters)
        yield TaggedOutput(NOTICES, notices)

    def teardown(self) -> None:
        """Close the connection."""
        self._session.close()


class CheckChunks(beam.DoFn):
    """Chunk -> what there is to tell of it, after validate or rollback did with it what they do."""

    def __init__(self, plan: ChunkPlan) -> None:
        self._plan = plan

    def setup(self) -> None:
        """One connection a worker process."""
        self._session = WorkerSession(self._plan.load_plan)
        self._check = self._plan.worker(self._session)

    @_without_words
    def process(self, chunk: Chunk) -> Iterator[RecordBatch]:
        """Check one chunk."""
        self._session.check()
        yield self._check(chunk)

    def teardown(self) -> None:
        """Close the connection."""
        self._session.close()


class WriteRecords(beam.DoFn):
    """Batches of records -> files of a folder."""

    def __init__(self, folder: OutputFolder, form: RecordForm = JSON_LINES) -> None:
        self._folder = folder
        self._form = form
        self._files = RecordFiles(folder, form)

    def start_bundle(self) -> None:
        """A bundle's splits are whole, so its files are."""
        self._files = RecordFiles(self._folder, self._form)

    @_without_words
    def process(self, batch: RecordBatch) -> None:
        """Add one batch."""
        self._files.write(batch)

    def finish_bundle(self) -> None:
        """Leave no half file behind of a split that was refused midway."""
        self._files.abandon()

    def teardown(self) -> None:
        """Nor of a bundle that was stopped."""
        self._files.abandon()


class NoteRefusedFiles(beam.DoFn):
    """Refused data files -> the ledger."""

    def __init__(self, plan: LoadPlan) -> None:
        self._plan = plan

    @_without_words
    def process(self, refused: tuple[str, str]) -> None:
        """Note one; rare enough for a connection of its own."""
        data_file, problem = refused
        load_id, run_id = self._plan.load.load_id, self._plan.run_id
        with Session(self._plan.database) as session:
            session.transact(lambda cursor: note_refused_file(cursor, load_id, run_id, data_file, problem))
