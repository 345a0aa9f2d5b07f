"""`cutover`: whether all is ready for the switch, and the last window, after which the application may write to PostgreSQL.

The proof has three parts: nothing was written to DynamoDB after the writes were stopped, by the times that DynamoDB gives the records; all
that was written before is applied, and equal; and nothing is left open in the chain. Then the chain is noted as cut over: what comes from
DynamoDB later is compared, and never written.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from rich.console import Console

from pipeline.commands.follow import apply_exports, export_next, followed_tables, pause
from pipeline.commands.stream import opened_streams, print_outcomes
from pipeline.cutover.ready import Code, cutover_checks
from pipeline.cutover.writes import LastWrites, last_writes
from pipeline.errors import Refused, Stopped, TooEarly
from pipeline.ledger.loads import lock_starts
from pipeline.ledger.windows import Chain, chain_of, note_cut_over
from pipeline.options import CutoverOptions, export_argument
from pipeline.outcome.outcome import Check, Run, Verdict, failed
from pipeline.source.data_file import DataFileRefused
from pipeline.source.given import read_given_exports
from pipeline.source.windows import shown_time
from pipeline.target.session import Cursor, Session
from pipeline.target.target import find_target_of
from transforms.table import Table

if TYPE_CHECKING:
    from pipeline.cutover.end import ComparedItems, StreamsEnd
    from pipeline.source.ask_dynamodb import RequestedExport


_WINDOW_MEANWHILE: Final = (
    "{table}: another command began a further window meanwhile, which was not looked at, so it is not noted as cut over. End that command "
    "(ddb2pg follow), and give the same command again"
)

_LONG_BEFORE: Final = timedelta(minutes=45)
"""A window that is asked for after the stop ends at most 17 minutes after it, for several tables some minutes later."""


@dataclass(frozen=True, slots=True)
class CutOver:
    """When it was, and how long the application could write nowhere."""

    tables: tuple[str, ...]
    stopped_at: datetime
    last_write: datetime | None
    """That the last window has; None where it is empty."""
    safe_at: datetime
    stop_seconds: float


def cutover(options: CutoverOptions, console: Console) -> Run:
    """Check, and with `stopped_at` export, apply and prove the last window. Raises `Refused`, `Stopped`."""
    _refuse_options(options)
    tables = followed_tables(options)
    checks = _checks(options, tables)
    if options.check:
        return Run("cutover", checks={"cutover": checks}, is_dry=True)
    # What a run that was ended before its end may have left is no obstacle: this one finishes it.
    problems = [check.line for check in failed(checks) if check.name not in (Code.NOTHING_BEGUN, Code.SET_ASIDE, Code.COMPARED)]
    if problems:
        raise Refused([*problems, "ddb2pg cutover --check shows all checks"])
    if options.stopped_at is None:
        return _with_streams(options, tables, console)
    return _with_windows(options, tables, options.stopped_at, console)


def _refuse_options(options: CutoverOptions) -> None:
    problems = []
    if options.check + options.stream + (options.stopped_at is not None) != 1:
        problems.append(
            "give --check, which only checks; or --stopped_at TIME, when writing to DynamoDB was stopped; or --stream, which says when to "
            "stop it"
        )
    if options.stopped_at and not options.to:
        problems.append("--stopped_at needs --to: where the windows are exported to, as with follow")
    if options.stopped_at and options.stopped_at > datetime.now(UTC):
        problems.append(f"--stopped_at {options.stopped_at.isoformat()} has not come yet; first stop the writes")
    if options.heartbeat and not options.stream:
        problems.append("--heartbeat is for --stream; leave it out")
    if problems:
        raise Refused(problems)


# -- windows -------------------------------------------------------------------------------------------------------------------------------


def _with_windows(options: CutoverOptions, tables: Sequence[str], stopped_at: datetime, console: Console) -> Run:
    _refuse_before_chains(options, tables, stopped_at)
    exports = _export_last(options, tables, stopped_at, console)
    writes = _last_writes(options, exports, stopped_at)
    if writes.later:
        message = (
            f"writes go on: {writes.later:,} records were written after {stopped_at.isoformat()}, the last one at {_shown(writes.last)}, "
            "by DynamoDB's clock. No window was applied by this command. Stop what writes, or correct the time, and give the same command "
            "with the new one"
        )
        raise Stopped(message)
    run = apply_exports(options, exports, console)
    checks = [*_checks(options, tables), _stopped(writes, stopped_at)]
    # In order of time.
    ends = {export.source_table: export.window.to_time for export in exports if export.window}
    return _ended(options, replace(run, command="cutover"), ends, checks, stopped_at, writes.last, console)


def _ended(
    options: CutoverOptions,
    run: Run,
    ends: Mapping[str, datetime | None],
    checks: Sequence[Check],
    stopped_at: datetime,
    last_write: datetime | None,
    console: Console,
) -> Run:
    """The run with its checks; noted as the cut-over if all hold. `ends` are those of the last windows; None with a stream.

    Raises `Stopped`.
    """
    run = replace(run, checks={**run.checks, "cutover": checks})
    if failed(checks) or not all(outcome.may_go_on for outcome in run.outcomes):
        return run
    safe_at = _note(options, ends)
    stop = (safe_at - stopped_at).total_seconds()
    told = CutOver(tuple(ends), stopped_at, last_write, safe_at, round(stop, 1))
    line = f"safe to switch since {shown_time(safe_at)}: writes were stopped at {shown_time(stopped_at)}, so the stop took "
    line += f"{stop:,.1f} seconds up to now; last write seen {_shown(last_write)}"
    console.print(line, style="bold green", markup=False, highlight=False, soft_wrap=True)
    return replace(run, results={**run.results, "cut_over": told})


def _refuse_before_chains(options: CutoverOptions, tables: Sequence[str], stopped_at: datetime) -> None:
    """Refuse a stop that is before the full export, whose items do not say when they were written, or long before what is applied ends.

    The second is most likely a wrong time, as one of another zone. Then no further window would be looked at: what was written after the
    end of what is applied would be lost.
    """
    with Session(options.database) as session:
        chains = session.transact(lambda cursor: _chains(cursor, options, tables))
    problems = [
        f"--stopped_at {stopped_at.isoformat()} is before the full export of {table.target}, which is as of "
        f"{shown_time(chain.export_time)}; correct the time"
        for table, chain in chains
        if chain.export_time and stopped_at < chain.export_time
    ]
    problems += [
        f"--stopped_at {stopped_at.isoformat()} is long before {shown_time(chain.end)}, up to which {table.target} is applied. If the time "
        "is wrong, correct it; else give a later one at which writing had stopped as well, as now: a window up to there is looked at"
        for table, chain in chains
        if chain.end and chain.end - stopped_at > _LONG_BEFORE
    ]
    if problems:
        raise Refused(problems)


def _chains(cursor: Cursor, options: CutoverOptions, tables: Collection[str]) -> list[tuple[Table, Chain]]:
    """Those that there are."""
    targets = [(table, find_target_of(cursor, table)) for table in options.tables if table.source in tables]
    chains = [(table, chain_of(cursor, target.qualified)) for table, target in targets if target]
    return [(table, chain) for table, chain in chains if chain]


def _checks(options: CutoverOptions, tables: Sequence[str]) -> list[Check]:
    now = datetime.now(UTC)

    def work(cursor: Cursor) -> list[Check]:
        # To look for the largest number of a large column may take long.
        cursor.execute("SET TRANSACTION READ ONLY")
        cursor.execute("SET LOCAL statement_timeout = 0")
        return [check for table in options.tables if table.source in tables for check in cutover_checks(cursor, table, now)]

    with Session(options.database) as session:
        return session.transact(work)


def _export_last(options: CutoverOptions, tables: Sequence[str], stopped_at: datetime, console: Console) -> list[RequestedExport]:
    """The windows up to one that holds all that was written before, and those after it that are applied; waits until they can be had."""
    while True:
        try:
            return export_next(options, tables, console, after=stopped_at)
        except TooEarly as early:
            _tell(console, f"{early}; waiting")
            pause(early.left.total_seconds() + 1)


def _last_writes(options: CutoverOptions, exports: Sequence[RequestedExport], stopped_at: datetime) -> LastWrites:
    """Of the windows that reach beyond the stop."""
    uris = [export.uri for export in exports if export.uri and export.window and export.window.to_time > stopped_at]
    given = read_given_exports([export_argument(uri) for uri in uris], options.storage, takes_windows=True)
    if given.problems or not uris:
        raise Stopped("\n".join(given.problems or ["the export of the last window is not listed, so nothing shows that writes stopped"]))
    try:
        return last_writes([window.export for window in given.windows], stopped_at, options.storage)
    except DataFileRefused as refused:
        raise Stopped(str(refused)) from None


def _stopped(writes: LastWrites, stopped_at: datetime) -> Check:
    sentence = f"nothing was written after {shown_time(stopped_at)}, by DynamoDB's clock; last write seen: {_shown(writes.last)}"
    return Check(Code.WRITES_STOPPED, Verdict.PASS, sentence)


def _shown(time: datetime | None) -> str:
    return "none" if time is None else shown_time(time)


def _note(options: CutoverOptions, ends: Mapping[str, datetime | None]) -> datetime:
    """Raises `Stopped` where another command has begun a window since these ends: it would write as if the rows were still DynamoDB's."""

    def work(cursor: Cursor) -> datetime:
        lock_starts(cursor)
        chains = _chains(cursor, options, ends)
        for table, chain in chains:
            if chain.begun or (ends[table.source] or chain.end) != chain.end:
                raise Stopped(_WINDOW_MEANWHILE.format(table=table.target))
        note_cut_over(cursor, [chain.full.load_id for _, chain in chains if chain.full])
        return datetime.now(UTC)

    with Session(options.database) as session:
        return session.transact(work)


# -- streams -------------------------------------------------------------------------------------------------------------------------------


def _with_streams(options: CutoverOptions, tables: Sequence[str], console: Console) -> Run:
    from pipeline.cutover.end import EndSettings, catch_up, compare_last, find_end, watch  # noqa: PLC0415 - boto3 takes long to import

    settings = EndSettings(options.aws, options.heartbeat, options.quiet_seconds, options.stop_within, options.compare)
    with opened_streams(options, tables) as opened:
        watch(opened.streams)
        _tell(console, f"{datetime.now(UTC):%H:%M:%S} UTC: catching up; let the application write on")
        catch_up(opened.streams)
        told_at = datetime.now(UTC)
        _tell(console, f"{told_at:%H:%M:%S} UTC: caught up. Stop the writes to DynamoDB now")
        end = find_end(opened.streams, settings)
        _tell(console, f"{datetime.now(UTC):%H:%M:%S} UTC: the writes have stopped, and all of them are applied; comparing")
        compared = [_compared(follower.table, compare_last(follower, settings)) for follower in opened.streams.followers]
        outcomes = print_outcomes(opened, console)
        checks = [*_checks(options, tables), _end_of_streams(end), *compared]
        run = Run("cutover", outcomes, begun=opened.begun)
        # DynamoDB says to the second, rounded down, when the last write was: the stop was no longer than from there.
        wrong = opened.streams.now() - datetime.now(UTC)
        stopped_at = max(told_at, end.last_write - wrong) if end.last_write else told_at
        return _ended(options, run, dict.fromkeys(tables), checks, stopped_at, end.last_write, console)


def _end_of_streams(end: StreamsEnd) -> Check:
    how = "each open shard has shown a heartbeat that was written after the last write" if end.is_shown else "each shard gave nothing more"
    verdict = Verdict.PASS if end.is_shown else Verdict.WARNING
    weaker = "" if end.is_shown else ". DynamoDB does not say that a shard has no more records: --heartbeat is the better proof"
    return Check(Code.WRITES_STOPPED, verdict, f"nothing came after {shown_time(end.quiet_since)}, and {how}{weaker}")


def _compared(table: str, compared: ComparedItems) -> Check:
    left_out = f"; {compared.not_compared:,} are no rows, or no key tells their row" if compared.not_compared else ""
    sentence = f"{compared.items:,} items that were touched last, read from DynamoDB itself, are as their rows{left_out}"
    if not compared.different:
        return Check(Code.RECENT_ITEMS, Verdict.PASS, sentence, table)
    sentence = (
        f"of {compared.items:,} items that were touched last {compared.different:,} are not as their rows; something writes to one of them"
    )
    return Check(Code.RECENT_ITEMS, Verdict.FAIL, sentence, table)


def _tell(console: Console, sentence: str) -> None:
    console.print(sentence, style="bold", markup=False, highlight=False, soft_wrap=True)
