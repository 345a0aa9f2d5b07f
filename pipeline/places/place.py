"""What a place does: it lists files, opens them in a version, and takes new ones. And the place that every machine has: its disk."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol, cast

PREFLIGHT_NAME: Final = ".ddb2pg-preflight"
"""The name of the file that is begun and discarded to see whether a folder can be written to."""
_PRIVATE_FOLDER: Final = 0o700
_PRIVATE_FILE: Final = 0o600
_BUFFER: Final = 1 << 20


class StorageFailed(Exception):
    """A place cannot be reached, or does not let us in. The sentence says where, why, and what to do."""


class ChangedFile(Exception):
    """A file is not the version that was asked for."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a listing; `bytes` as it is kept, so compressed.

    None where there is a name that cannot be read as a file: a link that leads nowhere, a pipe.
    """

    uri: str
    bytes: int | None


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """Where to find AWS, and whose buckets to accept; holds no secret, so it may travel with a job."""

    endpoint_url: str | None = None
    """Another endpoint than AWS's own; without it `AWS_ENDPOINT_URL` and AWS's configuration files count."""
    region: str | None = None
    bucket_owner: str | None = None
    """The account that must own every bucket that is read or written."""


def join(folder: str, *names: str) -> str:
    """The URI of a file below a folder."""
    return "/".join((folder.rstrip("/"), *names))


class NewFile(Protocol):
    """A file that is being written: it appears when it is whole, or not at all. Methods raise `OSError`, `StorageFailed`."""

    @property
    def stream(self) -> BinaryIO:
        """To be written into."""

    def keep(self) -> None:
        """Close the whole file: from now on it is there, in the place of one that had its name."""

    def discard(self) -> None:
        """Remove what was written, as far as that is possible."""


class Place(Protocol):
    """One kind of place. Each method may raise `StorageFailed`, `open` also `FileNotFoundError` and `OSError`, `new_file` `OSError`."""

    def files_below(self, folder: str) -> Iterator[StoredFile]:
        """Every file at any depth below a folder, in no order; none where there is no such folder."""
        ...

    def open(self, uri: str, version: str | None) -> tuple[BinaryIO, str]:
        """A file as a stream, and which version of it that is. Raises `ChangedFile` unless it is `version`, where one is given."""
        ...

    def new_file(self, uri: str) -> NewFile:
        """Begin a file; its folder is made if need be."""
        ...

    def why_not_writable(self, folder: str) -> str | None:
        """The sentence that says why nothing can be written below a folder; None when it can. Leaves nothing behind."""
        ...


class LocalPlace:
    """Paths, absolute or relative. What is written is its owner's only."""

    def files_below(self, folder: str) -> Iterator[StoredFile]:
        """A link to a folder above itself ends there."""
        seen = set()
        for parent, folders, names in os.walk(folder, followlinks=True, onerror=_refuse_folder):
            stat = Path(parent).stat()
            if (stat.st_dev, stat.st_ino) in seen:
                folders.clear()
                continue
            seen.add((stat.st_dev, stat.st_ino))
            for name in names:
                path = Path(parent, name)
                yield StoredFile(f"{parent.rstrip('/')}/{name}", path.stat().st_size if path.is_file() else None)

    def open(self, uri: str, version: str | None) -> tuple[BinaryIO, str]:
        """The version is of size and time of change, which a copy with its times keeps."""
        stream = io.FileIO(uri)
        stat = os.fstat(stream.fileno())
        opened = f"{stat.st_size} bytes, {stat.st_mtime_ns}"
        if version not in (None, opened):
            stream.close()
            raise ChangedFile
        return cast("BinaryIO", stream), opened

    def new_file(self, uri: str) -> NewFile:
        make_private_folder(Path(uri).parent)
        return _NewLocalFile(Path(uri))

    def why_not_writable(self, folder: str) -> str | None:
        path = Path(folder).absolute()
        existing = next(above for above in (path, *path.parents) if above.exists())
        is_writable = existing.is_dir() and os.access(existing, os.W_OK)
        return None if is_writable else f"{folder}: {existing} is no folder that we may write to"


def _refuse_folder(error: OSError) -> None:
    """Raise `StorageFailed` unless the folder only does not exist: then it has no files."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        message = f"{error.filename}: the folder cannot be read ({error.strerror}); let this user read it"
        raise StorageFailed(message)


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it that are not there, for their owner only."""
    for path in (*reversed(folder.parents), folder):
        if not path.is_dir():
            path.mkdir(_PRIVATE_FOLDER, exist_ok=True)


class _NewLocalFile:
    """Written under another name until it is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
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
