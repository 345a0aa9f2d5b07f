"""Everything that must be known before anything is started: tables, their recovery windows, the exports that are there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import islice, takewhile
from typing import Final, TypeVar

from pipeline.errors import Refused
from pipeline.source.dynamodb.exports import DynamoDB, Export, SourceTable
from pipeline.source.dynamodb.failures import CallFailed
from pipeline.source.dynamodb.options import ExportOptions
from pipeline.source.dynamodb.planning import FoundTable, Plan, is_like, is_too_old, make_plan, problems_of

# Newest exports of a table that are looked at, one call each.
_MOST_DESCRIBED: Final = 50

T = TypeVar("T")


def look(dynamodb: DynamoDB, options: ExportOptions, bucket_owner: str | None) -> Plan:
    """What is to be done about each table. Raises `Refused` with all that forbids it."""
    found: list[FoundTable] = []
    problems: list[str] = []
    for name in options.tables:
        try:
            found.extend(_look_at_table(dynamodb, name, options, problems))
        except CallFailed as failure:  # the next table would not fare better
            raise Refused(dict.fromkeys([*problems, str(failure)])) from None
    if found and dynamodb.now:
        plan = make_plan(found, options, bucket_owner, dynamodb.now)
        problems.extend(problems_of(plan, found, dynamodb.now))
        if not problems:
            return plan
    if dynamodb.now is None:
        problems.append("the endpoint's answers bear no date, so there is no common export time; look at --endpoint_url")
    raise Refused(dict.fromkeys(problems))


def _look_at_table(dynamodb: DynamoDB, name: str, options: ExportOptions, problems: list[str]) -> list[FoundTable]:
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
    return [FoundTable(table, recovery, exports)]


def _exports_like(dynamodb: DynamoDB, table: SourceTable, options: ExportOptions, now: datetime) -> tuple[Export, ...]:
    """Those of the table that the plan may have to do with; newest first, as they are listed."""
    recent = takewhile(lambda summary: not is_too_old(summary, options, now), dynamodb.list_exports(table))
    full = islice((summary for summary in recent if summary.is_full), _MOST_DESCRIBED)
    described = (dynamodb.describe_export(table.name, summary.arn) for summary in full)
    return tuple(export for export in described if is_like(export, table, options))
