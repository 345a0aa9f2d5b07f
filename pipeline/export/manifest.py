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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NotRequired, TypedDict, TypeGuard, cast

import orjson

from pipeline.errors import Refused
from pipeline.export import files

SUMMARY = "manifest-summary.json"
STARTED = "_started"
FILES = "manifest-files.json"
# Of a data file, a manifest, a table, an export: what AWS gives, which is also safe as a file's name and on a terminal.
_NAME: Final = re.compile(r"(?!\.)[A-Za-z0-9_.-]{1,200}")
_SIDE_FILES = ("md5", "checksum")  # AWS writes the first, its guide names the second


class _Summary(TypedDict):
    """The fields of `manifest-summary.json` that we read; the spelling is AWS's."""

    exportArn: str
    tableArn: str
    manifestFilesS3Key: str
    itemCount: int
    outputFormat: str
    exportTime: NotRequired[str]
    exportType: NotRequired[str]


@dataclass(frozen=True, slots=True)
class DataFile:
    """One data file: `items` and `md5` (base64, of the bytes as they are on disk) are what the manifest says."""

    name: str
    uri: str
    items: int
    md5: str


@dataclass(frozen=True, slots=True)
class Export:
    """A finished full export of one table. `digest` is of what the manifest says of the data files: of the content, not of the place."""

    export_id: str
    source_table: str
    export_time: str | None
    uri: str
    items: int
    data_files: tuple[DataFile, ...]
    digest: str


def find_exports(uri: str) -> list[str]:
    """The folders of the exports that `uri` means: itself, its `manifest-summary.json`, or a folder that has some below it.

    Raises `Refused` when there is none.
    """
    folder = uri.removesuffix(SUMMARY).rstrip("/") or "."
    if "://" in folder:
        message = f"{uri}: this version reads exports from folders only; copy the export to this machine, for instance with aws s3 sync"
        raise Refused([message])
    found = list(files.folders_below(folder, holding=(SUMMARY, STARTED, FILES)))
    if not found:
        message = (
            f"{uri}: there is no {SUMMARY} in this folder or below it; give the folder of an export "
            "(.../AWSDynamoDB/<export id>), or one that holds such folders"
        )
        raise Refused([message])
    return found


def read_export(folder: str) -> Export:
    """The export of a folder. Raises `Refused` with everything that is wrong with its manifests or missing beside them."""
    summary = _read_summary(folder)
    problems = list(_problems_of_kind(folder, summary))
    if problems:
        raise Refused(problems)
    files_manifest_uri = files.join(folder, summary["manifestFilesS3Key"].rpartition("/")[2])
    files_manifest = _read_checked(files_manifest_uri)
    data_files = _parse_data_files(folder, files_manifest_uri, files_manifest)
    problems.extend(_problems_of_data_files(folder, summary, data_files))
    if problems:
        raise Refused(problems)
    return Export(
        export_id=summary["exportArn"].rpartition("/")[2],
        source_table=summary["tableArn"].rpartition("/")[2],
        export_time=summary.get("exportTime"),
        uri=folder,
        items=summary["itemCount"],
        data_files=tuple(data_files),
        digest=_digest(data_files),
    )


# -- manifest-summary.json -----------------------------------------------------------------------------------------------------------------


def _read_summary(folder: str) -> _Summary:
    uri = files.join(folder, SUMMARY)
    if not files.is_file(uri):
        message = (
            f"{folder}: the export is not finished, or not all of it was copied: there is no {SUMMARY}; wait until "
            "`aws dynamodb describe-export` says COMPLETED, then copy it again"
        )
        raise Refused([message])
    summary = _parse_object(_read_checked(uri))
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


# What each field must be; true is no count.
_SUMMARY_FIELDS: Final[Mapping[str, Callable[[object], bool]]] = {
    "exportArn": _ends_in_a_name,
    "tableArn": _ends_in_a_name,
    "manifestFilesS3Key": _ends_in_a_name,
    "itemCount": lambda count: type(count) is int and count >= 0,
    "outputFormat": lambda text: isinstance(text, str),
    "exportTime": _is_time,
}


def _problems_of_kind(folder: str, summary: _Summary) -> Iterator[str]:
    kind = summary.get("exportType", "FULL_EXPORT")
    if kind != "FULL_EXPORT":
        yield f"{folder}: is of type {_shown(kind)}; this version loads full exports only"
    if summary["outputFormat"] != "DYNAMODB_JSON":
        yield f"{folder}: is in format {_shown(summary['outputFormat'])}; export the table again as DYNAMODB_JSON"


# -- manifest-files.json -------------------------------------------------------------------------------------------------------------------


def _parse_data_files(folder: str, uri: str, manifest: bytes) -> list[DataFile]:
    parsed = []
    problems = []
    for number, line in enumerate(manifest.splitlines(), 1):
        entry = _parse_object(line)
        name = str(entry.get("dataFileS3Key", "")).rpartition("/")[2]
        items, md5 = entry.get("itemCount"), entry.get("md5Checksum")
        if _NAME.fullmatch(name) is None or type(items) is not int or items < 0 or not _is_md5(md5):
            problems.append(f"{uri}: line {number} is not an entry that DynamoDB writes; copy the export again")
        else:
            parsed.append(DataFile(name, _locate(folder, name), items, md5))
    if problems:
        raise Refused(problems)
    return parsed


def _locate(folder: str, name: str) -> str:
    """Where a data file is: in `data/`, or beside the manifest in a flat copy. Never outside the export's folder, whatever its key says."""
    beside = files.join(folder, name)
    return beside if files.is_file(beside) else files.join(folder, "data", name)


def _problems_of_data_files(folder: str, summary: _Summary, data_files: list[DataFile]) -> Iterator[str]:
    for data_file in data_files:
        if not files.is_file(data_file.uri):
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


def _digest(data_files: list[DataFile]) -> str:
    content = sorted((data_file.name, data_file.items, data_file.md5) for data_file in data_files)
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]


# -- both ----------------------------------------------------------------------------------------------------------------------------------


def _read_checked(uri: str) -> bytes:
    """A manifest's bytes, compared with its `.md5` side file where there is one."""
    try:
        content = files.read_file(uri)
    except OSError as error:
        raise Refused([f"{uri}: cannot be read ({error.strerror}); copy the export again"]) from None
    for ending in _SIDE_FILES:
        side_file = f"{uri.removesuffix('.json')}.{ending}"
        if files.is_file(side_file) and files.read_file(side_file).strip() != _md5(content):
            raise Refused([f"{uri}: its MD5 is not the one in {side_file}; it was changed or cut short. Copy the export again"])
    return content


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
    """Text of a manifest for a message: on one line, whatever it holds."""
    return repr(str(text))
