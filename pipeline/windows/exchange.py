"""Records of a window that wait for each other in a circle: A takes the unique value of B's row, and B that of A's.

No order of them will do, so their rows are written in one transaction: all deleted, and then inserted. That is done only where nobody
refers to the rows, and the definition fills all of their columns.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Final

from pipeline.job.chunk import KnownChunk, KnownChunks
from pipeline.job.plan import read_splits
from pipeline.ledger.changes import applied_chunk
from pipeline.ledger.loads import note_writer
from pipeline.ledger.rollbacks import hold_open
from pipeline.source.chunks import Split
from pipeline.target.apply import apply_exchanging, may_exchange
from pipeline.target.fates import Fates
from pipeline.target.rows import RefusedRow
from pipeline.target.session import Cursor, RowsRefused, Session
from pipeline.windows.apply import ApplyChunks, ChangesOfChunks, Settled

MOST_LINES: Final = 100_000
"""Of the chunks with such records, which are held in memory all at once; with more, the records are dead letters."""


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A chunk of which records were settled."""

    chunk: KnownChunk
    settled: Settled


class Exchange:
    """What is set aside in the chunks of some splits, all at once."""

    def __init__(self, changes: ApplyChunks, splits: Sequence[Split], session: Session) -> None:
        self._session = session
        self.of = ChangesOfChunks(changes, session)
        self._chunks = self._read(changes, splits)

    def _read(self, changes: ApplyChunks, splits: Sequence[Split]) -> list[KnownChunk]:
        """The chunks; none where they are too many. Raises `DataFileRefused`, `Stopped`."""
        plan, known_chunks = changes.load_plan, KnownChunks(changes.load_plan, self._session)
        chunks, lines = [], 0
        for chunk in read_splits(splits, plan):
            known = known_chunks.of(chunk)
            if self._session.transact(lambda cursor, known=known: applied_chunk(cursor, known.key)).set_aside:  # type: ignore[misc]
                chunks.append(known)
                lines += len(chunk.lines)
            if lines > MOST_LINES:
                return []
        return sorted(chunks, key=lambda one: (one.key.data_file, one.key.first_item))

    def settle(self) -> list[Exchanged]:
        """Write what can be written: nothing where PostgreSQL keeps a row from being deleted. Raises `Stopped`."""
        try:
            return self._session.transact(self._work) if self._chunks else []
        except RowsRefused:
            return []

    def _work(self, cursor: Cursor) -> list[Exchanged]:
        of = self.of
        if not may_exchange(cursor, of.applying):
            return []
        hold_open(cursor, of.load.load_id)
        note_writer(cursor, of.load)
        before = [applied_chunk(cursor, chunk.key) for chunk in self._chunks]
        places = [(chunk, number) for chunk, of_chunk in zip(self._chunks, before, strict=True) for number in of_chunk.set_aside]
        lines = LinesOfChunks(places)
        converted = of.convert(lines, range(len(places)))
        fates = of.apply(cursor, lines, converted.changes, apply_exchanging)
        return [
            Exchanged(chunk, of.note_settled(cursor, chunk, of_chunk, _of_chunk(fates, chunk, places), is_last=False))
            for chunk, of_chunk in zip(self._chunks, before, strict=True)
            if of_chunk.set_aside
        ]


class LinesOfChunks:
    """The lines of records of several chunks, by their places."""

    def __init__(self, places: Sequence[tuple[KnownChunk, int]]) -> None:
        self._places = places

    def line(self, number: int) -> bytes:
        chunk, item_number = self._places[number]
        return chunk.line(item_number)


def _of_chunk(fates: Fates, chunk: KnownChunk, places: Sequence[tuple[KnownChunk, int]]) -> Fates:
    """The fates of a chunk's records, by their item numbers."""

    def numbers(of_fate: Collection[int]) -> set[int]:
        return {places[place][1] for place in of_fate if places[place][0] is chunk}

    of_chunk = Fates()
    for name in (one.name for one in fields(Fates) if one.name != "refused"):
        setattr(of_chunk, name, numbers(getattr(fates, name)))
    for row in fates.refused.values():
        owner, number = places[row.item_number]
        if owner is chunk:
            of_chunk.refused[number] = RefusedRow(number, row.code, row.sqlstate, row.constraint)
    return of_chunk
