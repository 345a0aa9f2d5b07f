"""Folders behind Beam's file systems that a run writes into: `gs://`. A file grows under another name until it is whole."""

from __future__ import annotations

import io
import secrets
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, cast

from pipeline.places.place import StorageFailed, join

_NOTHING: Final = ".ddb2pg-preflight"


@dataclass(frozen=True, slots=True)
class BeamFolder:
    """`gs://bucket/prefix`. Holds its name only, so it travels with a job."""

    uri: str

    def __truediv__(self, name: str) -> BeamFolder:
        return BeamFolder(join(self.uri, name))

    def __str__(self) -> str:
        return self.uri

    @property
    def name(self) -> str:
        """The last part."""
        return self.uri.rpartition("/")[2]

    def new_file(self, name: str) -> BeamFile:
        """Begin a file. Raises `StorageFailed`."""
        return BeamFile(self / name)

    def why_not_writable(self) -> str | None:
        """The sentence that says why nothing can be written; None when it can. An empty file is written, and taken away."""
        try:
            self.new_file(_NOTHING).discard()
        except StorageFailed as failed:
            return str(failed)
        return None

    def write_bytes(self, content: bytes) -> int:
        """Write a file of this name. Raises `StorageFailed`."""
        file = BeamFile(self)
        file.stream.write(content)
        file.keep()
        return len(content)


class BeamFile:
    """See `NewFile`."""

    def __init__(self, target: BeamFolder) -> None:
        from pipeline.places import beam_files  # noqa: PLC0415 - Beam takes long to import

        self._files = beam_files
        self._uri = target.uri
        self._part = f"{target.uri}.{secrets.token_hex(4)}.part"
        self.stream: BinaryIO = cast("BinaryIO", _Writing(self._part, beam_files.create(self._part), beam_files))

    def keep(self) -> None:
        """See `NewFile`."""
        self.stream.close()
        self._files.rename(self._part, self._uri)

    def discard(self) -> None:
        """See `NewFile`."""
        self.stream.close()
        self._files.delete(self._part)


class _Writing(io.RawIOBase):
    """A stream of Beam's whose errors are told as ours."""

    def __init__(self, uri: str, stream: Any, files: Any) -> None:
        super().__init__()
        self._uri = uri
        self._stream = stream
        self._told = files.told

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, content: Any) -> int:
        """Never less than all of it."""
        self._told(self._uri, lambda: self._stream.write(bytes(content)), is_writing=True)
        return len(memoryview(content).cast("B"))

    def close(self) -> None:
        """Once."""
        if not self.closed:
            super().close()
            self._told(self._uri, self._stream.close, is_writing=True)
