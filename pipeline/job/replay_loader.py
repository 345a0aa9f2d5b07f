"""Dead letters into their target, exactly once: each is claimed in the ledger in the transaction of its row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pipeline.errors import Stopped
from pipeline.job.given_items import GivenItem
from pipeline.job.loading import ConvertedChunk, LoadPlan, convert_lines
from pipeline.ledger.replays import brought_in, claim_items, hash_seed, note_hashes, release_items
from pipeline.records.lines import Rejection, dead_letter_record, notice_records
from pipeline.source.chunks import ItemAddress
from pipeline.target.compare import find_hashes
from pipeline.target.rows import RefusedRow, Rows
from pipeline.target.session import Cursor, RowsRefused, Session
from pipeline.target.write import WriteRows, ways_to_write
from transforms.compile import compile_key, compile_table


@dataclass(frozen=True, slots=True)
class ReplayedBatch:
    """What became of a batch: each item is a row now, was one before, or is a dead letter still."""

    rows: int
    rows_before: int
    dead_letters: tuple[bytes, ...]
    """The records of those that are refused again."""
    notices: tuple[bytes, ...]
    codes: Mapping[str, int]
    """Of those that are refused again: how many have a code."""


@dataclass(frozen=True, slots=True)
class _Written:
    """What a transaction did, by places in the batch."""

    rows: Sequence[int]
    before: frozenset[int]
    """Rows already, from an earlier replay or another one that runs."""
    refused: Sequence[RefusedRow]


class ReplayLoader:
    """Brings items of one load in through one session. An item that is a row already is left alone."""

    def __init__(self, plan: LoadPlan, session: Session) -> None:
        self._plan = plan
        self._session = session
        self._to_row = compile_table(plan.table, migration_time=plan.load.migration_microseconds, unmapped=plan.load.unmapped)
        self._to_key = compile_key(plan.table, plan.target.primary_key)
        by_name = {column.name: column for column in plan.table.columns}
        self._key_table = replace(plan.table, columns=tuple(by_name[name] for name in plan.target.primary_key))
        self._ways = ways_to_write(plan.target, plan.table)
        self._seed = session.transact(lambda cursor: hash_seed(cursor, plan.load.load_id))

    def load(self, items: Sequence[GivenItem]) -> ReplayedBatch:
        """Items of one load, in a transaction; numbered here by their places in the batch. Raises `Stopped`."""
        converted = convert_lines((item.line for item in items), 0, self._to_row)
        written = self._write(items, converted.rows)
        converted = converted.without(written.refused)
        dead = sorted(converted.refusals.keys() - written.before)
        return ReplayedBatch(
            rows=len(written.rows),
            rows_before=len(items) - len(written.rows) - len(dead),
            dead_letters=tuple(self._dead_letters(items, converted, dead)),
            notices=tuple(self._notices(items, converted, written.rows)),
            codes=Counter(code for number in dead for code in {error.code.value for error in converted.refusals[number].errors}),
        )

    def _write(self, items: Sequence[GivenItem], rows: Rows) -> _Written:
        for way in self._ways:
            try:
                return self._session.transact(lambda cursor, way=way: self._write_in(cursor, way, items, rows))  # type: ignore[misc]
            except RowsRefused as refused:
                sqlstate = refused.sqlstate
        message = f"PostgreSQL refused rows of {self._plan.table.target} that it took one by one (SQLSTATE {sqlstate})"
        raise Stopped(message)

    def _write_in(self, cursor: Cursor, way: WriteRows, items: Sequence[GivenItem], rows: Rows) -> _Written:
        """The transaction: the ledger's claims, then the rows, then what they are known by."""
        load_id = self._plan.load.load_id
        rows_before = brought_in(cursor, load_id, [item.key for item in items])
        before = {number for number, item in enumerate(items) if item.key in rows_before}
        new = {items[number].key: items[number].codes for number in rows.item_numbers if number not in before}
        claimed = claim_items(cursor, load_id, self._plan.run_id, new)
        numbers = [number for number in rows.item_numbers if items[number].key in claimed]
        # Whatever was claimed by another run since we looked.
        before |= {number for number in rows.item_numbers if number not in before and items[number].key not in claimed}
        refused = way(cursor, self._plan.target, self._plan.table, rows.only(numbers)) if numbers else []
        release_items(cursor, load_id, [items[row.item_number].key for row in refused])
        loaded = sorted(set(numbers) - {row.item_number for row in refused})
        self._note_hashes(cursor, items, loaded)
        return _Written(loaded, frozenset(before), refused)

    def _note_hashes(self, cursor: Cursor, items: Sequence[GivenItem], loaded: Sequence[int]) -> None:
        if not loaded:
            return
        keys = [(number, self._to_key(items[number].line)) for number in loaded]
        rows = Rows([number for number, key in keys if key is not None], [key for _, key in keys if key is not None])
        found = find_hashes(cursor, self._plan.target, self._key_table, rows, self._seed)
        if len(found) != len(loaded):
            message = (
                f"{self._plan.table.target}: rows that were written are not there under their keys; does a trigger change keys? Nothing of "
                "them was kept"
            )
            raise Stopped(message)
        hashes = {items[number].key: of_row for number, of_row in found.items()}
        note_hashes(cursor, self._plan.load.load_id, self._plan.target, hashes)

    def _dead_letters(self, items: Sequence[GivenItem], converted: ConvertedChunk, dead: Sequence[int]) -> Iterator[bytes]:
        now = datetime.now(UTC).isoformat()
        for number in dead:
            item, refusal = items[number], converted.refusals[number]
            place = ItemAddress(item.key.data_file, item.key.item_number)
            rejection = Rejection(now, item.attempt + 1, item.first_run_id)
            yield dead_letter_record(self._plan.origin, place, item.line, refusal.stage, refusal.errors, rejection)

    def _notices(self, items: Sequence[GivenItem], converted: ConvertedChunk, loaded: Sequence[int]) -> Iterator[bytes]:
        for number in loaded:
            item = items[number]
            place = ItemAddress(item.key.data_file, item.key.item_number)
            yield from notice_records(self._plan.origin, place, item.line, self._plan.table.key, converted.notices.get(number, ()))
