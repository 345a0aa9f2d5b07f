"""A chunk as it is visited: its lines, what they convert to, and what the ledger has of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from pipeline.errors import Stopped
from pipeline.job.plan import LoadPlan
from pipeline.ledger.chunks import ChunkCounts, CommittedChunk, committed_chunks
from pipeline.ledger.loads import ChunkKey
from pipeline.source.chunks import Chunk, ItemAddress
from pipeline.target.rows import RefusedRow, Rows
from pipeline.target.session import Session
from transforms.compile import ToRow
from transforms.rejects import ErrorCode, ItemError, ItemRefused, Notice, Stage

_WRITE_MESSAGES: Final[Mapping[ErrorCode, str]] = {
    ErrorCode.PRIMARY_KEY_CONFLICT: "the target has a row with this primary key already",
    ErrorCode.UNIQUE_CONFLICT: "the target has a row with the same unique value already",
    ErrorCode.FOREIGN_KEY_VIOLATION: "the row refers to one that is not there",
    ErrorCode.CHECK_VIOLATION: "the row breaks a check",
    ErrorCode.NOT_NULL_VIOLATION: "a column that must not be NULL would be",
    ErrorCode.DATABASE_REJECTED: "PostgreSQL refused the row",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    stage: Stage
    errors: Sequence[ItemError]

    @property
    def codes(self) -> set[str]:
        return {error.code.value for error in self.errors}


def _write_refusal(row: RefusedRow) -> Refusal:
    message = _WRITE_MESSAGES[row.code]
    if row.constraint:
        message = f"{message} (constraint {row.constraint})"
    return Refusal(Stage.WRITE, [ItemError(row.code, None, None, message, row.sqlstate)])


@dataclass(frozen=True, slots=True)
class ConvertedLines:
    """What became of lines, by item number: each is a row or a refusal."""

    rows: Rows
    refusals: Mapping[int, Refusal]
    notices: Mapping[int, Sequence[Notice]]

    def without(self, refused: Iterable[RefusedRow]) -> ConvertedLines:
        """The same after PostgreSQL refused some of the rows: they are dead letters now, and have no notices."""
        refusals = {**self.refusals, **{row.item_number: _write_refusal(row) for row in refused}}
        notices = {number: notices for number, notices in self.notices.items() if number not in refusals}
        return ConvertedLines(self.rows, refusals, notices)

    @property
    def loaded_rows(self) -> Rows:
        """The rows of items that are no dead letters."""
        if self.refusals.keys().isdisjoint(self.rows.item_numbers):
            return self.rows
        return self.rows.without(self.refusals)

    def counts(self, items: int) -> ChunkCounts:
        """For the ledger: dead-letter codes by the items that have them, notice codes by notices."""
        return ChunkCounts(
            items=items,
            rows=items - len(self.refusals),
            notices=sum(map(len, self.notices.values())),
            dead_letter_codes=Counter(code for refusal in self.refusals.values() for code in refusal.codes),
            notice_codes=Counter(notice.code.value for notices in self.notices.values() for notice in notices),
        )


def convert_lines(lines: Iterable[bytes], first_number: int, to_row: ToRow) -> ConvertedLines:
    """Each line to a row or a refusal, numbered from `first_number`. Pure."""
    numbers: list[int] = []
    encoded: list[bytes] = []
    refusals: dict[int, Refusal] = {}
    notices: dict[int, Sequence[Notice]] = {}
    for number, line in enumerate(lines, first_number):
        try:
            row, notices_of_row = to_row(line)
        except ItemRefused as refused:
            refusals[number] = Refusal(refused.stage, refused.errors)
            continue
        numbers.append(number)
        encoded.append(row)
        if notices_of_row:
            notices[number] = notices_of_row
    return ConvertedLines(Rows(numbers, encoded), refusals, notices)


class KnownChunk:
    """A chunk of one load. Its lines are converted once, on first use."""

    def __init__(self, chunk: Chunk, key: ChunkKey, committed: CommittedChunk | None, to_row: ToRow) -> None:
        self.chunk = chunk
        self.key = key
        self.first_item = chunk.first_item
        self.lines = chunk.lines
        self.committed = committed
        """None where it was not committed when the ledger was last asked."""
        self._to_row = to_row

    @property
    def item_numbers(self) -> range:
        return range(self.first_item, self.first_item + len(self.lines))

    def line(self, item_number: int) -> bytes:
        return self.lines[item_number - self.first_item]

    def address(self, item_number: int) -> ItemAddress:
        return ItemAddress(self.key.data_file, item_number)

    @cached_property
    def converted(self) -> ConvertedLines:
        """Before PostgreSQL is asked."""
        return convert_lines(self.lines, self.first_item, self._to_row)

    @cached_property
    def as_committed(self) -> ConvertedLines:
        """With what PostgreSQL refused when the chunk was committed. Raises `Stopped` if the ledger knows the chunk otherwise."""
        if self.committed is None:
            message = f"{self.key.data_file}: the chunk from item {self.first_item} is not committed"
            raise ValueError(message)
        return self.converted.without(self.refused_before(self.committed))

    def refused_before(self, committed: CommittedChunk) -> Sequence[RefusedRow]:
        """What PostgreSQL refused when the chunk was committed. Raises `Stopped` if the ledger knows the chunk otherwise."""
        counts = self.converted.without(committed.refused).counts(len(self.lines))
        if (counts.items, counts.rows, counts.notices) != (committed.items, committed.rows, committed.notices):
            message = (
                f"{self.key.data_file}: the chunk from item {self.first_item} was committed with other counts than it has now; the export, "
                "or ddb2pg itself, is not what it was when the load began. Bring that back, or begin the load anew (docs/rollback.md)"
            )
            raise Stopped(message)
        return committed.refused


class KnownChunks:
    """Makes known chunks of the chunks of one load, through one session."""

    def __init__(self, plan: LoadPlan, session: Session) -> None:
        self._load_id = plan.load.load_id
        self._session = session
        self._to_row = plan.row_maker()
        self._committed: tuple[str, dict[int, CommittedChunk]] = ("", {})

    def of(self, chunk: Chunk) -> KnownChunk:
        key = ChunkKey(self._load_id, chunk.split.data_file.name, chunk.first_item)
        return KnownChunk(chunk, key, self._committed_in(key.data_file).get(key.first_item), self._to_row)

    def _committed_in(self, data_file: str) -> dict[int, CommittedChunk]:
        """By first item; one query of the ledger for each data file, not for each chunk."""
        if self._committed[0] != data_file:
            self._committed = data_file, self._session.transact(lambda cursor: committed_chunks(cursor, self._load_id, data_file))
        return self._committed[1]
