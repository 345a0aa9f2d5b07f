"""DynamoDB's exports as AWS documents them, over HTTP: what moto lacks. Its clock and its faults are the test's.

As https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ExportTableToPointInTime.html and the pages beside it say, and as
scylladb/scylladb's test/alternator/test_export.py found AWS to do: a token is good for eight hours, and with other parameters a conflict.
Windows are held to the documented limits; the words of two refusals were seen on AWS, the others are made up.
"""

from __future__ import annotations

import json
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ACCOUNT, REGION = "111122223333", "eu-central-1"
_TOKEN_LIFE = timedelta(hours=8)
_VIEWS = ("NEW_IMAGE", "NEW_AND_OLD_IMAGES")
_EMPTY_LISTING = b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>false</IsTruncated></ListBucketResult>'


class Refusal(Exception):
    """An error that DynamoDB answers with."""

    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


@dataclass
class Table:
    name: str
    items: int = 100
    earliest: datetime | None = None
    """Of its recovery window; None with point-in-time recovery off."""
    recovery_days: int | None = None
    """How far the window reaches back; None where the server does not tell."""
    table_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    failure: tuple[str, str] | None = None
    """What ends its next exports."""

    @property
    def arn(self) -> str:
        return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{self.name}"


@dataclass
class ModelExport:
    arn: str
    table: Table
    started: datetime
    export_time: datetime
    parameters: dict[str, Any]
    status: str = "IN_PROGRESS"
    looks: int = 0
    items: int | None = None
    """That were written; None: made up."""

    @property
    def window(self) -> tuple[datetime, datetime]:
        """Of an incremental export."""
        asked = self.parameters["IncrementalExportSpecification"]
        return datetime.fromtimestamp(asked["ExportFromTime"], UTC), datetime.fromtimestamp(asked["ExportToTime"], UTC)

    def described(self) -> dict[str, Any]:
        given = {name: value for name, value in self.parameters.items() if name != "ExportTime"}
        described = {
            **given,
            "ExportArn": self.arn,
            "ExportStatus": self.status,
            "StartTime": self.started.timestamp(),
            "TableArn": self.table.arn,
            "TableId": self.table.table_id,
        }
        if given.get("ExportType") != "INCREMENTAL_EXPORT":
            described["ExportTime"] = self.export_time.timestamp()
        if self.status == "COMPLETED":
            folder = "/".join(filter(None, (given.get("S3Prefix"), "AWSDynamoDB", self.arn.rpartition("/")[2])))
            described |= {
                "ExportManifest": f"{folder}/manifest-summary.json",
                "ItemCount": self.table.items - 1 if self.items is None else self.items,
                "BilledSizeBytes": 12345678,
            }
        if self.status == "FAILED" and self.table.failure:
            described["FailureCode"], described["FailureMessage"] = self.table.failure
        return described


class ModelDynamoDB:
    """The server. Requests that change something are in `exports`; all of them in `calls`."""

    def __init__(self) -> None:
        self.tables: dict[str, Table] = {}
        self.exports: list[ModelExport] = []
        self.calls: Counter[str] = Counter()
        self.ahead = timedelta(0)
        """Of its clock, of this machine's."""
        self.lag = timedelta(0)
        """How long a time must have passed to be exported."""
        self.looks_to_finish: int | None = 2
        """How often an export is described until it is over; None: never; 0: it is over at once."""
        self.write: Callable[[ModelExport], int] | None = None
        """Writes an export that is over, and says how many items it has."""
        self.largest_page = 25
        self.lists_types = True
        self.denied: set[str] = set()
        self.refuse_next: dict[str, list[Refusal]] = {}
        self.lose_next_answer_to: str | None = None
        self.hold: dict[tuple[str, int], threading.Event] = {}
        """Calls, by name and number, that are not answered before the event."""
        self.is_waited_for = threading.Event()
        self._lock = threading.RLock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.endpoint_url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        for event in self.hold.values():
            event.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def add_table(self, name: str, *, recovery: timedelta | None = timedelta(days=20), items: int = 100) -> Table:
        """`recovery`: how long ago point-in-time recovery was turned on; None: never."""
        table = Table(name, items, self.now - recovery if recovery is not None else None)
        self.tables[name] = table
        return table

    def add_export(self, table: str, *, started: datetime | None = None, status: str = "COMPLETED", **parameters: Any) -> ModelExport:
        """One that somebody began before, however long ago."""
        with self._lock:
            export = self._new_export(self.tables[table], parameters, started or self.now)
            export.status = status
            return export

    def exports_of(self, table: str) -> list[ModelExport]:
        return [export for export in self.exports if export.table.name == table]

    # -- the operations --------------------------------------------------------------------------------------------------------------------

    def answer(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.calls[operation] += 1
            held = self.hold.get((operation, self.calls[operation]))
        if held:
            self.is_waited_for.set()
            held.wait()
        with self._lock:
            if self.refuse_next.get(operation):
                raise self.refuse_next[operation].pop(0)
            if operation in self.denied:
                message = f"User: arn:aws:iam::{ACCOUNT}:user/x is not authorized to perform: dynamodb:{operation}"
                raise Refusal("AccessDeniedException", message)
            return dict(getattr(self, f"_{operation}")(body))

    def _DescribeTable(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        table = self._table(body["TableName"], "ResourceNotFoundException")
        return {
            "Table": {
                "TableName": table.name,
                "TableArn": table.arn,
                "TableId": table.table_id,
                "TableStatus": "ACTIVE",
                "ItemCount": table.items,
            }
        }

    def _DescribeContinuousBackups(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        table = self._table(body["TableName"], "TableNotFoundException")
        recovery: dict[str, Any] = {"PointInTimeRecoveryStatus": "DISABLED"}
        if table.earliest:
            recovery = {
                "PointInTimeRecoveryStatus": "ENABLED",
                "EarliestRestorableDateTime": table.earliest.timestamp(),
                "LatestRestorableDateTime": (self.now - self.lag).timestamp(),
            }
            recovery |= {"RecoveryPeriodInDays": table.recovery_days} if table.recovery_days else {}
        return {"ContinuousBackupsDescription": {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": recovery}}

    def _ListExports(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        arns = sorted(
            (export for export in self.exports if export.table.arn == body["TableArn"]), key=lambda export: export.arn, reverse=True
        )
        start = int(body.get("NextToken", 0))
        end = start + min(body.get("MaxResults", 25), self.largest_page)
        summaries = [
            {
                "ExportArn": export.arn,
                "ExportStatus": export.status,
                **({"ExportType": export.parameters.get("ExportType", "FULL_EXPORT")} if self.lists_types else {}),
            }
            for export in arns[start:end]
        ]
        return {"ExportSummaries": summaries, **({"NextToken": str(end)} if end < len(arns) else {})}

    def _DescribeExport(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = [export for export in self.exports if export.arn == body["ExportArn"]]
        if not found:
            raise Refusal("ExportNotFoundException", "Export not found")
        export = found[0]
        export.looks += 1
        if export.status == "IN_PROGRESS" and self.looks_to_finish is not None and export.looks >= self.looks_to_finish:
            self._end(export)
        return {"ExportDescription": export.described()}

    def _ExportTableToPointInTime(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        table = self._table(body["TableArn"], "TableNotFoundException")
        for export in self.exports:
            if export.parameters.get("ClientToken") == body["ClientToken"] and self.now - export.started < _TOKEN_LIFE:
                if export.parameters != body:
                    raise Refusal("ExportConflictException", "Duplicate request detected")
                return {"ExportDescription": export.described()}
        if table.earliest is None:
            message = f"Point in time recovery is not enabled for table '{table.name}'"
            raise Refusal("PointInTimeRecoveryUnavailableException", message)
        if body.get("ExportType") == "INCREMENTAL_EXPORT":
            self._check_window(table.earliest, body)
            return {"ExportDescription": self._new_export(table, body, self.now).described()}
        asked = datetime.fromtimestamp(body["ExportTime"], UTC) if "ExportTime" in body else self.now
        if not table.earliest <= asked <= self.now - self.lag:
            raise Refusal("InvalidExportTimeException", "Export Time is invalid")
        return {"ExportDescription": self._new_export(table, body, self.now).described()}

    def _check_window(self, earliest: datetime, body: dict[str, Any]) -> None:
        window = body["IncrementalExportSpecification"]
        if "ExportTime" in body or window.get("ExportViewType") not in _VIEWS:
            raise Refusal("ValidationException", "one or more parameters are not valid")
        begin, end = (datetime.fromtimestamp(window[name], UTC) for name in ("ExportFromTime", "ExportToTime"))
        words = "Difference between export period from time and export period to time is"
        if begin < earliest:
            raise Refusal("InvalidExportTimeException", "Export period from time cannot be less than the table creation time")
        if end - begin < timedelta(minutes=15):
            raise Refusal("InvalidExportTimeException", f"{words} less than 15 minutes")
        if end - begin > timedelta(hours=24):
            raise Refusal("InvalidExportTimeException", f"{words} greater than 24 hours")
        if end > self.now - self.lag:
            raise Refusal("InvalidExportTimeException", "Export period to time is invalid")

    def _new_export(self, table: Table, parameters: dict[str, Any], started: datetime) -> ModelExport:
        asked = parameters.get("ExportTime")
        arn = f"{table.arn}/export/0{int(started.timestamp() * 1000)}-{len(self.exports):08x}"
        export = ModelExport(arn, table, started, datetime.fromtimestamp(asked, UTC) if asked else started, dict(parameters))
        self.exports.append(export)
        if self.looks_to_finish == 0:
            self._end(export)
        return export

    def _end(self, export: ModelExport) -> None:
        if self.write and not export.table.failure:
            export.items = self.write(export)
        export.status = "FAILED" if export.table.failure else "COMPLETED"

    def _table(self, name_or_arn: str, code: str) -> Table:
        table = self.tables.get(name_or_arn.rpartition("/")[2])
        if table is None:
            raise Refusal(code, f"Requested resource not found: Table: {name_or_arn} not found")
        return table


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may be killed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler(model: ModelDynamoDB) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer is one packet, or the client's acknowledgement is waited for

        def do_POST(self) -> None:
            operation = self.headers["X-Amz-Target"].rpartition(".")[2]
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                answer, status = model.answer(operation, body), 200
            except Refusal as refusal:
                answer = {"__type": f"com.amazonaws.dynamodb.v20120810#{refusal.code}", "message": str(refusal)}
                status = refusal.status
            if model.lose_next_answer_to == operation:
                model.lose_next_answer_to = None
                self.close_connection = True
                return
            self._send(status, "application/x-amz-json-1.0", json.dumps(answer).encode())

        def do_GET(self) -> None:
            """S3's part: buckets without any folder."""
            self._send(200, "application/xml", _EMPTY_LISTING)

        def _send(self, status: int, kind: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def date_time_string(self, timestamp: float | None = None) -> str:  # noqa: ARG002 - the base class's
            return format_datetime(model.now, usegmt=True)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    return Handler
