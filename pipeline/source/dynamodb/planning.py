"""Of what time all tables are exported, which exports are there already, and what forbids to start the others. Nothing here asks or prints.

Exports that were done before are taken only by the time that they are of, because newer items may be in the tables: an old export that
passes for a new one would lose them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from pipeline.source.dynamodb.exports import TOKEN_PREFIX, Export, ExportRequest, ExportStatus, ExportSummary, RecoveryWindow, SourceTable
from pipeline.source.dynamodb.options import ExportOptions

_SECOND: Final = timedelta(seconds=1)
# How long ago an export may have started that is still in progress, or of the set of one that is.
_OLDEST_SET: Final = timedelta(days=7)
_OLDEST_TO_MENTION: Final = timedelta(hours=24)
# An export starts at its export time or later; clocks of two machines of AWS may differ by that.
_CLOCKS_DIFFER: Final = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class FoundTable:
    """A table, and its exports that are like the one asked for but for the time; newest first."""

    table: SourceTable
    recovery: RecoveryWindow
    exports: tuple[Export, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done about one table: go on with the export `taken`, or start one as `request` says."""

    table: SourceTable
    request: ExportRequest
    taken: Export | None


@dataclass(frozen=True, slots=True)
class Plan:
    """One step a table, in their order, all of one time. `notes` are sentences."""

    export_time: datetime
    steps: tuple[Step, ...]
    notes: tuple[str, ...]


def shown_time(time: datetime) -> str:
    """As `--export_time` takes it."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


# -- which exports are to be looked at -----------------------------------------------------------------------------------------------------


def is_too_old(summary: ExportSummary, options: ExportOptions, now: datetime) -> bool:
    """Whether it, and with it all that are listed after it, started too early to be of interest."""
    oldest = options.export_time - _CLOCKS_DIFFER if options.export_time else now - _OLDEST_SET
    return summary.started is not None and summary.started < oldest


def is_like(export: Export, table: SourceTable, options: ExportOptions) -> bool:
    """Whether it is of this very table, whole, into the same folder and encrypted alike."""
    return (
        export.is_whole
        and (export.bucket, (export.prefix or "").strip("/")) == (options.bucket, options.prefix_of(table.name))
        and (export.table_id is None or table.table_id is None or export.table_id == table.table_id)
        and _key_id(export.kms_key) == _key_id(options.kms_key)
    )


def _key_id(kms_key: str | None) -> str | None:
    """Of an id or an ARN."""
    return kms_key.rpartition("/")[2] if kms_key else None


# -- the plan ------------------------------------------------------------------------------------------------------------------------------


def make_plan(found: Sequence[FoundTable], options: ExportOptions, bucket_owner: str | None, now: datetime) -> Plan:
    """`found` is not empty; `now` is DynamoDB's clock. What forbids the plan is said by `problems_of`."""
    in_progress = _newest(_times_of(found, ExportStatus.IN_PROGRESS, ours_only=True))
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
        time = max([now.replace(microsecond=0), *(_whole_seconds(table.recovery.earliest) for table in found if table.recovery.earliest)])
        notes.extend(_note_of_completed(found, now))
    return Plan(time, tuple(_step(table, options, bucket_owner, time) for table in found), tuple(notes))


def _step(found: FoundTable, options: ExportOptions, bucket_owner: str | None, time: datetime) -> Step:
    of_time = [export for export in found.exports if export.export_time == time]
    usable = [export for export in of_time if export.status is not ExportStatus.FAILED]
    # One that is done is a safer one to take than one that may fail.
    usable.sort(key=lambda export: export.status is not ExportStatus.COMPLETED)
    request = ExportRequest(
        table_arn=found.table.arn,
        bucket=options.bucket,
        prefix=options.prefix_of(found.table.name),
        export_time=time,
        bucket_owner=bucket_owner,
        kms_key=options.kms_key,
        failed_before=len(of_time) - len(usable),
    )
    return Step(found.table, request, usable[0] if usable else None)


def _times_of(found: Sequence[FoundTable], status: ExportStatus, *, ours_only: bool = False) -> Iterator[datetime]:
    for table in found:
        for export in table.exports:
            is_ours = (export.client_token or "").startswith(TOKEN_PREFIX)
            if export.status is status and export.export_time and (is_ours or not ours_only):
                yield export.export_time


def _newest(times: Iterator[datetime]) -> datetime | None:
    return max(times, default=None)


def _note_of_completed(found: Sequence[FoundTable], now: datetime) -> Iterator[str]:
    recent = (time for time in _times_of(found, ExportStatus.COMPLETED) if now - time <= _OLDEST_TO_MENTION)
    time = _newest(time for time in recent if time.microsecond == 0)
    if time is None:
        return
    done = [
        table.table.name
        for table in found
        if any(export.status is ExportStatus.COMPLETED and export.export_time == time for export in table.exports)
    ]
    whose = "all tables" if len(done) == len(found) else ", ".join(done)
    yield (
        f"there are finished exports of {shown_time(time)} of {whose}; they are not taken, because the tables may hold newer items. "
        f"If they are wanted: --export_time {shown_time(time)}"
    )


def _whole_seconds(time: datetime) -> datetime:
    """The first whole second that is not before it."""
    floor = time.replace(microsecond=0)
    return floor if floor == time else floor + _SECOND


# -- what forbids it -----------------------------------------------------------------------------------------------------------------------


def problems_of(plan: Plan, found: Sequence[FoundTable], now: datetime) -> Iterator[str]:
    """Why exports cannot be started, as sentences; those that are there already need nothing."""
    time = plan.export_time
    to_start = [table for table, step in zip(found, plan.steps, strict=True) if step.taken is None]
    if to_start and time > now + _SECOND:
        yield f"--export_time {shown_time(time)} has not come yet: DynamoDB's clock says {shown_time(now)}; give an earlier one, or none"
    for table in to_start:
        name, recovery = table.table.name, table.recovery
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
                f"give a later --export_time{_or_none(plan)}"
            )


def _or_none(plan: Plan) -> str:
    if any(step.taken and step.taken.status is ExportStatus.IN_PROGRESS for step in plan.steps):
        return ", or wait until the exports that are in progress are done"
    return ", or none"
