"""Reads what a sample export wrote, with the standard library alone."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sample_export import SampleExport


def manifest_entries(export: SampleExport) -> list[dict[str, Any]]:
    """The lines of `manifest-files.json`."""
    return [json.loads(line) for line in (export.folder / "manifest-files.json").read_text().splitlines()]


def data_lines(root: Path, export: SampleExport) -> Iterator[tuple[str, int, bytes]]:
    """File name, item number and line of every item, in manifest order."""
    for entry in manifest_entries(export):
        path = root / entry["dataFileS3Key"]
        for number, line in enumerate(gzip.decompress(path.read_bytes()).split(b"\n")[:-1]):
            yield path.name, number, line


def truth_of(export: SampleExport) -> list[dict[str, Any]]:
    """The lines of the truth."""
    with export.truth.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def planted_kinds(root: Path, export: SampleExport) -> list[str]:
    """The names of everything that was planted in a table, as often as it was."""
    with (root / "truth" / "planted" / f"{export.source_table}.jsonl").open(encoding="utf-8") as lines:
        return [kind for line in lines for kind in json.loads(line)["kinds"]]


def bytes_below(root: Path) -> dict[str, bytes]:
    """Every file below `root` by its path."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
