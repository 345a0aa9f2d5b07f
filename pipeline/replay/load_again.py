"""Dead letters loaded again from their files, exactly once: each is claimed in the ledger in the transaction of its row.

An item that is a row already, from an earlier replay, is left alone. One that the definition does not take now is filtered, and counted as
that from then on; the next replay tries it again. Where several definitions take from the source it is a dead letter still, unless it is
ignored on purpose: the other loads left it out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

from pipeline.errors import Stopped
from pipeline.job.chunk import ConvertedLines, Refusal, convert_lines
from pipeline.job.load import records_of
from pipeline.job.plan import LoadPlan
from pipeline.job.visit import Records, try_ways
from pipeline.ledger.loads import forget_validated_as_of, note_writer
from pipeline.ledger.replays import (
    brought_in,
    claim_items,
    hash_seed,
    note_child_hashes,
    note_filtered,
    note_hashes,
    release_filtered,
    release_items,
)
from pipeline.records.lines import Rejection
from pipeline.replay.given import GivenItem
from pipeline.source.chunks import ItemAddress
from pipeline.target.compare import find_hashes
from pipeline.target.rows import RefusedRow, Rows, fields_of
from pipeline.target.session import Cursor, Session
from pipeline.target.write import WriteRows, copy_new_rows, families, stop_if_diverted, ways_to_write
from transforms.children import ToRows
from transforms.compile import ToRow, compile_key
from transforms.rejects import ErrorCode, ItemError, Stage
from transforms.where import IGNORED

_NOWHERE: Final = Refusal(
    Stage.TRANSFORM,
    [
        ItemError(
            ErrorCode.NO_TABLE,
            None,
            None,
            "the definition that is given does not take this item, and the loads of the other definitions of its source left it out: give "
            "one that takes it, or Ignore(...) it, or begin these loads anew",
        )
    ],
)


class GivenItems:
    """A batch of items of one load, numbered by their places in it."""

    def __init__(self, items: Sequence[GivenItem], to_row: ToRow | ToRows, *, is_of_several: bool) -> None:
        self.items = items
        self._to_row = to_row
        self._is_of_several = is_of_several

    def line(self, number: int) -> bytes:
        return self.items[number].line

    def address(self, number: int) -> ItemAddress:
        return self.items[number].address

    @cached_property
    def converted(self) -> ConvertedLines:
        converted = convert_lines((item.line for item in self.items), 0, self._to_row)
        nowhere = [number for number, reason in converted.filtered.items() if self._is_of_several and not reason.startswith(IGNORED)]
        return converted.refusing(nowhere, _NOWHERE) if nowhere else converted


@dataclass(frozen=True, slots=True)
class Written:
    """What a transaction did, by places in the batch."""

    rows: Sequence[int]
    before: frozenset[int]
    """Settled already, by an earlier replay or another one that runs."""
    filtered: frozenset[int]
    refused: Sequence[RefusedRow]


@dataclass(frozen=True, slots=True)
class ReplayedBatch:
    """What became of a batch: each item is a row now, was one before, is a dead letter still, or is filtered."""

    rows: int
    rows_before: int
    dead_letters: int
    filtered: int
    codes: Mapping[str, int]
    """Of those that are refused again: how many have a code."""
    filter_reasons: Mapping[str, int]
    records: Records


class Replay:
    """Loads items of one load through one session."""

    def __init__(self, plan: LoadPlan, session: Session) -> None:
        self._plan = plan
        self._session = session
        self._to_row = plan.row_maker()
        self._to_key = compile_key(plan.with_defaults, plan.target.key, migration_time=plan.load.migration_microseconds)
        self._key_table = plan.table.only(plan.target.key)
        ways = ways_to_write(plan.target, plan.table)
        # What PostgreSQL refused before it may refuse again, most often for a key.
        self._ways = ways[ways.index(copy_new_rows) :] if copy_new_rows in ways else ways
        self._seed = session.transact(lambda cursor: hash_seed(cursor, plan.load.load_id))

    def load(self, items: Sequence[GivenItem]) -> ReplayedBatch:
        """In one transaction. Raises `Stopped`."""
        batch = GivenItems(items, self._to_row, is_of_several=self._plan.has_siblings)
        _ = batch.converted
        refused = f"PostgreSQL refused rows of {self._plan.table.target} that it took one by one"
        _, written = try_ways(self._session, self._ways, lambda cursor, way: self._work(cursor, batch, way), refused)
        converted = batch.converted.without(written.refused)
        dead = sorted(converted.refusals.keys() - written.before)
        now = datetime.now(UTC).isoformat()

        def rejection(number: int) -> Rejection:
            return Rejection(now, items[number].attempt + 1, items[number].first_run_id)

        return ReplayedBatch(
            rows=len(written.rows),
            rows_before=len(items) - len(written.rows) - len(dead) - len(written.filtered),
            dead_letters=len(dead),
            filtered=len(written.filtered),
            codes=Counter(code for number in dead for code in converted.refusals[number].codes),
            filter_reasons=Counter(converted.filtered[number] for number in written.filtered),
            records=records_of(self._plan, batch, converted, dead, written.rows, rejection),
        )

    def _work(self, cursor: Cursor, batch: GivenItems, way: WriteRows) -> Written:
        """The transaction: the ledger's claims, then the rows, then their hashes."""
        load_id, items, rows = self._plan.load.load_id, batch.items, batch.converted.rows
        addresses = [item.address for item in items]
        release_filtered(cursor, load_id, addresses)
        rows_before = brought_in(cursor, load_id, addresses)
        before = {number for number, item in enumerate(items) if item.address in rows_before}
        new = {items[number].address: items[number].codes for number in rows.item_numbers if number not in before}
        claimed = claim_items(cursor, load_id, self._plan.run_id, new)
        note_writer(cursor, self._plan.load)
        numbers = [number for number in rows.item_numbers if items[number].address in claimed]
        # Items that another run claimed after we looked.
        before |= {number for number in rows.item_numbers if number not in before and items[number].address not in claimed}
        filtered = self._note_filtered(cursor, batch, before)
        before |= batch.converted.filtered.keys() - filtered
        refused = way(cursor, self._plan.target, self._plan.table, rows.only(numbers)) if numbers else []
        stop_if_diverted(cursor, self._plan.target, refused)
        if refused:
            release_items(cursor, load_id, [items[row.item_number].address for row in refused])
        loaded = sorted(set(numbers) - {row.item_number for row in refused})
        if loaded:
            # A corrected item is in no export.
            forget_validated_as_of(cursor, load_id)
        self._note_hashes(cursor, items, loaded)
        self._note_children(cursor, items, rows.only(loaded))
        return Written(loaded, frozenset(before), filtered, refused)

    def _note_filtered(self, cursor: Cursor, batch: GivenItems, before: Collection[int]) -> frozenset[int]:
        """Note the items that the definition does not take, but for those that were settled before; returns them."""
        items = batch.items
        left_out = {number: reason for number, reason in batch.converted.filtered.items() if number not in before}
        noted = {items[number].address: (items[number].codes, reason) for number, reason in left_out.items()}
        newly = note_filtered(cursor, self._plan.load.load_id, self._plan.run_id, noted)
        return frozenset(number for number in left_out if items[number].address in newly)

    def _note_hashes(self, cursor: Cursor, items: Sequence[GivenItem], loaded: Sequence[int]) -> None:
        if not loaded:
            return
        rows = Rows.of((number, self._to_key(items[number].line)) for number in loaded)
        hashes = find_hashes(cursor, self._plan.target, self._key_table, rows, self._seed)
        if len(hashes) != len(loaded):
            message = (
                f"{self._plan.table.target}: rows that were written are not there under their keys; does a trigger change keys? Nothing of "
                "them was kept"
            )
            raise Stopped(message)
        by_address = {items[number].address: of_row for number, of_row in hashes.items()}
        note_hashes(cursor, self._plan.load.load_id, self._plan.target, by_address)

    def _note_children(self, cursor: Cursor, items: Sequence[GivenItem], rows: Rows) -> None:
        """Note the child rows of items that were loaded, by hashes of their keys and of all their columns."""
        for number, (target, table, of_child) in enumerate(families(self._plan.target, self._plan.table, rows)):
            if not of_child.encoded:
                continue
            positions = [table.column_names.index(name) for name in target.key]
            keys = fields_of(of_child.numbered, positions)
            hashes = find_hashes(cursor, target, table.only(target.key), keys, self._seed)
            if len(hashes) != len(of_child.encoded):
                message = f"{table.target}: child rows that were written are not there under their keys; nothing of them was kept"
                raise Stopped(message)
            of_items = [(items[of_child.owners[place]].address, of_row) for place, of_row in hashes.items()]
            note_child_hashes(cursor, self._plan.load.load_id, number, of_items)
