"""Exports in the shapes that they come in: as AWS writes them, as its guide says, as people copy them, and those that we do not load."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path
from typing import Any, cast

import pytest

from pipeline.places.storage import LOCAL_AND_AWS, Storage
from pipeline.preflight.exports import find_exports
from pipeline.source.chunks import ChunkSize, SplitSize
from pipeline.source.given import ExportArgument, read_given_exports
from pipeline.source.manifest import Export
from tests.pipeline.source.made_data_files import chunks_by_split
from tests.pipeline.source.made_exports import EXPORT_ID, OF_A_WINDOW, PREFIX, MadeExport, base64_md5, gzip_of_items, item_line, make_export
from tests.pipeline.source.watched_storage import WatchedStorage
from tests.pipeline.target.made_loads import THING

SPLITS = SplitSize(1, 4)
REAL_EXPORT = Path(__file__).parent / "real-export-all-types" / "dynamodb-export" / "AWSDynamoDB" / "01715685260608-c488b4e1"
# What AWS wrote for an empty partition: gzip of nothing, in 20 bytes.
EMPTY_GZIP = bytes.fromhex("1f8b08000000000000ff03000000000000000000")


def exports_of(uri: object, storage: object = LOCAL_AND_AWS) -> list[Export]:
    given, problems, *_ = read_given_exports([ExportArgument(None, str(uri))], cast("Storage", storage))
    assert problems == []
    return [one.export for one in given]


def problems_of(uri: object, storage: object = LOCAL_AND_AWS) -> list[str]:
    given, problems, *_ = read_given_exports([ExportArgument(None, str(uri))], cast("Storage", storage))
    assert given == []
    assert problems
    return problems


def lines_of(export: Export) -> list[bytes]:
    """All lines, in the order of the names of their files."""
    files = sorted(export.data_files, key=lambda file: file.name)
    splits = [chunks for file in files for _, chunks in sorted(chunks_by_split(file, SPLITS, ChunkSize(2)).items())]
    return [line for chunks in splits for chunk in chunks for line in chunk.lines]


def items(*counts: int) -> list[bytes]:
    return [item_line(number) for count in counts for number in range(count)]


# -- manifests -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side_file", ["md5", "checksum", None])
@pytest.mark.parametrize("kind", [{}, {"exportType": "FULL_EXPORT"}, {"exportTime": None}], ids=["", "says that it is full", "no time"])
def test_an_export_to_the_root_of_a_bucket(tmp_path: Path, kind: dict[str, Any], side_file: str | None) -> None:
    """All of AWS's fields, no prefix, no key of KMS, keys that begin with AWSDynamoDB/; with each name of side files, and without."""
    made = make_export(tmp_path / "AWSDynamoDB" / EXPORT_ID, 3, 0, 9)
    made.summary = {
        "version": "2020-06-30",
        "startTime": "2026-11-01T00:00:00.100Z",
        "endTime": "2026-11-01T00:05:00.200Z",
        "tableId": "00000000-0000-4000-8000-000000000000",
        "s3Prefix": None,
        "s3SseAlgorithm": "KMS",
        "s3SseKmsKeyId": None,
        "billedSizeBytes": 0,
    }
    made.seal(side_files=side_file, **kind)

    for uri in (tmp_path, tmp_path / "AWSDynamoDB", made.folder, f"{made.folder}/", made.folder / "manifest-summary.json"):
        [export] = exports_of(uri)
        assert (export.source_table, export.export_id, export.items, export.has_manifest) == ("things", EXPORT_ID, 12, True)
        assert lines_of(export) == items(3, 0, 9)


def test_both_side_files_must_be_right(tmp_path: Path) -> None:
    """One that is right does not excuse the other."""
    folder = make_export(tmp_path, 3).seal(side_files="md5")
    (folder / "manifest-files.checksum").write_text(base64_md5((folder / "manifest-files.json").read_bytes()))
    assert exports_of(folder)

    (folder / "manifest-files.checksum").write_text(base64_md5(b"other"))

    assert str(folder / "manifest-files.checksum") in problems_of(folder)[0]


def test_the_real_export_in_splits() -> None:
    """AWS's own file, cut into as many splits as it has items."""
    [export] = exports_of(REAL_EXPORT)

    assert [json.loads(line)["Item"]["id"]["S"] for line in lines_of(export)] == ["bar", "K3TXQk84Si", "foo"]


def _keep_as_it_is(_: Path) -> None:
    pass


# -- data files ----------------------------------------------------------------------------------------------------------------------------


def test_empty_data_files(tmp_path: Path) -> None:
    """Zero bytes, AWS's 20 bytes, and those of today's gzip hold no items, and are read to the end."""
    made = make_export(tmp_path, 4)
    for number, content in enumerate([b"", EMPTY_GZIP, gzip.compress(b"")]):
        made.add_file(f"empty{number}.json.gz", content, 0)

    [export] = exports_of(made.seal())

    assert (len(export.data_files), export.items) == (4, 4)
    assert lines_of(export) == items(4)


@pytest.mark.parametrize("name", ["plain.json.gz", "plain.json", "plain"])
def test_an_uncompressed_data_file_that_its_manifest_means(tmp_path: Path, name: str) -> None:
    """The content tells, not the name."""
    made = make_export(tmp_path)
    made.add_file(name, b"\n".join(items(9)), 9)

    assert lines_of(exports_of(made.seal())[0]) == items(9)


# -- copies --------------------------------------------------------------------------------------------------------------------------------


def _flat(folder: Path) -> None:
    for path in (folder / "data").iterdir():
        path.rename(folder / path.name)
    (folder / "data").rmdir()


def _linked_data(folder: Path) -> None:
    (folder / "data").rename(folder.parent / "elsewhere")
    (folder / "data").symlink_to(folder.parent / "elsewhere")


def _linked_data_files(folder: Path) -> None:
    store = folder.parent / "store"
    store.mkdir()
    for path in list((folder / "data").iterdir()):
        path.rename(store / path.name)
        path.symlink_to(store / path.name)


def _linked_manifest(folder: Path) -> None:
    (folder / "manifest-files.json").rename(folder.parent / "kept.json")
    (folder / "manifest-files.json").symlink_to(folder.parent / "kept.json")


@pytest.mark.parametrize("change", [_keep_as_it_is, _flat, _linked_data, _linked_data_files, _linked_manifest])
@pytest.mark.parametrize("is_linked", [False, True], ids=["folder", "link to it"])
def test_a_copy_is_the_same_export(tmp_path: Path, change: Any, is_linked: bool) -> None:
    """Under another prefix, flat, of links, or behind a link."""
    original = make_export(tmp_path / "bucket" / PREFIX, 3, 0, 9).seal()
    [first] = exports_of(original)
    copy = shutil.copytree(original, tmp_path / "some" / "other" / "prefix" / "of mine=x")
    change(copy)
    if is_linked:
        (tmp_path / "link").symlink_to(copy)

    [second] = exports_of(tmp_path / "link" if is_linked else copy)

    assert (second.export_id, second.digest) == (first.export_id, first.digest)
    assert lines_of(second) == items(3, 0, 9)


@pytest.mark.timeout(30)
def test_links_in_a_circle_end(tmp_path: Path) -> None:
    """Many links to folders above, which whoever follows each of them never comes to the end of."""
    folder = make_export(tmp_path / "bucket" / PREFIX, 3).seal()
    for number in range(6):
        (folder / f"up{number}").symlink_to(tmp_path / "bucket")
        (folder / "data" / f"up{number}").symlink_to(folder)
    (folder / "self").symlink_to(folder / "self")

    for uri in (tmp_path, folder):
        [export] = exports_of(uri)
        assert lines_of(export) == items(3)


def test_a_copy_without_its_data_names_the_files(tmp_path: Path) -> None:
    """A link that leads nowhere is a file that is missing."""
    made = make_export(tmp_path, 3, 2)
    made.seal()
    (tmp_path / "data" / "file0.json.gz").unlink()
    (tmp_path / "data" / "file0.json.gz").symlink_to(tmp_path / "nowhere")
    (tmp_path / "data" / "file1.json.gz").unlink()
    (tmp_path / "data" / "file1.json.gz").symlink_to(tmp_path / "data" / "file1.json.gz")

    problems = problems_of(tmp_path)

    assert [Path(problem.partition(":")[0]).name for problem in problems] == ["file0.json.gz", "file1.json.gz"]


# -- what we do not load -------------------------------------------------------------------------------------------------------------------


def _incremental(root: Path) -> MadeExport:
    """As AWS lays it out: data files of all incremental exports share a folder."""
    made = MadeExport(root / "AWSDynamoDB" / "01768388013000-0000aaaa")
    made.folder.mkdir(parents=True)
    (made.folder / "_started").touch()
    record = {"Metadata": {"WriteTimestampMicros": {"N": "1768387654353205"}}, "Keys": {"id": {"S": "PATIENT"}}}
    content = gzip.compress(json.dumps(record).encode() + b"\n")
    data = root / "AWSDynamoDB" / "data"
    data.mkdir(exist_ok=True)
    (data / "abcdefghijklmnopqrstuvwxyz.json.gz").write_bytes(content)
    made.entries.append(
        {"itemCount": 1, "md5Checksum": base64_md5(content), "dataFileS3Key": "AWSDynamoDB/data/abcdefghijklmnopqrstuvwxyz.json.gz"}
    )
    made.seal(**OF_A_WINDOW, billedSizeBytes=10_000_000)
    return made


@pytest.mark.parametrize("given", ["AWSDynamoDB", ""])
def test_a_full_export_beside_an_incremental_one_is_loaded_and_the_other_passed_over_by_name(tmp_path: Path, given: str) -> None:
    """Each is taken for what it is; a damaged one beside them is still a problem."""
    folder = _incremental(tmp_path).folder
    full = make_export(tmp_path / "AWSDynamoDB" / EXPORT_ID, 3)
    full.seal()

    read = read_given_exports([ExportArgument(None, str(tmp_path / given))], LOCAL_AND_AWS)
    _, findings, _ = find_exports([ExportArgument(None, str(tmp_path / given))], (THING,), LOCAL_AND_AWS)
    planned, _, windows = find_exports([ExportArgument(None, str(tmp_path / given))], (THING,), LOCAL_AND_AWS, takes_windows=True)

    assert [(one.source_table, one.export.items) for one in read.sound] == [("things", 3)]
    assert read.problems == []
    [sentence] = read.passed_over
    assert sentence.startswith(f"{folder}: is an incremental export")
    assert ([len(one.exports) for one in windows], len(planned)) == ([1], 1)
    assert not [finding for finding in findings if finding.verdict == "fail"]
    full.write("manifest-summary", b"{}")
    assert len(read_given_exports([ExportArgument(None, str(tmp_path / given))], LOCAL_AND_AWS).problems) == 2


@pytest.mark.parametrize("given", ["AWSDynamoDB/01768388013000-0000aaaa", "AWSDynamoDB", ""])
def test_an_incremental_export_is_refused_for_what_it_is(tmp_path: Path, given: str) -> None:
    """And not for the data files that are not where a full export has them."""
    folder = _incremental(tmp_path).folder

    [problem] = problems_of(tmp_path / given)

    assert str(folder) in problem
    assert "incremental export" in problem
    assert "FULL_EXPORT" in problem


def test_an_export_in_ion_is_refused_for_what_it_is(tmp_path: Path) -> None:
    """And not for its data files, which are sound."""
    made = make_export(tmp_path)
    made.add_file("abc.ion.gz", gzip.compress(b'$ion_1_0 {Item:{id:"PATIENT"}}\n'), 1)

    [problem] = problems_of(made.seal(outputFormat="ION"))

    assert "Amazon Ion" in problem
    assert "DYNAMODB_JSON" in problem
    assert "PATIENT" not in problem


# -- outside -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        "../secret.json.gz",
        "../../secret.json.gz",
        "{root}/secret.json.gz",
        "file://{root}/secret.json.gz",
        "s3://bucket/secret.json.gz",
        "data/../../secret.json.gz",
        "..",
        "data/..",
        "%2e%2e%2fsecret.json.gz",
        "..\\secret.json.gz",
        "a/\x00/../../secret.json.gz",
        ".",
        "~/secret.json.gz",
        "/etc/passwd",
    ],
)
@pytest.mark.parametrize("manifest", ["summary", "files"])
def test_no_key_leads_out_of_the_folder(tmp_path: Path, key: str, manifest: str) -> None:
    """Not one byte outside is read, whatever the manifest says, although just what it says lies there."""
    content = gzip_of_items(2)
    made = MadeExport(tmp_path / "in" / "export")
    (made.folder / "data").mkdir(parents=True)
    key = key.format(root=tmp_path)
    if manifest == "files":
        made.entries.append({"itemCount": 2, "md5Checksum": base64_md5(content), "dataFileS3Key": key})
        made.seal()
        for folder in (tmp_path, tmp_path / "in"):
            (folder / "secret.json.gz").write_bytes(content)
    else:
        made.seal(manifestFilesS3Key=key)
        (made.folder / "manifest-files.json").unlink()
        for folder in (tmp_path, tmp_path / "in"):
            (folder / "secret.json.gz").write_bytes(b"")
    storage = WatchedStorage()

    problems_of(made.folder, storage)

    for uri in storage.read_uris:
        assert Path(os.path.normpath(uri)).is_relative_to(made.folder)
