"""`ddb2pg export`: exports of all tables as of one time, waited for.

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

from pipeline.errors import Refused, Stopped
from pipeline.places.aws import client, why
from pipeline.places.place import AwsSettings
from pipeline.source.dynamodb_calls import CallFailed, DynamoDB, Export, ExportStatus, why_failed
from pipeline.source.export_plan import ExportOptions, Plan, Step, plan_exports, shown_time

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
    export_time: datetime
    items: int | None
    """Of the export; DynamoDB knows it when the export is done."""
    table_items: int
    """Of the table, as DescribeTable had it before the export: refreshed about every six hours."""
    billed_bytes: int | None
    uri: str | None
    problem: str | None


class ExportsFailed(Stopped):
    """Exports that DynamoDB could not finish, or of which it does not say where they are; `exports` has the others, too."""

    def __init__(self, sentence: str, exports: Sequence[RequestedExport]) -> None:
        super().__init__(sentence)
        self.exports = tuple(exports)


def export_tables(options: ExportOptions, aws: AwsSettings, console: Console) -> list[RequestedExport]:
    """Start exports, or find those that were started before, and wait for them.

    Raises `Refused` before anything was started, `Stopped` after it, and of that `ExportsFailed` when all has been done.
    """
    problems = [*options.problems(), *_problems_of_owner(aws)]
    if problems:
        raise Refused(problems)
    dynamodb = _connect(aws)
    plan = plan_exports(dynamodb, options, aws.bucket_owner)
    _print_plan(console, plan)
    try:
        results = _carry_out(dynamodb, plan, options, aws, console)
    except KeyboardInterrupt:
        _say(console, f"the exports that were started go on in AWS; {_to_go_on(plan.export_time)}")
        raise
    _print_results(console, results, aws)
    problems = [result.problem for result in results if result.problem and result.status is ExportStatus.FAILED]
    if problems:
        problems.append(
            f"Then run the same command, to the same place, with --export_time {shown_time(plan.export_time)}: it starts only what failed"
        )
    else:
        problems = [result.problem for result in results if result.problem]
    if problems:
        raise ExportsFailed("\n".join(problems), results)
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
    before = {step.table.name: _folders_of(step, aws) for step in to_look}
    exports: dict[str, Export] = {}
    try:
        for step in plan.steps:
            exports[step.table.name] = step.taken or _start(dynamodb, step, options, console)
            _print_begun(console, step, exports[step.table.name])
        if options.wait:
            exports = _wait_until_done(dynamodb, exports, options, console)
    except CallFailed as failure:
        # The answer to one that was started may have been lost.
        if not exports and not failure.is_transient:
            raise Refused([str(failure)]) from None
        message = f"{failure}. The exports that were started go on in AWS; {_to_go_on(plan.export_time)}"
        raise Stopped(message) from None
    return [_result(step, exports[step.table.name], before.get(step.table.name), aws) for step in plan.steps]


def _start(dynamodb: DynamoDB, step: Step, options: ExportOptions, console: Console) -> Export:
    """Start it, as soon as DynamoDB takes its time."""
    name, export_time = step.table.name, step.request.export_time
    is_said = False
    while True:
        try:
            return dynamodb.start_export(name, step.request)
        except CallFailed as failure:
            is_new = dynamodb.now is not None and dynamodb.now - export_time < _LAG
            if failure.code != "InvalidExportTimeException" or not is_new:
                raise
        if not is_said:
            _say(console, f"{name}: DynamoDB does not take {shown_time(export_time)} yet (it may take some minutes); trying again")
            is_said = True
        time.sleep(options.most_poll_seconds)


def _wait_until_done(dynamodb: DynamoDB, exports: Mapping[str, Export], options: ExportOptions, console: Console) -> dict[str, Export]:
    """The exports, by table, as they are in the end; a line for each that ends, and on a terminal all states and their times below.

    boto3's own waiter ends at the first error that passes, and waits for one export only.
    """
    latest = dict(exports)
    failed: Counter[str] = Counter()
    began, seconds = time.monotonic(), options.poll_seconds
    columns = SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.fields[state]}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        tasks = {table: progress.add_task(table, total=1, state=export.status) for table, export in latest.items()}
        while in_progress := [table for table, export in latest.items() if export.status is ExportStatus.IN_PROGRESS]:
            time.sleep(seconds)
            seconds = min(seconds * _GROWTH, options.most_poll_seconds)
            for table in in_progress:
                try:
                    latest[table] = dynamodb.describe_export(table, latest[table].arn)
                except CallFailed as failure:
                    failed[table] += 1
                    if not failure.is_transient or failed[table] >= _MOST_FAILED_LOOKS:
                        raise
                    continue
                failed[table] = 0
                state = latest[table].status
                if state is not ExportStatus.IN_PROGRESS:
                    progress.update(tasks[table], state=state, completed=1)
                    _say(console, f"{table}: {state} after {timedelta(seconds=round(time.monotonic() - began))}")
    return latest


# -- where the exports are -----------------------------------------------------------------------------------------------------------------


def _result(step: Step, export: Export, folders_before: frozenset[str] | None, aws: AwsSettings) -> RequestedExport:
    name, wanted = step.table.name, step.request.export_time
    uri = problem = None
    if export.export_time not in (None, wanted):
        problem = f"{name}: DynamoDB exported it as of another time than asked for; run it again without --export_time"
    elif export.status is ExportStatus.FAILED:
        problem = f"{name}: {why_failed(export)}"
    elif export.is_completed:
        uri = uri_of_manifest(export, step.request.bucket, step.request.prefix)
        if uri is None:
            where = f"s3://{step.request.bucket}/{step.request.prefix}/{_FOLDER}/"
            uri, problem = uri_of_new_folder(name, folders_before, _folders_of(step, aws), where)
    return RequestedExport(
        source_table=name,
        export_arn=export.arn,
        status=export.status,
        export_time=export.export_time or wanted,
        items=export.items if export.is_completed else None,
        table_items=step.table.items,
        billed_bytes=export.billed_bytes if export.is_completed else None,
        uri=uri,
        problem=problem,
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


def _to_go_on(export_time: datetime) -> str:
    return f"the same command with --export_time {shown_time(export_time)} goes on with them"


def _print_plan(console: Console, plan: Plan) -> None:
    """Printed before anything is started, so that the user can go on after an interruption."""
    for note in plan.notes:
        _say(console, note)
    tables = f"all {len(plan.steps)} tables" if len(plan.steps) > 1 else plan.steps[0].table.name
    _say(
        console,
        f"export time {shown_time(plan.export_time)}, of {tables}: what is written after it, give or take a minute, is not in the exports",
    )
    _say(console, f"the exports run in AWS, also when this command ends; {_to_go_on(plan.export_time)}")


def _print_begun(console: Console, step: Step, export: Export) -> None:
    taken = "going on with" if export.status is ExportStatus.IN_PROGRESS else "is done already:"
    _say(console, f"{step.table.name}: {taken if step.taken else 'started'} {export.arn}")


def _print_results(console: Console, results: Sequence[RequestedExport], aws: AwsSettings) -> None:
    """Each export, and the command that moves them, when all are done."""
    for result in results:
        counted = f", {result.items:,} items (the table itself counts {result.table_items:,})" if result.items is not None else ""
        billed = f", {decimal(result.billed_bytes)} billed" if result.billed_bytes is not None else ""
        _say(console, f"{result.source_table}: {result.status}{counted}{billed}")
        _say(console, f"  export  {result.export_arn}")
        _say(console, f"  time    {shown_time(result.export_time)}")
        if result.uri:
            _say(console, f"  uri     {result.uri}")
        if result.problem:
            _say(console, f"  problem {result.problem}", style="bold red")
    if any(result.items is not None and result.items != result.table_items for result in results):
        _say(
            console,
            "the table's own count is not exact: DynamoDB refreshes it about every six hours, and what was written or deleted (by TTL, "
            "too) after the export time is not in the export. The export's count is what ddb2pg migrate proves",
        )
    if all(result.uri for result in results):
        _say(console, "now move them:")
        _say(console, f"  {_migrate_command(results, aws)}")
    elif all(result.status is ExportStatus.COMPLETED for result in results):
        _say(console, "then move them: ddb2pg migrate, with an --export for each table")
    elif not any(result.problem for result in results):
        _say(console, f"not waiting for them; {_to_go_on(results[0].export_time)}, waits, and says what to migrate")


def _migrate_command(results: Sequence[RequestedExport], aws: AwsSettings) -> str:
    words = ["ddb2pg", "migrate"]
    for result in results:
        words += ["--export", str(result.uri)]
    options = {"--aws_region": aws.region, "--endpoint_url": aws.endpoint_url, "--expected_bucket_owner": aws.bucket_owner}
    for option, value in options.items():
        words += [option, value] if value else []
    return shlex.join(words)
