"""Names that callers take from here until they take them from `storage.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.places.place import NewFile, StoredFile
from pipeline.places.storage import OutputFolder, Storage

__all__ = ["NewFile", "OutputFolder", "files_of", "make_folder", "new_file", "storage_of"]


def _of(folder: OutputFolder | Path) -> OutputFolder:
    return OutputFolder(str(folder)) if isinstance(folder, Path) else folder


def new_file(folder: OutputFolder, name: str) -> NewFile:
    return _of(folder).new_file(name)


def make_folder(folder: OutputFolder) -> None:
    _of(folder).make()


def storage_of(folder: OutputFolder) -> Storage:
    return _of(folder).storage


def files_of(folder: OutputFolder) -> Iterator[StoredFile]:
    return _of(folder).files()
