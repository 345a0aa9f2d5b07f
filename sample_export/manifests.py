"""The manifests of an export, in AWS's fields and spelling (`facts.md` B.1 to B.3; compared with a real export in the tests).

`manifest-files.json` ends with a newline, `manifest-summary.json` does not, and the side files hold the base64 MD5 of the exact bytes.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from sample_export.settings import Settings
from sample_export.world import to_uuid

BUCKET = "medzen-dynamodb-exports"
REGION = "eu-central-1"

# Exports start after everything in them happened, on one of the first 20 days of November 2026.
_FIRST_EXPORT = datetime(2026, 11, 1, tzinfo=UTC)
_EXPORT_WINDOW_MS = 20 * 86_400_000


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A data file as the manifest describes it. `md5` is of the compressed bytes, `size` in bytes before compression."""

    name: str
    items: int
    md5: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Identity:
    """Where an export lies and what it is called; all of it follows from the settings."""

    table: str
    export_id: str
    started: datetime
    account: str
    table_id: str

    @property
    def prefix(self) -> str:
        """The export's folder as a key, from the bucket's root."""
        return f"{self.table}/AWSDynamoDB/{self.export_id}"

    @property
    def table_arn(self) -> str:
        """The exported table's ARN."""
        return f"arn:aws:dynamodb:{REGION}:{self.account}:table/{self.table}"


def identity(settings: Settings, table: str) -> Identity:
    """Name the export of `table`; other settings give another name."""
    digest = settings.digest("export", table)
    # The seed alone makes the account and the table's id: exports of the same data are of the same table.
    owner = hashlib.blake2b(f"{settings.seed} {table}".encode(), digest_size=16).hexdigest()
    account = int(hashlib.blake2b(f"{settings.seed}".encode()).hexdigest(), 16) % 10**12
    started = _FIRST_EXPORT + timedelta(milliseconds=int.from_bytes(digest[:6], "big") % _EXPORT_WINDOW_MS)
    epoch_ms = (started - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return Identity(table, f"0{epoch_ms}-{digest[6:10].hex()}", started, f"{account:012d}", to_uuid(owner))


def write_manifests(folder: Path, export: Identity, files: list[WrittenFile]) -> None:
    """Write both manifests, their side files and `_started` into the export's folder."""
    (folder / "_started").write_bytes(b"")
    lines = [orjson.dumps(_file_entry(export, file)) + b"\n" for file in files]
    _write_with_md5(folder, "manifest-files", b"".join(lines))
    _write_with_md5(folder, "manifest-summary", orjson.dumps(_summary(export, files)))


def _file_entry(export: Identity, file: WrittenFile) -> dict[str, object]:
    return {
        "itemCount": file.items,
        "md5Checksum": base64.b64encode(file.md5).decode(),
        "etag": f"{hashlib.md5(file.md5).hexdigest()}-1",
        "dataFileS3Key": f"{export.prefix}/data/{file.name}",
    }


def _summary(export: Identity, files: list[WrittenFile]) -> dict[str, object]:
    items = sum(file.items for file in files)
    started = _to_iso(export.started)
    return {
        "version": "2020-06-30",
        "exportArn": f"{export.table_arn}/export/{export.export_id}",
        "startTime": started,
        "endTime": _to_iso(export.started + timedelta(milliseconds=306_261 + items)),
        "tableArn": export.table_arn,
        "tableId": export.table_id,
        "exportTime": started,
        "s3Bucket": BUCKET,
        "s3Prefix": export.table,
        "s3SseAlgorithm": "AES256",
        "s3SseKmsKeyId": None,
        "manifestFilesS3Key": f"{export.prefix}/manifest-files.json",
        "billedSizeBytes": sum(file.size for file in files),
        "itemCount": items,
        "outputFormat": "DYNAMODB_JSON",
    }


def _to_iso(moment: datetime) -> str:
    return f"{moment.isoformat(timespec='milliseconds')[:23]}Z"


def _write_with_md5(folder: Path, name: str, content: bytes) -> None:
    (folder / f"{name}.json").write_bytes(content)
    (folder / f"{name}.md5").write_bytes(base64.b64encode(hashlib.md5(content).digest()))
