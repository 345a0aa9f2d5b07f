"""Folders of this machine."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from pipeline.places.place import ChangedFile, StorageFailed, StoredFile


def _refuse(error: OSError) -> None:
    """A folder that is not there has no files; of one that may not be read nobody knows."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        message = f"{error.filename}: the folder cannot be read ({error.strerror}); let this user read it"
        raise StorageFailed(message)


class LocalPlace:
    """Paths, absolute or relative."""

    def files_below(self, folder: str) -> Iterator[StoredFile]:
        """See `Place`; a link to a folder above itself ends there."""
        seen = set()
        for parent, folders, names in os.walk(folder, followlinks=True, onerror=_refuse):
            stat = Path(parent).stat()
            if (stat.st_dev, stat.st_ino) in seen:
                folders.clear()
                continue
            seen.add((stat.st_dev, stat.st_ino))
            for name in names:
                path = Path(parent, name)
                yield StoredFile(f"{parent.rstrip('/')}/{name}", path.stat().st_size if path.is_file() else None)

    def read(self, uri: str) -> bytes:
        """See `Place`."""
        return Path(uri).read_bytes()

    def open(self, uri: str, version: str | None) -> tuple[BinaryIO, str]:
        """See `Place`; the version is of size and time of change, which a copy with its times keeps."""
        stream = io.FileIO(uri)
        stat = os.fstat(stream.fileno())
        found = f"{stat.st_size} bytes, {stat.st_mtime_ns}"
        if version not in (None, found):
            stream.close()
            raise ChangedFile
        return cast("BinaryIO", stream), found
