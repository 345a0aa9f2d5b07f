"""A place that keeps a list of what was read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from pipeline.places.place import StoredFile
from pipeline.places.storage import LOCAL_AND_AWS


class WatchedStorage:
    """`Storage`, and every URI that was listed, read or opened by it."""

    def __init__(self) -> None:
        self.listed: list[str] = []
        self.read_uris: list[str] = []

    def files_below(self, folder: str) -> Iterator[StoredFile]:
        self.listed.append(folder)
        return LOCAL_AND_AWS.files_below(folder)

    def read(self, uri: str) -> bytes:
        self.read_uris.append(uri)
        return LOCAL_AND_AWS.read(uri)

    def open(self, uri: str, version: str | None = None) -> tuple[BinaryIO, str]:
        self.read_uris.append(uri)
        return LOCAL_AND_AWS.open(uri, version)
