"""Where a run writes: a folder of this machine, its owner's only, one in S3, encrypted there, or one in Google Cloud Storage.

A new file appears under its name when it is whole, or not at all.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from pipeline.places.beam_folder import BeamFolder
from pipeline.places.place import StoredFile
from pipeline.places.s3_folder import S3Folder
from pipeline.places.storage import LOCAL_AND_AWS, Storage

OutputFolder = Path | S3Folder | BeamFolder
"""All know `/`, `name` and `write_bytes`, and as text they are what was given."""

_PRIVATE_FOLDER: Final = 0o700
_PRIVATE_FILE: Final = 0o600
_BUFFER: Final = 1 << 20


class NewFile(Protocol):
    """A file that is being written. Its methods raise `OSError`, `StorageFailed`."""

    @property
    def stream(self) -> BinaryIO:
        """To be written into."""

    def keep(self) -> None:
        """It is whole: from now on it is there."""

    def discard(self) -> None:
        """Leave nothing of it behind, as far as that is possible."""


def new_file(folder: OutputFolder, name: str) -> NewFile:
    """Begin a file; the folder is made if need be."""
    if isinstance(folder, Path):
        make_folder(folder)
        return _LocalFile(folder, name)
    return folder.new_file(name)


def make_folder(folder: OutputFolder) -> None:
    """Make a folder, and those above it that are not there, for their owner only. Buckets have no folders to make."""
    if isinstance(folder, Path):
        for one in (*reversed(folder.parents), folder):
            if not one.is_dir():
                one.mkdir(_PRIVATE_FOLDER, exist_ok=True)


def storage_of(folder: OutputFolder) -> Storage:
    """What reads the files of a folder."""
    return Storage(folder.aws) if isinstance(folder, S3Folder) else LOCAL_AND_AWS


def files_of(folder: OutputFolder) -> Iterator[StoredFile]:
    """Every file below a folder. Raises `StorageFailed`."""
    return storage_of(folder).files_below(str(folder))


class _LocalFile:
    """Grows under a name of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / name
        self._part = folder / f"{name}.{secrets.token_hex(4)}.part"
        descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE)
        self.stream: BinaryIO = os.fdopen(descriptor, "wb", buffering=_BUFFER)

    def keep(self) -> None:
        self.stream.close()
        self._part.rename(self._path)

    def discard(self) -> None:
        # What is left in the buffer may not fit on the disk.
        with contextlib.suppress(OSError):
            self.stream.close()
        self._part.unlink(missing_ok=True)
