"""What DynamoDB is asked about exports, and its answers as values; what it refuses, as sentences. Nothing here decides or prints.

The API: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ExportTableToPointInTime.html and its neighbours. Other servers
than AWS's leave fields out, so most of an export's may be None.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Final, cast
from urllib.parse import urlsplit

from botocore import exceptions

from pipeline.places.aws import client, error_code, why
from pipeline.places.place import AwsSettings
from pipeline.source.manifest import ON_KEY, ExportKind, Window
from transforms.lines import View

TOKEN_PREFIX: Final = "ddb2pg-"  # noqa: S105 - says whose export it is
_PAGE: Final = 25  # the most that ListExports gives
_USUAL_RECOVERY_DAYS: Final = 35  # the most that it can be, and the default


class ExportStatus(StrEnum):
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table; `table_id` distinguishes it from an earlier table of the same name. Its count of items may be six hours old."""

    name: str
    arn: str
    table_id: str | None
    items: int
    key: tuple[str, ...] = ()
    """Its attributes, the partition key first."""


@dataclass(frozen=True, slots=True)
class RecoveryWindow:
    """Point-in-time recovery of a table; it can be exported as of `earliest` and later."""

    is_on: bool
    earliest: datetime | None
    length: timedelta
    """How far back it reaches, when it has been on for so long."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """An export of a table as DynamoDB JSON, unfiltered, and what it must be alike in to be the same."""

    table_arn: str
    table_id: str | None
    """Not sent. It distinguishes the table from an earlier one with its ARN, whose exports are others."""
    bucket: str
    prefix: str
    of: datetime | Window
    """A full export as of a time; one of the changes of a window."""
    bucket_owner: str | None
    kms_key: str | None
    failed_before: int
    """How many such exports have failed. To a token that it knows DynamoDB answers with the old export for eight hours, failed or not."""

    @property
    def client_token(self) -> str:
        """The same for the same request. 36 characters, as long as a UUID: the API states no limit for it, and this one for its others."""
        return TOKEN_PREFIX + hashlib.sha256(repr(self).encode()).hexdigest()[:29]


@dataclass(frozen=True, slots=True)
class ExportFilter:
    """What an export was limited to, in DynamoDB's expressions. Values are none of it: one may be a patient's."""

    key_condition: str | None
    condition: str | None
    projection: str | None
    names: tuple[tuple[str, str], ...]
    """What `#name` in an expression means."""
    digest: str = field(default="", compare=False)
    """Equal for equal filters, their values included."""

    @property
    def recorded(self) -> str:
        """As the ledger keeps it: without expressions, in which there may be values."""
        is_on_key = self.key_condition and not self.condition and not self.projection
        return f"{ON_KEY if is_on_key else 'other '}{self.digest}"

    def __str__(self) -> str:
        parts = {"key condition": self.key_condition, "filter": self.condition, "projection": self.projection}
        names = ", ".join(f"{short} is {name}" for short, name in self.names)
        said = "; ".join(f"{part} {text}" for part, text in parts.items() if text)
        return f"{said or 'a filter that it does not tell'}{f', where {names}' if names else ''}"


@dataclass(frozen=True, slots=True)
class Export:
    """An export as DescribeExport has it."""

    arn: str
    status: ExportStatus
    table_id: str | None
    export_time: datetime | None
    client_token: str | None
    bucket: str | None
    prefix: str | None
    kind: ExportKind
    is_json: bool
    """In the format DynamoDB JSON."""
    kms_key: str | None
    manifest: str | None
    """The key of manifest-summary.json."""
    items: int | None
    billed_bytes: int | None
    failure_code: str | None
    failure_message: str | None
    window: Window | None = None
    """Of an incremental export."""
    filter: ExportFilter | None = None

    @property
    def export_id(self) -> str:
        return self.arn.rpartition("/")[2]

    @property
    def is_completed(self) -> bool:
        return self.status is ExportStatus.COMPLETED

    @property
    def is_ours(self) -> bool:
        """Whether ddb2pg began it."""
        return (self.client_token or "").startswith(TOKEN_PREFIX)

    @property
    def of(self) -> datetime | Window | None:
        """As in the request for it; None where the server does not tell."""
        return self.export_time if self.kind is ExportKind.FULL else self.window


class DynamoDB:
    """The calls. Each may raise `CallFailed`; making one, what `why` has a sentence for."""

    def __init__(self, aws: AwsSettings, *, is_brief: bool = False) -> None:
        self._client = client("dynamodb", aws, is_brief=is_brief)
        self.now: datetime | None = None
        """DynamoDB's clock, to the second, as of its last answer."""

    @property
    def is_of_aws(self) -> bool:
        """Whether AWS answers, not another server that speaks its protocol."""
        host = urlsplit(self._client.meta.endpoint_url).hostname or ""
        return ".amazonaws." in host or host.endswith(".api.aws")

    @property
    def knows_filters(self) -> bool:
        """Whether the SDK does: one older than filtered exports (October 2026) leaves filters out of its answers."""
        return "FilterSpecification" in self._client.meta.service_model.shape_for("ExportDescription").members

    def describe_table(self, name_or_arn: str) -> SourceTable:
        table = self._ask("describe_table", name_or_arn, TableName=name_or_arn)["Table"]
        # The partition key is HASH, the sort key RANGE.
        key = [element["AttributeName"] for element in sorted(table.get("KeySchema", ()), key=lambda element: element["KeyType"])]
        return SourceTable(table["TableName"], table["TableArn"], table.get("TableId"), table.get("ItemCount", 0), tuple(key))

    def describe_recovery(self, name_or_arn: str) -> RecoveryWindow:
        answer = self._ask("describe_continuous_backups", name_or_arn, TableName=name_or_arn)
        recovery = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
        return RecoveryWindow(
            recovery.get("PointInTimeRecoveryStatus") == "ENABLED",
            _in_utc(recovery.get("EarliestRestorableDateTime")),
            timedelta(days=recovery.get("RecoveryPeriodInDays") or _USUAL_RECOVERY_DAYS),
        )

    def exports(self, table: SourceTable, kind: ExportKind, oldest: datetime) -> Iterator[str]:
        """The ARNs of a table's exports that were started at `oldest` or later; newest first, page by page as they are consumed."""
        token: dict[str, str] = {}
        while True:
            answer = self._ask("list_exports", table.name, TableArn=table.arn, MaxResults=_PAGE, **token)
            for summary in answer.get("ExportSummaries", ()):
                started = _started(summary["ExportArn"])
                if started and started < oldest:
                    return
                if (summary.get("ExportType") or ExportKind.FULL.value) == kind.value:
                    yield summary["ExportArn"]
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
            ClientToken=request.client_token,
            S3Bucket=request.bucket,
            S3Prefix=request.prefix,
            ExportFormat="DYNAMODB_JSON",
            **_what(request.of),
            **owner,
            **encryption,
        )
        return _export(answer["ExportDescription"])

    def _ask(self, operation: str, table: str, **parameters: Any) -> dict[str, Any]:
        try:
            answer = cast("dict[str, Any]", getattr(self._client, operation)(**parameters))
        except (exceptions.ClientError, exceptions.BotoCoreError, RuntimeError) as error:
            if isinstance(error, exceptions.ClientError):
                self._note_time(error.response)
            action = self._client.meta.method_to_api_mapping[operation]
            raise CallFailed(why(error) or f"{table}: {_sentence(error, action, self._client.meta.region_name)}", error) from None
        self._note_time(answer)
        return answer

    def _note_time(self, answer: Any) -> None:
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if date:
            self.now = parsedate_to_datetime(date).astimezone(UTC)


def _what(of: datetime | Window) -> dict[str, Any]:
    if isinstance(of, Window):
        window = {"ExportFromTime": of.from_time, "ExportToTime": of.to_time, "ExportViewType": of.view.value}
        return {"ExportType": ExportKind.INCREMENTAL.value, "IncrementalExportSpecification": window}
    return {"ExportType": ExportKind.FULL.value, "ExportTime": of}


def _export(described: dict[str, Any]) -> Export:
    # AWS leaves the type out of a full export that did not name it.
    is_full = (described.get("ExportType") or ExportKind.FULL.value) == ExportKind.FULL.value
    return Export(
        arn=described["ExportArn"],
        status=ExportStatus(described["ExportStatus"]),
        table_id=described.get("TableId"),
        export_time=_in_utc(described.get("ExportTime")),
        client_token=described.get("ClientToken"),
        bucket=described.get("S3Bucket"),
        prefix=described.get("S3Prefix"),
        kind=ExportKind.FULL if is_full else ExportKind.INCREMENTAL,
        is_json=(described.get("ExportFormat") or "DYNAMODB_JSON") == "DYNAMODB_JSON",
        kms_key=described.get("S3SseKmsKeyId"),
        manifest=described.get("ExportManifest"),
        items=described.get("ItemCount"),
        billed_bytes=described.get("BilledSizeBytes"),
        failure_code=described.get("FailureCode"),
        failure_message=described.get("FailureMessage"),
        window=_window(described.get("IncrementalExportSpecification") or {}),
        filter=_filter(described.get("FilterSpecification") or {}),
    )


def _window(described: dict[str, Any]) -> Window | None:
    begin, end = _in_utc(described.get("ExportFromTime")), _in_utc(described.get("ExportToTime"))
    # AWS's default where none was named.
    named = described.get("ExportViewType") or View.NEW_AND_OLD_IMAGES.value
    view = next((view for view in View if view.value == named), None)
    return Window(begin, end, view) if begin and end and view else None


def _filter(described: dict[str, Any]) -> ExportFilter | None:
    if not described:
        return None
    return ExportFilter(
        described.get("KeyConditionExpression"),
        described.get("FilterExpression"),
        described.get("ProjectionExpression"),
        tuple(sorted((described.get("ExpressionAttributeNames") or {}).items())),
        hashlib.sha256(repr(_sorted(described)).encode()).hexdigest()[:32],
    )


def _sorted(described: Any) -> Any:
    """The same in one form, however its members are ordered."""
    if isinstance(described, dict):
        return sorted((name, _sorted(value)) for name, value in described.items())
    return [_sorted(one) for one in described] if isinstance(described, list) else described


def _in_utc(time: datetime | None) -> datetime | None:
    return time.astimezone(UTC) if time else None


def _started(arn: str) -> datetime | None:
    """An export's id begins with the milliseconds of its start: `.../export/01605130432834-8a918b87`."""
    matched = re.search(r"/export/0(\d{13})-[^/]+$", arn)
    return datetime.fromtimestamp(int(matched[1]) / 1000, UTC) if matched else None


# -- calls that failed ---------------------------------------------------------------------------------------------------------------------

_CONNECTION_LOST: Final = (exceptions.HTTPClientError, exceptions.ConnectionError)
# ExportNotFoundException: an export that was started a moment ago.
_PASSING: Final = {
    "LimitExceededException",
    "ThrottlingException",
    "RequestLimitExceeded",
    "InternalServerError",
    "ExportNotFoundException",
}
# Enough for AWS's; what is no DynamoDB may answer with a whole page.
_LONGEST_WORDS: Final = 300


class CallFailed(Exception):
    """A call that failed for good, after botocore's own retries."""

    def __init__(self, sentence: str, error: Exception) -> None:
        super().__init__(sentence)
        self.code = error_code(error)
        self.is_for_all = why(error) is not None
        """Whether it is of credentials or the connection, so that no other call would fare better."""
        self.is_transient = _is_transient(error)
        self.is_time_wrong = self.code == _WRONG_TIME and _remedy_of_time(str(error)) is not None
        """Whether DynamoDB says what is wrong with the time, so that waiting would not help."""


def _is_transient(error: Exception) -> bool:
    if isinstance(error, exceptions.ClientError):
        return error_code(error) in _PASSING or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500
    return isinstance(error, _CONNECTION_LOST) and not isinstance(error, exceptions.SSLError)


_WRONG_TIME: Final = "InvalidExportTimeException"
# By the words with which DynamoDB refuses a window; seen, not documented.
_REMEDIES_OF_TIMES: Final = {
    r"less than 15 minutes": "a window is 15 minutes at least; give a later --until, or none",
    r"(greater|more|longer) than 24 hours": "a window is 24 hours at most",
    r"table creation time": (
        "the window begins before the table was made or its point-in-time recovery was turned on, and what changed before that cannot be "
        "exported any more; make a new full export, and load it"
    ),
}


def _remedy_of_time(said: str) -> str | None:
    return next((remedy for words, remedy in _REMEDIES_OF_TIMES.items() if re.search(words, said, re.IGNORECASE)), None)


def _sentence(error: Exception, action: str, region: str) -> str:
    """`action` as IAM names it, without the service."""
    code = error_code(error)
    words = error.response.get("Error", {}).get("Message", "") if isinstance(error, exceptions.ClientError) else str(error)
    said = " ".join(str(words).split())[:_LONGEST_WORDS] or "it says no more"
    if code in ("AccessDeniedException", "AccessDenied", "UnauthorizedException"):
        needs = " (an export also needs s3:PutObject, s3:PutObjectAcl and s3:AbortMultipartUpload)" if action.startswith("Export") else ""
        on = "its exports (table/NAME/export/*)" if action == "DescribeExport" else "the table"
        return f"access is denied; allow these credentials dynamodb:{action} on {on}{needs}"
    no_table = f"there is no such table in {region} in this account; correct its name, --aws_region or AWS_PROFILE"
    sentences = {
        "ResourceNotFoundException": no_table,
        "TableNotFoundException": no_table,
        "PointInTimeRecoveryUnavailableException": "point-in-time recovery is off or not ready; turn it on, wait a minute, run it again",
        _WRONG_TIME: f"DynamoDB does not take the export time ({said}); {_remedy_of_time(said) or 'give one in its recovery window'}",
        "ExportConflictException": (
            f"DynamoDB sees a conflict with another export ({said}): another one writes to the same place, or was asked for with the same "
            "client token and other parameters within eight hours; give another --to"
        ),
        "LimitExceededException": f"DynamoDB runs as many exports as it may ({said}); wait until some are done, and run it again",
    }
    return sentences.get(code) or f"DynamoDB refuses {action} ({code or type(error).__name__}: {said})"


# -- exports that end FAILED ---------------------------------------------------------------------------------------------------------------

# The first was seen on AWS (scylladb/scylladb, test/alternator/test_export.py); AWS lists none.
_REMEDIES: Final = {
    "NoSuchBucket": "make the bucket, or correct --to",
    "AccessDenied": "allow these credentials s3:PutObject, s3:PutObjectAcl and s3:AbortMultipartUpload on the bucket, in its policy too "
    "when another account owns it (then give --expected_bucket_owner), and do not revoke them before the export is done",
    "KMS": "allow these credentials kms:GenerateDataKey and kms:Decrypt on the key, which must be enabled and in the bucket's region",
}


def why_failed(export: Export) -> str:
    """What DynamoDB says of a failed export, and what to do about it."""
    code, message = export.failure_code, export.failure_message
    said = " ".join(f"{code or 'no code'}: {message or 'no message'}".split())
    # The codes of S3 come with and without its name.
    remedy = _REMEDIES.get((code or "").removeprefix("S3")) or (_REMEDIES["KMS"] if "kms" in said.lower() else "fix what it names")
    return f"the export failed ({said}); {remedy}"
