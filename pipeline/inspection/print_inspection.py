"""An inspected export as a person reads it on the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.filesize import decimal

from pipeline.inspection.inspect_exports import ExportInspection
from pipeline.inspection.terminal import print_attributes


def print_inspection(console: Console, inspection: ExportInspection) -> None:
    """One export: what it is, whether it is whole, and what its items look like."""
    console.print(inspection.source_table, style="bold", highlight=False, markup=False)
    for sentence in _facts(inspection):
        console.print(f"  {sentence}", highlight=False, markup=False)
    for problem in inspection.problems:
        console.print(f"  DAMAGED: {problem}", style="bold red", highlight=False, markup=False)
    print_attributes(console, inspection.looked_at)
    console.print()


def _facts(inspection: ExportInspection) -> Iterator[str]:
    manifest = (
        "manifest" if inspection.has_manifest else "count of the data files; there is no manifest, so nothing proves that they are all"
    )
    yield f"export {inspection.export_id} of {inspection.export_time or 'unknown time'}, {inspection.format}, {inspection.uri}"
    yield (
        f"{inspection.items:,} items in {inspection.data_files:,} data files (at most {inspection.largest_data_file_items:,} in one), "
        f"{decimal(inspection.bytes)}, by the {manifest}"
    )
    if inspection.has_manifest:
        yield "manifests: " + ("MD5 verified" if inspection.are_manifests_verified else "no side files with their MD5, so not verified")
    if inspection.are_data_files_verified:
        yield "data files: MD5 and count of each verified"
    elif inspection.has_manifest and not inspection.problems:
        yield "data files: all there, not verified; --full compares MD5 and count of each, and looks at every item"
