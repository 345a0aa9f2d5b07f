"""What `ddb2pg export` was asked for, what is there of it, and so what is to be started: of which time, of which tables.

Exports that were done before are taken only by the time that they are of, because newer items may be in the tables: an old export that
passes for a new one would lose them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final, TypeVar

from pipeline.errors import Refused, RefusedForNow
from pipeline.source.dynamodb_calls import (
    CallFailed,
    DynamoDB,
    Export,
    ExportRequest,
    ExportStatus,
    RecoveryWindow,
    SourceTable,
)
from pipeline.source.manifest import ExportKind, Window
from pipeline.source.windows import WantedWindows, shown_time

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
_NAME: Final = r"[A-Za-z0-9_.-]{3,255}"
_TABLE: Final = re.compile(rf"(?:arn:aws[\w-]*:dynamodb:[\w-]+:\d{{12}}:table/)?({_NAME})")
# Of a bucket and a prefix: botocore's model of ExportTableToPointInTime.
_BUCKET: Final = re.compile(r"(?=.{3,255}\Z)[a-zA-Z0-9]+[.\-\w]*[a-zA-Z0-9]+", re.ASCII)
_LONGEST_PREFIX: Final = 1024

_SECOND: Final = timedelta(seconds=1)
# How long ago an export may have started that is still in progress, or of the set of one that is.
_OLDEST_SET: Final = timedelta(days=7)
_OLDEST_TO_MENTION: Final = timedelta(hours=24)
# An export starts at its export time or later; clocks of two machines of AWS may differ by that.
CLOCKS_DIFFER: Final = timedelta(minutes=2)
# Newest exports of a table that are looked at, one call each.
_MOST_DESCRIBED: Final = {ExportKind.FULL: 50, ExportKind.INCREMENTAL: 200}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """Of one `ddb2pg export`. The account that must own the bucket is `AwsSettings.bucket_owner`."""

    tables: tuple[str, ...]
    """Names or ARNs."""
    bucket: str
    prefix: str = ""
    export_time: datetime | None = None
    """Aware, to the second; without it, now by DynamoDB's clock."""
    windows: WantedWindows | None = None
    """In place of full exports those of the changes of these."""
    wait: bool = True
    kms_key: str | None = None
    """Encrypt with this key of KMS; without it, with S3's own (AES256)."""
    tells_next: bool = True
    """Whether the output says which command is next."""
    poll_seconds: float = 2.0
    """Until exports are looked at again; grows to `most_poll_seconds`."""
    most_poll_seconds: float = 30.0

    def prefix_of(self, table: str) -> str:
        """A folder for each table, so that exports without a manifest can be distinguished."""
        return "/".join(filter(None, (self.prefix.strip("/"), table)))

    def problems(self) -> Iterator[str]:
        """What is wrong with them at first sight, as sentences."""
        if not self.tables:
            yield "there is no table to export; name some"
        names = [name_of_table(table) for table in self.tables]
        for table, name in zip(self.tables, names, strict=True):
            if name is None:
                yield f"{table!r} is neither the name of a DynamoDB table nor the ARN of one; correct it"
        for name, times in Counter(filter(None, names)).items():
            if times > 1:
                yield f"{name}: the table is named {times} times; name it once, because an export goes into the folder of its table's name"
        if not _BUCKET.fullmatch(self.bucket):
            yield f"{self.bucket!r} cannot be a bucket's name; give --to s3://BUCKET/PREFIX"
        if any(len(self.prefix_of(name).encode()) > _LONGEST_PREFIX for name in filter(None, names)):
            yield f"the prefix is too long: with a table's name it may have {_LONGEST_PREFIX} bytes; shorten --to"
        if self.export_time and self.windows:
            yield "an export time is of full exports, and windows have two; leave out --export_time or --incremental"
        if self.export_time and self.export_time.tzinfo is None:
            yield f"--export_time {self.export_time.isoformat()} has no time zone; add Z for UTC"


def name_of_table(name_or_arn: str) -> str | None:
    """None for what is neither."""
    matched = _TABLE.fullmatch(name_or_arn)
    return matched[1] if matched else None


def split_target(uri: str) -> tuple[str, str]:
    """The bucket and the prefix of `s3://bucket/prefix`. Raises `Refused`."""
    matched = re.fullmatch(r"s3://([^/]+)(?:/(.*))?", uri)
    if not matched:
        raise Refused([f"--to {uri}: is not s3://BUCKET or s3://BUCKET/PREFIX"])
    return matched[1], (matched[2] or "").strip("/")


@dataclass(frozen=True, slots=True)
class TableState:
    """A table, and its exports that are like the one asked for but for the time; newest first."""

    table: SourceTable
    recovery: RecoveryWindow
    exports: tuple[Export, ...]
    filtered: tuple[Export, ...] = ()
    """Those that are like it but for a filter as well, or that may have one."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done about one table: go on with the export `taken`, or start one as `request` says."""

    state: TableState
    request: ExportRequest
    taken: Export | None

    @property
    def table(self) -> SourceTable:
        return self.state.table

    @property
    def label(self) -> str:
        """The table's name, and its window."""
        of = self.request.of
        window = f" from {shown_time(of.from_time)} to {shown_time(of.to_time)}" if isinstance(of, Window) else ""
        return self.table.name + window


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, in order, and sentences about it."""

    steps: tuple[Step, ...]
    notes: tuple[str, ...]
    again: str
    """What goes on with the exports, once they are started: the subject of a sentence."""


def plan_exports(dynamodb: DynamoDB, options: ExportOptions, bucket_owner: str | None) -> Plan:
    """Look at everything, and say what is to be done about each table, as of one time. Raises `Refused` with all that forbids it."""

    def oldest(_: SourceTable, now: datetime) -> datetime:
        return options.export_time - CLOCKS_DIFFER if options.export_time else now - _OLDEST_SET

    states, problems, now = look_at_tables(dynamodb, options, ExportKind.FULL, oldest)
    if states:
        export_time, notes = _choose_time(states, options, now)
        steps = tuple(make_step(state, options, bucket_owner, export_time) for state in states)
        problems.extend(_problems_of(export_time, steps, now))
        if not problems:
            again = f"the same command with --export_time {shown_time(export_time)}"
            return Plan(steps, (*notes, *notes_of_filtered(steps), *_announcement(export_time, steps)), again)
    raise Refused(dict.fromkeys(problems))


def look_at_tables(
    dynamodb: DynamoDB, options: ExportOptions, kind: ExportKind, oldest: Callable[[SourceTable, datetime], datetime]
) -> tuple[list[TableState], list[str], datetime]:
    """The tables, what is wrong with others, and DynamoDB's clock; of their exports those that were started at `oldest` or later.

    Raises `Refused` when nothing can be said of any table.
    """
    states: list[TableState] = []
    problems: list[str] = []
    for name in options.tables:
        try:
            states.extend(_look_at_table(dynamodb, name, options, kind, oldest, problems))
        except CallFailed as failure:  # the next table would not fare better
            is_for_now = failure.is_transient and not problems
            raise (RefusedForNow if is_for_now else Refused)(dict.fromkeys([*problems, str(failure)])) from None
    if dynamodb.now is None:
        problems.append("the endpoint's answers bear no date, so there is no common export time; look at --endpoint_url")
        raise Refused(dict.fromkeys(problems))
    return states, problems, dynamodb.now


def _look_at_table(
    dynamodb: DynamoDB,
    name: str,
    options: ExportOptions,
    kind: ExportKind,
    oldest: Callable[[SourceTable, datetime], datetime],
    problems: list[str],
) -> list[TableState]:
    """The table, or none and in `problems` what is wrong with it. Raises `CallFailed` when it is wrong with all."""

    def answer(ask: Callable[[], T]) -> T | None:
        try:
            return ask()
        except CallFailed as failure:
            if failure.is_for_all or failure.is_transient:
                raise
            problems.append(str(failure))
            return None

    table = answer(lambda: dynamodb.describe_table(name))
    recovery = answer(lambda: dynamodb.describe_recovery(name))
    now = dynamodb.now
    exports = answer(lambda: _exports_like(dynamodb, table, options, kind, oldest(table, now))) if table and now else None
    if table is None or recovery is None or exports is None:
        return []
    # An SDK that knows no filters does not show them; ddb2pg asks for none.
    whole = [export for export in exports if export.filter is None and (export.is_ours or dynamodb.knows_filters)]
    return [TableState(table, recovery, tuple(whole), tuple(export for export in exports if export not in whole))]


def _exports_like(dynamodb: DynamoDB, table: SourceTable, options: ExportOptions, kind: ExportKind, oldest: datetime) -> tuple[Export, ...]:
    """Those of this very table, into the same folder and encrypted alike; newest first, as they are listed."""
    arns = islice(dynamodb.exports(table, kind, oldest), _MOST_DESCRIBED[kind])
    return tuple(
        export
        for export in (dynamodb.describe_export(table.name, arn) for arn in arns)
        if (export.kind, export.is_json) == (kind, True)
        and (export.bucket, (export.prefix or "").strip("/")) == (options.bucket, options.prefix_of(table.name))
        and (export.table_id is None or table.table_id is None or export.table_id == table.table_id)
        and _key_id(export.kms_key) == _key_id(options.kms_key)
    )


def _key_id(kms_key: str | None) -> str | None:
    """Of an id or an ARN."""
    return kms_key.rpartition("/")[2] if kms_key else None


# -- the plan ------------------------------------------------------------------------------------------------------------------------------


def _choose_time(states: Sequence[TableState], options: ExportOptions, now: datetime) -> tuple[datetime, list[str]]:
    """A whole second, and why this one. `now` is DynamoDB's clock.

    Windows of changes, which may follow, begin at whole seconds: after a full export as of 10:00:00.5 what changed in that second would be
    lost, or come twice.
    """
    in_progress = max(_times_in_progress(states), default=None)
    if options.export_time:
        return options.export_time.astimezone(UTC).replace(microsecond=0), []
    if in_progress:
        note = (
            f"exports of {shown_time(in_progress)} that ddb2pg began are still in progress: going on with them. For newer data wait until "
            "they are done, or give an --export_time"
        )
        return in_progress, [note]
    earliest = [_whole_seconds(state.recovery.earliest) for state in states if state.recovery.earliest]
    return max([now.replace(microsecond=0), *earliest]), [*_note_of_completed(states, now)]


def _announcement(export_time: datetime, steps: Sequence[Step]) -> Iterator[str]:
    tables = f"all {len(steps)} tables" if len(steps) > 1 else steps[0].table.name
    yield f"export time {shown_time(export_time)}, of {tables}: what is written after it, give or take a minute, is not in the exports"


def notes_of_filtered(steps: Iterable[Step]) -> Iterator[str]:
    """Of exports that only a filter keeps from being one of those that are wanted."""
    for step in steps:
        for export in step.state.filtered:
            if export.of == step.request.of:
                told = f"was limited by {export.filter}" if export.filter else "may be limited by a filter, which this boto3 cannot tell"
                yield f"{step.label}: {export.arn} {told}; it is not taken, because a table or window needs all of its items"


def _times_in_progress(states: Sequence[TableState]) -> Iterator[datetime]:
    """Of exports that ddb2pg began: the time of any other was not ours to choose."""
    for state in states:
        for export in state.exports:
            if export.is_ours and export.status is ExportStatus.IN_PROGRESS and export.export_time:
                yield export.export_time


def make_step(
    state: TableState, options: ExportOptions, bucket_owner: str | None, of: datetime | Window, begun: Collection[str] = ()
) -> Step:
    """Take the export of that time or window that is there, or else start one; first of all one whose id is among those begun."""
    alike = [export for export in state.exports if export.of == of]
    usable = [export for export in alike if export.status is not ExportStatus.FAILED]
    # One that is done is a safer one to take than one that may fail.
    usable.sort(key=lambda export: (export.export_id not in begun, not export.is_completed))
    request = ExportRequest(
        table_arn=state.table.arn,
        table_id=state.table.table_id,
        bucket=options.bucket,
        prefix=options.prefix_of(state.table.name),
        of=of,
        bucket_owner=bucket_owner,
        kms_key=options.kms_key,
        failed_before=len(alike) - len(usable),
    )
    return Step(state, request, usable[0] if usable else None)


def _note_of_completed(states: Sequence[TableState], now: datetime) -> Iterator[str]:
    completed: dict[datetime, list[str]] = {}
    for state in states:
        for time in {export.export_time for export in state.exports if export.is_completed}:
            if time and time.microsecond == 0 and now - time <= _OLDEST_TO_MENTION:
                completed.setdefault(time, []).append(state.table.name)
    if completed:
        newest = max(completed)
        whose = "all tables" if len(completed[newest]) == len(states) else ", ".join(completed[newest])
        yield (
            f"there are finished exports of {shown_time(newest)} of {whose}; they are not taken, because the tables may hold newer items. "
            f"If they are wanted: --export_time {shown_time(newest)}"
        )


def _whole_seconds(time: datetime) -> datetime:
    """The first whole second that is not before it."""
    floor = time.replace(microsecond=0)
    return floor if floor == time else floor + _SECOND


def _problems_of(time: datetime, steps: Sequence[Step], now: datetime) -> Iterator[str]:
    """Why exports cannot be started, as sentences; those that are there already need nothing."""
    to_start = [step.state for step in steps if step.taken is None]
    is_waited_for = any(step.taken and step.taken.status is ExportStatus.IN_PROGRESS for step in steps)
    or_else = "or wait until the exports that are in progress are done" if is_waited_for else "or none"
    if to_start and time > now + _SECOND:
        yield f"--export_time {shown_time(time)} has not come yet: DynamoDB's clock says {shown_time(now)}; give an earlier one, or none"
    for state in to_start:
        earliest = state.recovery.earliest
        if not state.recovery.is_on:
            yield recovery_is_off(state.table.name)
        elif earliest and time < earliest:
            yield (
                f"{state.table.name}: can be exported from {shown_time(_whole_seconds(earliest))} on, which is after {shown_time(time)}; "
                f"give a later --export_time, {or_else}"
            )


def recovery_is_off(table: str) -> str:
    """The sentence for it."""
    return (
        f"{table}: point-in-time recovery is off, and without it there is no export; turn it on: "
        f"aws dynamodb update-continuous-backups --table-name {table} "
        "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true "
        "(it is charged for, and only times from then on can be exported)"
    )
