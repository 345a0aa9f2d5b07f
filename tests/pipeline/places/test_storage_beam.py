"""Places that Beam has a file system for, and those that nobody has one for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from apache_beam.io.filesystem import BeamIOError, FileSystem

from pipeline.places.place import StorageFailed
from pipeline.places.storage import Storage
from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.pipeline.places.places import OPERATIONS, FolderThroughBeam, OurFileSystem
from tests.postgres_server import Database
from tests.truth import assert_equals_truth
from transforms.tables.medzen import VIDEO_SESSIONS

Operation = Callable[[Storage, str], object]


def _assert_sentence(error: BaseException, uri: str) -> None:
    assert uri in str(error)
    assert ";" in str(error), "what is wrong; what to do"
    assert "\n" not in str(error)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("uri", ["nosuch://x/y", "ftp://host/export", "https://bucket.s3.amazonaws.com/export"])
def test_a_scheme_that_nobody_knows_is_refused(operation: Operation, uri: str) -> None:
    """With its name, for it may be misspelt."""
    with pytest.raises(StorageFailed) as caught:
        operation(Storage(), uri)

    _assert_sentence(caught.value, uri)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_google_s_without_its_extra_says_what_to_install(operation: Operation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beam's sentence speaks of Beam's extra; ours is the one that the user has."""
    # As without the extra: Beam finds a file system among the classes that could be imported.
    without = [one for one in FileSystem.get_all_subclasses() if one.scheme() != "gs"]
    monkeypatch.setattr(FileSystem, "get_all_subclasses", classmethod(lambda _cls: without))

    with pytest.raises(StorageFailed, match=r"ddb2pg\[gcp\]") as caught:
        operation(Storage(), "gs://bucket/export")

    _assert_sentence(caught.value, "gs://bucket/export")


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "error",
    [BeamIOError("refused", {"x": PermissionError("SECRET")}), PermissionError("SECRET"), RuntimeError("SECRET"), OSError("SECRET")],
)
def test_whatever_a_library_raises_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: Operation, error: Exception
) -> None:
    """Each has errors of its own, whose words we do not pass on."""
    place = FolderThroughBeam(tmp_path)
    place.put("folder/file", b"content")

    def fail(*_: Any, **__: Any) -> Any:
        raise error

    for name in ("open", "match", "exists", "checksum", "_list"):
        monkeypatch.setattr(OurFileSystem, name, fail)

    with pytest.raises(StorageFailed) as caught:
        operation(place.storage, place.uri("folder/file"))

    _assert_sentence(caught.value, place.uri("folder/file"))
    assert "SECRET" not in str(caught.value)


def test_an_error_in_the_middle_of_a_stream_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that breaks off must not look as if it had ended."""
    place = FolderThroughBeam(tmp_path)
    place.put("file", b"content" * 1_000)

    class Breaking:
        def __init__(self) -> None:
            self._left = [b"content"]

        def read(self, _: int = -1) -> bytes:
            if not self._left:
                raise ConnectionResetError("SECRET")
            return self._left.pop()

        def close(self) -> None:
            """Nothing to close."""

    monkeypatch.setattr(OurFileSystem, "open", lambda *_, **__: Breaking())
    with place.storage.open(place.uri("file"))[0] as stream:
        assert stream.read(100) == b"content"
        with pytest.raises((OSError, StorageFailed)):
            stream.read(100)


def test_an_export_behind_beam_is_migrated(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """The whole way, with a file system that a definitions file registers; the same export on disk has nothing left to do."""
    root = tmp_path / "export"
    write_sample_exports(root, items=600, seed=14, faulty=0.05, odd=0.1, items_per_file=200, tables=[VIDEO_SESSIONS.source])
    tables = tmp_path / "tables_and_file_system.py"
    tables.write_text("from tests.pipeline.places.places import OurFileSystem\nfrom transforms.tables.medzen import TABLES\n")

    finished = run.migrate(f"{OurFileSystem.SCHEME}:/{root}", "--tables", tables)

    assert finished.exit_code == 3, finished.output
    assert_equals_truth(root, database, run.run_folders[0], [VIDEO_SESSIONS])
    assert "nothing to do" in run.migrate(root).stdout
