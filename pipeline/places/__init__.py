"""Where exports, output and secrets are kept: folders of this machine, S3, and whatever else Beam has a file system for."""

from pipeline.places.place import ChangedFile, StorageFailed, StoredFile, join
from pipeline.places.storage import LOCAL_AND_AWS, Storage

__all__ = ["LOCAL_AND_AWS", "ChangedFile", "Storage", "StorageFailed", "StoredFile", "join"]
