"""Every other place that Beam has a file system for: `gs://`, `hdfs://`, `azfs://`, with credentials by that library's own rules.

https://beam.apache.org/releases/pydoc/2.77.0/apache_beam.io.filesystems.html
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final, TypeVar, cast

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from pipeline.places.place import PREFLIGHT_NAME, ChangedFile, NewFile, StorageFailed, StoredFile, join

_EXTRAS: Final = {"gs": "pip install 'ddb2pg[gcp]'", "hdfs": "pip install hdfs", "azfs": "pip install 'apache-beam[azure]'"}

T = TypeVar("T")


class BeamPlace:
    """A place behind Beam's `FileSystems`."""

    def files_below(self, folder: str) -> Iterator[StoredFile]:
        pattern = f"{folder.rstrip('/')}/**"
        for match in _call(folder, lambda: FileSystems.match([pattern])):
            for file in match.metadata_list:
                if not file.path.endswith("/"):
                    yield StoredFile(file.path, file.size_in_bytes)

    def open(self, uri: str, version: str | None) -> tuple[BinaryIO, str]:
        """The version is what the place has for a checksum."""
        if not _call(uri, lambda: FileSystems.exists(uri)):
            raise FileNotFoundError(2, "there is no such file", uri)
        opened = str(_call(uri, lambda: FileSystems.checksum(uri)))
        if version not in (None, opened):
            raise ChangedFile
        stream = _call(uri, lambda: FileSystems.open(uri, compression_type=CompressionTypes.UNCOMPRESSED))
        return cast("BinaryIO", _Stream(uri, stream, is_writing=False)), opened

    def new_file(self, uri: str) -> NewFile:
        return _NewBeamFile(uri)

    def why_not_writable(self, folder: str) -> str | None:
        """An empty file is written and deleted."""
        try:
            self.new_file(join(folder, PREFLIGHT_NAME)).discard()
        except StorageFailed as failed:
            return str(failed)
        return None


class _NewBeamFile:
    """Written under another name until it is whole."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._part = f"{uri}.{secrets.token_hex(4)}.part"
        stream = _call(uri, lambda: FileSystems.create(self._part, compression_type=CompressionTypes.UNCOMPRESSED), is_writing=True)
        self.stream = cast("BinaryIO", _Stream(self._part, stream, is_writing=True))

    def keep(self) -> None:
        self.stream.close()
        _call(self._part, lambda: FileSystems.rename([self._part], [self._uri]), is_writing=True)

    def discard(self) -> None:
        self.stream.close()
        _call(self._part, lambda: FileSystems.delete([self._part]), is_writing=True)


class _Stream(io.RawIOBase):
    """A stream of Beam's, whose errors become ours."""

    def __init__(self, uri: str, stream: Any, *, is_writing: bool) -> None:
        self._uri = uri
        self._stream = stream
        self._is_writing = is_writing

    def readable(self) -> bool:
        return not self._is_writing

    def writable(self) -> bool:
        return self._is_writing

    def readinto(self, buffer: Any) -> int:
        read = _call(self._uri, lambda: self._stream.read(len(buffer)))
        buffer[: len(read)] = read
        return len(read)

    def write(self, content: Any) -> int:
        """Takes all bytes, as `write` of a file may not."""
        _call(self._uri, lambda: self._stream.write(bytes(content)), is_writing=True)
        return len(memoryview(content).cast("B"))

    def close(self) -> None:
        """Let go of the connection, too."""
        if not self.closed:
            super().close()
            _call(self._uri, self._stream.close, is_writing=self._is_writing)


def _call(uri: str, work: Callable[[], T], *, is_writing: bool = False) -> T:
    """The work's result. Each library below Beam has errors of its own: all become `StorageFailed`, without their words."""
    done = "written" if is_writing else "read"
    try:
        return work()
    except (ValueError, ImportError):
        scheme = uri.partition("://")[0]
        message = f"{uri}: nothing here can reach {scheme}://; install what can ({_EXTRAS.get(scheme, 'a file system for Beam')})"
        raise StorageFailed(message) from None
    except Exception as error:  # noqa: BLE001
        details = error.exception_details or {} if isinstance(error, BeamIOError) else {}
        kinds = ", ".join(sorted({type(cause).__name__ for cause in details.values()})) or type(error).__name__
        message = f"{uri}: cannot be {done} ({kinds}); look at the URI, the credentials and the network"
        raise StorageFailed(message) from None
