"""An export's manifests: what AWS says it wrote, checked before anything of it is believed.

The format: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.Output.html. Keys in a manifest are relative to
the bucket that it was written to; an export that was copied elsewhere works as it is, because data files are looked for beside their
manifest.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final, NotRequired, TypedDict, TypeGuard, cast

import orjson

from pipeline.errors import Refused
from pipeline.places.place import join
from pipeline.places.storage import LOCAL_AND_AWS, Storage

SUMMARY = "manifest-summary.json"
STARTED = "_started"
FILES = "manifest-files.json"
# Of a data file, a manifest, a table, an export: what AWS gives, which is also safe as a file's name and on a terminal.
_NAME: Final = re.compile(r"(?!\.)[A-Za-z0-9_.-]{1,200}")
_MOST_ITEMS: Final = 10**15
_SIDE_FILES = ("md5", "checksum")  # AWS writes the first, its guide names the second
_USUAL_BYTES: Final = 800  # of a session or an audit event, rather more than less; a note has several times as many


class _Summary(TypedDict):
    """The fields of `manifest-summary.json` that we read; the spelling is AWS's."""

    exportArn: str
    tableArn: str
    manifestFilesS3Key: str
    itemCount: int
    outputFormat: str
    exportTime: NotRequired[str]
    exportType: NotRequired[str]
    billedSizeBytes: NotRequired[object]


class ExportKind(Enum):
    """What an export holds of its table; the values are AWS's names."""

    FULL = "FULL_EXPORT"
    """Every item, as of one time."""
    INCREMENTAL = "INCREMENTAL_EXPORT"
    """What changed in a window of time."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """One data file: `items` and `md5` (base64, of the bytes as they are kept) are what the manifest says."""

    name: str
    uri: str
    items: int
    md5: str
    bytes: int | None = None
    """How large it was when it was listed."""


@dataclass(frozen=True, slots=True)
class Export:
    """A finished export of one table. `digest` is of what the manifest says of the data files: of the content, not of the place.

    Without a manifest the data files were counted, and whether they are all is unknown.
    """

    export_id: str
    source_table: str
    export_time: str | None
    uri: str
    items: int
    data_files: tuple[DataFile, ...]
    digest: str
    kind: ExportKind = ExportKind.FULL
    has_manifest: bool = True
    are_manifests_verified: bool = False
    """Whether both manifests had side files with their MD5."""
    billed_bytes: int | None = None
    """The size that AWS exported, as far as its manifest says."""

    def usual_items(self, items: int) -> int:
        """How many items of usual size take about as long as so many of these."""
        bytes_each = (self.billed_bytes or 0) // max(self.items, 1)
        return max(items, items * bytes_each // _USUAL_BYTES)


def read_export(folder: str, storage: Storage = LOCAL_AND_AWS) -> Export:
    """The export of a folder. Raises `Refused` with everything that is wrong with its manifests or missing beside them, `StorageFailed`."""
    place = _Folder(folder, storage)
    summary = _read_summary(place)
    named = summary.get("exportType", ExportKind.FULL.value)
    reader = next((reader for kind, reader in _READERS.items() if kind.value == named), None)
    problems = [*([] if reader else [_why_not_read(folder, named)]), *_problems_of_format(folder, summary)]
    if reader is None or problems:
        raise Refused(problems)
    return reader(place, summary)


def _read_full_export(place: _Folder, summary: _Summary) -> Export:
    folder = place.uri
    data_files = _parse_data_files(place, join(folder, summary["manifestFilesS3Key"].rpartition("/")[2]), place.locate)
    problems = list(_problems_of_data_files(folder, summary, data_files))
    if problems:
        raise Refused(problems)
    return Export(
        export_id=summary["exportArn"].rpartition("/")[2],
        source_table=summary["tableArn"].rpartition("/")[2],
        export_time=summary.get("exportTime"),
        uri=folder,
        items=summary["itemCount"],
        billed_bytes=billed if type(billed := summary.get("billedSizeBytes")) is int and billed > 0 else None,
        data_files=tuple(data_files),
        digest=digest_of(data_files),
        kind=ExportKind.FULL,
        are_manifests_verified=place.verified >= 2,
    )


# The kinds that can be read; `_why_not_read` has the sentence for any other.
_READERS: Final[Mapping[ExportKind, Callable[[_Folder, _Summary], Export]]] = {ExportKind.FULL: _read_full_export}


def _why_not_read(folder: str, kind: str) -> str:
    if kind == ExportKind.INCREMENTAL.value:
        return (
            f"{folder}: is an incremental export, which holds the changes of a window of time and not the table; this version loads full "
            "exports only. Export the table with ExportType FULL_EXPORT (ddb2pg export does)"
        )
    return f"{folder}: is of type {_shown(kind)}; this version loads full exports only"


def digest_of(data_files: Iterable[DataFile]) -> str:
    """Equal for the same content, wherever it is kept."""
    content = sorted((data_file.name, data_file.items, data_file.md5) for data_file in data_files)
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]


def is_safe_name(name: str) -> bool:
    """Whether a name is fit for a key of the ledger, a file of dead letters, and a terminal."""
    return _NAME.fullmatch(name) is not None


class _Folder:
    """An export's folder: what is in it, and its manifests."""

    def __init__(self, uri: str, storage: Storage) -> None:
        self.uri = uri
        self._storage = storage
        self.verified = 0
        """How many manifests had a side file with their MD5."""
        self.sizes = {file.uri: file.bytes for file in storage.files_below(uri) if file.bytes is not None}

    def read_checked(self, uri: str) -> bytes:
        """A manifest's bytes, compared with its side file where there is one."""
        content = self._read(uri)
        side_files = [f"{uri.removesuffix('.json')}.{ending}" for ending in _SIDE_FILES]
        present = [side_file for side_file in side_files if side_file in self.sizes]
        for side_file in present:
            if self._read(side_file).strip() != _md5(content):
                raise Refused([f"{uri}: its MD5 is not the one in {side_file}; it was changed or cut short. Copy the export again"])
        self.verified += bool(present)
        return content

    def _read(self, uri: str) -> bytes:
        try:
            return self._storage.read(uri)
        except OSError as error:
            raise Refused([f"{uri}: cannot be read ({error.strerror}); copy the export again"]) from None

    def locate(self, name: str) -> str:
        """Where a data file of a full export is: in `data/`, or beside the manifest in a flat copy. Never outside, for any key.

        Data files of incremental exports lie in the `data/` that all exports below one `AWSDynamoDB/` share: those need another function.
        """
        beside = join(self.uri, name)
        return beside if beside in self.sizes else join(self.uri, "data", name)


# -- manifest-summary.json -----------------------------------------------------------------------------------------------------------------


def _read_summary(place: _Folder) -> _Summary:
    uri = join(place.uri, SUMMARY)
    if uri not in place.sizes:
        message = (
            f"{place.uri}: the export is not finished, or not all of it was copied: there is no {SUMMARY}; wait until "
            "`aws dynamodb describe-export` says COMPLETED, then copy it again; if it says FAILED, name the folders of the others"
        )
        raise Refused([message])
    summary = _parse_object(place.read_checked(uri))
    wrong = [name for name, is_right in _SUMMARY_FIELDS.items() if not is_right(summary.get(name))]
    if wrong:
        raise Refused([f"{uri}: is not a summary that DynamoDB writes (look at {', '.join(wrong)}); copy the export again"])
    return cast("_Summary", summary)


def _ends_in_a_name(text: object) -> bool:
    return isinstance(text, str) and _NAME.fullmatch(text.rpartition("/")[2]) is not None


def _is_time(text: object) -> bool:
    try:
        return text is None or (isinstance(text, str) and datetime.fromisoformat(text) is not None)
    except ValueError:
        return False


def _is_count(count: object) -> TypeGuard[int]:
    """True is no count; nor is more than any export holds, and PostgreSQL adds up."""
    return type(count) is int and 0 <= count <= _MOST_ITEMS


# What each field must be.
_SUMMARY_FIELDS: Final[Mapping[str, Callable[[object], bool]]] = {
    "exportArn": _ends_in_a_name,
    "tableArn": _ends_in_a_name,
    "manifestFilesS3Key": _ends_in_a_name,
    "itemCount": _is_count,
    "outputFormat": lambda text: isinstance(text, str),
    "exportTime": _is_time,
}


def _problems_of_format(folder: str, summary: _Summary) -> Iterator[str]:
    if summary["outputFormat"] == "ION":
        yield (
            f"{folder}: is in Amazon Ion, which this version does not read; export the table again with ExportFormat DYNAMODB_JSON "
            "(ddb2pg export does)"
        )
    elif summary["outputFormat"] != "DYNAMODB_JSON":
        yield f"{folder}: is in format {_shown(summary['outputFormat'])}; export the table again as DYNAMODB_JSON"


# -- manifest-files.json -------------------------------------------------------------------------------------------------------------------


def _parse_data_files(place: _Folder, uri: str, locate: Callable[[str], str]) -> list[DataFile]:
    """`locate` says where the data file of a name lies."""
    parsed = []
    problems = []
    for number, line in enumerate(place.read_checked(uri).splitlines(), 1):
        entry = _parse_object(line)
        name = str(entry.get("dataFileS3Key", "")).rpartition("/")[2]
        items, md5 = entry.get("itemCount"), entry.get("md5Checksum")
        if _NAME.fullmatch(name) is None or not _is_count(items) or not _is_md5(md5):
            problems.append(f"{uri}: line {number} is not an entry that DynamoDB writes; copy the export again")
        else:
            located = locate(name)
            parsed.append(DataFile(name, located, items, md5, place.sizes.get(located)))
    if problems:
        raise Refused(problems)
    return parsed


def _problems_of_data_files(folder: str, summary: _Summary, data_files: list[DataFile]) -> Iterator[str]:
    for data_file in data_files:
        if data_file.bytes is None:
            yield f"{data_file.uri}: the data file is missing; the manifest has it with {data_file.items:,} items. Copy it again"
    for name, times in Counter(data_file.name for data_file in data_files).items():
        if times > 1:
            yield f"{folder}: the manifest names the data file {_shown(name)} {times} times"
    items = sum(data_file.items for data_file in data_files)
    if items != summary["itemCount"]:
        yield (
            f"{folder}: {SUMMARY} says {summary['itemCount']:,} items, but the data files of the files manifest add up to {items:,}; "
            "the two are not of one export. Copy the export again"
        )


def spread(data_files: Sequence[DataFile], most: int) -> list[DataFile]:
    """At most so many of them, evenly over all."""
    count = min(most, len(data_files))
    return [data_files[number * len(data_files) // count] for number in range(count)]


# -- both ----------------------------------------------------------------------------------------------------------------------------------


def _md5(content: bytes) -> bytes:
    return base64.b64encode(hashlib.md5(content).digest())


def _is_md5(text: object) -> TypeGuard[str]:
    try:
        return isinstance(text, str) and len(base64.b64decode(text, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


def _parse_object(content: bytes) -> dict[str, Any]:
    """A JSON object; empty for anything else, so that the checks of its fields speak."""
    try:
        parsed = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _shown(text: object) -> str:
    """Text of a manifest for a message: always on one line."""
    return repr(str(text))
