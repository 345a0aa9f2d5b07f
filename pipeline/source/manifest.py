"""An export's manifests: what AWS says it wrote, checked before anything of it is believed.

The format: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.Output.html. Keys in a manifest are relative to
the bucket that it was written to; an export that was copied elsewhere works as it is, because data files are looked for beside their
manifest. Those of incremental exports may lie in the one `data/` that all exports below an `AWSDynamoDB/` share.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, NotRequired, TypedDict, TypeGuard, cast

import orjson

from pipeline.errors import Refused
from pipeline.places.place import join
from pipeline.places.storage import LOCAL_AND_AWS, Storage
from transforms.lines import View

SUMMARY = "manifest-summary.json"
MANIFESTS = (SUMMARY, "_started", "manifest-files.json")
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
    tableId: NotRequired[str]
    exportTime: NotRequired[str]
    exportType: NotRequired[str]
    exportFromTime: NotRequired[str]
    exportToTime: NotRequired[str]
    outputView: NotRequired[str]
    billedSizeBytes: NotRequired[object]


class ExportKind(Enum):
    """What an export holds of its table; the values are AWS's names."""

    FULL = "FULL_EXPORT"
    """Every item, as of one time."""
    INCREMENTAL = "INCREMENTAL_EXPORT"
    """What changed in a window of time."""


WHOLE: Final = "whole"
"""Of an export without a filter."""
ON_KEY: Final = "key "
"""So a filter begins that looks at attributes of the key alone, which an item keeps: so no item leaves it."""


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
class Window:
    """The time whose changes an incremental export holds, in whole seconds of UTC, and what it says of each change."""

    from_time: datetime
    """Inclusive."""
    to_time: datetime
    """Exclusive."""
    view: View


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
    table_arn: str | None = None
    """Of the table that was exported; unknown without a manifest."""
    table_id: str | None = None
    """Another one for a table that was deleted and made again under its name, or restored."""
    window: Window | None = None
    """Of an incremental export."""
    arn: str | None = None
    """Its own."""
    filter: str | None = None
    """What left items out of it, as the ledger keeps that: WHOLE, or `ExportFilter.recorded`. The manifest does not say it, so it is None
    where DynamoDB was not asked."""

    def usual_items(self, items: int) -> int:
        """How many items of usual size take about as long as so many of these."""
        bytes_each = (self.billed_bytes or 0) // max(self.items, 1)
        return max(items, items * bytes_each // _USUAL_BYTES)


class SharedData:
    """What lies in the `data/` folders that several exports share, each listed once."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._sizes: dict[str, Mapping[str, int]] = {}

    def sizes(self, folder: str) -> Mapping[str, int]:
        """The bytes of each file below a folder, by URI. Raises `StorageFailed`."""
        if folder not in self._sizes:
            self._sizes[folder] = _sizes_below(folder, self._storage)
        return self._sizes[folder]


def read_export(folder: str, storage: Storage = LOCAL_AND_AWS, shared: SharedData | None = None) -> Export:
    """The export of a folder. Raises `Refused` with everything that is wrong with its manifests or missing beside them, `StorageFailed`.

    Whoever reads many incremental exports gives one `shared` for all.
    """
    place = _Folder(folder, storage, shared or SharedData(storage))
    summary = _read_summary(place)
    named = summary.get("exportType", ExportKind.FULL.value)
    kind = next((kind for kind in ExportKind if kind.value == named), None)
    problems = [*([] if kind else [_why_not_read(folder, named)]), *_problems_of_format(folder, summary)]
    window = None
    if kind is ExportKind.INCREMENTAL:
        window, wrong = _window_of(folder, summary)
        problems.extend(wrong)
    if kind is None or problems:
        raise Refused(problems)
    return _read_export(place, summary, kind, window)


def _read_export(place: _Folder, summary: _Summary, kind: ExportKind, window: Window | None) -> Export:
    folder = place.uri
    locate = place.locate if kind is ExportKind.FULL else place.locate_of_changes
    data_files = _parse_data_files(place, join(folder, summary["manifestFilesS3Key"].rpartition("/")[2]), locate)
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
        kind=kind,
        are_manifests_verified=place.verified >= 2,
        table_arn=summary["tableArn"],
        table_id=summary.get("tableId"),
        window=window,
        arn=summary["exportArn"],
    )


def _why_not_read(folder: str, kind: object) -> str:
    return f"{folder}: is of type {_shown(kind)}; this version reads full exports and incremental ones. Export the table again"


def digest_of(data_files: Iterable[DataFile]) -> str:
    """Equal for the same content, wherever it is kept."""
    content = sorted((data_file.name, data_file.items, data_file.md5) for data_file in data_files)
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]


def is_safe_name(name: str) -> bool:
    """Whether a name is fit for a key of the ledger, a file of dead letters, and a terminal."""
    return _NAME.fullmatch(name) is not None


def _sizes_below(folder: str, storage: Storage) -> dict[str, int]:
    return {file.uri: file.bytes for file in storage.files_below(folder) if file.bytes is not None}


class _Folder:
    """An export's folder: what is in it, and its manifests."""

    def __init__(self, uri: str, storage: Storage, shared: SharedData) -> None:
        self.uri = uri
        self._storage = storage
        self._shared = shared
        self.verified = 0
        """How many manifests had a side file with their MD5."""
        self.sizes = _sizes_below(uri, storage)

    def read_checked(self, uri: str) -> bytes:
        """A manifest's bytes, compared with its side file where there is one."""
        content = self._read(uri)
        side_files = [f"{uri.removesuffix('.json')}.{ending}" for ending in _SIDE_FILES]
        present = [side_file for side_file in side_files if side_file in self.sizes]
        for side_file in present:
            if self._read(side_file).strip() != _md5(content):
                raise Refused([f"{uri}: its MD5 is not the one in {side_file}; {_looks_changed(content, side_file)}"])
        self.verified += bool(present)
        return content

    def _read(self, uri: str) -> bytes:
        try:
            return self._storage.read(uri)
        except OSError as error:
            raise Refused([f"{uri}: cannot be read ({error.strerror}); copy the export again"]) from None

    def locate(self, name: str) -> str:
        """Where a data file of a full export is: in `data/`, or beside the manifest in a flat copy. Never outside, for any key."""
        beside = join(self.uri, name)
        return beside if beside in self.sizes else join(self.uri, "data", name)

    def locate_of_changes(self, name: str) -> str:
        """Where a data file of an incremental export is: in a copy as `locate` says, else in the `data/` beside the export's folder.

        A name of a file and nothing else leads there, whatever the key.
        """
        own = self.locate(name)
        above = self.uri.rpartition("/")[0]
        if own in self.sizes or not above or above.endswith("/"):
            return own
        folder = join(above, "data")
        shared = join(folder, name)
        if (size := self._shared.sizes(folder).get(shared)) is not None:
            self.sizes[shared] = size
        return shared


def _looks_changed(content: bytes, side_file: str) -> str:
    """Of a manifest that is not what its side file says."""
    if _parse_object(content):
        return (
            "it is whole JSON, so somebody edited it, as to mask an account, or it is of another export. Copy the export again; if it was "
            f"edited on purpose, remove {side_file} as well: then preflight warns that nothing proves that it is whole"
        )
    return "it was cut short or changed. Copy the export again"


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
    if wrong and set(wrong) <= {"exportArn", "tableArn"} and summary:
        message = (
            f"{uri}: has no {' and no '.join(wrong)}, so another tool wrote or changed it; DynamoDB's own says which export it is, and of "
            "which table. Copy the export again; where there is no other, move the manifests elsewhere and give --export TABLE=FOLDER "
            "(docs/exports.md, Without manifests)"
        )
        raise Refused([message])
    if wrong:
        raise Refused([f"{uri}: is not a summary that DynamoDB writes (look at {', '.join(wrong)}); copy the export again"])
    return cast("_Summary", summary)


def _ends_in_a_name(text: object) -> bool:
    return isinstance(text, str) and is_safe_name(text.rpartition("/")[2])


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
    "tableId": lambda text: text is None or (isinstance(text, str) and is_safe_name(text)),
}


def _problems_of_format(folder: str, summary: _Summary) -> Iterator[str]:
    if summary["outputFormat"] == "ION":
        yield (
            f"{folder}: is in Amazon Ion, which this version does not read; export the table again with ExportFormat DYNAMODB_JSON "
            "(ddb2pg export does)"
        )
    elif summary["outputFormat"] != "DYNAMODB_JSON":
        yield f"{folder}: is in format {_shown(summary['outputFormat'])}; export the table again as DYNAMODB_JSON"


# -- windows -------------------------------------------------------------------------------------------------------------------------------


def _window_of(folder: str, summary: _Summary) -> tuple[Window | None, list[str]]:
    """The window of an incremental export, or what is wrong with it."""
    times: dict[str, datetime] = {}
    problems = []
    for name in ("exportFromTime", "exportToTime"):
        time = _utc(summary.get(name))
        if time is None:
            problems.append(f"{folder}: is an incremental export without a sound {name}, so its window is not known; copy it again")
        elif time.microsecond:
            problems.append(f"{folder}: is an incremental export whose {name} is no whole second, as DynamoDB's are; copy it again")
        else:
            times[name] = time
    view = next((view for view in View if view.value == summary.get("outputView")), None)
    if view is None:
        known = " and ".join(view.value for view in View)
        problems.append(
            f"{folder}: is an incremental export of the view {_shown(summary.get('outputView'))}; this version knows {known}. Export the "
            "window again with one of these as its ExportViewType"
        )
    if len(times) == 2 and times["exportFromTime"] >= times["exportToTime"]:
        problems.append(f"{folder}: is an incremental export whose window ends no later than it begins; copy the export again")
    if problems or view is None:
        return None, problems
    return Window(times["exportFromTime"], times["exportToTime"], view), []


def _utc(text: object) -> datetime | None:
    """A time with its zone; None for anything else."""
    try:
        time = datetime.fromisoformat(text) if isinstance(text, str) else None
        return time.astimezone(UTC) if time is not None and time.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


# -- manifest-files.json -------------------------------------------------------------------------------------------------------------------


def _parse_data_files(place: _Folder, uri: str, locate: Callable[[str], str]) -> list[DataFile]:
    """`locate` says where the data file of a name lies."""
    parsed = []
    problems = []
    for number, line in enumerate(place.read_checked(uri).splitlines(), 1):
        entry = _parse_object(line)
        name = str(entry.get("dataFileS3Key", "")).rpartition("/")[2]
        items, md5 = entry.get("itemCount"), entry.get("md5Checksum")
        if not is_safe_name(name) or not _is_count(items) or not _is_md5(md5):
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
            is_below = data_file.uri.startswith(join(folder, ""))
            where = "" if is_below else "; the data files of incremental exports lie in the data/ beside their folders"
            yield f"{data_file.uri}: the data file is missing; the manifest has it with {data_file.items:,} items. Copy it again{where}"
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
    """At most so many of those that have items, evenly over all."""
    filled = [data_file for data_file in data_files if data_file.items]
    count = min(most, len(filled))
    return [filled[number * len(filled) // count] for number in range(count)]


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
