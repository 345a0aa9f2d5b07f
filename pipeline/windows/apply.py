"""The visit that applies a window: what the records of a chunk do to the target, and its rows in the ledger, in one transaction.

A record that PostgreSQL refuses for the sake of another row (a unique value that moves from one row to another, a row that is referred to)
is set aside: what it waits for may be in another chunk. `settle.py` tries those again when all chunks are applied.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Protocol

from pipeline.errors import Refused, Stopped
from pipeline.job.chunk import KnownChunk, stop_if_otherwise
from pipeline.job.plan import LoadPlan
from pipeline.job.visit import Records
from pipeline.ledger.changes import (
    AppliedChunk,
    Fate,
    OutdatedRow,
    applied_chunk,
    doubles_among,
    has_outdated,
    hash_row,
    note_applied,
    note_doubles,
    note_outdated,
    outdated_rows,
    salted_hash,
    set_aside_in,
    supersede,
)
from pipeline.ledger.chunks import CommittedChunk, claim_chunk, committed_chunk, note_refused
from pipeline.ledger.loads import ChunkKey, Link, Load, note_writer
from pipeline.ledger.replays import hash_seed
from pipeline.ledger.rollbacks import hold_open
from pipeline.ledger.threshold import DeadLetterGuard
from pipeline.ledger.windows import cut_over_at
from pipeline.records.kinds import OF_A_LOAD, RecordKind
from pipeline.records.lines import Rejection, dead_letter_record, notice_records
from pipeline.source.chunks import ItemAddress
from pipeline.source.windows import shown_time
from pipeline.target.apply import SET_ASIDE, WAYS_TO_APPLY, ApplyChanges, apply_one_by_one
from pipeline.target.fates import Applying, ChangedRows, Conflicts, Fates, Outdated, find_rows
from pipeline.target.rows import RefusedRow, Rows
from pipeline.target.session import Cursor, Session
from pipeline.target.target import Reference, Target, find_references
from pipeline.windows.changes import ChangedLines, convert_changes, item_hash
from transforms.changes import FindsBy, compile_changes, how_changes_find_rows
from transforms.lines import read_change_line
from transforms.rejects import ErrorCode, ItemFiltered, ItemRefused

_CUT_OVER: Final = (
    "{table}: was cut over at {since}, and since then the application's rows stand above DynamoDB's items: later changes are compared, and "
    "what differs is listed. Leave out --conflicts=overwrite"
)


def is_cut_over(cursor: Cursor, full: Load, conflicts: Conflicts) -> bool:
    """Whether the application writes to the target of a chain by now. Raises `Refused` where its rows are to be overwritten."""
    since = cut_over_at(cursor, full.load_id)
    if since and conflicts is Conflicts.OVERWRITE:
        raise Refused([_CUT_OVER.format(table=full.target_table, since=shown_time(since))])
    return since is not None


@dataclass(frozen=True, slots=True)
class ApplyChunks:
    """All that a worker needs to apply chunks of a window."""

    load_plan: LoadPlan
    references: Sequence[Reference]
    """The foreign keys of others by which deleting a row of the target would delete or change theirs."""
    conflicts: Conflicts
    child_references: Sequence[Sequence[Reference]] = ()
    """Of each child the same."""
    is_strict: bool = False
    """Whether the old image must say which row is an item's, though the key in DynamoDB would: two items made one key before."""
    is_cut_over: bool = False
    """Whether the application writes to the target by now."""
    kinds: Sequence[RecordKind] = OF_A_LOAD
    refused: str = "PostgreSQL refused changes that it took one by one"

    @property
    def link(self) -> Link:
        link = self.load_plan.load.link
        if link is None:
            message = "the load is of a full export"
            raise ValueError(message)
        return link

    @property
    def applying(self) -> Applying:
        plan = self.load_plan
        finding = how_changes_find_rows(plan.table, plan.target.key)
        by_old_images = self.is_strict or finding.by is FindsBy.OLD_IMAGES
        return Applying(
            plan.target,
            plan.table,
            plan.load.chain,
            _NO_WINDOW if self.link.is_stream else plan.load.load_id,
            finding.child_keys,
            tuple(self.references),
            self.conflicts,
            by_old_images,
            tuple(self.child_references),
            self.is_cut_over,
        )

    def visit(self, session: Session) -> ApplyVisit:
        return ApplyVisit(self, session)


def cascading_references(cursor: Cursor, target: Target) -> tuple[Sequence[Reference], Sequence[Sequence[Reference]]]:
    """The foreign keys of others by which deleting a row would delete or change theirs, and the same of each child's rows."""
    own = {child.qualified for child in target.children}

    def cascading(of_rows: Target) -> tuple[Reference, ...]:
        return tuple(one for one in find_references(cursor, of_rows) if one.is_cascading and one.qualified not in own)

    return cascading(target), tuple(map(cascading, target.children))


@dataclass(frozen=True, slots=True)
class Applied:
    """What a transaction did with a chunk: the records that were refused, and which of these are set aside."""

    refused: Sequence[RefusedRow]
    set_aside: Collection[int]

    @property
    def dead(self) -> list[RefusedRow]:
        return [row for row in self.refused if row.item_number not in self.set_aside]


class Lines(Protocol):
    """Lines by number."""

    def line(self, number: int, /) -> bytes: ...


class AddressedLines(Lines, Protocol):
    """Lines of which it is known where they come from."""

    def address(self, number: int, /) -> ItemAddress: ...


class ChangesOfChunks:
    """What both visits of a window's chunks, the first one and the settling one, have in common."""

    def __init__(self, plan: ApplyChunks, session: Session) -> None:
        self.plan = plan.load_plan
        self.load = load = self.plan.load
        self.applying = plan.applying
        self.session = session
        self._compiled = compile_changes(
            self.plan.with_defaults,
            key=self.plan.target.key,
            view=plan.link.window.view,
            migration_time=load.migration_microseconds,
            unmapped=load.unmapped,
        )
        self._to_row = self.plan.row_maker()
        self._seed: int | None = None
        self._converted: tuple[ChunkKey, ChangedLines] | None = None

    def converted(self, chunk: KnownChunk) -> ChangedLines:
        """Of all lines of a chunk; of the last one it is kept."""
        if self._converted is None or self._converted[0] != chunk.key:
            self._converted = chunk.key, self.convert(chunk, chunk.item_numbers)
        return self._converted[1]

    def convert(self, of: Lines, numbers: Iterable[int]) -> ChangedLines:
        lines = ((number, of.line(number)) for number in numbers)
        return convert_changes(lines, self._compiled.to_change, len(self.plan.table.children))

    def apply(self, cursor: Cursor, of: Lines, changes: ChangedRows, way: ApplyChanges) -> Fates:
        """Raises `Stopped` where rows are somebody else's, and are to stop it; `RowsRefused`."""
        if self.applying.by_old_images:
            changes = replace(changes, doubles=self._doubles(cursor, changes))
        at_new, at_gone = self._outdated_at(cursor, of, changes) if has_outdated(cursor, self.load) else ({}, {})
        fates = way(cursor, self.applying, changes, Outdated(at_new, at_gone))
        if fates.conflicts and self.applying.conflicts is Conflicts.STOP and not self.applying.is_cut_over:
            raise Stopped(_CONFLICTS.format(count=len(fates.conflicts), table=self.plan.table.target))
        supersede(cursor, self.load, [*at_new.values(), *at_gone.values()])
        fates.otherwise |= fates.overwritten | at_new.keys() | at_gone.keys()
        return fates

    def _outdated_at(self, cursor: Cursor, of: Lines, changes: ChangedRows) -> tuple[dict[int, OutdatedRow], dict[int, OutdatedRow]]:
        """The items of which a row is outdated: at the key of their new row, and at one that goes."""
        numbers = {*changes.new.item_numbers, *changes.gone.item_numbers}
        hashes = {number: hashed for number in numbers if (hashed := self.hash_of(cursor, of, number)) is not None}
        outdated = outdated_rows(cursor, self.load, hashes.values())

        def at(keys: Iterable[tuple[int, bytes]]) -> dict[int, OutdatedRow]:
            rows = {}
            for number, key in keys:
                row_key_hashes = outdated.get(hashes[number], ()) if number in hashes else ()
                if row_key_hashes and (row_key_hash := self._key_hash(cursor, key)) in row_key_hashes:
                    rows[number] = OutdatedRow(hashes[number], row_key_hash)
            return rows

        return at(self.keys_of(changes.new)), at(zip(changes.gone.item_numbers, changes.gone.encoded, strict=True))

    def _doubles(self, cursor: Cursor, changes: ChangedRows) -> set[int]:
        """The items of which a row would go, and of whose old row there is another item that has none."""
        going = changes.old.only(changes.gone.item_numbers)
        seed = self._hash_seed(cursor)
        hashes = {number: hash_row(self.plan.table, row, seed) for number, row in zip(going.item_numbers, going.encoded, strict=True)}
        doubles = doubles_among(cursor, self.load.chain, hashes.values())
        return {number for number, hashed in hashes.items() if hashed in doubles}

    def keys_of(self, rows: Rows) -> Iterable[tuple[int, bytes]]:
        """By item the key in the target, as a row of it alone."""
        return ((number, self._compiled.key_of_row(row)) for number, row in zip(rows.item_numbers, rows.encoded, strict=True))

    def note_dead(
        self, cursor: Cursor, chunk: AddressedLines, changes: ChangedRows, fates: Fates, unread: Iterable[int], aside: Collection[int] = ()
    ) -> None:
        """Note which records that are dead letters leave an older row: of those refused before PostgreSQL was asked, and of others."""
        unread = list(unread)
        if not unread and not fates.refused:
            return
        keys = Rows.of((number, self._compiled.key_of(chunk.line(number))) for number in unread)
        old = Rows.of((number, self._old_row(chunk.line(number))) for number in unread) if self.applying.by_old_images else Rows([], [])
        there = find_rows(cursor, self.applying, keys, old) if unread else set[int]()
        of_there = dict(self.keys_of(old.only(there)) if self.applying.by_old_images else zip(keys.item_numbers, keys.encoded, strict=True))
        unwritten = fates.there & fates.refused.keys() - set(aside)
        of_there |= {number: key for number, key in self.keys_of(changes.new.only(unwritten)) if number in fates.at_new}
        gone = changes.gone.only(unwritten - fates.at_new)
        of_there |= dict(zip(gone.item_numbers, gone.encoded, strict=True))
        items = {number: OutdatedRow(self.hash_of(cursor, chunk, number), None) for number in unread}
        noted = {number: row for number, row in items.items() if row.item_hash is None}
        for number in there | unwritten:
            noted[number] = OutdatedRow(self.hash_of(cursor, chunk, number), self._key_hash(cursor, of_there[number]))
        # A row that was outdated before is this window's from now on.
        supersede(cursor, self.load, [row for row in noted.values() if row.row_key_hash is not None])
        note_outdated(cursor, self.load, {chunk.address(number): row for number, row in sorted(noted.items())})
        codes = {number: row.code for number, row in fates.refused.items() if number not in aside}
        doubles = changes.new.only(number for number, code in codes.items() if code is ErrorCode.PRIMARY_KEY_CONFLICT)
        seed = self._hash_seed(cursor) if doubles else 0
        note_doubles(cursor, self.load, {hash_row(self.plan.table, row, seed) for row in doubles.encoded})

    def hash_of(self, cursor: Cursor, of: Lines, number: int) -> int | None:
        """Of the item of a line; None where it names no key."""
        return item_hash(of.line(number), self.plan.table.key, self._hash_seed(cursor))

    def _key_hash(self, cursor: Cursor, key: bytes) -> int:
        return salted_hash(key, self._hash_seed(cursor))

    def _hash_seed(self, cursor: Cursor) -> int:
        if self._seed is None:
            self._seed = hash_seed(cursor, self.load.chain)
        return self._seed

    def _old_row(self, line: bytes) -> bytes | None:
        """The row of the item before the window, of a record that was refused."""
        try:
            old = read_change_line(line, self.plan.table.key).old
            return self._to_row(old)[0] if old is not None else None
        except (ItemRefused, ItemFiltered):
            return None

    def records(
        self, chunk: AddressedLines, lines: ChangedLines, dead: Iterable[RefusedRow], noted: Iterable[int] | None = None
    ) -> Records:
        """Dead letters of the lines that were refused and of these rows, and notices of the others."""
        dead = list(dead)
        refusals = lines.refusals_with(dead)
        rejection = Rejection(datetime.now(UTC).isoformat(), attempt=1, first_run_id=self.plan.run_id)
        origin, key = self.plan.origin, self.plan.table.key
        dead_letters = [
            dead_letter_record(origin, chunk.address(number), chunk.line(number), refusal.stage, refusal.errors, rejection)
            for number, refusal in sorted(refusals.items())
        ]
        notices = [
            record
            for number in sorted(lines.notices if noted is None else noted)
            if number not in refusals
            for record in notice_records(origin, chunk.address(number), chunk.line(number), key, lines.notices.get(number, ()))
        ]
        return {RecordKind.DEAD_LETTERS: dead_letters, RecordKind.NOTICES: notices}

    def note_settled(self, cursor: Cursor, chunk: KnownChunk, before: AppliedChunk, fates: Fates, *, is_last: bool) -> Settled:
        """Note what became of records that were set aside; with `is_last` those that are refused again are dead letters."""
        aside = before.set_aside
        key, lines, applied = chunk.key, self.convert(chunk, aside), applied_of(fates)
        if is_last:
            applied = Applied(applied.refused, ())
        others = [row for row in committed_chunk(cursor, key).refused if row.item_number not in aside]
        refused = sorted([*others, *applied.refused], key=lambda row: row.item_number)
        note_refused(cursor, key, refused, self.converted(chunk).counts(refused))
        letters = {**dict(zip(chunk.item_numbers, before.fates, strict=True)), **letters_of(aside, lines, fates, applied)}
        overwritten = before.overwritten + len(fates.overwritten)
        note_applied(cursor, key, AppliedChunk("".join(letters.values()), overwritten, list(applied.set_aside)))
        self.note_dead(cursor, chunk, lines.changes, fates, (), applied.set_aside)
        return Settled(lines, set(aside) - {row.item_number for row in applied.refused}, applied.dead)

    def records_of_settled(self, chunk: KnownChunk, settled: Settled) -> Records:
        return self.records(chunk, settled.lines, settled.dead, set(settled.applied) & settled.lines.notices.keys())


_NO_WINDOW: Final = 0
"""Of no load: a row that an earlier record of a stream has written is not another item's for that."""
_CONFLICTS: Final = (
    "{table}: {count:,} rows that a chunk of the window changes were written, changed or kept by somebody else; nothing of that chunk was "
    "written. Run the same command again with --conflicts=keep, and they stay as they are and are listed with the dead letters, or with "
    "--conflicts=overwrite, and they become what the window has"
)


class ApplyVisit:
    """Applies chunks. Of a chunk that is committed only the records are made again."""

    def __init__(self, plan: ApplyChunks, session: Session) -> None:
        self._of = ChangesOfChunks(plan, session)
        self._guard = DeadLetterGuard(plan.load_plan.threshold, plan.load_plan.load, session)
        self.ways: Sequence[ApplyChanges] = WAYS_TO_APPLY

    def prepare(self, chunk: KnownChunk) -> Records | None:
        committed = chunk.committed
        if committed is None:
            self._guard.check()
            _ = self._of.converted(chunk)
            return None
        if committed.is_clean and committed.items == len(chunk.lines):
            return {}
        applied = self._of.session.transact(lambda cursor: self._applied_before(cursor, chunk, committed))
        return self._records(chunk, applied)

    def work(self, cursor: Cursor, chunk: KnownChunk, way: ApplyChanges) -> Applied:
        """The ledger's rows, then the target's."""
        lines, key = self._of.converted(chunk), chunk.key
        if not claim_chunk(cursor, key, self._of.plan.run_id, lines.counts()):
            return self._applied_before(cursor, chunk, committed_chunk(cursor, key))
        fates = self._of.apply(cursor, chunk, lines.changes, way)
        applied = applied_of(fates)
        if applied.refused:
            note_refused(cursor, key, applied.refused, lines.counts(applied.refused))
        letters = letters_of(chunk.item_numbers, lines, fates, applied)
        note_applied(cursor, key, AppliedChunk("".join(letters.values()), len(fates.overwritten), list(applied.set_aside)))
        self._of.note_dead(cursor, chunk, lines.changes, fates, lines.refusals, applied.set_aside)
        return applied

    def _applied_before(self, cursor: Cursor, chunk: KnownChunk, committed: CommittedChunk) -> Applied:
        stop_if_otherwise(chunk.key, self._of.converted(chunk).counts(committed.refused), committed)
        return Applied(committed.refused, set_aside_in(cursor, chunk.key))

    def records(self, chunk: KnownChunk, way: ApplyChanges, done: Applied) -> Records:  # noqa: ARG002
        self._guard.note(self._of.converted(chunk).counts(done.dead))
        return self._records(chunk, done)

    def _records(self, chunk: KnownChunk, applied: Applied) -> Records:
        lines = self._of.converted(chunk)
        return self._of.records(chunk, lines, applied.dead, lines.notices.keys() - set(applied.set_aside))


def applied_of(fates: Fates) -> Applied:
    conflicts = [RefusedRow(number, ErrorCode.ROW_CHANGED_BY_OTHERS, None, None) for number in fates.conflicts]
    refused = sorted([*fates.refused.values(), *conflicts], key=lambda row: row.item_number)
    return Applied(refused, sorted(row.item_number for row in refused if row.sqlstate in SET_ASIDE))


def letters_of(numbers: Iterable[int], lines: ChangedLines, fates: Fates, applied: Applied) -> dict[int, str]:
    """What became of each record, as a letter of `Fate`: of one that has a new row what became of that, else what of the old one."""
    refused, aside = {*lines.refusals, *fates.refused}, set(applied.set_aside)
    moved = fates.deleted & set(lines.changes.new.item_numbers)

    def fate_of(number: int) -> Fate:
        if number in refused:
            return Fate.SET_ASIDE if number in aside else Fate.DEAD_LETTER
        of_fates = (
            (Fate.CONFLICT, fates.conflicts),
            (Fate.MOVED, moved),
            (Fate.INSERTED, fates.inserted),
            (Fate.UPDATED, fates.updated),
            (Fate.UNCHANGED, fates.unchanged),
            (Fate.DELETED, fates.deleted),
            (Fate.FILTERED, lines.filtered),
        )
        return next((fate for fate, items in of_fates if number in items), Fate.ABSENT)

    return {number: fate_of(number).upper() if number in fates.otherwise else fate_of(number).value for number in numbers}


# -- what was set aside --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SettleChunks:
    """Tries again what is set aside; with `is_last`, what is refused again is a dead letter."""

    changes: ApplyChunks
    is_last: bool
    refused: str = "PostgreSQL refused changes that it took one by one"

    @property
    def load_plan(self) -> LoadPlan:
        return self.changes.load_plan

    @property
    def kinds(self) -> Sequence[RecordKind]:
        return self.changes.kinds

    def visit(self, session: Session) -> SettleVisit:
        return SettleVisit(self, session)


@dataclass(frozen=True, slots=True)
class Settled:
    """Of records that were set aside: those that were applied now, and those that are dead letters."""

    lines: ChangedLines
    applied: Collection[int]
    dead: Sequence[RefusedRow]


class SettleVisit:
    """Settles what of a chunk is set aside, each record by itself."""

    def __init__(self, plan: SettleChunks, session: Session) -> None:
        self._of = ChangesOfChunks(plan.changes, session)
        self._is_last = plan.is_last
        self.ways: Sequence[ApplyChanges] = (apply_one_by_one,)

    def prepare(self, chunk: KnownChunk) -> Records | None:
        aside = self._of.session.transact(lambda cursor: set_aside_in(cursor, chunk.key))
        return None if aside else {}

    def work(self, cursor: Cursor, chunk: KnownChunk, way: ApplyChanges) -> Settled:
        key = chunk.key
        hold_open(cursor, key.load_id)
        before = applied_chunk(cursor, key)
        lines = self._of.convert(chunk, before.set_aside)
        if not before.set_aside:
            return Settled(lines, (), ())
        note_writer(cursor, self._of.load)
        fates = self._of.apply(cursor, chunk, lines.changes, way)
        return self._of.note_settled(cursor, chunk, before, fates, is_last=self._is_last)

    def records(self, chunk: KnownChunk, way: ApplyChanges, done: Settled) -> Records:  # noqa: ARG002
        return self._of.records_of_settled(chunk, done)
