"""A folder of data files without manifests: counted, and taken for a table only if it can be nothing else."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest

from pipeline.places.storage import LOCAL_AND_AWS
from pipeline.source.chunks import ChunkSize, SplitSize
from pipeline.source.given import ExportArgument, read_given_exports
from pipeline.source.manifest import Export
from tests.pipeline.source.made_data_files import chunks_by_split
from tests.pipeline.source.made_exports import gzip_of_items, item_line, make_export

MARK = b"PATIENT-SECRET"


def make_bare(folder: Path, **files: bytes) -> Path:
    """A folder of files; `_` in a name given here is a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_bytes(content)
    return folder


def export_of(uri: object, name: str | None = "things") -> Export:
    given, problems, *_ = read_given_exports([ExportArgument(name, str(uri))], LOCAL_AND_AWS)
    assert problems == []
    assert [one.source_table for one in given] == ["things"]
    return given[0].export


def problems_of(uri: object, name: str | None = "things") -> list[str]:
    given, problems, *_ = read_given_exports([ExportArgument(name, str(uri))], LOCAL_AND_AWS)
    assert given == []
    assert problems
    assert MARK.decode() not in str(problems)
    return problems


def lines_of(export: Export) -> list[bytes]:
    files = sorted(export.data_files, key=lambda file: file.name)
    splits = [chunks for file in files for _, chunks in sorted(chunks_by_split(file, SplitSize(1, 4), ChunkSize(2)).items())]
    return [line for chunks in splits for chunk in chunks for line in chunk.lines]


def lines(count: int, first: int = 0) -> list[bytes]:
    return [item_line(number) for number in range(first, first + count)]


# -- what is taken -------------------------------------------------------------------------------------------------------------------------


def test_every_form_of_data_file_is_counted_and_read(tmp_path: Path) -> None:
    """Gzip and plain, under each name; in several members; with faulty and blank lines; empty ones too."""
    folder = make_bare(
        tmp_path / "some",
        a_json_gz=gzip_of_items(5),
        b_json=b"\n".join(lines(3, 5)),
        c_jsonl=b"\n".join(lines(3, 8)) + b"\n\n",
        d_gz=gzip_of_items(2, 11) + gzip_of_items(2, 13),
        e_JSON_GZ=gzip_of_items(1, 15),
        f_json=item_line(16) + b"\n\nno item\n",
        g_json_gz=gzip.compress(b""),
        h_json=b"",
    )

    export = export_of(folder)

    assert (export.items, export.has_manifest, export.source_table, len(export.data_files)) == (19, False, "things", 8)
    assert lines_of(export) == [*lines(17), b"", b"no item"]


@pytest.mark.parametrize("uri", ["{0}", "{0}/", "{0}/data", "{0}/data/"])
def test_data_files_in_a_folder_data(tmp_path: Path, uri: str) -> None:
    """Where the manifests of an export were lost, its folder and its `data/` both mean it."""
    make_bare(tmp_path / "some" / "data", a_json_gz=gzip_of_items(5), b_json_gz=gzip_of_items(2, 5))

    assert lines_of(export_of(uri.format(tmp_path / "some"))) == lines(7)


def test_files_beside_and_in_data_are_one_table(tmp_path: Path) -> None:
    """Both belong to the folder that was given."""
    make_bare(tmp_path / "data", b_json_gz=gzip_of_items(2, 5))

    assert lines_of(export_of(make_bare(tmp_path, a_json_gz=gzip_of_items(5)))) == lines(7)


def test_the_same_content_is_the_same_export_wherever_it_is(tmp_path: Path) -> None:
    """Flat or in `data/`, linked or copied: a load goes on from each."""
    folder = make_bare(tmp_path / "one", a_json_gz=gzip_of_items(5), b_json_gz=gzip_of_items(2, 5))
    shutil.copytree(folder, tmp_path / "two" / "data")
    (tmp_path / "three").symlink_to(folder)
    first = export_of(folder)

    for other in map(export_of, (tmp_path / "two", tmp_path / "two" / "data", tmp_path / "three")):
        assert (other.export_id, other.digest, other.items) == (first.export_id, first.digest, first.items)


@pytest.mark.parametrize("change", ["added", "added empty", "removed", "renamed", "changed", "unpacked"])
def test_other_content_is_another_export(tmp_path: Path, change: str) -> None:
    """Whatever of it changes."""
    folder = make_bare(tmp_path, a_json_gz=gzip_of_items(5), b_json_gz=gzip_of_items(2, 5))
    before = export_of(folder)
    path = folder / "b.json.gz"
    match change:
        case "added":
            (folder / "c.json.gz").write_bytes(gzip_of_items(1))
        case "added empty":
            (folder / "c.json.gz").write_bytes(gzip.compress(b""))
        case "removed":
            path.unlink()
        case "renamed":
            path.rename(folder / "c.json.gz")
        case "changed":
            path.write_bytes(gzip_of_items(2, 6))
        case "unpacked":
            path.write_bytes(gzip.decompress(path.read_bytes()))

    after = export_of(folder)

    assert after.export_id != before.export_id
    assert after.digest != before.digest


# -- an export that is more than that ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uri", ["{0}/data", "{0}/data/", "{0}/data//", "{1}//{2}/data", "{0}//data", "{0}/./data", "{0}/data/../data"])
@pytest.mark.parametrize("name", [None, "things"])
def test_the_data_of_an_export_is_that_export(tmp_path: Path, uri: str, name: str | None) -> None:
    """Its manifests are beside it: they are not passed over, so its counts are proved, and its files all missed that are missing."""
    folder = make_export(tmp_path / "export", 3, 2).seal()

    export = export_of(uri.format(folder, tmp_path, "export"), name)

    assert (export.has_manifest, export.items) == (True, 5)


@pytest.mark.parametrize("uri", ["data", "data/", "./data", "data/."])
@pytest.mark.parametrize("name", [None, "things"])
def test_the_data_of_an_export_is_that_export_from_within(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, name: str | None
) -> None:
    """Where somebody stands does not matter to what an export is."""
    monkeypatch.chdir(make_export(tmp_path / "export", 3, 2).seal())

    export = export_of(uri, name)

    assert (export.has_manifest, export.items) == (True, 5)


@pytest.mark.parametrize("uri", ["{0}", "{0}/data", "{0}/.."])
@pytest.mark.parametrize("name", [None, "things"])
def test_an_export_that_is_not_finished_is_refused_with_a_name_too(tmp_path: Path, uri: str, name: str | None) -> None:
    """`_started` without a summary: more data files may come."""
    folder = make_export(tmp_path / "export", 3, 2).folder

    [problem] = problems_of(uri.format(folder), name)

    assert "not finished" in problem


def test_an_export_that_is_not_finished_is_refused_from_within(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--export things=data` beside `_started`."""
    monkeypatch.chdir(make_export(tmp_path / "export", 3, 2).folder)

    [problem] = problems_of("data")

    assert "not finished" in problem


@pytest.mark.parametrize("left", ["manifest-files.json", "manifest-files.md5", "manifest-summary.md5", "manifest-summary.checksum"])
def test_a_folder_that_has_manifests_left_is_not_bare(tmp_path: Path, left: str) -> None:
    """It lost its summary in a copy, and other files may be lost, too."""
    folder = make_export(tmp_path / "export", 3, 2).seal(side_files="checksum" if left.endswith("checksum") else "md5")
    for path in (path for path in folder.iterdir() if path.is_file() and path.name != left):
        path.unlink()

    assert str(folder) in problems_of(folder)[0]


# -- what is refused -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uri", ["{0}", "{0}/data", "{0}/.."])
def test_without_a_name_it_is_refused_and_told_how(tmp_path: Path, uri: str) -> None:
    """Nothing in it says which table it is."""
    make_bare(tmp_path / "x" / "some" / "data", a_json_gz=gzip_of_items(1))

    [problem] = problems_of(uri.format(tmp_path / "x" / "some"), None)

    assert str(tmp_path / "x" / "some") in problem
    assert "--export TABLE=FOLDER" in problem


def test_several_of_them_below_are_refused_and_named(tmp_path: Path) -> None:
    """They may be several tables, or one twice."""
    folders = [make_bare(tmp_path / name, a_json_gz=gzip_of_items(1)) for name in ("one", "two/data", "three")]

    [problem] = problems_of(tmp_path)

    assert all(str(folder).removesuffix("/data") in problem for folder in folders)


def test_data_files_in_it_and_below_it_are_refused_and_named(tmp_path: Path) -> None:
    """Those below would be left out in silence."""
    make_bare(tmp_path, a_json_gz=gzip_of_items(1))
    below = make_bare(tmp_path / "below", b_json_gz=gzip_of_items(1))
    make_bare(tmp_path / "data" / "deeper", c_json_gz=gzip_of_items(1))

    [problem] = problems_of(tmp_path)

    assert str(below) in problem
    assert str(tmp_path / "data" / "deeper") in problem


def test_one_of_them_below_is_not_guessed(tmp_path: Path) -> None:
    """The folder that is named is the folder that is read."""
    below = make_bare(tmp_path / "below", b_json_gz=gzip_of_items(1))

    assert str(below) in problems_of(tmp_path)[0]


@pytest.mark.parametrize("other", ["a.json", "a.gz", "data/a.json.gz", "data/a.json", "a.JSON", "a.json.GZ"])
def test_one_data_file_twice_is_refused(tmp_path: Path, other: str) -> None:
    """Packed and unpacked, beside and in `data/`: its items would be there twice. Names that differ only in case are two files."""
    make_bare(tmp_path / "data")
    make_bare(tmp_path, a_json_gz=gzip_of_items(3))
    path = tmp_path / other
    path.write_bytes(gzip_of_items(3))
    if other in ("a.gz", "a.JSON"):
        path.write_bytes(gzip_of_items(3, 3))
        assert export_of(tmp_path).items == 6
        return

    [problem] = problems_of(tmp_path)

    assert f"{tmp_path}/a.json.gz" in problem
    assert f"{path}" in problem


def test_a_copy_under_another_name_is_refused(tmp_path: Path) -> None:
    """Of its items, each would be there twice; empty files are all alike."""
    make_bare(tmp_path, a_json_gz=gzip_of_items(3), copy_json_gz=gzip_of_items(3), c_json_gz=gzip_of_items(0), d_json_gz=gzip_of_items(0))

    [problem] = problems_of(tmp_path)

    assert "have the same content" in problem


@pytest.mark.parametrize(
    "other",
    ["notes.txt", "a.json.zst", "b.csv", "README", ".DS_Store", "a.json.gz.part", ".hidden.json", "x y.json", "ü.json"],
)
def test_other_files_among_them_are_named(tmp_path: Path, other: str) -> None:
    """Nothing is passed over, and nothing is taken that is not known."""
    make_bare(tmp_path, a_json_gz=gzip_of_items(3))
    (tmp_path / other).write_bytes(gzip_of_items(3, 3))
    (tmp_path / "second.txt").write_bytes(b"")

    problems = problems_of(tmp_path)

    assert len(problems) == 2
    assert sum(str(tmp_path / other) in problem for problem in problems) == 1


@pytest.mark.parametrize("other", ["\x1b[2J.txt", "a\nb.json.gz", "\x1b[2J.json.gz", "\u202etxt.ion"])
def test_a_name_that_draws_on_the_terminal_is_told_on_one_line(tmp_path: Path, other: str) -> None:
    """As a name in a manifest is."""
    make_bare(tmp_path, a_json_gz=gzip_of_items(3))
    (tmp_path / other).write_bytes(b"")

    [problem] = problems_of(tmp_path)

    assert problem.isprintable()


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    """A data file that cannot be read is not one that is not there: nothing else would ever say that its items are missing."""
    make_bare(tmp_path, a_json_gz=gzip_of_items(3))
    (tmp_path / "b.json.gz").symlink_to(tmp_path / "nowhere.json.gz")

    assert "b.json.gz" in problems_of(tmp_path)[0]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("b.ion", b"$ion_1_0 {Item:{}}\n"),
        ("b.ion.gz", gzip.compress(b"$ion_1_0 {Item:{}}\n", mtime=0)),
        ("b.json.gz", gzip.compress(b'$ion_1_0 {Item:{id:"%s"}}\n' % MARK)),
        ("b.json", b'$ion_1_0 {Item:{id:"%s"}}\n' % MARK),
    ],
    ids=["ion", "ion.gz", "json.gz", "json"],
)
def test_ion_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    """By its name or its content, among sound files too."""
    make_bare(tmp_path, a_json_gz=gzip_of_items(3))
    (tmp_path / name).write_bytes(content)

    [problem] = problems_of(tmp_path)

    assert str(tmp_path / name) in problem
    assert "Amazon Ion" in problem


def test_ion_alone_is_refused_for_what_it_is(tmp_path: Path) -> None:
    """Not only among data files of ours."""
    make_bare(tmp_path / "data", b_ion_gz=gzip.compress(b"$ion_1_0 {Item:{}}\n", mtime=0))

    assert "Amazon Ion" in problems_of(tmp_path)[0]


@pytest.mark.parametrize("first", ["Metadata", "Keys", "NewImage", "OldImage"])
@pytest.mark.parametrize("before", [b"", b" "], ids=["at once", "after a blank"])
def test_changes_are_no_items(tmp_path: Path, first: str, before: bytes) -> None:
    """The records of an incremental export, which has its data files in a folder of their own, far from the manifests."""
    record = {first: {}, "Metadata": {"WriteTimestampMicros": {"N": "1"}}, "Keys": {"id": {"S": MARK.decode()}}, "NewImage": {}}
    content = before + json.dumps(record, separators=(",", ":")).encode() + b"\n"
    make_bare(tmp_path / "AWSDynamoDB" / "data", a_json_gz=gzip.compress(b""), b_json_gz=gzip.compress(content))

    for uri in (tmp_path / "AWSDynamoDB" / "data", tmp_path / "AWSDynamoDB"):
        [problem] = problems_of(uri)
        assert "b.json.gz" in problem
        assert "incremental" in problem


ITEMS = [{"id": {"S": MARK.decode()}}]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"Items": ITEMS, "Count": 1, "ScannedCount": 1}, "the output of `aws dynamodb scan`"),
        ({"Count": 1, "Items": ITEMS}, "the output of `aws dynamodb scan`"),
        (ITEMS, "one JSON array"),
    ],
)
@pytest.mark.parametrize("indent", [None, 4])
def test_what_is_not_one_item_a_line_is_called_what_it_looks_like(tmp_path: Path, document: object, words: str, indent: int | None) -> None:
    """With the way to make a data file of it, and no value of an item."""
    make_bare(tmp_path / "data", a_json=json.dumps(document, indent=indent, separators=(",", ":")).encode())

    [problem] = problems_of(tmp_path / "data")
    assert f"a.json: looks like {words}, not one item a line; jq -c" in problem
    assert MARK.decode() not in problem


def test_a_list_among_lines_is_a_line(tmp_path: Path) -> None:
    """And becomes a dead letter."""
    make_bare(tmp_path / "data", a_json=b"[1]\n" + item_line(1) + b"\n")

    given, problems, *_ = read_given_exports([ExportArgument("things", str(tmp_path / "data"))], LOCAL_AND_AWS)
    assert (given[0].export.items, problems) == (2, [])


def test_the_shared_data_of_incremental_exports_with_their_manifests_is_refused(tmp_path: Path) -> None:
    """`AWSDynamoDB/data` beside the folders of manifests."""
    content = gzip.compress(b'{"Metadata":{"WriteTimestampMicros":{"N":"1"}},"Keys":{}}\n')
    data = make_bare(tmp_path / "AWSDynamoDB" / "data", b_json_gz=content)
    make_export(tmp_path / "AWSDynamoDB" / "01700000000000-00000001").seal(exportType="INCREMENTAL_EXPORT")

    assert "incremental" in problems_of(data)[0]
    assert "incremental" in problems_of(tmp_path / "AWSDynamoDB")[0]


WHOLE = gzip.compress(b"\n".join([item_line(1), MARK, item_line(2)]), mtime=0)


@pytest.mark.parametrize(
    "damaged", [WHOLE[:-1], WHOLE[:30], WHOLE[:3], WHOLE + b"rest", WHOLE[:-6] + b"\0" + WHOLE[-5:], WHOLE[:10] + WHOLE[11:]]
)
def test_damaged_gzip_is_named(tmp_path: Path, damaged: bytes) -> None:
    """Each file of it, before anything is done with the others."""
    make_bare(tmp_path, a_json_gz=gzip_of_items(3), b_json_gz=damaged, c_gz=damaged)

    assert [problem.partition(":")[0] for problem in problems_of(tmp_path)] == [str(tmp_path / "b.json.gz"), str(tmp_path / "c.gz")]


def test_all_that_is_wrong_with_a_folder_is_told_at_once(tmp_path: Path) -> None:
    """Somebody who mends what is named has a folder that is taken."""
    make_bare(tmp_path, a_json_gz=WHOLE[:-1], notes_txt=b"", c_json=b"$ion_1_0", d_ion=b"", e_json=b"", e_json_gz=b"")

    problems = problems_of(tmp_path)

    assert len(problems) == 5
    for name in ("a.json.gz", "notes.txt", "c.json", "d.ion", "e.json.gz"):
        assert any(str(tmp_path / name) in problem for problem in problems), name


@pytest.mark.parametrize("what", ["empty", "empty folders", "missing", "a data file", "only other files"])
@pytest.mark.parametrize("name", [None, "things"])
def test_a_place_without_data_files_is_refused(tmp_path: Path, what: str, name: str | None) -> None:
    """With a name, too: no data files are not a table without items."""
    place = tmp_path / "place"
    match what:
        case "empty":
            place.mkdir()
        case "empty folders":
            (place / "data").mkdir(parents=True)
        case "a data file":
            place.write_bytes(gzip_of_items(1))
        case "only other files":
            make_bare(place, notes_txt=b"x")

    assert str(place) in problems_of(place, name)[0]


def test_of_several_that_are_wrong_each_is_told(tmp_path: Path) -> None:
    """And those that are sound are read all the same, so that their problems are told, too."""
    arguments = [
        ExportArgument(None, str(make_bare(tmp_path / "nameless", a_json_gz=gzip_of_items(1)))),
        ExportArgument("things", str(make_bare(tmp_path / "cut", a_json_gz=WHOLE[:-1]))),
        ExportArgument("things", str(make_export(tmp_path / "started").folder)),
        ExportArgument("things", str(tmp_path / "nowhere")),
        ExportArgument("things", str(make_bare(tmp_path / "sound", a_json_gz=gzip_of_items(1)))),
    ]

    given, problems, *_ = read_given_exports(arguments, LOCAL_AND_AWS)

    assert [one.export.items for one in given] == [1]
    assert len(problems) == 4
    for argument, problem in zip(arguments, problems, strict=False):
        assert argument.uri in problem
