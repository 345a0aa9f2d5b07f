"""The exports that a command line names: `--export [NAME=]URI`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import Refused
from pipeline.places.place import StorageFailed, StoredFile
from pipeline.places.storage import Storage
from pipeline.source.bare import folders_of_data_files, read_bare_export
from pipeline.source.manifest import FILES, STARTED, SUMMARY, Export, read_export

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class ExportArgument:
    """`[NAME=]URI`; the name stands above the one in the manifest."""

    name: str | None
    uri: str


@dataclass(frozen=True, slots=True)
class GivenExport:
    """A sound export, and the name of its table as it counts here."""

    source_table: str
    export: Export


def read_given_exports(arguments: Sequence[ExportArgument], storage: Storage) -> tuple[list[GivenExport], list[str]]:
    """Every sound export, in the order given, and what is wrong with the others."""
    given: list[GivenExport] = []
    problems: list[str] = []
    for argument in arguments:
        for read in _reads(argument, storage):
            if isinstance(read, Export):
                given.append(GivenExport(argument.name or read.source_table, read))
            else:
                problems.extend(read)
    return given, problems


def _reads(argument: ExportArgument, storage: Storage) -> Iterator[Export | tuple[str, ...]]:
    """Each export of an argument, or the problems in its place."""
    folder = _folder_of(argument.uri)
    try:
        files = list(storage.files_below(folder))
        if folder.endswith("/data") and not _folders_with_manifests(files):
            folder, files = _with_manifests_above(folder, files, storage)
    except StorageFailed as failed:
        yield (str(failed),)
        return
    folders = _folders_with_manifests(files)
    bare = folders_of_data_files(files)
    is_bare = argument.name is not None and not folders and bare == [folder.removesuffix("/data")]
    if not folders and not is_bare:
        yield (_why_none(argument.uri, files),)
    for export_folder in [folder] if is_bare else folders:
        try:
            yield read_bare_export(export_folder, str(argument.name), storage) if is_bare else read_export(export_folder, storage)
        except Refused as refused:
            yield refused.problems
        except StorageFailed as failed:
            yield (str(failed),)


def _with_manifests_above(folder: str, files: list[StoredFile], storage: Storage) -> tuple[str, list[StoredFile]]:
    """The export whose `data/` was given in its place, if it is one."""
    above = folder.removesuffix("/data")
    files_above = list(storage.files_below(above))
    return (above, files_above) if above in _folders_with_manifests(files_above) else (folder, files)


def _folder_of(uri: str) -> str:
    """Absolute, where it is a path: what an export is does not depend on where somebody stands."""
    folder = uri.removesuffix(SUMMARY)
    return folder.rstrip("/") if "://" in folder else str(Path(folder).absolute())


def _folders_with_manifests(files: Sequence[StoredFile]) -> list[str]:
    splits = (file.uri.rpartition("/") for file in files)
    return sorted({folder for folder, _, name in splits if name in (SUMMARY, STARTED, FILES)})


def _why_none(uri: str, files: Sequence[StoredFile]) -> str:
    message = (
        f"{uri}: there is no {SUMMARY} in this folder or below it; give the folder of an export "
        "(.../AWSDynamoDB/<export id>), or one that holds such folders"
    )
    bare = folders_of_data_files(files)
    if bare:
        more = f" and {len(bare) - _MOST_NAMED:,} more" if len(bare) > _MOST_NAMED else ""
        message += (
            f". There are data files without manifests in {', '.join(bare[:_MOST_NAMED])}{more}: --export TABLE=FOLDER loads one such "
            "folder, but then nothing proves that the files are all of the table"
        )
    return message
