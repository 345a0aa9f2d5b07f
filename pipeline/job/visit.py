"""A visit: the work on one chunk. Load, compare, take back and replay differ only in their visits.

    a visit       does its work in one transaction, (cursor, chunk, way) -> done, and makes records of what was done once it is committed
    ways          are tried in their order, the next one where PostgreSQL refuses rows; each in a transaction of its own
    ChunkVisitor  visits the chunks of one load through one session
    a reading     visits each chunk of an export for several loads, one after the other: on a worker of the Beam job (`graph.py`), or in
                  `visit_plainly`. For most exports it is one load

Visiting a chunk again changes nothing, and gives the same records.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pipeline.errors import Stopped
from pipeline.job.chunk import KnownChunk, KnownChunks
from pipeline.job.plan import LoadPlan, read_splits
from pipeline.places.storage import OutputFolder
from pipeline.records.files import RecordBatch
from pipeline.records.kinds import RecordKind
from pipeline.source.chunks import Chunk, Split
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

    @property
    def load_id(self) -> int:
        return self._plan.load_plan.load.load_id

    def known(self, chunk: Chunk, left_out: Mapping[int, Collection[int]] | None = None) -> KnownChunk:
        """The chunk as this load has it; `left_out` as `KnownChunk` has it."""
        return self._chunks.of(chunk, left_out)

    def visit(self, chunk: Chunk) -> dict[RecordKind, RecordBatch]:
        """The records of one chunk, a batch for each kind, once its work is committed. Raises `Stopped`."""
        return self.visit_known(self.known(chunk))

    def visit_known(self, known: KnownChunk) -> dict[RecordKind, RecordBatch]:
        """The same of a chunk that is known already."""
        records, chunk = self._records(known), known.chunk
        return {kind: RecordBatch(chunk.split.name, tuple(records.get(kind, ())), chunk.is_last) for kind in self._plan.kinds}

    def _records(self, chunk: KnownChunk) -> Records:
        visit = self._visit
        settled = visit.prepare(chunk)
        if settled is not None:
            return settled
        refused = f"{chunk.key.data_file}: {self._plan.refused}"
        way, done = try_ways(self._session, visit.ways, lambda cursor, way: visit.work(cursor, chunk, way), refused)
        return visit.records(chunk, way, done)


class ReadingVisitor:
    """Visits each chunk of an export for every load of a reading, in their order, through one session."""

    def __init__(self, plans: Sequence[VisitPlan], session: Session) -> None:
        self._visitors = [ChunkVisitor(plan, session) for plan in plans]

    def visit(self, chunk: Chunk) -> Iterator[dict[RecordKind, RecordBatch]]:
        """The records of a chunk for each load, as `ChunkVisitor` has them. Raises `Stopped`; what other loads committed stays."""
        *others, last = self._visitors
        left_out: dict[int, Collection[int]] = {}
        is_to_count = last.known(chunk).committed is None
        for visitor in others:
            known = visitor.known(chunk)
            yield visitor.visit_known(known)
            if is_to_count:
                left_out[visitor.load_id] = known.converted.filtered
        yield last.visit_known(last.known(chunk, left_out))


@dataclass(frozen=True, slots=True)
class VisitedLoad:
    """One of the loads of a reading: its visits, and a folder for each kind of their records."""

    plan: VisitPlan
    folders: Mapping[RecordKind, OutputFolder]


def cut_of(plans: Sequence[VisitPlan]) -> LoadPlan:
    """The load by which files are cut into splits and chunks in a reading: any of its loads. Raises `ValueError` if they differ in it."""
    if len({plan.load_plan.load.cut for plan in plans}) != 1 or len({tuple(plan.kinds) for plan in plans}) != 1:
        message = "the loads of a reading must be of one export, with the same splits, chunks and kinds of records"
        raise ValueError(message)
    return plans[0].load_plan


def record_folders(run_folder: OutputFolder, plan: VisitPlan) -> dict[RecordKind, OutputFolder]:
    """Where a run keeps the records of one load: a folder for each kind, and in it one for each table."""
    return {kind: run_folder / kind / plan.load_plan.folder for kind in plan.kinds}


def visit_plainly(splits: Sequence[Split], *plans: VisitPlan) -> Iterator[dict[RecordKind, RecordBatch]]:
    """All chunks in a loop, each for every load: what the Beam job does, on one thread and without Beam."""
    load_plan = cut_of(plans)
    with Session(load_plan.database) as session:
        visitor = ReadingVisitor(plans, session)
        for chunk in read_splits(splits, load_plan):
            yield from visitor.visit(chunk)
