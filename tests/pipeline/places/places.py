"""The places that must all keep one contract: a folder, a bucket, and a folder behind a file system of Beam's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileMetadata, FileSystem

from pipeline.places.place import AwsSettings
from pipeline.places.storage import Storage
from tests.aws_server import AwsServer


def list_files(storage: Storage, uri: str) -> object:
    return list(storage.files_below(uri))


def open_and_read(storage: Storage, uri: str) -> object:
    with storage.open(uri)[0] as stream:
        return stream.read()


OPERATIONS = [pytest.param(list_files, id="files_below"), pytest.param(Storage.read, id="read"), pytest.param(open_and_read, id="open")]
"""All that can be asked of a place."""


class Place(Protocol):
    """Something to read from; keys are paths from its root."""

    storage: Storage

    def uri(self, key: str) -> str: ...

    def put(self, key: str, content: bytes) -> None: ...

    def remove(self, key: str) -> None: ...


class Folder:
    """A folder of this machine."""

    storage = Storage()

    def __init__(self, root: Path) -> None:
        self._root = root

    def uri(self, key: str) -> str:
        return f"{self._root}/{key}"

    def put(self, key: str, content: bytes) -> None:
        path = self._root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def remove(self, key: str) -> None:
        (self._root / key).unlink()


class FolderThroughBeam(Folder):
    """The same, but asked for through Beam."""

    def uri(self, key: str) -> str:
        return f"{OurFileSystem.SCHEME}:/{super().uri(key)}"


class Bucket:
    """A bucket of the tests' own AWS, or of what stands before it."""

    def __init__(self, server: AwsServer, bucket: str, endpoint_url: str) -> None:
        server.make_bucket(bucket)
        self._s3 = server.s3
        self._bucket = bucket
        self.storage = Storage(AwsSettings(endpoint_url=endpoint_url))

    def uri(self, key: str) -> str:
        return f"s3://{self._bucket}/{key}"

    def put(self, key: str, content: bytes) -> None:
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=content)

    def remove(self, key: str) -> None:
        self._s3.delete_object(Bucket=self._bucket, Key=key)


class OurFileSystem(FileSystem):
    """A file system as others write them for Beam: `ddb2pgtest://` and an absolute path. Being defined, it is registered."""

    SCHEME = "ddb2pgtest"

    @classmethod
    def scheme(cls) -> str:
        return cls.SCHEME

    def _path(self, url: str) -> Path:
        return Path(url.removeprefix(f"{self.SCHEME}:/"))

    def join(self, basepath: str, *paths: str) -> str:
        return "/".join((basepath.rstrip("/"), *paths))

    def split(self, path: str) -> tuple[str, str]:
        head, _, tail = path.rpartition("/")
        return head, tail

    def has_dirs(self) -> bool:
        return False

    def mkdirs(self, path: str) -> None:
        self._path(path).mkdir(parents=True)

    def _list(self, dir_or_prefix: str) -> Iterator[FileMetadata]:
        # As with object stores, what is asked for is the beginning of names, which need not end at a slash.
        prefix = str(self._path(dir_or_prefix)) + ("/" if dir_or_prefix.endswith("/") else "")
        for path in sorted(Path(prefix).parent.rglob("*") if not prefix.endswith("/") else Path(prefix).rglob("*")):
            if path.is_file() and str(path).startswith(prefix):
                yield self.metadata(f"{self.SCHEME}:/{path}")

    def open(self, path: str, mime_type: str = "application/octet-stream", compression_type: str = CompressionTypes.AUTO) -> Any:
        del mime_type
        try:
            stream = self._path(path).open("rb")
        except FileNotFoundError as error:
            raise BeamIOError("cannot be opened", {path: error}) from error
        return self._compressed_or_not(stream, path, compression_type)

    def _compressed_or_not(self, stream: Any, path: str, compression_type: str) -> Any:
        """As Beam's own: by default it would decompress what is named .gz."""
        from apache_beam.io.filesystem import CompressedFile

        if compression_type == CompressionTypes.AUTO:
            compression_type = CompressionTypes.detect_compression_type(path)
        return stream if compression_type == CompressionTypes.UNCOMPRESSED else CompressedFile(stream, compression_type)

    def exists(self, path: str) -> bool:
        return self._path(path).is_file()

    def metadata(self, path: str) -> FileMetadata:
        stat = self._path(path).stat()
        return FileMetadata(path, stat.st_size, stat.st_mtime)

    def size(self, path: str) -> int:
        return self.metadata(path).size_in_bytes

    def last_updated(self, path: str) -> float:
        return self.metadata(path).last_updated_in_seconds

    def checksum(self, path: str) -> str:
        stat = self._path(path).stat()
        return f"{stat.st_size} {stat.st_mtime_ns}"

    def create(self, path: str, mime_type: str = "", compression_type: str = CompressionTypes.AUTO) -> Any:
        del mime_type
        assert compression_type == CompressionTypes.UNCOMPRESSED
        self._path(path).parent.mkdir(parents=True, exist_ok=True)
        return self._path(path).open("wb")

    def copy(self, source_file_names: list[str], destination_file_names: list[str]) -> None:
        raise NotImplementedError

    def rename(self, source_file_names: list[str], destination_file_names: list[str]) -> None:
        for source, destination in zip(source_file_names, destination_file_names, strict=True):
            self._path(source).rename(self._path(destination))

    def delete(self, paths: list[str]) -> None:
        for path in paths:
            self._path(path).unlink()
