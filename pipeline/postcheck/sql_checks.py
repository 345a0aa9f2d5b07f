"""The SQL checks, with rows of the export that they look for in the target: run here, or written as a file for psql.

The rows are spread over all of the export and made by the conversion that the load uses. They reach the server as data of a COPY, which no
server logs; in the text of a statement they would be in its log after `log_statement = all`, an error or a cancel.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.errors import Refused
from pipeline.job.chunk import KnownChunks
from pipeline.job.plan import BegunLoad, LoadPlan, check_data_file, read_split
from pipeline.ledger.chunks import spread_rows
from pipeline.outcome.outcome import Check, Verdict
from pipeline.source.chunks import Chunk, plan_splits
from pipeline.source.manifest import DataFile
from pipeline.sql import read_sql
from pipeline.target.compare import SpotValue, read_values
from pipeline.target.database_url import DatabaseReference
from pipeline.target.rows import Rows
from pipeline.target.session import Cursor, Session
from pipeline.target.target import Target
from transforms.children import ChildRows, ToRows
from transforms.compile import EncodedRow, ToRow
from transforms.rejects import ItemFiltered, ItemRefused
from transforms.table import Table
from transforms.types import DISTINCT_AS_TEXT

SPOT_CHECKS: Final = 20

_VERDICTS: Final = {"PASS": Verdict.PASS, "FAIL": Verdict.FAIL, "WARN": Verdict.WARNING, "SKIP": Verdict.SKIP}
_SCRIPT: Final = "validate_migration.sql"
_PLACE: Final = "-- @expected\n"
_END: Final = "\nROLLBACK;\n"
# Not allowed once the transaction is READ ONLY; filling it is.
_CREATE: Final = "CREATE TEMP TABLE ddb2pg_expected (spot jsonb) ON COMMIT DROP;\n"
_COPY: Final = "COPY pg_temp.ddb2pg_expected FROM STDIN"
_WARNING: Final = """\
-- THIS FILE HOLDS PATIENT DATA: the values of {rows} rows of the export. Keep it as you keep the export, give it to nobody, and delete it
-- when it has been run.
--
"""


@dataclass(frozen=True, slots=True)
class SpotRow:
    """One row by its place in the export, with its values in the order of the definition's columns."""

    data_file: str
    item_number: int
    values: Sequence[SpotValue]


@dataclass(frozen=True, slots=True)
class SpotChecks:
    """The rows of one load that are looked for in its target, or in a table of its child rows. They are patient data."""

    target_table: str
    export_id: str
    primary_key: Sequence[str]
    columns: Sequence[tuple[str, str, bool]]
    """As `columns_of` makes them."""
    rows: Sequence[SpotRow]

    @property
    def copy_line(self) -> str:
        """For COPY in text format; ASCII, so that the client's encoding does not matter."""
        content = {
            "target": self.target_table,
            "export_id": self.export_id,
            "key": list(self.primary_key),
            "columns": list(self.columns),
            "rows": [[row.data_file, row.item_number, *row.values] for row in self.rows],
        }
        return json.dumps(content).replace("\\", "\\\\") + "\n"


def columns_of(table: Table) -> list[tuple[str, str, bool]]:
    """Of each column its name, its type as a cast spells it, and whether values are compared as texts, byte by byte."""
    return [(column.name, column.pg_type.staged_type, column.pg_type.is_distinct == DISTINCT_AS_TEXT) for column in table.columns]


def run_script(database: DatabaseReference, spot_checks: Iterable[SpotChecks]) -> list[Check]:
    """Every check, in the script's order. Raises `Stopped`."""
    lines = "".join(of_table.copy_line for of_table in spot_checks)
    # The transaction is the session's; the rows are those of the last statement.
    statements = read_sql(_SCRIPT).partition(_PLACE)[2].removesuffix(_END)

    def work(cursor: Cursor) -> list[Check]:
        cursor.execute(_CREATE)
        cursor.copy_expert(_COPY, io.StringIO(lines))
        cursor.execute(statements)
        return [Check(name, _VERDICTS[verdict], detail, table) for name, table, verdict, detail in cursor.fetchall()]

    with Session(database) as session:
        return session.transact(work, of_one_snapshot=True)


def refuse_script_file(path: Path) -> None:
    """Raise `Refused` where the file cannot be written, or something is there."""
    if path.exists() or path.is_symlink():
        raise Refused([f"--emit_sql: {path} is there already; remove it, or give another name"])
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise Refused([f"--emit_sql: {path.parent} is no folder that can be written to"])


def write_script(path: Path, spot_checks: Sequence[SpotChecks]) -> None:
    """Write the script, for its owner only. Raises `Refused` where something is there."""
    refuse_script_file(path)
    expected = "".join([_CREATE, _COPY, ";\n", *(of_table.copy_line for of_table in spot_checks), "\\.\n"])
    content = _WARNING.format(rows=sum(len(of_table.rows) for of_table in spot_checks)) + read_sql(_SCRIPT).replace(_PLACE, expected)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(content)
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


# -- the rows to look for ------------------------------------------------------------------------------------------------------------------


def pick_spot_checks(load: BegunLoad, most: int = SPOT_CHECKS) -> list[SpotChecks]:
    """So many rows, always the same of a load, from all its data files, or all rows if there are no more; and as many of each child's.

    Reads no more files than there are rows to pick. Child rows are those of the items whose rows are picked. Raises `DataFileRefused`,
    `Stopped`.
    """
    plan = load.plan
    with Session(plan.database) as session:
        picked = list(_pick(load, session, most))
        of_items = [(place, [row]) for place, row, _ in picked]
        spot_checks = [_spot_checks(session, plan, plan.target, plan.table, of_items, most)]
        for number, (target, table) in enumerate(zip(plan.target.children, plan.table.child_tables, strict=True)):
            of_child = [(place, children[number]) for place, _, children in picked]
            spot_checks.append(_spot_checks(session, plan, target, table, of_child, most))
    return spot_checks


_Place = tuple[str, int]
"""The name of a data file, and the number of an item in it."""


def _spot_checks(
    session: Session, plan: LoadPlan, target: Target, table: Table, of_items: Sequence[tuple[_Place, Sequence[EncodedRow]]], most: int
) -> SpotChecks:
    """The first row of each item, then the second, until there are enough."""
    longest = max((len(rows) for _, rows in of_items), default=0)
    ordered = ((place, rows[turn]) for turn in range(longest) for place, rows in of_items if turn < len(rows))
    rows = list(itertools.islice(ordered, most))
    encoded = Rows(range(len(rows)), [row for _, row in rows])
    values = session.transact(lambda cursor: read_values(cursor, table, encoded))
    return SpotChecks(
        target_table=target.qualified,
        export_id=plan.load.export_id,
        primary_key=target.key,
        columns=columns_of(table),
        rows=[SpotRow(*place, of_row) for (place, _), of_row in zip(rows, values, strict=True)],
    )


def _pick(load: BegunLoad, session: Session, most: int) -> Iterator[tuple[_Place, EncodedRow, ChildRows]]:
    places = session.transact(lambda cursor: spread_rows(cursor, load.plan.load.load_id, most))
    known_chunks, to_row = KnownChunks(load.plan, session), load.plan.row_maker()
    for data_file in load.export.data_files:
        if data_file.name in places:
            yield from _rows_of_file(load.plan, known_chunks, to_row, data_file, places[data_file.name])


def _rows_of_file(
    plan: LoadPlan, known_chunks: KnownChunks, to_row: ToRow | ToRows, data_file: DataFile, places: Mapping[int, Sequence[int]]
) -> Iterator[tuple[_Place, EncodedRow, ChildRows]]:
    """`places`: first item of a chunk -> which of its rows."""
    checked = check_data_file(data_file, plan)
    left = dict(places)
    for split in sorted(plan_splits([data_file], plan.load.split_size), key=lambda split: split.first_item):
        of_split = range(split.first_item, split.first_item + split.items)
        if not any(first_item in of_split for first_item in left):
            continue
        for chunk in read_split(split, checked, plan):
            wanted, committed = left.pop(chunk.first_item, ()), known_chunks.of(chunk).committed
            if wanted and committed is not None:
                refused = {row.item_number for row in committed.refused}
                of_chunk = _rows_of_chunk(chunk, wanted, refused, to_row)
                yield from (((data_file.name, number), row, children) for number, row, children in of_chunk)
            if not any(first_item in of_split for first_item in left):
                break


def _rows_of_chunk(
    chunk: Chunk, places: Sequence[int], refused: Collection[int], to_row: ToRow | ToRows
) -> Iterator[tuple[int, EncodedRow, ChildRows]]:
    """From each place on the next item that became a row; nothing but what is looked for is converted."""
    taken = set(refused)
    for place in places:
        for offset in (*range(place, len(chunk.lines)), *range(place)):
            number = chunk.first_item + offset
            if number in taken:
                continue
            taken.add(number)
            try:
                row, _, *children = to_row(chunk.lines[offset])
            except (ItemRefused, ItemFiltered):
                continue
            yield number, row, next(iter(children), ())
            break
