"""Small exports made by hand, so that a test can make each part of one wrong and leave the rest right."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EXPORT_ID = "01700000000000-abcd1234"
PREFIX = f"AWSDynamoDB/{EXPORT_ID}"
# What the summary of an incremental export has beside that of a full one, and what it lacks.
OF_A_WINDOW: Mapping[str, Any] = {
    "version": "2023-08-01",
    "tableId": "00000000-0000-4000-8000-000000000000",
    "exportTime": None,
    "exportFromTime": "2026-01-14T10:00:00.000Z",
    "exportToTime": "2026-01-14T11:00:00.000Z",
    "exportType": "INCREMENTAL_EXPORT",
    "outputView": "NEW_AND_OLD_IMAGES",
}


def base64_md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content).digest()).decode()


def item_line(number: int) -> bytes:
    return json.dumps({"Item": {"id": {"S": f"item-{number}"}}}).encode()


def gzip_of_items(count: int, first: int = 0) -> bytes:
    return gzip.compress(b"".join(item_line(number) + b"\n" for number in range(first, first + count)), mtime=0)


@dataclass
class MadeExport:
    """An export in a folder. `entries` and `summary` are what `seal` writes into the manifests, with their side files right."""

    folder: Path
    entries: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)

    def add_file(self, name: str, content: bytes, items: int) -> Path:
        """Write a data file, and have it in the manifest as it is now."""
        path = self.folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.entries.append({"itemCount": items, "md5Checksum": base64_md5(content), "dataFileS3Key": f"{PREFIX}/data/{name}"})
        return path

    def seal(self, *, side_files: str | None = "md5", **changed: Any) -> Path:
        """Write both manifests; `changed` are fields of the summary, where None removes one. Returns the folder."""
        summary = {
            "exportArn": f"arn:aws:dynamodb:eu-central-1:123456789012:table/things/export/{EXPORT_ID}",
            "tableArn": "arn:aws:dynamodb:eu-central-1:123456789012:table/things",
            "exportTime": "2026-11-01T00:00:00.000Z",
            "s3Bucket": "somewhere",
            "s3Prefix": None,
            "manifestFilesS3Key": f"{PREFIX}/manifest-files.json",
            "itemCount": sum(entry["itemCount"] for entry in self.entries if type(entry.get("itemCount")) is int),
            "outputFormat": "DYNAMODB_JSON",
            **self.summary,
            **changed,
        }
        lines = b"".join(json.dumps(entry).encode() + b"\n" for entry in self.entries)
        self.write("manifest-files", lines, side_files)
        self.write("manifest-summary", json.dumps(without_none(summary, set(changed))).encode(), side_files)
        return self.folder

    def write(self, name: str, content: bytes, side_files: str | None = "md5") -> None:
        """One manifest with its side file."""
        (self.folder / f"{name}.json").write_bytes(content)
        if side_files:
            (self.folder / f"{name}.{side_files}").write_text(base64_md5(content))


def without_none(summary: Mapping[str, Any], removable: set[str]) -> dict[str, Any]:
    return {name: value for name, value in summary.items() if value is not None or name not in removable}


def make_export(folder: Path, *counts: int) -> MadeExport:
    """An export with a data file of so many items for each count, `file0.json.gz` and so on; not sealed yet."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "_started").touch()
    export = MadeExport(folder)
    for number, count in enumerate(counts):
        export.add_file(f"file{number}.json.gz", gzip_of_items(count), count)
    return export
