"""A real export of AWS, with every attribute type; where it comes from stands in its SOURCE.txt."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline.source.chunks import ChunkSize
from pipeline.source.manifest import read_export
from tests.pipeline.source.read_splits import chunks_of_file, read_exports

BUCKET = Path(__file__).parent / "real-export-all-types"
FOLDER = BUCKET / "dynamodb-export" / "AWSDynamoDB" / "01715685260608-c488b4e1"


def test_its_folder_is_found_from_above_from_itself_and_from_its_summary() -> None:
    """The bucket's root, the export's folder (with or without a slash) and its summary all mean the one export."""
    for uri in (BUCKET, FOLDER, f"{FOLDER}/", FOLDER / "manifest-summary.json"):
        assert [export.uri for export in read_exports(uri)] == [str(FOLDER)]


def test_its_manifests_are_read_as_they_are() -> None:
    """Identity, counts and the one data file are those of AWS's manifests, which have no side files here."""
    export = read_export(str(FOLDER))

    assert (export.export_id, export.source_table) == ("01715685260608-c488b4e1", "S3ExportTest")
    assert (export.items, export.export_time) == (3, "2024-05-14T11:14:20.608Z")
    [data_file] = export.data_files
    assert (data_file.name, data_file.items, data_file.md5) == ("uimbi7eofu2b5kzkxe63gsvb6i.json.gz", 3, "rzAeIrtALbOlNdK5Hh8tgA==")


def test_its_items_come_in_order() -> None:
    """Three lines, each one item, in one chunk that is the last."""
    data_file = read_export(str(FOLDER)).data_files[0]
    [chunk] = chunks_of_file(data_file, ChunkSize())

    assert [json.loads(line)["Item"]["id"]["S"] for line in chunk.lines] == ["bar", "K3TXQk84Si", "foo"]
    assert (chunk.first_item, chunk.is_last) == (0, True)
