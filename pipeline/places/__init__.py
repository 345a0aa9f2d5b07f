"""Where exports are kept: folders of this machine, S3, and whatever else Beam has a file system for.

    local.py         paths
    s3.py            s3://, with boto3
    beam_files.py    gs:// and others, through Beam

A URI names a file or a folder; parts are joined by `/`. What goes wrong is told in three ways: `FileNotFoundError`, any other `OSError` of
a local disk, and `StorageFailed` for a place that cannot be reached or does not let us in.
"""

from pipeline.places.place import ChangedFile, StorageFailed, StoredFile, join
from pipeline.places.storage import LOCAL_AND_AWS, Storage

__all__ = ["LOCAL_AND_AWS", "ChangedFile", "Storage", "StorageFailed", "StoredFile", "join"]
