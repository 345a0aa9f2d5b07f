"""The few things that are asked of the place where an export is kept. Other kinds of places than a folder join here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def join(folder: str, *names: str) -> str:
    """The URI of a file below a folder."""
    return "/".join((folder.rstrip("/"), *names))


def is_file(uri: str) -> bool:
    """Whether there is a file."""
    return Path(uri).is_file()


def read_file(uri: str) -> bytes:
    """All of a small file. Raises `OSError`."""
    return Path(uri).read_bytes()


def open_file(uri: str) -> BinaryIO:
    """A file to be read as a stream. Raises `OSError`."""
    return Path(uri).open("rb")


def folders_below(uri: str, *, holding: tuple[str, ...]) -> Iterator[str]:
    """Each folder at or below `uri` that holds one of the files named, in order of their names."""
    root = Path(uri)
    found = {path.parent for name in holding for path in root.rglob(name)}
    return (str(folder) for folder in sorted(found))
