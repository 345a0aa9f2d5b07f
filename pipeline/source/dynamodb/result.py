"""What became of each table's export."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pipeline.source.dynamodb.exports import ExportStatus


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
