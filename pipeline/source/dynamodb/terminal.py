"""What a person reads on the terminal of `ddb2pg export`."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.filesize import decimal
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from pipeline.places.place import AwsSettings
from pipeline.source.dynamodb.exports import Export, ExportStatus
from pipeline.source.dynamodb.planning import Plan, shown_time
from pipeline.source.dynamodb.result import RequestedExport


def print_plan(console: Console, plan: Plan) -> None:
    """Before anything is started, so that whoever is stopped after that knows how to go on."""
    for note in plan.notes:
        _say(console, note)
    shown = shown_time(plan.export_time)
    tables = f"all {len(plan.steps)} tables" if len(plan.steps) > 1 else plan.steps[0].table.name
    _say(console, f"export time {shown}, of {tables}: what is written after it, give or take a minute, is not in the exports")
    _say(console, f"the exports run in AWS, whatever becomes of this command; {_to_go_on(plan.export_time)}")


def print_begun(console: Console, table: str, export: Export, *, is_taken: bool) -> None:
    """One table's export, as soon as it is there."""
    did = {ExportStatus.IN_PROGRESS: "going on with", ExportStatus.COMPLETED: "is done already:"}.get(export.status, "failed before:")
    _say(console, f"{table}: {did if is_taken else 'started'} {export.arn}")


def print_not_yet(console: Console, table: str, export_time: datetime) -> None:
    """Once a table, while its export time is too new."""
    _say(console, f"{table}: DynamoDB does not take {shown_time(export_time)} yet (it may take some minutes); trying again")


def print_interrupted(console: Console, export_time: datetime) -> None:
    """What Ctrl-C does not do."""
    _say(console, f"the exports that were started go on in AWS; {_to_go_on(export_time)}")


def _to_go_on(export_time: datetime) -> str:
    return f"the same command with --export_time {shown_time(export_time)} goes on with them"


def goes_on(export_time: datetime) -> str:
    """The end of a sentence that says why the command stops."""
    return f"The exports that were started go on in AWS; {_to_go_on(export_time)}"


def _say(console: Console, text: str) -> None:
    """Never broken into lines: much of it is to be copied."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


# -- while they run ------------------------------------------------------------------------------------------------------------------------


class ShownStates:
    """A line for each change of state; on a terminal all states and their times below."""

    def __init__(self, console: Console, exports: dict[str, Export]) -> None:
        self._console = console
        self._began = time.monotonic()
        self._states = {table: export.status for table, export in exports.items()}
        self._progress = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.fields[state]}"), TimeElapsedColumn(), console=console,
            transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        self._tasks = {table: self._progress.add_task(table, total=1, state=state) for table, state in self._states.items()}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._progress.stop()

    def show(self, table: str, state: ExportStatus) -> None:
        """The state of a table's export, as it is now."""
        if state is self._states[table]:
            return
        self._states[table] = state
        is_over = state is not ExportStatus.IN_PROGRESS
        self._progress.update(self._tasks[table], state=state, completed=1 if is_over else 0)
        elapsed = timedelta(seconds=round(time.monotonic() - self._began))
        _say(self._console, f"{table}: {state} after {elapsed}")


# -- in the end ----------------------------------------------------------------------------------------------------------------------------


def print_exports(console: Console, exports: Sequence[RequestedExport], aws: AwsSettings) -> None:
    """Each export, and the command that moves them, when all are done."""
    for export in exports:
        _print_export(console, export)
    if any(export.items is not None and export.items != export.table_items for export in exports):
        _say(
            console,
            "the table's own count is not exact: DynamoDB refreshes it about every six hours, and what was written or deleted (by TTL, "
            "too) after the export time is not in the export. The export's count is what ddb2pg migrate proves",
        )
    if all(export.uri for export in exports):
        _say(console, "now move them:")
        _say(console, f"  {_migrate_command(exports, aws)}")
    elif all(export.status is ExportStatus.COMPLETED for export in exports):
        _say(console, "then move them: ddb2pg migrate, with an --export for each table")
    elif not any(export.problem for export in exports):
        _say(console, f"not waiting for them; {_to_go_on(exports[0].export_time)}, waits, and says what to migrate")


def _print_export(console: Console, export: RequestedExport) -> None:
    counted = f", {export.items:,} items (the table itself counts {export.table_items:,})" if export.items is not None else ""
    billed = f", {decimal(export.billed_bytes)} billed" if export.billed_bytes is not None else ""
    _say(console, f"{export.source_table}: {export.status}{counted}{billed}")
    _say(console, f"  export  {export.export_arn}")
    _say(console, f"  time    {shown_time(export.export_time)}")
    if export.uri:
        _say(console, f"  uri     {export.uri}")
    if export.problem:
        console.print(f"  problem {export.problem}", style="bold red", markup=False, highlight=False, soft_wrap=True)


def _migrate_command(exports: Sequence[RequestedExport], aws: AwsSettings) -> str:
    words = ["ddb2pg", "migrate"]
    for export in exports:
        words += ["--export", str(export.uri)]
    for option, value in (
        ("--aws_region", aws.region),
        ("--endpoint_url", aws.endpoint_url),
        ("--expected_bucket_owner", aws.bucket_owner),
    ):
        words += [option, value] if value else []
    return shlex.join(words)
