"""A visit: the work on one chunk. Load, compare, take back and replay differ only in their visits.

    a visit       does its work in one transaction, (cursor, chunk, way) -> done, and makes records of what was done once it is committed
    ways          are tried in their order, the next one where PostgreSQL refuses rows; each in a transaction of its own
    ChunkVisitor  visits the chunks of one load through one session: on a worker of the Beam job (`graph.py`), or in `visit_plainly`

Visiting a chunk again changes nothing, and gives the same records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from pipeline.errors import Stopped
from pipeline.job.chunk import KnownChunk, KnownChunks
from pipeline.job.plan import LoadPlan, check_data_file, read_split
from pipeline.places.storage import OutputFolder
from pipeline.records.files import RecordBatch
from pipeline.records.kinds import RecordKind
from pipeline.source.chunks import Chunk, Split, data_files_of
from pipeline.target.session import Cursor, RowsRefused, Session

Records = Mapping[RecordKind, Sequence[bytes]]
"""The records of a chunk, each a line of JSON."""

Way = TypeVar("Way")
Done = TypeVar("Done")


class Visit(Protocol):
    """What is done with the chunks of one load on one worker."""

    @property
    def ways(self) -> Sequence[Any]:
        """The ways to do the work, in the order in which they are tried."""

    def prepare(self, chunk: KnownChunk) -> Records | None:
        """What needs no transaction; the records of a chunk that needs none at all. Raises `Stopped`."""

    def work(self, cursor: Cursor, chunk: KnownChunk, way: Any) -> Any:
        """The transaction; run again, from its beginning, when the connection is lost. Raises `RowsRefused`, `Stopped`."""

    def records(self, chunk: KnownChunk, way: Any, done: Any) -> Records:
        """The records, after the commit; `way` is the one that did the work."""


class VisitPlan(Protocol):
    """All that a worker needs for its visits. Travels with the job, so it holds no secret."""

    @property
    def load_plan(self) -> LoadPlan:
        """The load whose chunks they are; its `run_id` is of this run."""

    @property
    def kinds(self) -> Sequence[RecordKind]:
        """The kinds of records that it makes."""

    @property
    def refused(self) -> str:
        """The sentence for rows that PostgreSQL refused even one by one, without its end."""

    def visit(self, session: Session) -> Visit:
        """For one worker."""


def try_ways(session: Session, ways: Sequence[Way], work: Callable[[Cursor, Way], Done], refused: str) -> tuple[Way, Done]:
    """Do the work in the first way in which PostgreSQL refuses no rows. Raises `Stopped` with the sentence `refused` if there is none."""
    sqlstate: str | None = None
    for way in ways:

        def work_in_way(cursor: Cursor, way: Way = way) -> Done:
            return work(cursor, way)

        try:
            return way, session.transact(work_in_way)
        except RowsRefused as error:
            sqlstate = error.sqlstate
    message = f"{refused} (SQLSTATE {sqlstate})"
    raise Stopped(message)


class ChunkVisitor:
    """Visits chunks of one load through one session."""

    def __init__(self, plan: VisitPlan, session: Session) -> None:
        self._plan = plan
        self._session = session
        self._visit = plan.visit(session)
        self._chunks = KnownChunks(plan.load_plan, session)

    def visit(self, chunk: Chunk) -> dict[RecordKind, RecordBatch]:
        """The records of one chunk, a batch for each kind, once its work is committed. Raises `Stopped`."""
        records = self._records(self._chunks.of(chunk))
        return {kind: RecordBatch(chunk.split.name, tuple(records.get(kind, ())), chunk.is_last) for kind in self._plan.kinds}

    def _records(self, chunk: KnownChunk) -> Records:
        visit = self._visit
        settled = visit.prepare(chunk)
        if settled is not None:
            return settled
        refused = f"{chunk.key.data_file}: {self._plan.refused}"
        way, done = try_ways(self._session, visit.ways, lambda cursor, way: visit.work(cursor, chunk, way), refused)
        return visit.records(chunk, way, done)


def record_folders(run_folder: OutputFolder, plan: VisitPlan) -> dict[RecordKind, OutputFolder]:
    """Where a run keeps the records of one load: a folder for each kind, and in it one for each table."""
    return {kind: run_folder / kind / plan.load_plan.folder for kind in plan.kinds}


def visit_plainly(splits: Sequence[Split], plan: VisitPlan) -> Iterator[dict[RecordKind, RecordBatch]]:
    """All chunks in a loop: what the Beam job does, on one thread and without Beam."""
    load_plan = plan.load_plan
    checked = {data_file.name: check_data_file(data_file, load_plan) for data_file in data_files_of(splits)}
    with Session(load_plan.database) as session:
        visitor = ChunkVisitor(plan, session)
        for split in splits:
            for chunk in read_split(split, checked[split.data_file.name], load_plan):
                yield visitor.visit(chunk)
