"""Output behind a file system of Beam's, as gs:// is: whole files or none, and errors as sentences."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from pipeline.options import folder_to_write
from pipeline.places.place import StorageFailed
from pipeline.places.storage import OutputFolder
from pipeline.records.files import RecordBatch, RecordFiles, count_records
from tests.pipeline.places.places import FolderThroughBeam, OurFileSystem


@pytest.fixture
def folder(tmp_path: Path) -> OutputFolder:
    return OutputFolder(FolderThroughBeam(tmp_path).uri("run"))


def test_a_file_is_there_when_it_is_kept(folder: OutputFolder, tmp_path: Path) -> None:
    """Not before: who reads meanwhile must not take a part for the whole."""
    file = (folder / "dead_letters").new_file("one.jsonl")
    file.stream.write(b"half ")
    assert not (tmp_path / "run" / "dead_letters" / "one.jsonl").exists()

    file.stream.write(b"whole")
    file.keep()

    assert [path.name for path in (tmp_path / "run" / "dead_letters").iterdir()] == ["one.jsonl"]
    assert (tmp_path / "run" / "dead_letters" / "one.jsonl").read_bytes() == b"half whole"


def test_a_file_that_is_given_up_leaves_nothing(folder: OutputFolder) -> None:
    file = folder.new_file("one.jsonl")
    file.stream.write(b"half")
    file.discard()

    assert list(folder.files()) == []


def test_records_are_written_and_counted_there(folder: OutputFolder) -> None:
    """As in other folders, by a worker that got the folder with its job."""
    there = pickle.loads(pickle.dumps(folder)) / "dead_letters"  # noqa: S301 - our own
    RecordFiles(there).write(RecordBatch("split", (b'{"a": 1}\n', b'{"a": 2}\n'), is_last=True))

    assert count_records(folder / "dead_letters") == 2


def test_preflight_tries_and_leaves_nothing(folder: OutputFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder.why_not_writable() is None
    assert list(folder.files()) == []

    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError("SECRET")

    monkeypatch.setattr(OurFileSystem, "create", refuse)
    sentence = folder.why_not_writable()
    assert sentence is not None
    assert "cannot be written (PermissionError)" in sentence
    assert "SECRET" not in sentence


def test_an_error_while_writing_is_told_in_a_sentence(folder: OutputFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    class Breaking:
        def write(self, _: bytes) -> int:
            raise ConnectionResetError("SECRET")

        def close(self) -> None:
            """Nothing to close."""

    monkeypatch.setattr(OurFileSystem, "create", lambda *_, **__: Breaking())
    with pytest.raises(StorageFailed, match=r"cannot be written \(ConnectionResetError\)"):
        folder.new_file("report.json").stream.write(b"{}")


def test_gs_is_taken_for_output() -> None:
    assert folder_to_write("gs://bucket/prefix/") == OutputFolder("gs://bucket/prefix")
    assert str(folder_to_write("gs://bucket") / "run") == "gs://bucket/run"
