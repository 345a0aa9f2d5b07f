"""All places behind one front: the scheme of a URI decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from pipeline.places.aws_settings import AwsSettings
from pipeline.places.local import LocalPlace
from pipeline.places.place import Place, StorageFailed, StoredFile


@dataclass(frozen=True, slots=True)
class Storage:
    """Reads files wherever they are. Holds settings only, so it travels with a job."""

    aws: AwsSettings = field(default_factory=AwsSettings)

    def files_below(self, folder: str) -> Iterator[StoredFile]:
        """Every file at any depth below a folder, in no order; none where there is no such folder. Raises `StorageFailed`."""
        return self._place(folder).files_below(folder)

    def read(self, uri: str) -> bytes:
        """All of a small file. Raises `FileNotFoundError`, `OSError`, `StorageFailed`."""
        return self._place(uri).read(uri)

    def open(self, uri: str, version: str | None = None) -> tuple[BinaryIO, str]:
        """A file as a stream, and its version; raises `ChangedFile` unless that is the one asked for, and what `read` does."""
        return self._place(uri).open(uri, version)

    def _place(self, uri: str) -> Place:
        scheme = uri.partition("://")[0] if "://" in uri else ""
        if not scheme:
            return LocalPlace()
        if scheme == "file" or scheme != scheme.lower():
            better = uri.partition("://")[2] if scheme == "file" else uri.replace(scheme, scheme.lower(), 1)
            message = f"{uri}: is not understood; give {better}"
            raise StorageFailed(message)
        if scheme == "s3":
            from pipeline.places.s3 import S3Place  # noqa: PLC0415 - boto3 takes long to import

            return S3Place(self.aws)
        from pipeline.places.beam_files import BeamPlace  # noqa: PLC0415 - and Beam longer

        return BeamPlace()


LOCAL_AND_AWS: Final = Storage()
"""With AWS as the environment has it."""
