"""All places behind one interface, chosen by the scheme of a URI: `Storage` reads them, a run writes into an `OutputFolder`.

Parts of a URI are joined by `/`. Errors are of three kinds: `FileNotFoundError`, any other `OSError` of a local disk, and `StorageFailed`
for a place that cannot be reached or does not let us in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Final

from pipeline.errors import Refused
from pipeline.places.place import AwsSettings, LocalPlace, NewFile, Place, StorageFailed, StoredFile, join, make_private_folder


def _place_of(uri: str, aws: AwsSettings, kms_key: str | None = None) -> Place:
    scheme = uri.partition("://")[0] if "://" in uri else ""
    if not scheme:
        return LocalPlace()
    if scheme == "file" or scheme != scheme.lower():
        better = uri.partition("://")[2] if scheme == "file" else uri.replace(scheme, scheme.lower(), 1)
        message = f"{uri}: is not understood; give {better}"
        raise StorageFailed(message)
    if scheme == "s3":
        from pipeline.places.s3 import S3Place  # noqa: PLC0415 - boto3 takes long to import

        return S3Place(aws, kms_key)
    from pipeline.places.beam import BeamPlace  # noqa: PLC0415 - and Beam longer

    return BeamPlace()


@dataclass(frozen=True, slots=True)
class Storage:
    """Reads files wherever they are. Holds settings only, so it travels with a job."""

    aws: AwsSettings = field(default_factory=AwsSettings)

    def files_below(self, folder: str) -> Iterator[StoredFile]:
        """Every file at any depth below a folder, in no order; none where there is no such folder. Raises `StorageFailed`."""
        return _place_of(folder, self.aws).files_below(folder)

    def read(self, uri: str) -> bytes:
        """All of a small file. Raises `FileNotFoundError`, `OSError`, `StorageFailed`."""
        with self.open(uri)[0] as stream:
            return stream.read()

    def open(self, uri: str, version: str | None = None) -> tuple[BinaryIO, str]:
        """A file as a stream, and its version; raises `ChangedFile` unless that is the one asked for, and what `read` does."""
        return _place_of(uri, self.aws).open(uri, version)


LOCAL_AND_AWS: Final = Storage()
"""With AWS's settings from the environment."""


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """A folder that a run writes into, of this machine, S3 or Google Cloud Storage. Holds settings only, so it travels with a job.

    As text it is what was given.
    """

    uri: str
    aws: AwsSettings = field(default_factory=AwsSettings)
    kms_key: str | None = None
    """What S3 encrypts new files with; None leaves it to the bucket."""

    def __truediv__(self, name: str) -> OutputFolder:
        return replace(self, uri=join(self.uri, name))

    def __str__(self) -> str:
        return self.uri

    @property
    def name(self) -> str:
        return self.uri.rpartition("/")[2]

    @property
    def is_local(self) -> bool:
        return "://" not in self.uri

    @property
    def is_in_s3(self) -> bool:
        return self.uri.startswith("s3://")

    def absolute(self) -> OutputFolder:
        return replace(self, uri=str(Path(self.uri).absolute())) if self.is_local else self

    @property
    def storage(self) -> Storage:
        return Storage(self.aws)

    def files(self) -> Iterator[StoredFile]:
        """At any depth. Raises `StorageFailed`."""
        return self.storage.files_below(self.uri)

    def make(self) -> None:
        """With the folders above it, for their owner only; buckets have no folders to make. Raises `StorageFailed`."""
        if self.is_local:
            try:
                make_private_folder(Path(self.uri))
            except OSError as error:
                message = f"{self.uri}: the folder cannot be made ({error.strerror}); give another --output"
                raise StorageFailed(message) from None

    def refuse_unwritable(self) -> None:
        """Raise `Refused` where nothing can be written into it."""
        if sentence := self.why_not_writable():
            raise Refused([f"--output {sentence}"])

    def new_file(self, name: str) -> NewFile:
        """Begin a file right in it. Raises `OSError`, `StorageFailed`."""
        return self._place.new_file(join(self.uri, name))

    def why_not_writable(self) -> str | None:
        """Why it cannot be written to, as a sentence; None where it can. Leaves nothing behind."""
        return self._place.why_not_writable(self.uri)

    @property
    def _place(self) -> Place:
        return _place_of(self.uri, self.aws, self.kms_key)
