"""The records of a run, from its files, wherever they are and in whichever form, one by one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, cast

from isal import isal_zlib

from pipeline.errors import Refused
from pipeline.places.place import StorageFailed, StoredFile, join
from pipeline.places.storage import Storage
from pipeline.records.files import RecordForm, form_of_file
from pipeline.records.kinds import RecordKind, demanded_fields
from pipeline.records.lines import Record

REPORT_FILE: Final = "report.json"
"""Written at the end of a run: without it, files of the run may be missing."""
# A file that was cut short, or is another thing.
_UNREADABLE: Final[Any] = (StorageFailed, OSError, ValueError, EOFError, isal_zlib.error)


@dataclass(frozen=True, slots=True)
class DeadLetterFiles:
    """The files of one run, in the order of their names."""

    place: str
    """The folder or file that they were looked for in."""
    uris: tuple[str, ...]
    is_whole_run: bool
    """Whether the run reached its end; otherwise files may be missing. True where that is unknown."""


def newest_run(output: str, storage: Storage, holding: str) -> str:
    """The folder of the last run below `output` that has this file or folder in it. Raises `Refused`."""
    prefix = f"{output.rstrip('/')}/"
    try:
        paths = [file.uri.removeprefix(prefix).split("/") for file in storage.files_below(output)]
    except (OSError, StorageFailed) as error:
        raise Refused([_sentence(output, error)]) from None
    # The ids of runs begin with their times.
    runs = {path[0] for path in paths if path[1:2] == [holding]}
    if not runs:
        raise Refused([f"{output}: there is no run in it that has {holding}; give the folder of a run"])
    return join(output, max(runs))


def find_dead_letters(place: str | None, output: str, storage: Storage) -> DeadLetterFiles:
    """The files of a run's folder, of a folder in it, of one file, of a run by its id, then below `output`, or of the last run there.

    Raises `Refused`.
    """
    if place is None:
        place = newest_run(output, storage, RecordKind.DEAD_LETTERS)
    try:
        if form_of_file(place) is not None:
            return DeadLetterFiles(place, (place,), is_whole_run=True)
        files = list(storage.files_below(place))
        if not files and "/" not in place:
            place = join(output, place)
            files = list(storage.files_below(place))
    except (OSError, StorageFailed) as error:
        raise Refused([_sentence(place, error)]) from None
    if not files:
        raise Refused([f"{place}: there is no such folder, or nothing in it; give the folder of a run, or its id with --output"])
    return _of_folder(place, files)


def _of_folder(place: str, files: Sequence[StoredFile]) -> DeadLetterFiles:
    prefix = f"{place.rstrip('/')}/"
    paths = [file.uri.removeprefix(prefix).split("/") for file in files]
    if any(path[0] == RecordKind.DEAD_LETTERS or path == [REPORT_FILE] for path in paths):
        of_run = [path for path in paths if path[0] == RecordKind.DEAD_LETTERS]
        return DeadLetterFiles(place, _record_files(prefix, of_run), is_whole_run=[REPORT_FILE] in paths)
    runs = {path[0] for path in paths if path[1:2] in ([RecordKind.DEAD_LETTERS], [REPORT_FILE])}
    if runs:
        sentence = (
            f"{place}: holds the folders of runs, each with all its dead letters; give one of them, the newest is {prefix}{max(runs)}"
        )
        raise Refused([sentence])
    return DeadLetterFiles(place, _record_files(prefix, paths), is_whole_run=True)


def _record_files(prefix: str, paths: Sequence[Sequence[str]]) -> tuple[str, ...]:
    return tuple(sorted(prefix + "/".join(path) for path in paths if form_of_file(path[-1]) is not None))


def read_dead_letters(uris: Sequence[str], storage: Storage) -> Iterator[Record]:
    """All dead letters of some files; memory does not grow with them. Raises `Refused`."""
    return read_records(uris, storage, RecordKind.DEAD_LETTERS, "give the folder of a run's dead letters")


def read_records(uris: Sequence[str], storage: Storage, kind: RecordKind, advice: str) -> Iterator[Record]:
    """All records of some files, in either form; `advice` is shown when a file holds other records. Raises `Refused`."""
    demanded = demanded_fields(kind)
    for uri in uris:
        with _opened(uri, storage) as (form, stream):
            for record in form.read(stream):
                if not isinstance(record, dict) or not record.keys() >= demanded:
                    raise Refused([f"{uri}: holds records that are no {kind.words}; {advice}"])
                yield record


def count_records_in(uris: Sequence[str], storage: Storage) -> int:
    """How many records there are in some files. Raises `Refused`."""
    count = 0
    for uri in uris:
        with _opened(uri, storage) as (form, stream):
            count += form.count(stream)
    return count


@contextlib.contextmanager
def _opened(uri: str, storage: Storage) -> Iterator[tuple[RecordForm, BinaryIO]]:
    try:
        stream, _ = storage.open(uri)
        with stream:
            yield cast("RecordForm", form_of_file(uri)), stream
    except _UNREADABLE as error:
        raise Refused([_sentence(uri, error)]) from None


def _sentence(uri: str, error: Exception) -> str:
    if isinstance(error, StorageFailed):
        return str(error)
    reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return f"{uri}: cannot be read ({reason}); a run writes its files again, whole, when the same command is run again"
