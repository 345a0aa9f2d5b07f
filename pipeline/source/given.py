"""The exports that a command line names: `--export [NAME=]URI`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import Refused
from pipeline.places.place import StorageFailed, StoredFile
from pipeline.places.storage import Storage
from pipeline.source.bare import folders_of_data_files, read_bare_export
from pipeline.source.manifest import MANIFESTS, SUMMARY, Export, ExportKind, SharedData, read_export

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


class GivenExports(NamedTuple):
    """What the folders of a command line hold."""

    sound: list[GivenExport]
    """In the order given."""
    problems: list[str]
    """What is wrong with others."""
    passed_over: list[str]
    """Exports of changes, in a folder that holds a full export as well, in words."""
    windows: list[GivenExport]
    """Every sound export of changes, in the order given; those that are passed over and those that are told as problems, too."""


def read_given_exports(arguments: Sequence[ExportArgument], storage: Storage, *, takes_windows: bool = False) -> GivenExports:
    """Every export that is named, or that lies below a folder that is; one who takes windows passes none over."""
    sound: list[GivenExport] = []
    problems: list[str] = []
    passed_over: list[str] = []
    windows: list[GivenExport] = []
    shared = SharedData(storage)
    for argument in arguments:
        reads = list(_reads(argument, storage, shared))
        exports = [GivenExport(argument.name or read.source_table, read) for read in reads if isinstance(read, Export)]
        full = [given for given in exports if given.export.kind is ExportKind.FULL]
        of_changes = [given for given in exports if given.export.kind is ExportKind.INCREMENTAL]
        sound.extend(full)
        windows.extend(of_changes)
        problems.extend(problem for read in reads if isinstance(read, Refused) for problem in read.problems)
        if not takes_windows:
            (passed_over if full else problems).extend(_why_not_taken(given.export) for given in of_changes)
    return GivenExports(sound, problems, passed_over, windows)


def _why_not_taken(export: Export) -> str:
    return (
        f"{export.uri}: is an incremental export, which holds the changes of a window of time and not the table; this command takes full "
        "exports only. ddb2pg migrate applies windows (docs/windows.md); a full export is of ExportType FULL_EXPORT (ddb2pg export)"
    )


def _reads(argument: ExportArgument, storage: Storage, shared: SharedData) -> Iterator[Export | Refused]:
    """Each export of an argument, or what refuses it."""
    folder = _folder_of(argument.uri)
    try:
        files = list(storage.files_below(folder))
        if folder.endswith("/data") and not _folders_with_manifests(files):
            folder, files = _with_manifests_above(folder, files, storage)
    except StorageFailed as failed:
        yield Refused([str(failed)])
        return
    folders = _folders_with_manifests(files)
    bare = folders_of_data_files(files)
    is_bare = argument.name is not None and not folders and bare == [folder.removesuffix("/data")]
    if not folders and not is_bare:
        yield Refused([_why_none(argument.uri, files)])
    for export_folder in [folder] if is_bare else folders:
        try:
            yield read_bare_export(export_folder, str(argument.name), storage) if is_bare else read_export(export_folder, storage, shared)
        except Refused as refused:
            yield refused
        except StorageFailed as failed:
            yield Refused([str(failed)])


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
    return sorted({folder for folder, _, name in splits if name in MANIFESTS})


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
