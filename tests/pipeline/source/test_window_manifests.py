"""Incremental exports: the window that a manifest says, and where the data files are, which all exports below one folder may share."""

from __future__ import annotations

import gzip
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from pipeline.errors import Refused
from pipeline.source.given import ExportArgument, read_given_exports
from pipeline.source.manifest import ExportKind, Window, read_export
from tests.pipeline.source.made_exports import OF_A_WINDOW, MadeExport, base64_md5, make_export
from tests.pipeline.source.watched_storage import WatchedStorage
from transforms.lines import View

if TYPE_CHECKING:
    from pipeline.places.storage import Storage

# Two manifests of AWS's, of one table: shortened, and with other names.
FULL = (
    '{"version":"2020-06-30","exportArn":"arn:aws:dynamodb:eu-central-1:123456789012:table/things/export/01768385930622-efd1a093",'
    '"startTime":"2026-01-14T10:18:50.622Z","endTime":"2026-01-14T10:24:58.984Z","tableArn":"arn:aws:dynamodb:eu-central-1:123456789012:'
    'table/things","tableId":"0f1d2c3b-1111-4222-8333-444455556666","exportTime":"2026-01-14T10:18:50.622Z","s3Bucket":"b","s3Prefix":null,'
    '"s3SseAlgorithm":"AES256","s3SseKmsKeyId":null,"manifestFilesS3Key":"AWSDynamoDB/01768385930622-efd1a093/manifest-files.json",'
    '"billedSizeBytes":0,"itemCount":0,"outputFormat":"DYNAMODB_JSON"}'
)
CHANGES = (
    '{"version":"2023-08-01","exportArn":"arn:aws:dynamodb:eu-central-1:123456789012:table/things/export/01768388186000-4a2fc3ff",'
    '"startTime":"2026-01-14T10:56:26.000Z","endTime":"2026-01-14T11:01:32.779Z","tableArn":"arn:aws:dynamodb:eu-central-1:123456789012:'
    'table/things","tableId":"0f1d2c3b-1111-4222-8333-444455556666","exportFromTime":"2026-01-14T10:35:00.000Z","exportToTime":'
    '"2026-01-14T10:50:00.000Z","s3Bucket":"b","s3Prefix":null,"s3SseAlgorithm":"AES256","s3SseKmsKeyId":null,"manifestFilesS3Key":'
    '"AWSDynamoDB/01768388186000-4a2fc3ff/manifest-files.json","billedSizeBytes":10000000,"itemCount":2,"outputFormat":"DYNAMODB_JSON",'
    '"outputView":"NEW_AND_OLD_IMAGES","exportType":"INCREMENTAL_EXPORT"}'
)
EMPTY = bytes.fromhex("1f8b08000000000000000300") + bytes(8)
RECORDS = gzip.compress(b'{"Metadata":{}}\n' * 2, mtime=0)


def aws_chain(root: Path) -> tuple[Path, Path]:
    """A full export and an incremental one in AWS's layout; the folders of their manifests."""
    shared = root / "AWSDynamoDB" / "data"
    shared.mkdir(parents=True)
    folders = []
    for summary, contents in ((FULL, {}), (CHANGES, {"cs7ahitf": EMPTY, "vv6znehh": RECORDS})):
        folder = root / "AWSDynamoDB" / json.loads(summary)["exportArn"].rpartition("/")[2]
        folder.mkdir()
        (folder / "manifest-summary.json").write_text(summary)
        entries = []
        for name, content in contents.items():
            (shared / f"{name}.json.gz").write_bytes(content)
            items = gzip.decompress(content).count(b"\n")
            key = f"AWSDynamoDB/data/{name}.json.gz"
            entries.append({"itemCount": items, "md5Checksum": base64_md5(content), "etag": "e-1", "dataFileS3Key": key})
        (folder / "manifest-files.json").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
        folders.append(folder)
    return folders[0], folders[1]


def refusals_of(folder: Path) -> list[str]:
    with pytest.raises(Refused) as refused:
        read_export(str(folder))
    return list(refused.value.problems)


def test_a_window_is_what_its_manifest_says(tmp_path: Path) -> None:
    """With AWS's own words; the table's id is that of the full export."""
    full, changes = map(read_export, map(str, aws_chain(tmp_path)))

    assert (full.kind, full.window, full.table_id) == (ExportKind.FULL, None, "0f1d2c3b-1111-4222-8333-444455556666")
    assert (changes.kind, changes.table_id, changes.source_table) == (ExportKind.INCREMENTAL, full.table_id, "things")
    begin, end = datetime(2026, 1, 14, 10, 35, tzinfo=UTC), datetime(2026, 1, 14, 10, 50, tzinfo=UTC)
    assert changes.window == Window(begin, end, View.NEW_AND_OLD_IMAGES)
    assert (changes.export_id, changes.export_time, changes.items) == ("01768388186000-4a2fc3ff", None, 2)
    assert [file.uri for file in changes.data_files] == [
        str(tmp_path / "AWSDynamoDB" / "data" / f"{name}.json.gz") for name in ("cs7ahitf", "vv6znehh")
    ]
    assert [file.bytes for file in changes.data_files] == [len(EMPTY), len(RECORDS)]


@pytest.mark.parametrize("place", ["beside", "own data"])
def test_a_copy_may_hold_its_files_itself(tmp_path: Path, place: str) -> None:
    """Flat, or with a `data/` of its own; it is the same export, and the files that others share are not looked at."""
    _, folder = aws_chain(tmp_path)
    first = read_export(str(folder))
    copy = shutil.copytree(folder, tmp_path / "copy" / "changes")
    shutil.copytree(tmp_path / "AWSDynamoDB" / "data", copy / "data" if place == "own data" else copy, dirs_exist_ok=True)
    (tmp_path / "copy" / "data").mkdir()
    (tmp_path / "copy" / "data" / "vv6znehh.json.gz").write_bytes(b"another")

    second = read_export(str(copy))

    assert (second.digest, second.window, second.export_id) == (first.digest, first.window, first.export_id)
    assert all(Path(file.uri).is_relative_to(copy) for file in second.data_files)


def test_a_copy_without_the_shared_files_says_where_they_are(tmp_path: Path) -> None:
    """Who copies an incremental export's folder has not copied its data."""
    _, folder = aws_chain(tmp_path)
    copy = shutil.copytree(folder, tmp_path / "elsewhere" / "changes")

    problems = refusals_of(copy)

    assert [problem.partition(": ")[0] for problem in problems] == [
        str(tmp_path / "elsewhere" / "data" / f"{name}.json.gz") for name in ("cs7ahitf", "vv6znehh")
    ]
    assert all("data/ beside their folders" in problem for problem in problems)


def test_windows_of_nothing_are_sound(tmp_path: Path) -> None:
    """They move the time on. AWS writes empty files, and somebody may write none."""
    made = MadeExport(tmp_path / "AWSDynamoDB" / "0-a")
    made.folder.mkdir(parents=True)
    assert (read_export(str(made.seal(**OF_A_WINDOW))).items, read_export(str(made.folder)).data_files) == (0, ())
    made.add_file("a.json.gz", EMPTY, 0)
    export = read_export(str(made.seal(**OF_A_WINDOW)))
    assert (export.items, export.window is None) == (0, False)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"exportFromTime": None}, "without a sound exportFromTime"),
        ({"exportToTime": "soon"}, "without a sound exportToTime"),
        ({"exportToTime": 1768388186}, "without a sound exportToTime"),
        ({"exportFromTime": "2026-01-14T10:00:00"}, "without a sound exportFromTime"),
        ({"exportFromTime": "0001-01-01T00:00:00+14:00"}, "without a sound exportFromTime"),
        ({"exportToTime": "2026-01-14T11:00:00.001Z"}, "exportToTime is no whole second"),
        ({"exportFromTime": "2026-01-14T11:00:00Z"}, "ends no later than it begins"),
        ({"exportFromTime": "2026-01-14T12:00:00Z"}, "ends no later than it begins"),
        ({"outputView": "OLD_IMAGE"}, "of the view 'OLD_IMAGE'"),
        ({"outputView": "NEW_IMAGES"}, "of the view 'NEW_IMAGES'"),
        ({"outputView": None}, "of the view 'None'"),
    ],
)
def test_a_window_that_is_none_is_refused(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    """A chain stands on these times."""
    [problem] = refusals_of(make_export(tmp_path, 3).seal(**{**OF_A_WINDOW, **changed}))

    assert "is an incremental export" in problem
    assert words in problem


def test_all_that_is_wrong_with_a_window_is_told_at_once(tmp_path: Path) -> None:
    wrong = {"exportFromTime": None, "exportToTime": None, "outputView": "", "outputFormat": "ION"}
    assert len(refusals_of(make_export(tmp_path, 3).seal(**{**OF_A_WINDOW, **wrong}))) == 4


@pytest.mark.parametrize("table_id", ["", 7, "a/b", "../x"])
def test_a_table_id_that_is_none_is_refused(tmp_path: Path, table_id: object) -> None:
    """Chains are told apart by it."""
    [problem] = refusals_of(make_export(tmp_path, 3).seal(tableId=table_id))
    assert "tableId" in problem


def test_times_are_of_utc_whatever_zone_they_are_written_in(tmp_path: Path) -> None:
    window = read_export(str(make_export(tmp_path, 3).seal(**{**OF_A_WINDOW, "exportFromTime": "2026-01-14T11:30:00+02:00"}))).window
    assert window is not None
    assert window.from_time.isoformat() == "2026-01-14T09:30:00+00:00"


def test_a_changed_file_of_a_window_is_refused_as_that_of_a_full_export(tmp_path: Path) -> None:
    """The same checks: counts add up, and a file that is missing is named."""
    _, folder = aws_chain(tmp_path)
    summary = json.loads(CHANGES)
    (folder / "manifest-summary.json").write_text(json.dumps({**summary, "itemCount": 3}))
    (tmp_path / "AWSDynamoDB" / "data" / "vv6znehh.json.gz").unlink()

    missing, differs = refusals_of(folder)

    assert "vv6znehh.json.gz: the data file is missing" in missing
    assert "says 3 items, but the data files of the files manifest add up to 2" in differs


@pytest.mark.parametrize("key", ["../secret.json.gz", "/etc/passwd", "..", "data/../../secret.json.gz", "s3://bucket/secret.json.gz"])
def test_no_key_of_a_window_leads_anywhere_else(tmp_path: Path, key: str) -> None:
    """The folder itself, its data, and the data beside it: nothing else is even listed."""
    made = MadeExport(tmp_path / "in" / "AWSDynamoDB" / "0-a")
    made.folder.mkdir(parents=True)
    made.entries.append({"itemCount": 2, "md5Checksum": base64_md5(RECORDS), "dataFileS3Key": key})
    made.seal(**OF_A_WINDOW)
    for folder in (tmp_path, tmp_path / "in", tmp_path / "in" / "AWSDynamoDB"):
        (folder / "secret.json.gz").write_bytes(RECORDS)
    storage = WatchedStorage()

    with pytest.raises(Refused):
        read_export(str(made.folder), cast("Storage", storage))

    assert all(Path(uri).is_relative_to(made.folder) for uri in storage.read_uris)
    assert set(storage.listed) <= {str(made.folder), str(made.folder.parent / "data")}


def test_windows_are_handed_on_beside_the_exports_that_are_loaded(tmp_path: Path) -> None:
    """Of however many, the shared folder is listed once."""
    full, changes = aws_chain(tmp_path)
    for number in range(5):
        shutil.copytree(changes, tmp_path / "AWSDynamoDB" / f"copy{number}")

    storage = WatchedStorage()

    given = read_given_exports([ExportArgument(None, str(tmp_path))], cast("Storage", storage))

    assert [one.export.uri for one in given.sound] == [str(full)]
    assert len(given.windows) == len(given.passed_over) == 6
    assert not given.problems
    assert storage.listed.count(str(tmp_path / "AWSDynamoDB" / "data")) == 1
    assert {file.uri for one in given.windows for file in one.export.data_files} == {
        str(path) for path in (tmp_path / "AWSDynamoDB" / "data").iterdir()
    }
