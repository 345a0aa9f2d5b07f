"""What `ddb2pg export` was asked for, what is there of it, and so what is to be started: of which time, of which tables.

Exports that were done before are taken only by the time that they are of, because newer items may be in the tables: an old export that
passes for a new one would lose them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final, TypeVar

from pipeline.errors import Refused
from pipeline.source.dynamodb_calls import (
    TOKEN_PREFIX,
    CallFailed,
    DynamoDB,
    Export,
    ExportRequest,
    ExportStatus,
    RecoveryWindow,
    SourceTable,
)

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
_CLOCKS_DIFFER: Final = timedelta(minutes=2)
# Newest exports of a table that are looked at, one call each.
_MOST_DESCRIBED: Final = 50

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
    wait: bool = True
    kms_key: str | None = None
    """Encrypt with this key of KMS; without it, with S3's own (AES256)."""
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
        names = [matched[1] if (matched := _TABLE.fullmatch(table)) else None for table in self.tables]
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
        if self.export_time and self.export_time.tzinfo is None:
            yield f"--export_time {self.export_time.isoformat()} has no time zone; add Z for UTC"


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


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done about one table: go on with the export `taken`, or start one as `request` says."""

    state: TableState
    request: ExportRequest
    taken: Export | None

    @property
    def table(self) -> SourceTable:
        return self.state.table


@dataclass(frozen=True, slots=True)
class Plan:
    """One step a table, in their order, all of one time. `notes` are sentences."""

    export_time: datetime
    steps: tuple[Step, ...]
    notes: tuple[str, ...]


def shown_time(time: datetime) -> str:
    """As `--export_time` takes it."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def plan_exports(dynamodb: DynamoDB, options: ExportOptions, bucket_owner: str | None) -> Plan:
    """Look at everything, and say what is to be done about each table. Raises `Refused` with all that forbids it."""
    states: list[TableState] = []
    problems: list[str] = []
    for name in options.tables:
        try:
            states.extend(_look_at_table(dynamodb, name, options, problems))
        except CallFailed as failure:  # the next table would not fare better
            raise Refused(dict.fromkeys([*problems, str(failure)])) from None
    if states and dynamodb.now:
        plan = _make_plan(states, options, bucket_owner, dynamodb.now)
        problems.extend(_problems_of(plan, dynamodb.now))
        if not problems:
            return plan
    if dynamodb.now is None:
        problems.append("the endpoint's answers bear no date, so there is no common export time; look at --endpoint_url")
    raise Refused(dict.fromkeys(problems))


def _look_at_table(dynamodb: DynamoDB, name: str, options: ExportOptions, problems: list[str]) -> list[TableState]:
    """The table, or none and in `problems` what is wrong with it. Raises `CallFailed` when it is wrong with all."""

    def answer(ask: Callable[[], T]) -> T | None:
        try:
            return ask()
        except CallFailed as failure:
            if failure.is_for_all:
                raise
            problems.append(str(failure))
            return None

    table = answer(lambda: dynamodb.describe_table(name))
    recovery = answer(lambda: dynamodb.describe_recovery(name))
    now = dynamodb.now
    exports = answer(lambda: _exports_like(dynamodb, table, options, now)) if table and now else None
    if table is None or recovery is None or exports is None:
        return []
    return [TableState(table, recovery, exports)]


def _exports_like(dynamodb: DynamoDB, table: SourceTable, options: ExportOptions, now: datetime) -> tuple[Export, ...]:
    """Those of this very table, whole, into the same folder and encrypted alike; newest first, as they are listed."""
    oldest = options.export_time - _CLOCKS_DIFFER if options.export_time else now - _OLDEST_SET
    arns = islice(dynamodb.full_exports(table, oldest), _MOST_DESCRIBED)
    return tuple(
        export
        for export in (dynamodb.describe_export(table.name, arn) for arn in arns)
        if export.is_whole
        and (export.bucket, (export.prefix or "").strip("/")) == (options.bucket, options.prefix_of(table.name))
        and (export.table_id is None or table.table_id is None or export.table_id == table.table_id)
        and _key_id(export.kms_key) == _key_id(options.kms_key)
    )


def _key_id(kms_key: str | None) -> str | None:
    """Of an id or an ARN."""
    return kms_key.rpartition("/")[2] if kms_key else None


# -- the plan ------------------------------------------------------------------------------------------------------------------------------


def _make_plan(states: Sequence[TableState], options: ExportOptions, bucket_owner: str | None, now: datetime) -> Plan:
    """`now` is DynamoDB's clock."""
    in_progress = max(_times_in_progress(states), default=None)
    notes: list[str] = []
    if options.export_time:
        time = options.export_time.astimezone(UTC).replace(microsecond=0)
    elif in_progress:
        time = in_progress
        notes.append(
            f"exports of {shown_time(time)} that ddb2pg began are still in progress: going on with them. For newer data wait until they "
            "are done, or give an --export_time"
        )
    else:
        earliest = [_whole_seconds(state.recovery.earliest) for state in states if state.recovery.earliest]
        time = max([now.replace(microsecond=0), *earliest])
        notes.extend(_note_of_completed(states, now))
    return Plan(time, tuple(_step(state, options, bucket_owner, time) for state in states), tuple(notes))


def _times_in_progress(states: Sequence[TableState]) -> Iterator[datetime]:
    """Of exports that ddb2pg began: the time of any other was not ours to choose."""
    for state in states:
        for export in state.exports:
            is_ours = (export.client_token or "").startswith(TOKEN_PREFIX)
            if is_ours and export.status is ExportStatus.IN_PROGRESS and export.export_time:
                yield export.export_time


def _step(state: TableState, options: ExportOptions, bucket_owner: str | None, time: datetime) -> Step:
    of_time = [export for export in state.exports if export.export_time == time]
    usable = [export for export in of_time if export.status is not ExportStatus.FAILED]
    # One that is done is a safer one to take than one that may fail.
    usable.sort(key=lambda export: not export.is_completed)
    request = ExportRequest(
        table_arn=state.table.arn,
        bucket=options.bucket,
        prefix=options.prefix_of(state.table.name),
        export_time=time,
        bucket_owner=bucket_owner,
        kms_key=options.kms_key,
        failed_before=len(of_time) - len(usable),
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


def _problems_of(plan: Plan, now: datetime) -> Iterator[str]:
    """Why exports cannot be started, as sentences; those that are there already need nothing."""
    time = plan.export_time
    to_start = [step.state for step in plan.steps if step.taken is None]
    is_waited_for = any(step.taken and step.taken.status is ExportStatus.IN_PROGRESS for step in plan.steps)
    or_else = "or wait until the exports that are in progress are done" if is_waited_for else "or none"
    if to_start and time > now + _SECOND:
        yield f"--export_time {shown_time(time)} has not come yet: DynamoDB's clock says {shown_time(now)}; give an earlier one, or none"
    for state in to_start:
        name, recovery = state.table.name, state.recovery
        if not recovery.is_on:
            yield (
                f"{name}: point-in-time recovery is off, and without it there is no export; turn it on: "
                f"aws dynamodb update-continuous-backups --table-name {name} "
                "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true "
                "(it is charged for, and only times from then on can be exported)"
            )
        elif recovery.earliest and time < recovery.earliest:
            yield (
                f"{name}: can be exported from {shown_time(_whole_seconds(recovery.earliest))} on, which is after {shown_time(time)}; "
                f"give a later --export_time, {or_else}"
            )
