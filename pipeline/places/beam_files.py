"""Every other place that Beam has a file system for: `gs://`, `hdfs://`, `azfs://`. To read from, and for `BeamFolder` to write to.

https://beam.apache.org/releases/pydoc/2.77.0/apache_beam.io.filesystems.html
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final, TypeVar, cast

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from pipeline.places.place import ChangedFile, StorageFailed, StoredFile

_EXTRAS: Final = {"gs": "pip install 'ddb2pg[gcp]'", "hdfs": "pip install hdfs", "azfs": "pip install 'apache-beam[azure]'"}

T = TypeVar("T")


class BeamPlace:
    """A place behind Beam's `FileSystems`, with credentials by that library's own rules."""

    def files_below(self, folder: str) -> Iterator[StoredFile]:
        """See `Place`."""
        pattern = f"{folder.rstrip('/')}/**"
        for match in told(folder, lambda: FileSystems.match([pattern])):
            for found in match.metadata_list:
                if not found.path.endswith("/"):
                    yield StoredFile(found.path, found.size_in_bytes)

    def read(self, uri: str) -> bytes:
        """See `Place`."""
        with self.open(uri, None)[0] as stream:
            return stream.read()

    def open(self, uri: str, version: str | None) -> tuple[BinaryIO, str]:
        """See `Place`; the version is what the place has for a checksum."""
        if not told(uri, lambda: FileSystems.exists(uri)):
            raise FileNotFoundError(2, "there is no such file", uri)
        found = str(told(uri, lambda: FileSystems.checksum(uri)))
        if version not in (None, found):
            raise ChangedFile
        stream = told(uri, lambda: FileSystems.open(uri, compression_type=CompressionTypes.UNCOMPRESSED))
        return cast("BinaryIO", _BeamStream(uri, stream)), found


class _BeamStream(io.RawIOBase):
    """A stream of Beam's whose errors are told as ours."""

    def __init__(self, uri: str, stream: Any) -> None:
        self._uri = uri
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        read = told(self._uri, lambda: self._stream.read(len(buffer)))
        buffer[: len(read)] = read
        return len(read)

    def close(self) -> None:
        """Let go of the connection, too."""
        self._stream.close()
        super().close()


def create(uri: str) -> Any:
    """A stream to write a file with. Raises `StorageFailed`."""
    return told(uri, lambda: FileSystems.create(uri, compression_type=CompressionTypes.UNCOMPRESSED), is_writing=True)


def rename(uri: str, name: str) -> None:
    """Give a file that is whole its name, in the place of one that has it. Raises `StorageFailed`."""
    told(uri, lambda: FileSystems.rename([uri], [name]), is_writing=True)


def delete(uri: str) -> None:
    """Take a file away. Raises `StorageFailed`."""
    told(uri, lambda: FileSystems.delete([uri]), is_writing=True)


def told(uri: str, work: Callable[[], T], *, is_writing: bool = False) -> T:
    """The work's result; each library below Beam has errors of its own, and all are told alike."""
    scheme = uri.partition("://")[0]
    done = "written" if is_writing else "read"
    try:
        return work()
    except BeamIOError as error:
        causes = {type(cause).__name__ for cause in (error.exception_details or {}).values()}
        message = (
            f"{uri}: cannot be {done} ({', '.join(sorted(causes)) or 'BeamIOError'}); look at the URI, the credentials and the network"
        )
        raise StorageFailed(message) from None
    except (ValueError, ImportError):
        message = f"{uri}: nothing here can reach {scheme}://; install what can ({_EXTRAS.get(scheme, 'a file system for Beam')})"
        raise StorageFailed(message) from None
    except Exception as error:  # noqa: BLE001
        message = f"{uri}: cannot be {done} ({type(error).__name__}); look at the URI, the credentials and the network"
        raise StorageFailed(message) from None
