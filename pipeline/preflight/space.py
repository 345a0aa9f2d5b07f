"""How much room the rows will take, and how much there is. SQL tells neither: one is estimated, the other known on this machine only."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from rich.filesize import decimal

from pipeline.places import Storage, StorageFailed
from pipeline.preflight.exports import Planned
from pipeline.preflight.findings import Code, Finding, fact, warning
from pipeline.preflight.sample import first_lines
from pipeline.source.data_file import DataFileRefused
from pipeline.target.session import Cursor
from transforms.compile import compile_table
from transforms.rejects import ItemRefused

_LOOKED_AT: Final = 200
_ROW_OVERHEAD: Final = 32  # header, item pointer, padding
_KEY_ENTRY: Final = 40  # in the primary key's index, at its usual fill


def estimate_bytes(planned: Sequence[Planned], storage: Storage) -> int | None:
    """What the rows and their primary keys will take, from the first items of each export; None where those cannot be read."""
    try:
        return sum(int(one.export.items * _bytes_of_a_row(one, storage)) for one in planned if one.export.items)
    except (DataFileRefused, StorageFailed):
        return None


def _bytes_of_a_row(planned: Planned, storage: Storage) -> float:
    to_row = compile_table(planned.table, migration_time=0)
    sizes = []
    for line in first_lines(planned, _LOOKED_AT, storage):
        try:
            sizes.append(len(to_row(line.content)[0]))
        except ItemRefused:
            sizes.append(0)
    return sum(sizes) / len(sizes) + _ROW_OVERHEAD + _KEY_ENTRY if sizes else 0


def space_findings(cursor: Cursor, needed: int | None) -> Iterator[Finding]:
    """The room of the database; `needed` is the estimate."""
    cursor.execute("SELECT pg_database_size(current_database())")
    size = int(cursor.fetchone()[0])
    free = _free_bytes(cursor)
    wanted = (
        "how much the rows will take cannot be estimated"
        if needed is None
        else f"the rows and their primary keys will take about {decimal(needed)}, other indexes come on top"
    )
    left = (
        "how much is free on the server's disk is not known from here" if free is None else f"{decimal(free)} are free on the server's disk"
    )
    yield fact(Code.SPACE, f"the database takes {decimal(size)}; {wanted}; {left}")
    # The rows are written twice: into the tables, and into the write-ahead log, of which the server keeps a part.
    if needed is not None and free is not None and free < 2 * needed:
        sentence = (
            f"{decimal(free)} are free on the server's disk, but the rows take about {decimal(needed)}, and the write-ahead log up to as "
            "much again while they are loaded; make room first"
        )
        yield warning(Code.SPACE_SHORT, sentence)


def _free_bytes(cursor: Cursor) -> int | None:
    """Of the disk with the server's data, if that is a folder of this machine: its control file must be the server's."""
    cursor.execute(
        "SELECT current_setting('data_directory', true) FROM pg_roles "
        "WHERE rolname = current_user AND (rolsuper OR pg_has_role(oid, 'pg_read_all_settings', 'USAGE'))"
    )
    found = cursor.fetchone()
    cursor.execute("SELECT has_function_privilege('pg_control_system()', 'EXECUTE')")
    if not found or not found[0] or not cursor.fetchone()[0]:
        return None
    cursor.execute("SELECT system_identifier FROM pg_control_system()")
    identifier = int(cursor.fetchone()[0])
    try:
        with (Path(found[0]) / "global" / "pg_control").open("rb") as control:
            is_here = int.from_bytes(control.read(8), "little") == identifier
        return shutil.disk_usage(found[0]).free if is_here else None
    except OSError:
        return None
