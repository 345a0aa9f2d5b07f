"""`ddb2pg export`: exports of all tables as of one time, or of windows of their changes, waited for.

First everything is looked at and everything that is wrong is refused in one message; then exports are started. What runs in AWS knows
nothing of this command, so it may stop at any point: the same command, with the export time that it printed, finds its exports again.
"""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.filesize import decimal
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from pipeline.console import counted_in_words
from pipeline.errors import Refused, Stopped, StoppedForNow
from pipeline.places.aws import client, why
from pipeline.places.place import AwsSettings
from pipeline.source.dynamodb_calls import CallFailed, DynamoDB, Export, ExportStatus, why_failed
from pipeline.source.export_plan import ExportOptions, Plan, Step, plan_exports
from pipeline.source.manifest import Window
from pipeline.source.window_plan import plan_windows
from pipeline.source.windows import shown_time

# DynamoDB may need some minutes until a time is in its recovery window; LatestRestorableDateTime is "typically" five behind.
_LAG: Final = timedelta(minutes=10)
# Until exports are looked at again: longer and longer.
_GROWTH: Final = 1.5
# Looks in a row that fail for reasons that pass, each after botocore's own tries.
_MOST_FAILED_LOOKS: Final = 20
_FOLDER: Final = "AWSDynamoDB"


@dataclass(frozen=True, slots=True)
class RequestedExport:
    """One table's export. `uri` is what `ddb2pg migrate --export` takes; `problem` says why there is none."""

    source_table: str
    export_arn: str
    status: ExportStatus
    export_time: datetime | None
    """Of a full export."""
    window: Window | None
    """Of an incremental export."""
    items: int | None
    """Of the export, or the records of a window; DynamoDB knows it when the export is done."""
    table_items: int
    """Of the table, as DescribeTable had it before the export: refreshed about every six hours."""
    billed_bytes: int | None
    uri: str | None
    problem: str | None


def export_tables(options: ExportOptions, aws: AwsSettings, console: Console) -> list[RequestedExport]:
    """Start exports, or find those that were started before, and wait for them.

    A `problem` of one says that DynamoDB could not finish it, or does not say where it is. Raises `Refused` before anything was started,
    `Stopped` after it.
    """
    problems = [*options.problems(), *_problems_of_owner(aws)]
    if problems:
        raise Refused(problems)
    dynamodb = _connect(aws)
    plan = (
        plan_windows(dynamodb, options, options.windows, aws.bucket_owner)
        if options.windows
        else plan_exports(dynamodb, options, aws.bucket_owner)
    )
    _print_plan(console, plan)
    try:
        results = _carry_out(dynamodb, plan, options, aws, console)
    except KeyboardInterrupt:
        _say(console, f"the exports that were started go on in AWS; {_to_go_on(plan)}")
        raise
    _print_results(console, plan, results, aws, tells_next=options.tells_next)
    return results


def _problems_of_owner(aws: AwsSettings) -> list[str]:
    owner = aws.bucket_owner
    is_account = owner is None or (len(owner) == 12 and owner.isascii() and owner.isdigit())
    return [] if is_account else [f"{owner!r} is not the number of an AWS account (12 digits); correct --expected_bucket_owner"]


def _connect(aws: AwsSettings) -> DynamoDB:
    try:
        return DynamoDB(aws)
    except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no URL
        no_url = "DynamoDB cannot be asked: the endpoint or the region is none; correct --endpoint_url or AWS_ENDPOINT_URL, --aws_region"
        raise Refused([why(error) or no_url]) from None


# -- starting and waiting ------------------------------------------------------------------------------------------------------------------


def _carry_out(dynamodb: DynamoDB, plan: Plan, options: ExportOptions, aws: AwsSettings, console: Console) -> list[RequestedExport]:
    # AWS's own exports name their manifest.
    to_look = () if dynamodb.is_of_aws else [step for step in plan.steps if step.taken is None]
    before = {step.label: _folders_of(step, aws) for step in to_look}
    exports: dict[str, Export] = {}
    try:
        for step in plan.steps:
            exports[step.label] = step.taken or _start(dynamodb, step, options, console)
            _print_begun(console, step, exports[step.label])
        if options.wait:
            exports = _wait_until_done(dynamodb, exports, options, console)
    except CallFailed as failure:
        # The answer to one that was started may have been lost.
        if not exports and not failure.is_transient:
            raise Refused([str(failure)]) from None
        message = f"{failure}. The exports that were started go on in AWS; {_to_go_on(plan)}"
        raise (StoppedForNow if failure.is_transient else Stopped)(message) from None
    return [_result(step, exports[step.label], before.get(step.label), aws) for step in plan.steps]


def _start(dynamodb: DynamoDB, step: Step, options: ExportOptions, console: Console) -> Export:
    """Start it, as soon as DynamoDB takes its time."""
    of = step.request.of
    newest = of.to_time if isinstance(of, Window) else of
    is_said = False
    while True:
        try:
            return dynamodb.start_export(step.label, step.request)
        except CallFailed as failure:
            is_new = dynamodb.now is not None and dynamodb.now - newest < _LAG
            if failure.code != "InvalidExportTimeException" or failure.is_time_wrong or not is_new:
                raise
        if not is_said:
            _say(console, f"{step.label}: DynamoDB does not take {shown_time(newest)} yet (it may take some minutes); trying again")
            is_said = True
        time.sleep(options.most_poll_seconds)


def _wait_until_done(dynamodb: DynamoDB, exports: Mapping[str, Export], options: ExportOptions, console: Console) -> dict[str, Export]:
    """The exports, by label, as they are in the end; a line for each that ends, and on a terminal all states and their times below.

    boto3's own waiter ends at the first error that passes, and waits for one export only.
    """
    latest = dict(exports)
    failed: Counter[str] = Counter()
    began, seconds = time.monotonic(), options.poll_seconds
    columns = SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.fields[state]}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        tasks = {label: progress.add_task(label, total=1, state=export.status) for label, export in latest.items()}
        while in_progress := [label for label, export in latest.items() if export.status is ExportStatus.IN_PROGRESS]:
            time.sleep(seconds)
            seconds = min(seconds * _GROWTH, options.most_poll_seconds)
            for label in in_progress:
                try:
                    latest[label] = dynamodb.describe_export(label, latest[label].arn)
                except CallFailed as failure:
                    failed[label] += 1
                    if not failure.is_transient or failed[label] >= _MOST_FAILED_LOOKS:
                        raise
                    continue
                failed[label] = 0
                state = latest[label].status
                if state is not ExportStatus.IN_PROGRESS:
                    progress.update(tasks[label], state=state, completed=1)
                    _say(console, f"{label}: {state} after {timedelta(seconds=round(time.monotonic() - began))}")
    return latest


# -- where the exports are -----------------------------------------------------------------------------------------------------------------


def _result(step: Step, export: Export, folders_before: frozenset[str] | None, aws: AwsSettings) -> RequestedExport:
    name, wanted = step.table.name, step.request.of
    uri = None
    problem = _why_not_of(step, export)
    if export.status is ExportStatus.FAILED:
        problem = f"{step.label}: {why_failed(export)}"
    elif export.is_completed and not problem:
        uri = uri_of_manifest(export, step.request.bucket, step.request.prefix)
        if uri is None:
            where = f"s3://{step.request.bucket}/{step.request.prefix}/{_FOLDER}/"
            uri, problem = uri_of_new_folder(name, folders_before, _folders_of(step, aws), where)
    return RequestedExport(
        source_table=name,
        export_arn=export.arn,
        status=export.status,
        export_time=None if isinstance(wanted, Window) else export.export_time or wanted,
        window=wanted if isinstance(wanted, Window) else None,
        items=export.items if export.is_completed else None,
        table_items=step.table.items,
        billed_bytes=export.billed_bytes if export.is_completed else None,
        uri=uri,
        problem=problem,
    )


def _why_not_of(step: Step, export: Export) -> str | None:
    """Of an export that is not of the time or the window that was asked for."""
    if export.of == step.request.of:
        return None
    if not isinstance(step.request.of, Window):
        # Other servers than AWS's do not tell.
        other = f"{step.label}: DynamoDB exported it as of another time than asked for; run it again without --export_time"
        return other if export.of else None
    if not export.is_completed:
        return None
    return (
        f"{step.label}: the export is not of this window, as far as the server tells, and may hold the whole table; do not apply it. Other "
        "servers than AWS's export no windows: look at --endpoint_url"
    )


def uri_of_manifest(export: Export, bucket: str, prefix: str) -> str | None:
    """The folder of the manifests that DescribeExport names; its key is from the bucket's root."""
    folder = (export.manifest or "").rpartition("/")[0]
    if not folder:
        return None
    return f"s3://{bucket}/{folder}" if folder.startswith(f"{prefix}/") else f"s3://{bucket}/{prefix}/{folder}"


def _folders_of(step: Step, aws: AwsSettings) -> frozenset[str] | None:
    """The URIs of all exports of a table; None where they cannot be listed, which only exports without manifests need."""
    bucket, prefix = step.request.bucket, f"{step.request.prefix}/{_FOLDER}/"
    owner = {"ExpectedBucketOwner": aws.bucket_owner} if aws.bucket_owner else {}
    try:
        pages = client("s3", aws).get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/", **owner)
        keys = [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", ())]
    except (ClientError, BotoCoreError):
        return None
    return frozenset(f"s3://{bucket}/{key.rstrip('/')}" for key in keys)


def uri_of_new_folder(table: str, before: frozenset[str] | None, after: frozenset[str] | None, where: str) -> tuple[str | None, str | None]:
    """Of an export without manifests: the URI, or why there is none. `before` is None when it was not looked up."""
    if after is None:
        return None, f"{table}: the export brought no manifest, and {where} cannot be listed; allow s3:ListBucket, and look there yourself"
    new = sorted(after - (before or frozenset()))
    if len(new) == 1:
        return f"{table}={new[0]}", None
    if not new:
        return None, f"{table}: the export brought no manifest, and there is no new folder in {where}; look there yourself"
    return None, f"{table}: the export brought no manifest, and it may be any of these; choose: {' '.join(f'{table}={uri}' for uri in new)}"


# -- on the terminal -----------------------------------------------------------------------------------------------------------------------


def _say(console: Console, text: str, style: str | None = None) -> None:
    """Never broken into lines: much of it is to be copied."""
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def _to_go_on(plan: Plan) -> str:
    return f"{plan.again} goes on with them"


def _print_plan(console: Console, plan: Plan) -> None:
    """Printed before anything is started, so that the user can go on after an interruption."""
    for note in plan.notes:
        _say(console, note)
    _say(console, f"the exports run in AWS, also when this command ends; {_to_go_on(plan)}")


def _print_begun(console: Console, step: Step, export: Export) -> None:
    taken = "going on with" if export.status is ExportStatus.IN_PROGRESS else "is done already:"
    _say(console, f"{step.label}: {taken if step.taken else 'started'} {export.arn}")


def _print_results(console: Console, plan: Plan, results: Sequence[RequestedExport], aws: AwsSettings, *, tells_next: bool) -> None:
    """Each export, and the command that moves them, when all are done."""
    for result in results:
        counted = _counted(result) if result.items is not None else ""
        billed = f", {decimal(result.billed_bytes)} billed" if result.billed_bytes is not None else ""
        _say(console, f"{result.source_table}: {result.status}{counted}{billed}")
        _say(console, f"  export  {result.export_arn}")
        if result.export_time:
            _say(console, f"  time    {shown_time(result.export_time)}")
        if result.window:
            window = f"{shown_time(result.window.from_time)} to {shown_time(result.window.to_time)}, {result.window.view.value}"
            _say(console, f"  window  {window}")
        if result.uri:
            _say(console, f"  uri     {result.uri}")
        if result.problem:
            _say(console, f"  problem {result.problem}", style="bold red")
    if any(result.export_time and result.items not in (None, result.table_items) for result in results):
        _say(
            console,
            "the table's own count is not exact: DynamoDB refreshes it about every six hours, and what was written or deleted (by TTL, "
            "too) after the export time is not in the export. The export's count is what ddb2pg migrate proves",
        )
    if any(result.status is ExportStatus.FAILED for result in results):
        _say(console, f"when their cause is fixed, run {plan.again}, to the same place: it starts only what failed")
    if not tells_next:
        return
    if all(result.uri for result in results):
        _say(console, "now move them:" if results[0].export_time else "now apply them, with the options of the load that they follow:")
        _say(console, f"  {_migrate_command(results, aws)}")
    elif all(result.status is ExportStatus.COMPLETED and result.export_time for result in results):
        _say(console, "then move them: ddb2pg migrate, with an --export for each table")
    elif not any(result.problem for result in results):
        _say(console, f"not waiting for them; {_to_go_on(plan)}, waits, and says what to migrate")


def _counted(result: RequestedExport) -> str:
    if result.window:
        return f", {counted_in_words(result.items or 0, 'record')}"
    return f", {result.items:,} items (the table itself counts {result.table_items:,})"


def _migrate_command(results: Sequence[RequestedExport], aws: AwsSettings) -> str:
    words = ["ddb2pg", "migrate"]
    for result in results:
        words += ["--export", str(result.uri)]
    options = {"--aws_region": aws.region, "--endpoint_url": aws.endpoint_url, "--expected_bucket_owner": aws.bucket_owner}
    for option, value in options.items():
        words += [option, value] if value else []
    return shlex.join(words)
