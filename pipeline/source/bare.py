"""Data files without manifests: a bare folder of them.

Nothing says how many items there should be, so the files are read once and counted: what the load then proves is that every item of
these files is accounted for, not that they are all of the table.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from pipeline.errors import Refused
from pipeline.places.place import StoredFile, join
from pipeline.places.storage import Storage
from pipeline.source.data_file import DataFileRefused, count_file, read_lines
from pipeline.source.manifest import MANIFESTS, DataFile, Export, digest_of, is_safe_name

_PREFIX: Final = "bare-"
_DATA_FILE: Final = re.compile(r".*\.(json|jsonl|gz)", re.IGNORECASE)
_ION_FILE: Final = re.compile(r".*\.ion(\.gz)?", re.IGNORECASE)
_ION: Final = "is in Amazon Ion, which this version does not read; export the table again with ExportFormat DYNAMODB_JSON"
_THREADS: Final = 8


def is_bare(export_id: str) -> bool:
    """Whether an export's id was made here, for want of a manifest."""
    return export_id.startswith(_PREFIX)


def folders_of_data_files(files: Sequence[StoredFile]) -> list[str]:
    """The folders among listed files that hold data files; `data/` counts as the folder that it is in."""
    return sorted(
        {_parent(file.uri).removesuffix("/data") for file in files if _DATA_FILE.fullmatch(file.uri) and not _is_manifest(file.uri)}
    )


def read_bare_export(folder: str, source_table: str, storage: Storage) -> Export:
    """The data files right in a folder, or in its `data/`, counted. Raises `Refused`, `StorageFailed`.

    Its id is of the content, so that a copy elsewhere is the same export.
    """
    own_folders = (folder, join(folder, "data"))
    files = sorted(storage.files_below(folder), key=lambda file: file.uri)
    own = [file for file in files if _parent(file.uri) in own_folders]
    problems = list(_problems_of(own, {_parent(file.uri) for file in files} - set(own_folders)))
    readable = [file for file in own if file.bytes is not None and _DATA_FILE.fullmatch(file.uri) and not _ION_FILE.fullmatch(file.uri)]
    with ThreadPoolExecutor(_THREADS) as threads:
        counted = list(threads.map(lambda file: _counted(file, storage), readable))
    problems.extend(result for result in counted if isinstance(result, str))
    data_files = tuple(result for result in counted if isinstance(result, DataFile))
    problems.extend(_twins(data_files))
    if problems:
        raise Refused(problems)
    digest = digest_of(data_files)
    return Export(
        export_id=f"{_PREFIX}{hashlib.sha256(digest.encode()).hexdigest()[:16]}",
        source_table=source_table,
        export_time=None,
        uri=folder,
        items=sum(data_file.items for data_file in data_files),
        data_files=data_files,
        digest=digest,
        has_manifest=False,
    )


def _parent(uri: str) -> str:
    return uri.rpartition("/")[0]


def _is_manifest(uri: str) -> bool:
    return uri.rpartition("/")[2] in MANIFESTS


def _stem(uri: str) -> str:
    """The name that a data file has whether it is packed or not, in `data/` or beside it."""
    return re.sub(r"\.gz$", "", uri.rpartition("/")[2], flags=re.IGNORECASE)


def _shown(uri: str) -> str:
    """On one line, for any name of a file."""
    return uri if uri.isprintable() else repr(uri)


def _problems_of(files: Sequence[StoredFile], folders_below: Set[str]) -> Iterator[str]:
    for folder in sorted(folders_below):
        yield f"{_shown(folder)}: is a folder below the data files; what is in it would not be loaded. Move it elsewhere"
    seen: dict[str, str] = {}
    for file in files:
        name = file.uri.rpartition("/")[2]
        if _ION_FILE.fullmatch(name):
            yield f"{_shown(file.uri)}: {_ION}"
        elif not _DATA_FILE.fullmatch(name):
            yield f"{_shown(file.uri)}: is no data file (.json.gz, .gz, .json, .jsonl), but is among them; move it elsewhere"
        elif not is_safe_name(name):
            yield f"{_shown(file.uri)}: has a name that DynamoDB does not give (A-Z a-z 0-9 _ . -, at most 200); rename it"
        elif file.bytes is None:
            yield f"{file.uri}: cannot be read as a file (a link that leads nowhere?); copy the file itself"
        else:
            other = seen.setdefault(_stem(name), file.uri)
            if other != file.uri:
                yield f"{file.uri} and {other}: seem to be one data file twice, so its items would be loaded twice; move one elsewhere"


def _twins(data_files: Sequence[DataFile]) -> Iterator[str]:
    """Copies under other names; empty files are all alike."""
    seen: dict[str, str] = {}
    for data_file in data_files:
        other = seen.setdefault(data_file.md5, data_file.uri)
        if data_file.items and _stem(other) != _stem(data_file.uri):
            yield f"{data_file.uri} and {other}: have the same content, so each of their items would be loaded twice; move one elsewhere"


def _likeness(first_line: bytes, lines: int) -> str | None:
    """The sentence for a file that is not one item a line, but can be made so; a single odd line among others is a dead letter."""
    if first_line == b"{" or (lines == 1 and first_line.startswith((b'{"Items"', b'{"Count"', b'{"ScannedCount"'))):
        return (
            "looks like the output of `aws dynamodb scan`, not one item a line; jq -c '.Items[] | {Item: .}' FILE > NEW.json makes a data "
            "file of it"
        )
    if first_line == b"[" or (lines == 1 and first_line.startswith(b"[")):
        return (
            "looks like one JSON array, not one item a line; jq -c '.[] | if has(\"Item\") then . else {Item: .} end' FILE > NEW.json "
            "makes a data file of it"
        )
    return None


def _counted(file: StoredFile, storage: Storage) -> DataFile | str:
    """A data file, or what is wrong with it."""
    try:
        counted = count_file(file.uri, storage)
        first_line = next((line.lstrip() for line in read_lines(file.uri, storage) if line.strip()), b"")
    except DataFileRefused as refused:
        return str(refused)
    if first_line.startswith(b"$ion"):
        return f"{_shown(file.uri)}: {_ION}"
    if first_line.startswith((b'{"Metadata"', b'{"Keys"', b'{"NewImage"', b'{"OldImage"')):
        return f"{_shown(file.uri)}: is of an incremental export, which holds changes; without a manifest its window is not known"
    if likeness := _likeness(first_line.strip(), counted.items):
        return f"{_shown(file.uri)}: {likeness}"
    return DataFile(file.uri.rpartition("/")[2], file.uri, counted.items, counted.md5, file.bytes)
