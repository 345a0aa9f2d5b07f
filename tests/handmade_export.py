"""Exports of lines written by hand, in AWS's layout, for tests of single items."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def write_export(
    root: Path,
    table: str,
    data_files: Sequence[Sequence[bytes]],
    export_id: str = "01700000000000-0123abcd",
    *,
    is_shared: bool = False,
    **changed: Any,
) -> Path:
    """One data file for each sequence of lines; returns the export's folder. `changed` are fields of the summary, where None removes one.

    Shared data files are those of an incremental export, in the `data/` beside its folder.
    """
    folder = root / table / "AWSDynamoDB" / export_id
    data = folder.parent / "data" if is_shared else folder / "data"
    folder.mkdir(parents=True)
    data.mkdir(exist_ok=True)
    entries = []
    for number, lines in enumerate(data_files):
        content = gzip.compress(b"".join(line + b"\n" for line in lines), mtime=0)
        name = f"{export_id.replace('-', '')}{number:04d}.json.gz" if is_shared else f"{number:026d}.json.gz"
        (data / name).write_bytes(content)
        key = data.relative_to(root).as_posix()
        md5 = base64.b64encode(hashlib.md5(content).digest()).decode()
        entries.append({"itemCount": len(lines), "md5Checksum": md5, "etag": "", "dataFileS3Key": f"{key}/{name}"})
    (folder / "manifest-files.json").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    arn = f"arn:aws:dynamodb:eu-central-1:123456789012:table/{table}"
    summary = {
        "version": "2020-06-30",
        "exportArn": f"{arn}/export/{export_id}",
        "startTime": "2026-01-01T00:00:00.000Z",
        "endTime": "2026-01-01T00:05:00.000Z",
        "tableArn": arn,
        "tableId": "00000000-0000-4000-8000-000000000000",
        "exportTime": "2026-01-01T00:00:00.000Z",
        "s3Bucket": "bucket",
        "s3Prefix": table,
        "s3SseAlgorithm": "AES256",
        "s3SseKmsKeyId": None,
        "manifestFilesS3Key": f"{table}/AWSDynamoDB/{export_id}/manifest-files.json",
        "billedSizeBytes": 0,
        "itemCount": sum(map(len, data_files)),
        "outputFormat": "DYNAMODB_JSON",
        **changed,
    }
    summary = {name: value for name, value in summary.items() if value is not None or changed.get(name, ...) is not None}
    (folder / "manifest-summary.json").write_text(json.dumps(summary))
    return folder
