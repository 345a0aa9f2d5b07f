"""`manifest-summary.json`: refused with a sentence that names it, whatever is wrong with it."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Refused
from pipeline.places.storage import LOCAL_AND_AWS
from pipeline.source.given import ExportArgument, read_given_exports
from pipeline.source.manifest import ExportKind, read_export
from tests.pipeline.source.made_exports import OF_A_WINDOW, base64_md5, make_export
from tests.pipeline.source.read_splits import read_exports


def refusal_of(folder: Path) -> str:
    with pytest.raises(Refused) as caught:
        read_export(str(folder))
    return str(caught.value)


def test_a_sound_export_is_read(tmp_path: Path) -> None:
    """The export that the other tests break is right before they do."""
    export = read_export(str(make_export(tmp_path, 3, 0, 2).seal()))

    assert (export.items, [data_file.items for data_file in export.data_files]) == (5, [3, 0, 2])


def test_an_export_that_is_only_started_is_found_and_said_to_be_unfinished(tmp_path: Path) -> None:
    """`_started` without a summary is an export that AWS still writes: it is not passed over in silence."""
    make_export(tmp_path / "AWSDynamoDB" / "01", 3)

    with pytest.raises(Refused) as caught:
        read_exports(tmp_path)

    message = str(caught.value)
    assert str(tmp_path / "AWSDynamoDB" / "01") in message
    assert "not finished" in message


@pytest.mark.parametrize("side_file", ["md5", "checksum"])
@pytest.mark.parametrize("manifest", ["manifest-summary", "manifest-files"])
def test_a_side_file_that_does_not_agree_is_named(tmp_path: Path, manifest: str, side_file: str) -> None:
    """Each manifest is compared with its side file, under AWS's name for it and under that of AWS's guide."""
    folder = make_export(tmp_path, 3).seal(side_files=side_file)
    (folder / f"{manifest}.{side_file}").write_text(base64_md5(b"something else"))

    message = refusal_of(folder)

    assert f"{folder}/{manifest}.json" in message
    assert f"{folder}/{manifest}.{side_file}" in message


@pytest.mark.parametrize("manifest", ["manifest-summary", "manifest-files"])
def test_a_manifest_changed_by_one_byte_is_refused(tmp_path: Path, manifest: str) -> None:
    """A blank more changes nothing of the JSON, but is not what AWS wrote."""
    folder = make_export(tmp_path, 3).seal()
    path = folder / f"{manifest}.json"
    path.write_bytes(path.read_bytes() + b" ")

    assert "MD5" in refusal_of(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"summary"', b"null", b"\xff\xfe", b'{"itemCount": NaN}'])
def test_a_summary_that_is_no_json_object_is_refused(tmp_path: Path, content: bytes) -> None:
    """What is not one JSON object is no summary; the sentence names the file."""
    export = make_export(tmp_path, 3)
    export.seal()
    export.write("manifest-summary", content)

    assert f"{tmp_path}/manifest-summary.json" in refusal_of(tmp_path)


@pytest.mark.parametrize(
    ("field", "content"),
    [
        *product(["exportArn", "tableArn", "manifestFilesS3Key", "outputFormat"], [None, [], {}, True, 3]),
        *product(["itemCount"], [None, [], {}, True, 3.0, "3"]),
    ],
)
def test_a_field_that_is_missing_or_of_another_type_is_named(tmp_path: Path, field: str, content: Any) -> None:
    """Each field that we read must be there, and be of AWS's type; true is no count."""
    folder = make_export(tmp_path, 3).seal(**{field: content})

    assert field in refusal_of(folder)


@pytest.mark.parametrize("content", [5, "yesterday evening", [], ""])
def test_an_export_time_that_is_no_time_is_refused_here(tmp_path: Path, content: Any) -> None:
    """`exportTime` goes into the ledger as a timestamp: what is none is refused with the manifest, not found out by PostgreSQL."""
    folder = make_export(tmp_path, 3).seal(exportTime=content)

    assert "exportTime" in refusal_of(folder)


def test_a_negative_count_is_refused(tmp_path: Path) -> None:
    """Counts are counts."""
    assert "itemCount" in refusal_of(make_export(tmp_path, 3).seal(itemCount=-3))


@pytest.mark.parametrize(
    ("billed", "usual"), [(None, 60_000), (1_000, 60_000), (60_000 * 4_000, 300_000), ("4 GB", 60_000), (-5, 60_000), (True, 60_000)]
)
def test_large_items_count_for_more_than_one(tmp_path: Path, billed: object, usual: int) -> None:
    """As many workers as the bytes are worth, by AWS's own figure; where that is missing or nonsense, by items alone."""
    export = replace(read_export(str(make_export(tmp_path, 3).seal(billedSizeBytes=billed))), items=60_000)

    assert export.usual_items(60_000) == usual
    assert export.usual_items(0) == 0


def test_an_export_without_a_name_is_refused(tmp_path: Path) -> None:
    """The ledger is keyed by the export's id, so one that is empty is none."""
    assert "exportArn" in refusal_of(make_export(tmp_path, 3).seal(exportArn="arn:aws:dynamodb:x:1:table/things/export/"))


@pytest.mark.parametrize("kind", ["DIFFERENTIAL_EXPORT", "", 7, ["FULL_EXPORT"]])
def test_an_export_of_another_kind_is_refused(tmp_path: Path, kind: object) -> None:
    """What its lines mean is not known."""
    message = refusal_of(make_export(tmp_path, 3).seal(exportType=kind))

    assert "this version reads full exports and incremental ones" in message


def test_a_full_export_may_say_so(tmp_path: Path) -> None:
    """Newer summaries name the type; that changes nothing."""
    export = read_export(str(make_export(tmp_path, 3).seal(exportType="FULL_EXPORT")))

    assert (export.items, export.kind) == (3, ExportKind.FULL)


def test_an_export_in_ion_is_refused(tmp_path: Path) -> None:
    """Its other format is not read; both problems of one summary are told at once."""
    message = refusal_of(make_export(tmp_path, 3).seal(outputFormat="ION", **{**OF_A_WINDOW, "outputView": "OLD_IMAGE"}))

    assert "Amazon Ion" in message
    assert "DYNAMODB_JSON" in message
    assert "is an incremental export" in message


@pytest.mark.parametrize("s3_prefix", ["null", "absent", "some/where"])
def test_the_prefix_does_not_matter(tmp_path: Path, s3_prefix: str) -> None:
    """An export to the bucket's root has the prefix null, and works."""
    export = make_export(tmp_path, 3)
    folder = export.seal()
    summary = json.loads((folder / "manifest-summary.json").read_bytes())
    summary["s3Prefix"] = None if s3_prefix == "null" else s3_prefix
    if s3_prefix == "absent":
        del summary["s3Prefix"]
    export.write("manifest-summary", json.dumps(summary).encode())

    assert read_export(str(folder)).items == 3


# -- what others make of one ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_pretty", [False, True])
def test_a_summary_that_somebody_edited_can_be_taken_all_the_same(tmp_path: Path, is_pretty: bool) -> None:
    """A masked account, say: the sentence says what it looks like, and the way that it names works."""
    folder = make_export(tmp_path, 3).seal()
    path = folder / "manifest-summary.json"
    masked = json.loads(path.read_bytes().replace(b"123456789012", b"************"))
    path.write_text(json.dumps(masked, indent=2 if is_pretty else None))

    message = refusal_of(folder)

    assert "whole JSON, so somebody edited it" in message
    assert f"remove {folder}/manifest-summary.md5" in message
    (folder / "manifest-summary.md5").unlink()
    export = read_export(str(folder))
    assert (export.items, export.are_manifests_verified) == (3, False)


def test_a_summary_that_was_cut_short_is_not_called_edited(tmp_path: Path) -> None:
    folder = make_export(tmp_path, 3).seal()
    path = folder / "manifest-summary.json"
    path.write_bytes(path.read_bytes()[:-20])

    assert "it was cut short or changed. Copy the export again" in refusal_of(folder)


@pytest.mark.parametrize("lacking", [("exportArn", "tableArn"), ("exportArn",), ("tableArn",)])
def test_a_summary_without_arns_says_how_its_files_can_be_taken(tmp_path: Path, lacking: tuple[str, ...]) -> None:
    """As other tools write them. The way that it names works."""
    folder = make_export(tmp_path / "made", 3).seal(**dict.fromkeys(lacking))

    message = refusal_of(folder)

    assert f"has no {' and no '.join(lacking)}, so another tool wrote or changed it" in message
    assert "--export TABLE=FOLDER" in message
    for manifest in (*folder.glob("manifest-*"), folder / "_started"):
        manifest.unlink()
    assert read_given_exports([ExportArgument("things", str(folder))], LOCAL_AND_AWS).sound[0].export.items == 3
