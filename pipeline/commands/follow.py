"""`follow`: window after window, each asked for as soon as it can be had, waited for, and applied, as `export` and `migrate` do.

With `--stream` it is the stream in place of windows (`stream.py`).

Nothing of it is remembered here: what is applied is in the ledger, and what was asked for, in AWS. So it may end at any point, and the same
command goes on. A window that was asked for is found again, and not billed twice.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from pipeline.commands.migrate import migrate
from pipeline.commands.stream import follow_stream
from pipeline.errors import Ddb2pgError, Refused, RefusedForNow, Stopped, StoppedForNow, TooEarly
from pipeline.ledger.applied import applied_tables, loaded_tables
from pipeline.options import FollowOptions, NextChangesOptions, export_argument
from pipeline.outcome.outcome import Outcome, Run
from pipeline.outcome.report import end_run
from pipeline.source.windows import SHORTEST, WantedWindows, shown_time
from pipeline.target.connection import why_not_connected
from pipeline.target.session import RetryLimit, Session

if TYPE_CHECKING:
    from pipeline.source.ask_dynamodb import RequestedExport

# After a failure that passes; doubling, with jitter.
_AGAIN: Final = RetryLimit(first_wait=10, longest_wait=600)


def follow(options: FollowOptions, console: Console) -> Run:
    """Apply windows until one may not be followed; with `once`, those that can be had now.

    Raises `Refused` and `Stopped` as `export` and `migrate` do, but for what passes by itself: that is tried again. With `once` it raises
    `TooEarly`, too.
    """
    tables = followed_tables(options)
    if options.stream:
        return follow_stream(options, tables, console)
    if not options.to:
        raise Refused(["--to is missing: where windows are exported to, as s3://BUCKET/PREFIX; --stream needs none"])
    failures, has_worked = 0, False
    while True:
        try:
            run = _apply_next(options, tables, console)
        except TooEarly as early:
            if options.once:
                raise
            failures, has_worked = 0, True
            _tell(console, f"{early}; waiting")
            # It is a second late rather than early: DynamoDB's answers say whole ones.
            pause(early.left.total_seconds() + 1)
            continue
        except (Refused, Stopped) as error:
            if options.once or not _passes(error, options, has_worked=has_worked):
                raise
            failures += 1
            wait = _AGAIN.wait(failures)
            _tell(console, f"{error}; trying again in {timedelta(seconds=round(wait))}", "yellow")
            pause(wait)
            continue
        if options.once or not all(outcome.may_go_on for outcome in run.outcomes):
            return run
        failures, has_worked = 0, True
        end_run(run, console, as_json=options.json, quiet=options.quiet)
        console.quiet = options.quiet


def pause(seconds: float) -> None:
    """Wait; a signal ends it."""
    time.sleep(max(seconds, 0))


def followed_tables(options: NextChangesOptions) -> tuple[str, ...]:
    """The DynamoDB tables that are meant. Raises `Refused`."""
    sentence = why_not_connected(options.database)
    if sentence:
        raise Refused([sentence])
    with Session(options.database) as session:
        loaded = session.transact(loaded_tables)
    known = dict.fromkeys(table.source for table in options.tables)
    unknown = [name for name in options.table if name not in known]
    if unknown:
        raise Refused(f"{name}: there is no definition of this table; there are {', '.join(known)} (--tables)" for name in unknown)
    tables = options.table or tuple(name for name in known if name in loaded)
    if not tables:
        raise Refused([f"none of {', '.join(known)} was loaded into this database; load full exports first (ddb2pg migrate)"])
    return tables


def _passes(error: Ddb2pgError, options: FollowOptions, *, has_worked: bool) -> bool:
    """Whether the reason may be gone when it is tried again: a server that is away, or asked too often.

    A database that could not be reached from the beginning may have a wrong URL.
    """
    return isinstance(error, RefusedForNow | StoppedForNow) or (has_worked and why_not_connected(options.database) is not None)


def _tell(console: Console, sentence: str, style: str | None = None) -> None:
    console.print(sentence, style=style, markup=False, highlight=False, soft_wrap=True)


# -- one cycle -----------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Followed:
    """How far a table is after a cycle."""

    source_table: str
    applied_to: datetime
    behind_seconds: int


def _apply_next(options: FollowOptions, tables: Sequence[str], console: Console) -> Run:
    """Export the next windows, or find those that are there, and apply them. Raises `Refused`, of that `TooEarly`, and `Stopped`."""
    exports = export_next(options, tables, console, least=timedelta(minutes=options.every))
    run = apply_exports(options, exports, console)
    ends = {export.source_table: export.window.to_time for export in exports if export.window}
    now = datetime.now(UTC)
    followed = [Followed(name, end, round((now - end).total_seconds())) for name, end in ends.items()]
    if all(outcome.may_go_on for outcome in run.outcomes):
        for one in followed:
            _tell(console, _line(one, [outcome for outcome in run.outcomes if outcome.source_table == one.source_table]))
    return replace(run, command="follow", results={**run.results, "followed": followed})


def export_next(
    options: NextChangesOptions, tables: Sequence[str], console: Console, *, least: timedelta = SHORTEST, after: datetime | None = None
) -> list[RequestedExport]:
    """The next windows, each at least so long, exported. Raises as `export_tables`.

    With `after` they are those up to the first time that holds all that was written before.
    """
    from pipeline.source.ask_dynamodb import export_tables  # noqa: PLC0415 - boto3 takes long to import
    from pipeline.source.export_plan import ExportOptions, split_target  # noqa: PLC0415

    with Session(options.database) as session:
        applied = session.transact(lambda cursor: applied_tables(cursor, tables, takes_begun=True))
    wanted = WantedWindows(applied, view=options.view, least=least, after=after)
    bucket, prefix = split_target(options.to)
    asked = ExportOptions(tuple(tables), bucket, prefix, windows=wanted, kms_key=options.kms_key, tells_next=False)
    exports = export_tables(asked, options.aws, console)
    problems = [export.problem for export in exports if export.problem]
    if problems:
        raise Stopped("\n".join(problems))
    return exports


def apply_exports(options: NextChangesOptions, exports: Sequence[RequestedExport], console: Console) -> Run:
    """As `migrate` does."""
    uris = [export.uri for export in exports if export.uri]
    return migrate(replace(options, exports=tuple(map(export_argument, uris))), console)


def _line(followed: Followed, outcomes: Sequence[Outcome]) -> str:
    """What a cycle did with a table: `orders: applied to 2026-11-30T10:00:00Z, 0:03:10 behind; 12 inserted, 3 updated; 0 outdated rows`."""
    counts: dict[str, Any] = {}
    for outcome in outcomes:
        for part in outcome.parts:
            counts[part.words] = counts.get(part.words, 0) + part.count
    outdated = sum({outcome.target_table: outcome.outdated for outcome in outcomes}.values())
    parts = ", ".join(f"{count:,} {words}" for words, count in counts.items() if count) or "no changes"
    behind = timedelta(seconds=followed.behind_seconds)
    return f"{followed.source_table}: applied to {shown_time(followed.applied_to)}, {behind} behind; {parts}; {outdated:,} outdated rows"
