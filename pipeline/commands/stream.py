"""`follow --stream`: what changes in DynamoDB is in the target seconds later, from the end of the windows on.

All that is known is in the ledger. So it may be ended at any point, and the same command goes on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from rich.console import Console

from pipeline.errors import StoppedForNow
from pipeline.job.plan import new_run_id
from pipeline.ledger.changes import count_outdated
from pipeline.ledger.loads import find_load_by_id
from pipeline.ledger.streams import StreamState
from pipeline.options import FollowOptions, NextChangesOptions
from pipeline.outcome.outcome import Begun, Outcome, Run, begin
from pipeline.outcome.terminal import print_outcome
from pipeline.source.windows import shown_time
from pipeline.stream.prove import prove_stream
from pipeline.target.session import Cursor, RetryLimit, Session
from pipeline.target.target import describe_database

if TYPE_CHECKING:
    from pipeline.stream.begin import Streams
    from pipeline.stream.follow import StreamFollower, StreamProgress

_PAUSE: Final = 0.5  # seconds after nothing came
_TELL_EVERY: Final = 10.0  # seconds while something comes
_TELL_ANYWAY: Final = 600.0
_AGAIN: Final = RetryLimit(first_wait=10, longest_wait=600)
"""After a failure that passes; doubling, with jitter."""


@dataclass(frozen=True, slots=True)
class FollowedStream:
    """How far the stream of a table is."""

    source_table: str
    target_table: str
    applied_to: datetime
    behind_seconds: int


@dataclass(frozen=True, slots=True)
class OpenedStreams:
    """Streams of a run."""

    streams: Streams
    session: Session
    begun: Begun
    opened_at: float
    """In seconds of the monotonic clock."""


@contextmanager
def opened_streams(options: NextChangesOptions, source_tables: Sequence[str]) -> Iterator[OpenedStreams]:
    """A run with its folder, and the streams, begun in the ledger where they are not yet. Raises `Refused`."""
    from pipeline.stream.begin import StreamSettings, open_streams  # noqa: PLC0415 - boto3 takes long to import

    run_id, started_at, opened_at = new_run_id(), datetime.now(UTC), time.monotonic()
    tables = [table for table in options.tables if table.source in source_tables]
    settings = StreamSettings(options.database, options.aws, options.conflicts, options.dead_letter_format, run_id, options.output / run_id)
    with open_streams(tables, options.tables, settings) as streams, Session(options.database) as session:
        plans = [follower.changes.load_plan for follower in streams.followers]
        begun = begin(run_id, started_at, options, session.transact(describe_database), plans)
        yield OpenedStreams(streams, session, begun, opened_at)


def follow_stream(options: FollowOptions, source_tables: Sequence[str], console: Console) -> Run:
    """Apply streams until it is ended from outside; with `once`, all that was written before now. Raises `Refused`, `Stopped`."""
    with opened_streams(options, source_tables) as opened:
        if options.once:
            opened.streams.drain(opened.streams.now())
        else:
            _follow(opened.streams, _Followed(opened.streams, opened.session, console))
        outcomes = print_outcomes(opened, console)
        return Run("follow", outcomes, results={"streams": _results(opened.streams)}, begun=opened.begun)


def _follow(streams: Streams, followed: _Followed) -> None:
    """Until it is ended from outside. Raises `Stopped`."""
    failures = 0
    while True:
        try:
            progress = streams.step()
            followed.tell(progress)
        except StoppedForNow as stopped:
            failures += 1
            wait = _AGAIN.wait(failures)
            followed.tell_failure(f"{stopped}; trying again in {timedelta(seconds=round(wait))}")
            time.sleep(wait)
            continue
        failures = 0
        if not any(one.read for one in progress):
            time.sleep(_PAUSE)


class _Followed:
    """Says now and then how far streams are."""

    def __init__(self, streams: Streams, session: Session, console: Console) -> None:
        self._streams = streams
        self._session = session
        self._console = console
        self._told: Mapping[int, StreamState] = {}
        self._told_at = time.monotonic() - _TELL_ANYWAY  # the first step is told at once

    def tell(self, progress: Sequence[StreamProgress]) -> None:
        """A line a table at the beginning, and where something was done since the last one; at least every ten minutes."""
        self._told = self._told or {one.state.chain: one.state for one in progress}
        waited = time.monotonic() - self._told_at
        is_new = any(one.state.counts != self._told[one.state.chain].counts for one in progress)
        if not (waited > _TELL_ANYWAY or (is_new and waited > _TELL_EVERY)):
            return
        for follower, one in zip(self._streams.followers, progress, strict=True):
            self._print(self._line(follower, one))
        self._told, self._told_at = {one.state.chain: one.state for one in progress}, time.monotonic()

    def tell_failure(self, sentence: str) -> None:
        self._print(sentence, "yellow")

    def _print(self, sentence: str, style: str | None = None) -> None:
        self._console.print(sentence, style=style, markup=False, highlight=False, soft_wrap=True)

    def _line(self, follower: StreamFollower, progress: StreamProgress) -> str:
        state = progress.state
        before, now = asdict(self._told[state.chain].counts), asdict(state.counts)
        done = {name.replace("_", " "): now[name] - before[name] for name in now if name != "set_aside"}
        parts = [f"{count:,} {words}" for words, count in done.items() if count]
        if progress.set_aside:
            parts.append(f"{progress.set_aside:,} set aside")
        outdated = self._session.transact(lambda cursor: count_outdated(cursor, state.chain))
        where = f"applied to {shown_time(progress.reached)}" if progress.is_settled else f"read to {shown_time(progress.reached)}"
        behind = timedelta(seconds=max(0, round((self._streams.now() - progress.reached).total_seconds())))
        if not progress.is_settled:
            parts = ["nothing is written before all shards are 2 minutes past the end of the windows"]
        name = follower.changes.load_plan.folder.removesuffix("@stream")
        return f"{name}: {where}, {behind} behind; {', '.join(parts) or 'no changes'}; {outdated:,} outdated rows"


def print_outcomes(opened: OpenedStreams, console: Console) -> tuple[Outcome, ...]:
    """What became of each stream so far."""

    def outcomes_of(cursor: Cursor) -> Iterator[Outcome]:
        for follower in opened.streams.followers:
            plan = follower.changes.load_plan
            full = find_load_by_id(cursor, plan.load.chain)
            seconds = time.monotonic() - opened.opened_at
            if full and (outcome := prove_stream(cursor, full, plan.target, read_before=follower.read_before, seconds=seconds)):
                yield outcome

    outcomes = opened.session.transact(lambda cursor: tuple(outcomes_of(cursor)))
    for outcome in outcomes:
        print_outcome(console, outcome, "follow")
    return outcomes


def _results(streams: Streams) -> list[FollowedStream]:
    now = streams.now()
    return [
        FollowedStream(
            follower.changes.load_plan.table.source,
            follower.table,
            follower.reached,
            max(0, round((now - follower.reached).total_seconds())),
        )
        for follower in streams.followers
    ]
