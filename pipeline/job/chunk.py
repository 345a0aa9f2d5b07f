"""A chunk as it is visited: its lines, what they convert to, and what the ledger has of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Final

from pipeline.errors import Stopped
from pipeline.job.plan import LoadPlan
from pipeline.ledger.chunks import ChunkCounts, CommittedChunk, committed_chunks
from pipeline.ledger.loads import ChunkKey
from pipeline.source.chunks import Chunk, ItemAddress
from pipeline.target.rows import ChildRows, RefusedRow, Rows
from pipeline.target.session import Session
from transforms.children import ChildRows as RowsOfItem
from transforms.children import CompiledRows, ToRows
from transforms.compile import ToRow
from transforms.rejects import ErrorCode, ItemError, ItemFiltered, ItemRefused, Notice, Stage

_WRITE_MESSAGES: Final[Mapping[ErrorCode, str]] = {
    ErrorCode.PRIMARY_KEY_CONFLICT: "the target has a row with this primary key already",
    ErrorCode.UNIQUE_CONFLICT: "the target has a row with the same unique value already",
    ErrorCode.FOREIGN_KEY_VIOLATION: "the row refers to one that is not there",
    ErrorCode.CHECK_VIOLATION: "the row breaks a check",
    ErrorCode.NOT_NULL_VIOLATION: "a column that must not be NULL would be",
    ErrorCode.DATABASE_REJECTED: "PostgreSQL refused the row",
    ErrorCode.ROW_CHANGED_BY_OTHERS: "the row with this key was written, changed or kept by somebody else, and was left as it is",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    stage: Stage
    errors: Sequence[ItemError]

    @property
    def codes(self) -> set[str]:
        return {error.code.value for error in self.errors}


def write_refusal(row: RefusedRow) -> Refusal:
    """Of a row that PostgreSQL refused."""
    message = _WRITE_MESSAGES[row.code]
    if row.constraint:
        message = f"{message} (constraint {row.constraint})"
    return Refusal(Stage.WRITE, [ItemError(row.code, None, None, message, row.sqlstate)])


@dataclass(frozen=True, slots=True)
class ConvertedLines:
    """What became of lines, by item number: each is a row, a refusal, or filtered."""

    rows: Rows
    refusals: Mapping[int, Refusal]
    notices: Mapping[int, Sequence[Notice]]
    filtered: Mapping[int, str]
    """The reason for which an item is not for this table."""
    absent: Sequence[str] = ()
    """The paths of the definition that no item of them has."""

    def without(self, refused: Iterable[RefusedRow]) -> ConvertedLines:
        """The same after PostgreSQL refused some of the rows: they are dead letters now, and have no notices."""
        refusals = {**self.refusals, **{row.item_number: write_refusal(row) for row in refused}}
        notices = {number: notices for number, notices in self.notices.items() if number not in refusals}
        return ConvertedLines(self.rows, refusals, notices, self.filtered, self.absent)

    def refusing(self, filtered: Iterable[int], refusal: Refusal) -> ConvertedLines:
        """The same with some of the filtered items refused."""
        refused = dict.fromkeys(filtered, refusal)
        left = {number: reason for number, reason in self.filtered.items() if number not in refused}
        return ConvertedLines(self.rows, {**self.refusals, **refused}, self.notices, left, self.absent)

    def only(self, item_numbers: Collection[int]) -> ConvertedLines:
        """Of some of the items."""
        return ConvertedLines(
            self.rows.only(item_numbers),
            {number: refusal for number, refusal in self.refusals.items() if number in item_numbers},
            {number: notices for number, notices in self.notices.items() if number in item_numbers},
            {number: reason for number, reason in self.filtered.items() if number in item_numbers},
        )

    @property
    def loaded_rows(self) -> Rows:
        """The rows of items that are no dead letters."""
        if not self.refusals or self.refusals.keys().isdisjoint(self.rows.item_numbers):
            return self.rows
        return self.rows.without(self.refusals)

    def counts(self, items: int) -> ChunkCounts:
        """For the ledger: dead-letter codes by the items that have them, notice codes by notices."""
        return ChunkCounts(
            items=items,
            rows=items - len(self.refusals) - len(self.filtered),
            filtered=len(self.filtered),
            notices=sum(map(len, self.notices.values())),
            dead_letter_codes=Counter(code for refusal in self.refusals.values() for code in refusal.codes),
            notice_codes=Counter(notice.code.value for notices in self.notices.values() for notice in notices),
            filter_reasons=Counter(self.filtered.values()),
            absent=self.absent,
            child_rows=[len(child.encoded) for child in self.loaded_rows.children] if self.rows.children else [],
        )


def convert_counted(lines: Iterable[bytes], first_number: int, compiled: CompiledRows) -> ConvertedLines:
    """The same as `convert_lines`, with what is absent."""
    compiled.take_absent()
    converted = convert_lines(lines, first_number, compiled.to_row)
    return replace(converted, absent=compiled.take_absent())


def convert_lines(lines: Iterable[bytes], first_number: int, to_row: ToRow | ToRows) -> ConvertedLines:
    """Each line to a row with its child rows, a refusal, or a reason why it is filtered, numbered from `first_number`. Pure."""
    numbers: list[int] = []
    encoded: list[bytes] = []
    refusals: dict[int, Refusal] = {}
    notices: dict[int, Sequence[Notice]] = {}
    filtered: dict[int, str] = {}
    children: list[RowsOfItem] = []
    for number, line in enumerate(lines, first_number):
        try:
            made = to_row(line)
        except ItemRefused as refused:
            refusals[number] = Refusal(refused.stage, refused.errors)
            continue
        except ItemFiltered as left_out:
            filtered[number] = left_out.reason
            continue
        numbers.append(number)
        encoded.append(made[0])
        if made[1]:
            notices[number] = made[1]
        if len(made) == 3:
            children.append(made[2])
    return ConvertedLines(Rows(numbers, encoded, _children(numbers, children)), refusals, notices, filtered)


def _children(numbers: Sequence[int], children: Sequence[RowsOfItem]) -> tuple[ChildRows, ...]:
    """From one entry an item to one a child."""
    return tuple(
        ChildRows(
            [number for number, rows in zip(numbers, of_child, strict=True) for _ in rows], [row for rows in of_child for row in rows]
        )
        for of_child in zip(*children, strict=True)
    )


def stop_if_otherwise(key: ChunkKey, counts: ChunkCounts, committed: CommittedChunk) -> None:
    """Raise `Stopped` if a chunk has other counts now than when it was committed."""
    now = (counts.items, counts.rows, counts.filtered, counts.notices, *counts.child_rows)
    if now != (committed.items, committed.rows, committed.filtered, committed.notices, *committed.child_rows):
        message = (
            f"{key.data_file}: the chunk from item {key.first_item} was committed with other counts than it has now; the export, "
            "or ddb2pg itself, is not what it was when the load began. Bring that back, or begin the load anew (docs/rollback.md)"
        )
        raise Stopped(message)


class KnownChunk:
    """A chunk of one load. Its lines are converted once, on first use.

    Of the last of several loads in one reading, `left_out` has the items that the others left out, by the id of the load.
    """

    def __init__(
        self,
        chunk: Chunk,
        key: ChunkKey,
        committed: CommittedChunk | None,
        compiled: CompiledRows,
        left_out: Mapping[int, Collection[int]],
    ) -> None:
        self.chunk = chunk
        self.key = key
        self.first_item = chunk.first_item
        self.lines = chunk.lines
        self.committed = committed
        """None where it was not committed when the ledger was last asked."""
        self._compiled = compiled
        self._left_out = left_out

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
        return convert_counted(self.lines, self.first_item, self._compiled)

    @property
    def counts(self) -> ChunkCounts:
        """For the ledger, before PostgreSQL is asked."""
        items = len(self.lines)
        counts = self.converted.counts(items)
        if not self._left_out:
            return counts
        loads = len(self._left_out) + 1
        left_out = Counter(chain(self.converted.filtered, *self._left_out.values()))
        taken_by = Counter(loads - times for times in left_out.values())
        taken_by[loads] = items - len(left_out)
        read_with = sorted([*self._left_out, self.key.load_id])
        return replace(counts, read_with=read_with, taken_by=[taken_by[number] for number in range(loads + 1)])

    @cached_property
    def as_committed(self) -> ConvertedLines:
        """With what PostgreSQL refused when the chunk was committed. Raises `Stopped` if the ledger knows the chunk otherwise."""
        if self.committed is None:
            message = f"{self.key.data_file}: the chunk from item {self.first_item} is not committed"
            raise ValueError(message)
        return self._checked(self.committed)

    def refused_before(self, committed: CommittedChunk) -> Sequence[RefusedRow]:
        """What PostgreSQL refused when the chunk was committed. Raises `Stopped` if the ledger knows the chunk otherwise."""
        self._checked(committed)
        return committed.refused

    def _checked(self, committed: CommittedChunk) -> ConvertedLines:
        converted = self.converted.without(committed.refused)
        stop_if_otherwise(self.key, converted.counts(len(self.lines)), committed)
        return converted


class KnownChunks:
    """Makes known chunks of the chunks of one load, through one session."""

    def __init__(self, plan: LoadPlan, session: Session) -> None:
        self._load_id = plan.load.load_id
        self._session = session
        self._compiled = plan.compiled()
        self._committed: tuple[str, dict[int, CommittedChunk]] = ("", {})

    def of(self, chunk: Chunk, left_out: Mapping[int, Collection[int]] | None = None) -> KnownChunk:
        """`left_out` as `KnownChunk` has it."""
        key = ChunkKey(self._load_id, chunk.split.data_file.name, chunk.first_item)
        return KnownChunk(chunk, key, self._committed_in(key.data_file).get(key.first_item), self._compiled, left_out or {})

    def _committed_in(self, data_file: str) -> dict[int, CommittedChunk]:
        """By first item; one query of the ledger for each data file, not for each chunk."""
        if self._committed[0] != data_file:
            self._committed = data_file, self._session.transact(lambda cursor: committed_chunks(cursor, self._load_id, data_file))
        return self._committed[1]
