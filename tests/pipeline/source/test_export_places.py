"""Where an export lies does not matter to what it is; and nothing outside its folder is ever read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.errors import Refused
from pipeline.places.storage import LOCAL_AND_AWS
from pipeline.source.given import ExportArgument, read_given_exports
from pipeline.source.manifest import read_export
from tests.pipeline.source.made_exports import EXPORT_ID, PREFIX, MadeExport, base64_md5, gzip_of_items, make_export
from tests.pipeline.source.read_splits import lines_of_file, read_exports


def test_a_copy_elsewhere_is_the_same_export(tmp_path: Path) -> None:
    """Export id and digest are of the content, so a load goes on from another copy."""
    original = make_export(tmp_path / "bucket" / "AWSDynamoDB" / EXPORT_ID, 3, 0, 2).seal()
    shutil.copytree(original, tmp_path / "elsewhere")

    first, second = read_export(str(original)), read_export(str(tmp_path / "elsewhere"))

    assert (first.export_id, first.digest, first.items) == (second.export_id, second.digest, second.items)
    assert all(data_file.uri.startswith(f"{tmp_path}/elsewhere/") for data_file in second.data_files)


def test_a_flat_copy_is_the_same_export(tmp_path: Path) -> None:
    """Data files beside the manifests, without `data/`, are found."""
    original = make_export(tmp_path / "original", 3, 2).seal()
    flat = shutil.copytree(original, tmp_path / "flat")
    for path in (flat / "data").iterdir():
        path.rename(flat / path.name)
    (flat / "data").rmdir()

    export = read_export(str(flat))

    assert export.digest == read_export(str(original)).digest
    assert [len(lines_of_file(data_file)) for data_file in export.data_files] == [3, 2]


def test_the_order_of_the_manifest_does_not_matter(tmp_path: Path) -> None:
    """The same data files in another order are the same export."""
    made = make_export(tmp_path / "one", 3, 2)
    first = read_export(str(made.seal()))
    made.entries.reverse()

    assert read_export(str(made.seal())).digest == first.digest


@pytest.mark.parametrize("changed", [{"itemCount": 4}, {"md5Checksum": base64_md5(b"x")}, {"dataFileS3Key": "other.json.gz"}])
def test_another_content_is_another_digest(tmp_path: Path, changed: dict[str, object]) -> None:
    """Each thing that the manifest says of a data file is in the digest."""
    made = make_export(tmp_path, 3)
    digest = read_export(str(made.seal())).digest
    shutil.copy(tmp_path / "data" / "file0.json.gz", tmp_path / "data" / "other.json.gz")
    made.entries[0].update(changed)

    assert read_export(str(made.seal())).digest != digest


@pytest.mark.parametrize(
    "key", ["../../secret.json.gz", "{root}/secret.json.gz", "data/../../secret.json.gz", "file:///{root}/secret.json.gz"]
)
def test_a_key_never_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    """Only a key's last part counts: a file outside is not read, although it is just what the manifest says."""
    content = gzip_of_items(2)
    (tmp_path / "secret.json.gz").write_bytes(content)
    made = MadeExport(tmp_path / "in" / "export")
    made.folder.mkdir(parents=True)
    made.entries.append({"itemCount": 2, "md5Checksum": base64_md5(content), "dataFileS3Key": key.format(root=tmp_path)})

    with pytest.raises(Refused, match="data file is missing"):
        read_export(str(made.seal()))


@pytest.mark.parametrize("key", ["../manifest-files.json", "{root}/manifest-files.json", "..", "", "/"])
def test_the_files_manifest_is_never_one_outside(tmp_path: Path, key: str) -> None:
    """Nor is another export's files manifest taken for this one's."""
    made = make_export(tmp_path / "export", 3)
    made.seal(manifestFilesS3Key=key.format(root=tmp_path))
    (tmp_path / "export" / "manifest-files.json").rename(tmp_path / "manifest-files.json")

    with pytest.raises(Refused, match=r"cannot be read|manifestFilesS3Key"):
        read_export(str(made.folder))


def test_keys_of_another_bucket_and_prefix_work(tmp_path: Path) -> None:
    """An export that was copied into another bucket under another prefix keeps its manifests, whose keys are then nobody's."""
    made = make_export(tmp_path, 3)
    made.entries[0]["dataFileS3Key"] = f"once/upon/a/time/{PREFIX}/data/file0.json.gz"

    assert read_export(str(made.seal(manifestFilesS3Key="once/upon/a/time/manifest-files.json", s3Bucket="gone"))).items == 3


def test_every_export_below_a_folder_is_found_finished_or_not(tmp_path: Path) -> None:
    """In the order of their names, each once."""
    made = [make_export(tmp_path / name / "AWSDynamoDB" / "01", 1) for name in ("c", "a", "b")]
    for export in made[:2]:
        export.seal()

    given, problems, *_ = read_given_exports([ExportArgument(None, str(tmp_path))], LOCAL_AND_AWS)

    assert [one.export.uri for one in given] == [str(tmp_path / name / "AWSDynamoDB" / "01") for name in ("a", "c")]
    assert [problem.split(":")[0] for problem in problems] == [str(tmp_path / "b" / "AWSDynamoDB" / "01")]


@pytest.mark.parametrize("uri", ["{root}", "{root}/nothing", "{root}/manifest-summary.json"])
def test_a_place_without_an_export_is_refused(tmp_path: Path, uri: str) -> None:
    """The sentence names the place that was given."""
    with pytest.raises(Refused) as caught:
        read_exports(uri.format(root=tmp_path))

    assert uri.format(root=tmp_path) in str(caught.value)
