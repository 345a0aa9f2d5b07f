"""`manifest-files.json`: what it says of the data files is checked, and held against the summary and the folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Refused
from pipeline.source.manifest import read_export
from tests.pipeline.source.made_exports import PREFIX, make_export


def problems_of(folder: Path) -> tuple[str, ...]:
    with pytest.raises(Refused) as caught:
        read_export(str(folder))
    return caught.value.problems


def test_it_must_be_there(tmp_path: Path) -> None:
    """A copy without it names the file that is missing."""
    folder = make_export(tmp_path, 3).seal()
    (folder / "manifest-files.json").unlink()

    [problem] = problems_of(folder)

    assert f"{folder}/manifest-files.json" in problem


@pytest.mark.parametrize("line", [b"{", b"[]", b"null", b"3", b"{}", b"", b"\xff"])
def test_a_line_that_is_no_entry_is_named_by_its_number(tmp_path: Path, line: bytes) -> None:
    """Not one data file is passed over because its line cannot be read."""
    export = make_export(tmp_path, 3, 2)
    folder = export.seal()
    first, second = (json.dumps(entry).encode() for entry in export.entries)
    export.write("manifest-files", b"\n".join([first, line, second, b""]))

    [problem] = problems_of(folder)

    assert f"{folder}/manifest-files.json: line 2 " in problem


@pytest.mark.parametrize(
    ("field", "content"),
    [
        ("itemCount", None),
        ("itemCount", -1),
        ("itemCount", "3"),
        ("itemCount", 3.0),
        ("itemCount", True),
        ("md5Checksum", None),
        ("md5Checksum", ""),
        ("md5Checksum", "not base64 at all"),
        ("md5Checksum", "YWJj"),
        ("md5Checksum", 5),
        ("dataFileS3Key", None),
        ("dataFileS3Key", ""),
        ("dataFileS3Key", f"{PREFIX}/data/"),
        ("dataFileS3Key", f"{PREFIX}/data/.."),
        ("dataFileS3Key", "."),
        ("dataFileS3Key", 5),
        ("dataFileS3Key", ["a.json.gz"]),
    ],
)
def test_a_field_that_is_missing_or_wrong_is_refused(tmp_path: Path, field: str, content: Any) -> None:
    """An entry has a name, a count that is one, and an MD5 that is one."""
    export = make_export(tmp_path, 3, 2)
    export.entries[1][field] = content
    if content is None:
        del export.entries[1][field]
    folder = export.seal(itemCount=5)

    [problem] = problems_of(folder)

    assert str(folder) in problem


def test_all_bad_lines_are_told_at_once(tmp_path: Path) -> None:
    """One refusal says every line that is wrong."""
    export = make_export(tmp_path, 1, 1, 1)
    export.entries[0]["itemCount"] = -1
    export.entries[2]["md5Checksum"] = "?"

    problems = problems_of(export.seal(itemCount=1))

    assert [": line 1 " in problems[0], ": line 3 " in problems[1], len(problems)] == [True, True, 2]


def test_all_missing_data_files_are_told_at_once(tmp_path: Path) -> None:
    """Each file that is not there is named, with its items, so that one copy mends all."""
    folder = make_export(tmp_path, 1, 2, 0, 4).seal()
    for number in (0, 2, 3):
        (folder / "data" / f"file{number}.json.gz").unlink()

    problems = problems_of(folder)

    assert [Path(problem.partition(":")[0]).name for problem in problems] == ["file0.json.gz", "file2.json.gz", "file3.json.gz"]
    assert "4 items" in problems[2]


def test_a_folder_in_the_place_of_a_data_file_is_a_missing_file(tmp_path: Path) -> None:
    """Only a file is a file."""
    folder = make_export(tmp_path, 1).seal()
    (folder / "data" / "file0.json.gz").unlink()
    (folder / "data" / "file0.json.gz").mkdir()

    assert "missing" in problems_of(folder)[0]


def test_a_data_file_named_twice_is_refused(tmp_path: Path) -> None:
    """Its items would be read twice, even where the sums agree."""
    export = make_export(tmp_path, 2, 3)
    export.entries.append(dict(export.entries[0]))

    [problem] = problems_of(export.seal())

    assert "'file0.json.gz' 2 times" in problem


@pytest.mark.parametrize("items", [4, 6, 0])
def test_sums_that_disagree_are_refused(tmp_path: Path, items: int) -> None:
    """The summary's count is the sum of the files', or the two are not of one export."""
    [problem] = problems_of(make_export(tmp_path, 2, 3).seal(itemCount=items))

    assert f"{items:,} items" in problem
    assert "add up to 5" in problem


def test_an_export_of_an_empty_table_is_sound(tmp_path: Path) -> None:
    """No data files, or only empty ones."""
    assert read_export(str(make_export(tmp_path / "none").seal())).data_files == ()
    assert read_export(str(make_export(tmp_path / "empty", 0, 0).seal())).items == 0


@pytest.mark.parametrize("name", ["a\nb.json.gz", "a\x1b[2Jb.json.gz", "\x00.json.gz", f"{'x' * 300}.json.gz"])
def test_a_name_that_no_file_can_have_is_a_problem_on_one_line(tmp_path: Path, name: str) -> None:
    """What a manifest holds cannot crash the program, nor draw on the terminal."""
    export = make_export(tmp_path, 1)
    export.entries.append({"itemCount": 1, "md5Checksum": export.entries[0]["md5Checksum"], "dataFileS3Key": f"{PREFIX}/data/{name}"})

    [problem] = problems_of(export.seal())

    assert problem.isprintable()


def test_a_nul_in_the_name_of_the_files_manifest_is_refused(tmp_path: Path) -> None:
    """A key that no file can have is a file that cannot be read."""
    folder = make_export(tmp_path, 1).seal(manifestFilesS3Key=f"{PREFIX}/manifest\x00files.json")

    assert problems_of(folder)
