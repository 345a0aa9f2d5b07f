"""`ddb2pg export`: exports of all tables as of one time, waited for.

First everything is looked at and everything that is wrong is refused in one message; then exports are started. What runs in AWS knows
nothing of this command, so it may stop at any point: the same command, with the export time that it told, finds its exports again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from botocore.exceptions import BotoCoreError
from rich.console import Console

from pipeline.errors import Refused, Stopped
from pipeline.places.aws import why
from pipeline.places.place import AwsSettings
from pipeline.source.dynamodb import places, terminal
from pipeline.source.dynamodb.exports import DynamoDB, Export, ExportStatus
from pipeline.source.dynamodb.failures import CallFailed, why_failed
from pipeline.source.dynamodb.looking import look
from pipeline.source.dynamodb.options import ExportOptions
from pipeline.source.dynamodb.planning import Plan, Step, shown_time
from pipeline.source.dynamodb.result import RequestedExport
from pipeline.source.dynamodb.waiting import wait_until_done

# DynamoDB may need some minutes until a time is in its recovery window; LatestRestorableDateTime is "typically" five behind.
_LAG: Final = timedelta(minutes=10)


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
    plan = look(dynamodb, options, aws.bucket_owner)
    terminal.print_plan(console, plan)
    try:
        results = _carry_out(dynamodb, plan, options, aws, console)
    except KeyboardInterrupt:
        terminal.print_interrupted(console, plan.export_time)
        raise
    terminal.print_exports(console, results, aws)
    failed = [result.problem for result in results if result.problem and result.status is ExportStatus.FAILED]
    if failed:
        advice = (
            f"Then run the same command, to the same place, with --export_time {shown_time(plan.export_time)}: it starts only what failed"
        )
        raise ExportsFailed("\n".join([*failed, advice]), results)
    unknown = [result.problem for result in results if result.problem]
    if unknown:
        raise ExportsFailed("\n".join(unknown), results)
    return results


def _problems_of_owner(aws: AwsSettings) -> list[str]:
    owner = aws.bucket_owner
    is_account = owner is None or (len(owner) == 12 and owner.isascii() and owner.isdigit())
    return [] if is_account else [f"{owner!r} is not the number of an AWS account (12 digits); correct --expected_bucket_owner"]


def _connect(aws: AwsSettings) -> DynamoDB:
    try:
        return DynamoDB(aws)
    except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no URL
        raise Refused(
            [
                why(error)
                or "DynamoDB cannot be asked: the endpoint or the region is none; correct --endpoint_url or AWS_ENDPOINT_URL, --aws_region"
            ]
        ) from None


# -- doing ---------------------------------------------------------------------------------------------------------------------------------


def _carry_out(dynamodb: DynamoDB, plan: Plan, options: ExportOptions, aws: AwsSettings, console: Console) -> list[RequestedExport]:
    # AWS's own exports name their manifest.
    before = {} if dynamodb.is_of_aws else {step.table.name: _folders_of(step, aws) for step in plan.steps if step.taken is None}
    exports = _start_all(dynamodb, plan, options, console)
    if options.wait:
        try:
            with terminal.ShownStates(console, exports) as states:
                exports = wait_until_done(dynamodb, exports, options, states.show)
        except CallFailed as failure:
            message = f"{failure}. {terminal.goes_on(plan.export_time)}"
            raise Stopped(message) from None
    return [_result(step, exports[step.table.name], before.get(step.table.name), aws) for step in plan.steps]


def _folders_of(step: Step, aws: AwsSettings) -> frozenset[str] | None:
    return places.folders(aws, step.request.bucket, step.request.prefix)


def _start_all(dynamodb: DynamoDB, plan: Plan, options: ExportOptions, console: Console) -> dict[str, Export]:
    exports: dict[str, Export] = {}
    for step in plan.steps:
        try:
            export = step.taken or _start(dynamodb, step, options, console)
        except CallFailed as failure:
            # The answer to one that was started may have been lost.
            if not exports and not failure.is_transient:
                raise Refused([str(failure)]) from None
            message = f"{failure}. {terminal.goes_on(plan.export_time)}"
            raise Stopped(message) from None
        exports[step.table.name] = export
        terminal.print_begun(console, step.table.name, export, is_taken=step.taken is not None)
    return exports


def _start(dynamodb: DynamoDB, step: Step, options: ExportOptions, console: Console) -> Export:
    """Start it, as soon as DynamoDB takes its time. Raises `CallFailed`."""
    is_said = False
    while True:
        try:
            return dynamodb.start_export(step.table.name, step.request)
        except CallFailed as failure:
            is_new = dynamodb.now is not None and dynamodb.now - step.request.export_time < _LAG
            if failure.code != "InvalidExportTimeException" or not is_new:
                raise
        if not is_said:
            terminal.print_not_yet(console, step.table.name, step.request.export_time)
            is_said = True
        time.sleep(options.most_poll_seconds)


# -- telling -------------------------------------------------------------------------------------------------------------------------------


def _result(step: Step, export: Export, folders_before: frozenset[str] | None, aws: AwsSettings) -> RequestedExport:
    uri, problem = _place(step, export, folders_before, aws)
    wanted = step.request.export_time
    if export.export_time not in (None, wanted):
        uri = None
        problem = f"{step.table.name}: DynamoDB exported it as of another time than asked for; run it again without --export_time"
    return RequestedExport(
        source_table=step.table.name,
        export_arn=export.arn,
        status=export.status,
        export_time=export.export_time or wanted,
        items=export.items if export.status is ExportStatus.COMPLETED else None,
        table_items=step.table.items,
        billed_bytes=export.billed_bytes if export.status is ExportStatus.COMPLETED else None,
        uri=uri,
        problem=problem,
    )


def _place(step: Step, export: Export, folders_before: frozenset[str] | None, aws: AwsSettings) -> tuple[str | None, str | None]:
    """The URI, or why there is none."""
    name, bucket, prefix = step.table.name, step.request.bucket, step.request.prefix
    if export.status is ExportStatus.FAILED:
        return None, f"{name}: {why_failed(export.failure_code, export.failure_message)}"
    if export.status is ExportStatus.IN_PROGRESS:
        return None, None
    uri = places.uri_of_manifest(export, bucket, prefix)
    if uri:
        return uri, None
    return places.uri_of_new_folder(name, folders_before, _folders_of(step, aws), f"s3://{bucket}/{prefix}/{places.FOLDER}/")
