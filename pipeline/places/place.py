"""What a place must be able to do, and what it may answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol


class StorageFailed(Exception):
    """A place cannot be reached, or does not let us in. The sentence says where, why, and what to do."""


class ChangedFile(Exception):
    """A file is not the version that was asked for."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that a listing found; `bytes` as it is kept, so compressed.

    None where there is a name that cannot be read as a file: a link that leads nowhere, a pipe.
    """

    uri: str
    bytes: int | None


def join(folder: str, *names: str) -> str:
    """The URI of a file below a folder."""
    return "/".join((folder.rstrip("/"), *names))


class Place(Protocol):
    """One kind of place. Each method may raise `StorageFailed`; those that read also `FileNotFoundError` and `OSError`."""

    def files_below(self, folder: str) -> Iterator[StoredFile]:
        """Every file at any depth below a folder, in no order; none where there is no such folder."""
        ...

    def read(self, uri: str) -> bytes:
        """All of a small file."""
        ...

    def open(self, uri: str, version: str | None) -> tuple[BinaryIO, str]:
        """A file as a stream, and which version of it that is. Raises `ChangedFile` unless it is `version`, where one is given."""
        ...
