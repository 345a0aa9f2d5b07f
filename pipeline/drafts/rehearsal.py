"""A drafted definition tried on all items: what each becomes, without a database. So the comments of a draft say what a load will do.

PostgreSQL refuses a row for a conflict of keys only, as a drafted table has no other constraints that rows could break; so keys are
counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from pipeline.inspection.evidence import KeyCount
from transforms.compile import CompiledTable, ToRow, compile_whole_table
from transforms.rejects import ItemFiltered, ItemRefused
from transforms.table import Table
from transforms.types import split_row

_MOST_TOLD: Final = 12


@dataclass(slots=True)
class TriedTable:
    """What became of all lines with one table. `key_fields`: how many columns, which come first, are the primary key."""

    target: str
    key_fields: int
    rows: int = 0
    dead_letters: int = 0
    filtered: int = 0
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Of dead letters, by code and column: how many items. Names inside of maps can be data, so attributes are not told."""
    keys: KeyCount = field(default_factory=KeyCount)

    def add_line(self, line: bytes, to_row: ToRow) -> None:
        """Try the table, compiled to `to_row`, on a line."""
        try:
            encoded, _ = to_row(line)
        except ItemFiltered:
            self.filtered += 1
            return
        except ItemRefused as refused:
            self.dead_letters += 1
            self.errors.update({(error.code.value, error.column or "") for error in refused.errors})
            return
        self.rows += 1
        if self.key_fields:
            self.keys.add_bytes(encoded[: _end_of(encoded, self.key_fields)])

    def merge(self, other: TriedTable) -> None:
        self.rows += other.rows
        self.dead_letters += other.dead_letters
        self.filtered += other.filtered
        self.errors += other.errors
        self.keys.merge(other.keys)

    @property
    def lines(self) -> int:
        return self.rows + self.dead_letters + self.filtered

    @property
    def conflicts(self) -> int:
        """How many rows have the key of another that came before."""
        return self.keys.repeated


class Tried:
    """All lines of some data files, converted by each table. It is pickled without the functions that convert."""

    __slots__ = ("_compiled", "tables")

    def __init__(self, tables: Sequence[Table], key_fields: Mapping[str, int]) -> None:
        self.tables = [TriedTable(table.target, key_fields[table.target]) for table in tables]
        self._compiled: list[CompiledTable] = [compile_whole_table(table, migration_time=0) for table in tables]

    def __getstate__(self) -> list[TriedTable]:
        return self.tables

    def __setstate__(self, tables: list[TriedTable]) -> None:
        self.tables = tables
        self._compiled = []

    def add_lines(self, lines: list[bytes]) -> None:
        """Try each table on lines."""
        for compiled, tried in zip(self._compiled, self.tables, strict=True):
            rows, filtered, digests, left = compiled.try_lines(lines, tried.key_fields)
            tried.rows += rows
            tried.filtered += filtered
            tried.keys.add_digests(digests)
            for line in left:
                tried.add_line(line, compiled.to_row)

    def finish(self) -> None:
        """Nothing waits."""

    def merge(self, other: Self) -> None:
        """Take in what another has seen; it stays as it is."""
        for ours, theirs in zip(self.tables, other.tables, strict=True):
            ours.merge(theirs)

    def sentence(self, target: str) -> str:
        """What a load of the table will do, as far as the items tell."""
        tried = self._of(target)
        conflicts = tried.conflicts
        about = "" if tried.keys.is_exact or not conflicts else "about "
        dead = tried.dead_letters + conflicts
        letters = f"{about}{dead:,} dead letter{'' if dead == 1 else 's'}"
        filtered = f", {tried.filtered:,} for other tables" if tried.filtered else ""
        return f"tried on all {tried.lines:,} lines of the export: {about}{tried.rows - conflicts:,} rows, {letters}{filtered}"

    def faults(self, target: str) -> Iterator[str]:
        """Each kind of dead letter with its number; the commonest first."""
        tried = self._of(target)
        if tried.conflicts:
            yield f"{tried.conflicts:,} primary_key_conflict: the key comes again, so the first is the row"
        told = tried.errors.most_common()
        for (code, column), count in sorted(told, key=lambda error: (-error[1], error[0]))[:_MOST_TOLD]:
            yield f"{count:,} {code}{f' in column {column}' if column else ''}"
        if len(told) > _MOST_TOLD:
            yield f"and {len(told) - _MOST_TOLD:,} further kinds of errors"

    def _of(self, target: str) -> TriedTable:
        return next(tried for tried in self.tables if tried.target == target)


def _end_of(encoded: bytes, fields: int) -> int:
    """Where so many fields of a row end."""
    end = 0
    for number, content in enumerate(split_row(encoded)):
        if number == fields:
            break
        end += len(content)
    return end
