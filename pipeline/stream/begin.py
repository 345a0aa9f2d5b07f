"""Streams as a command follows them: found, checked, entered in the ledger, and read in one loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Final, Self

from pipeline.definitions.find import record_folder
from pipeline.errors import Refused
from pipeline.job.plan import LoadPlan
from pipeline.ledger.loads import Link, Load, create_ledger
from pipeline.ledger.rollbacks import hold_still
from pipeline.ledger.streams import StreamState, begin_stream
from pipeline.ledger.windows import Chain, chain_of
from pipeline.places.place import AwsSettings
from pipeline.places.storage import OutputFolder
from pipeline.preflight.exports import PlannedWindows
from pipeline.preflight.findings import problems_in
from pipeline.preflight.windows import has_shared_keys, window_findings
from pipeline.records.kinds import RecordFormat
from pipeline.source.manifest import Window
from pipeline.source.windows import shown_time
from pipeline.stream.apply import StreamApplier
from pipeline.stream.follow import StreamFollower, StreamProgress, StreamTimes
from pipeline.stream.reader import KEPT, ListedStream, StreamedTable, StreamReader, find_streams
from pipeline.target.database_url import DatabaseReference
from pipeline.target.fates import Conflicts
from pipeline.target.session import Cursor, Session
from pipeline.target.target import Target, find_target_of
from pipeline.windows.apply import ApplyChunks, cascading_references, is_cut_over
from transforms.changes import FindsBy, how_changes_find_rows
from transforms.lines import View
from transforms.table import Table

_TIME_TO_READ: Final = timedelta(hours=1)
"""What is left of the 24 hours to read what has come since the end of the chain."""
_PAUSE: Final = 0.2  # seconds; a shard may be asked five times a second
_FOR_EVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """What the commands say."""

    database: DatabaseReference
    aws: AwsSettings
    conflicts: Conflicts
    record_format: RecordFormat
    run_id: str
    run_folder: OutputFolder
    times: StreamTimes = field(default_factory=StreamTimes)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    """Of this machine."""


class Streams:
    """The streams of several tables, followed together. Closed as a context."""

    def __init__(self, followers: Sequence[StreamFollower], clock: Callable[[], datetime]) -> None:
        self.followers = followers
        self.now = clock
        """By DynamoDB's clock, to which all times of streams are."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for follower in self.followers:
            follower.close()

    def step(self) -> list[StreamProgress]:
        """Read what each has now, and apply it; then try what is set aside, which may wait for rows of another. Raises `Stopped`."""
        stepped = [follower.step() for follower in self.followers]
        reached = min(follower.reached for follower in self.followers)

        def may_give_up() -> bool:
            return not any(follower.has_new_asides(reached) for follower in self.followers)

        settled = [follower.settle(reached, may_give_up) for follower in self.followers]
        return [replace(after, read=before.read) for before, after in zip(stepped, settled, strict=True)]

    def drain(self, until: datetime) -> list[StreamProgress]:
        """Step until all that was written before a time is applied, a conflict or a dead letter. Raises `Stopped`.

        It does not end before that time. DynamoDB does not say that a shard has no more records: a shard that was asked several times
        since, and gave none, is taken to have none. A write of one's own that is seen in the target is the better proof.
        """
        while True:
            progress = self.step()
            if all(one.is_settled and one.reached > until and not one.set_aside for one in progress):
                return progress
            if not any(one.read for one in progress):
                time.sleep(_PAUSE)


def open_streams(tables: Sequence[Table], all_tables: Sequence[Table], settings: StreamSettings) -> Streams:
    """The streams of some of a run's tables, begun in the ledger where they are not yet. Raises `Refused` with all problems."""
    found = [(table, *_find(table, settings)) for table in tables]
    settings = replace(settings, clock=_clock_of_dynamodb([streamed for _, streamed, _ in found], settings.clock))
    with Session(settings.database) as session:

        def begin(cursor: Cursor) -> list[ApplyChunks]:
            create_ledger(cursor)  # and so one run at a time begins something
            problems = [sentence for of_table in found for sentence in _why_not(cursor, *of_table, settings)]
            if problems:
                raise Refused(problems)
            return [_begin(cursor, table, stream, all_tables, settings) for table, _, stream in found if stream]

        begun = session.transact(begin)
    followers = [_follower(changes, stream, settings) for changes, (_, _, stream) in zip(begun, found, strict=True) if stream]
    return Streams(followers, settings.clock)


def _find(table: Table, settings: StreamSettings) -> tuple[StreamedTable, ListedStream | None]:
    return find_streams(settings.aws, table.source, settings.clock)


def _clock_of_dynamodb(streamed: Sequence[StreamedTable], clock: Callable[[], datetime]) -> Callable[[], datetime]:
    """The times of records are by that one, and ours may be wrong by minutes."""
    ahead = min((table.ahead for table in streamed), default=timedelta(0))
    return lambda: clock() + ahead


def _follower(changes: ApplyChunks, stream: ListedStream, settings: StreamSettings) -> StreamFollower:
    def make_applier(state: StreamState, session: Session) -> StreamApplier:
        return StreamApplier(changes, state, session, settings.run_folder, settings.record_format)

    return StreamFollower(changes, StreamReader(settings.aws, stream.arn), make_applier, settings.times, settings.clock)


# -- what must be --------------------------------------------------------------------------------------------------------------------------


def _why_not(cursor: Cursor, table: Table, streamed: StreamedTable, stream: ListedStream | None, settings: StreamSettings) -> Iterator[str]:
    target = find_target_of(cursor, table)
    chain = chain_of(cursor, target.qualified) if target else None
    if target is None or chain is None or chain.full is None:
        yield f"{table.target}: no load of a full export into it was begun, or several were, and a stream follows one (docs/streams.md)"
        return
    yield from problems_in(window_findings(cursor, PlannedWindows(table, ()), target, None, chain.full.unmapped))
    for sentence in [*_problems_of_chain(chain, streamed), *_problems_of_stream(cursor, table, target, chain, stream, settings)]:
        yield f"{table.target}: {sentence}"


def _problems_of_chain(chain: Chain, streamed: StreamedTable) -> Iterator[str]:
    if chain.begun is not None:
        yield f"window {chain.begun.export_id} was begun and is not applied to its end; finish it first (ddb2pg migrate)"
    if chain.end is None or chain.end.microsecond:
        yield (
            f"export {chain.export_id} is not as of a whole second, or does not tell its time, so nothing says where its stream begins; "
            "export the table again (ddb2pg export), and load that"
        )
    if chain.table_id is None or chain.table_id != streamed.table_id:
        yield (
            f"the table {streamed.name} is not the one that export {chain.export_id} is of, or nothing proves that it is (tableId): it was "
            "deleted and made again, or restored; that one needs a full export and a target of its own"
        )


def _problems_of_stream(
    cursor: Cursor, table: Table, target: Target, chain: Chain, stream: ListedStream | None, settings: StreamSettings
) -> Iterator[str]:
    begun = chain.stream
    if begun is not None and (stream is None or not stream.is_enabled or stream.arn != begun.arn):
        yield (
            "its stream was turned off since it is followed, and what changed after that is in no stream that goes on from there; begin "
            "anew with a full export, and a target of its own"
        )
        return
    if stream is None or not stream.is_enabled:
        yield (
            f"the table {table.source} has no stream that is on. Turn it on with the view NEW_AND_OLD_IMAGES, and make a window or a full "
            "export that ends later; the stream follows that"
        )
        return
    if begun is not None:
        return
    views = {view.value for view in View}
    if stream.view not in views:
        yield f"its stream has the view {stream.view}, which does not tell the items; it must be NEW_AND_OLD_IMAGES or NEW_IMAGE"
    elif stream.view == View.NEW_IMAGE.value and has_shared_keys(cursor, chain):
        yield "items share a key in the target, and its stream has the view NEW_IMAGE; it must be NEW_AND_OLD_IMAGES"
    elif stream.view == View.NEW_IMAGE.value and target.key:
        finding = how_changes_find_rows(table, target.key)
        if finding.by is FindsBy.OLD_IMAGES:
            yield "its rows are found by old images, and its stream has the view NEW_IMAGE; it must be NEW_AND_OLD_IMAGES"
    if chain.end is None:
        return
    margin = settings.times.margin
    if stream.created > chain.end - margin:
        yield (
            f"its stream was turned on at {shown_time(stream.created)}, and what is applied ends at {shown_time(chain.end)}: what "
            f"changed in between is in neither. Apply a window that ends after {shown_time(stream.created + margin)} (ddb2pg "
            "export --incremental)"
        )
    oldest = settings.clock() - KEPT + _TIME_TO_READ
    if chain.end - margin < oldest:
        yield (
            f"what is applied ends at {shown_time(chain.end)}, and DynamoDB keeps the records of a stream for 24 hours only. Apply windows "
            "that end later first (ddb2pg export --incremental)"
        )


# -- in the ledger -------------------------------------------------------------------------------------------------------------------------


def _begin(cursor: Cursor, table: Table, stream: ListedStream, all_tables: Sequence[Table], settings: StreamSettings) -> ApplyChunks:
    target = find_target_of(cursor, table)
    chain = chain_of(cursor, target.qualified) if target else None
    if target is None or chain is None or chain.full is None or chain.end is None:
        raise Refused([f"{table.target}: the load that its stream follows is gone"])
    state = chain.stream
    if state is None:
        hold_still(cursor, chain.full.load_id)
        state = begin_stream(cursor, chain.full.load_id, stream.arn, chain.end, View(stream.view))
    plan = LoadPlan(
        load_of_stream(chain.full, len(chain.windows) + 1, state),
        table,
        target,
        settings.database,
        settings.run_id,
        f"{record_folder(table, all_tables)}@stream",
    )
    references, of_children = cascading_references(cursor, target)
    return ApplyChunks(
        plan,
        references,
        settings.conflicts,
        of_children,
        is_strict=has_shared_keys(cursor, chain),
        is_cut_over=is_cut_over(cursor, chain.full, settings.conflicts),
    )


def load_of_stream(full: Load, number: int, state: StreamState) -> Load:
    """A stream as if it were a window that has no end."""
    link = Link(full.load_id, number, Window(state.from_time, _FOR_EVER, state.view), is_stream=True)
    return replace(full, load_id=state.stream_id, export_id=state.arn, link=link)
