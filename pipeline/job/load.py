"""The visit that loads: a chunk's rows and its row in the ledger, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from pipeline.job.chunk import ConvertedLines, KnownChunk
from pipeline.job.plan import LoadPlan
from pipeline.job.visit import Records
from pipeline.ledger.changes import hash_row, note_doubles
from pipeline.ledger.chunks import claim_chunk, committed_chunk, note_refused
from pipeline.ledger.replays import hash_seed
from pipeline.ledger.threshold import DeadLetterGuard
from pipeline.records.kinds import OF_A_LOAD, RecordKind
from pipeline.records.lines import Rejection, dead_letter_record, notice_records
from pipeline.source.chunks import ItemAddress
from pipeline.target.rows import RefusedRow
from pipeline.target.session import Cursor, Session
from pipeline.target.write import WriteRows, copy_new_rows, stop_if_diverted, ways_to_write
from transforms.rejects import ErrorCode


@dataclass(frozen=True, slots=True)
class LoadChunks:
    load_plan: LoadPlan
    kinds: Sequence[RecordKind] = OF_A_LOAD
    refused: str = "PostgreSQL refused rows that it took one by one"

    def visit(self, session: Session) -> LoadVisit:
        return LoadVisit(self.load_plan, session)


class LoadVisit:
    """Loads chunks. Of a chunk that is committed only the records are made again."""

    def __init__(self, plan: LoadPlan, session: Session) -> None:
        self._plan = plan
        self._ways = ways_to_write(plan.target, plan.table)
        self._first_way = 0
        self._guard = DeadLetterGuard(plan.threshold, plan.load, session)

    @property
    def ways(self) -> Sequence[WriteRows]:
        return self._ways[self._first_way :]

    def prepare(self, chunk: KnownChunk) -> Records | None:
        committed = chunk.committed
        if committed is None:
            self._guard.check()
            _ = chunk.converted
            return None
        if committed.is_clean and committed.items == len(chunk.lines):
            return {}
        return self._records(chunk, chunk.as_committed, committed.replayed)

    def work(self, cursor: Cursor, chunk: KnownChunk, way: WriteRows) -> Sequence[RefusedRow]:
        """The ledger's row, then the chunk's; returns what PostgreSQL refused, now or when another worker committed the chunk."""
        if not claim_chunk(cursor, chunk.key, self._plan.run_id, chunk.counts):
            return chunk.refused_before(committed_chunk(cursor, chunk.key))
        refused = way(cursor, self._plan.target, self._plan.table, chunk.converted.rows)
        stop_if_diverted(cursor, self._plan.target, refused)
        if refused:
            note_refused(cursor, chunk.key, refused, chunk.converted.without(refused).counts(len(chunk.lines)))
            self._note_doubles(cursor, chunk, refused)
        return refused

    def _note_doubles(self, cursor: Cursor, chunk: KnownChunk, refused: Sequence[RefusedRow]) -> None:
        """For the windows that may follow."""
        doubles = chunk.converted.rows.only(row.item_number for row in refused if row.code is ErrorCode.PRIMARY_KEY_CONFLICT)
        if doubles:
            load, table = self._plan.load, self._plan.table
            seed = hash_seed(cursor, load.chain)
            note_doubles(cursor, load, {hash_row(table, row, seed) for row in doubles.encoded})

    def records(self, chunk: KnownChunk, way: WriteRows, done: Sequence[RefusedRow]) -> Records:
        # After a chunk with conflicts more are likely, and checking the keys first costs less than a COPY that fails half-way.
        self._first_way = self._ways.index(way) if way is copy_new_rows and done else 0
        converted = chunk.converted.without(done) if done else chunk.converted
        self._guard.note(converted.counts(len(chunk.lines)))
        return self._records(chunk, converted, frozenset())

    def _records(self, chunk: KnownChunk, converted: ConvertedLines, replayed: Collection[int]) -> Records:
        """Replayed items are no longer dead letters."""
        if not converted.refusals and not converted.notices:
            return {}
        rejection = Rejection(datetime.now(UTC).isoformat(), attempt=1, first_run_id=self._plan.run_id)
        dead = [number for number in sorted(converted.refusals) if number not in replayed]
        return records_of(self._plan, chunk, converted, dead, converted.notices, lambda _: rejection)


class Lines(Protocol):
    """Lines by number, and their places in the export."""

    def line(self, number: int, /) -> bytes: ...

    def address(self, number: int, /) -> ItemAddress: ...


def records_of(
    plan: LoadPlan,
    lines: Lines,
    converted: ConvertedLines,
    dead: Iterable[int],
    noted: Iterable[int],
    rejection: Callable[[int], Rejection],
) -> Records:
    """The dead letters of the items `dead`, and the notices of the items `noted`, by number."""
    origin = plan.origin
    dead_letters = []
    for number in dead:
        refusal = converted.refusals[number]
        record = dead_letter_record(origin, lines.address(number), lines.line(number), refusal.stage, refusal.errors, rejection(number))
        dead_letters.append(record)
    notices = [
        record
        for number in noted
        for record in notice_records(origin, lines.address(number), lines.line(number), plan.table.key, converted.notices.get(number, ()))
    ]
    return {RecordKind.DEAD_LETTERS: dead_letters, RecordKind.NOTICES: notices}
