"""What DynamoDB is asked about exports, and its answers as values. Nothing here decides or prints.

The API: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ExportTableToPointInTime.html and its neighbours. Other servers
than AWS's leave fields out, so most of an export's may be None.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Final, cast
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.places.aws import client
from pipeline.places.place import AwsSettings
from pipeline.source.dynamodb.failures import call_failed

TOKEN_PREFIX: Final = "ddb2pg-"  # noqa: S105 - says whose export it is
_PAGE: Final = 25  # the most that ListExports gives


class ExportStatus(StrEnum):
    """As DynamoDB names them."""

    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table; `table_id` tells it from another that had its name before."""

    name: str
    arn: str
    table_id: str | None
    items: int


@dataclass(frozen=True, slots=True)
class RecoveryWindow:
    """Point-in-time recovery of a table; it can be exported as of `earliest` and later."""

    is_on: bool
    earliest: datetime | None


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """A full export of a table, and what it must be alike in to be the same."""

    table_arn: str
    bucket: str
    prefix: str
    export_time: datetime
    bucket_owner: str | None
    kms_key: str | None
    failed_before: int
    """How many such exports have failed. To a token that it knows DynamoDB answers with the old export for eight hours, failed or not."""

    @property
    def client_token(self) -> str:
        """The same for the same request. 36 characters, as long as a UUID: the API states no limit for it, and this one for its others."""
        return TOKEN_PREFIX + hashlib.sha256(repr(self).encode()).hexdigest()[:29]


@dataclass(frozen=True, slots=True)
class Export:
    """An export as DescribeExport tells it."""

    arn: str
    status: ExportStatus
    table_id: str | None
    export_time: datetime | None
    client_token: str | None
    bucket: str | None
    prefix: str | None
    is_whole: bool
    """A full export, unfiltered, as DynamoDB JSON."""
    kms_key: str | None
    manifest: str | None
    """The key of manifest-summary.json."""
    items: int | None
    billed_bytes: int | None
    failure_code: str | None
    failure_message: str | None


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """An export as ListExports tells it; `started` is read from the ARN."""

    arn: str
    status: ExportStatus
    is_full: bool
    started: datetime | None


class DynamoDB:
    """The calls. Each may raise `CallFailed`; making one, what `pipeline.aws.why` has a sentence for."""

    def __init__(self, aws: AwsSettings) -> None:
        self._client = client("dynamodb", aws)
        self.now: datetime | None = None
        """DynamoDB's clock, to the second, as of its last answer."""

    @property
    def is_of_aws(self) -> bool:
        """Whether AWS answers, not another server that speaks its protocol."""
        host = urlsplit(self._client.meta.endpoint_url).hostname or ""
        return ".amazonaws." in host or host.endswith(".api.aws")

    def describe_table(self, name_or_arn: str) -> SourceTable:
        """Its count of items may be six hours old."""
        table = self._ask("describe_table", name_or_arn, TableName=name_or_arn)["Table"]
        return SourceTable(table["TableName"], table["TableArn"], table.get("TableId"), table.get("ItemCount", 0))

    def describe_recovery(self, name_or_arn: str) -> RecoveryWindow:
        """Without its end, which is behind what exports may be asked for."""
        answer = self._ask("describe_continuous_backups", name_or_arn, TableName=name_or_arn)
        recovery = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
        return RecoveryWindow(recovery.get("PointInTimeRecoveryStatus") == "ENABLED", _in_utc(recovery.get("EarliestRestorableDateTime")))

    def list_exports(self, table: SourceTable) -> Iterator[ExportSummary]:
        """Newest first, page by page as they are consumed."""
        token: dict[str, str] = {}
        while True:
            answer = self._ask("list_exports", table.name, TableArn=table.arn, MaxResults=_PAGE, **token)
            for found in answer.get("ExportSummaries", ()):
                is_full = found.get("ExportType", "FULL_EXPORT") == "FULL_EXPORT"
                yield ExportSummary(found["ExportArn"], ExportStatus(found["ExportStatus"]), is_full, _started(found["ExportArn"]))
            if not answer.get("NextToken"):
                return
            token = {"NextToken": answer["NextToken"]}

    def describe_export(self, table: str, arn: str) -> Export:
        """`table` is for the sentence when it fails."""
        return _export(self._ask("describe_export", table, ExportArn=arn)["ExportDescription"])

    def start_export(self, table: str, request: ExportRequest) -> Export:
        """Or find the one that was started before with the same request."""
        owner = {"S3BucketOwner": request.bucket_owner} if request.bucket_owner else {}
        encryption = {"S3SseAlgorithm": "KMS", "S3SseKmsKeyId": request.kms_key} if request.kms_key else {"S3SseAlgorithm": "AES256"}
        answer = self._ask(
            "export_table_to_point_in_time",
            table,
            TableArn=request.table_arn,
            ExportTime=request.export_time,
            ClientToken=request.client_token,
            S3Bucket=request.bucket,
            S3Prefix=request.prefix,
            ExportFormat="DYNAMODB_JSON",
            ExportType="FULL_EXPORT",
            **owner,
            **encryption,
        )
        return _export(answer["ExportDescription"])

    def _ask(self, operation: str, table: str, **parameters: Any) -> dict[str, Any]:
        try:
            answer = cast("dict[str, Any]", getattr(self._client, operation)(**parameters))
        except (ClientError, BotoCoreError) as error:
            if isinstance(error, ClientError):
                self._note_time(error.response)
            action = self._client.meta.method_to_api_mapping[operation]
            raise call_failed(error, action, table, self._client.meta.region_name) from None
        self._note_time(answer)
        return answer

    def _note_time(self, answer: Any) -> None:
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if date:
            self.now = parsedate_to_datetime(date).astimezone(UTC)


def _export(described: dict[str, Any]) -> Export:
    is_full = (described.get("ExportType") or "FULL_EXPORT") == "FULL_EXPORT"
    is_json = (described.get("ExportFormat") or "DYNAMODB_JSON") == "DYNAMODB_JSON"
    return Export(
        arn=described["ExportArn"],
        status=ExportStatus(described["ExportStatus"]),
        table_id=described.get("TableId"),
        export_time=_in_utc(described.get("ExportTime")),
        client_token=described.get("ClientToken"),
        bucket=described.get("S3Bucket"),
        prefix=described.get("S3Prefix"),
        is_whole=is_full and is_json and not described.get("FilterSpecification"),
        kms_key=described.get("S3SseKmsKeyId"),
        manifest=described.get("ExportManifest"),
        items=described.get("ItemCount"),
        billed_bytes=described.get("BilledSizeBytes"),
        failure_code=described.get("FailureCode"),
        failure_message=described.get("FailureMessage"),
    )


def _in_utc(time: datetime | None) -> datetime | None:
    return time.astimezone(UTC) if time else None


def _started(arn: str) -> datetime | None:
    """An export's id begins with the milliseconds of its start: `.../export/01605130432834-8a918b87`."""
    matched = re.search(r"/export/0(\d{13})-[^/]+$", arn)
    return datetime.fromtimestamp(int(matched[1]) / 1000, UTC) if matched else None
