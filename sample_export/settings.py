"""What is asked for, and everything that follows from it alone: names, shares, the split into data files.

Two calls with equal settings write equal bytes, so nothing here reads the clock or a random source of the machine.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random

SESSIONS = "medzen-video-sessions"
NOTES = "medzen-soap-notes"
AUDIT = "medzen-meeting-audit"
SOURCE_TABLES = (SESSIONS, NOTES, AUDIT)


@dataclass(frozen=True, slots=True)
class DataFile:
    """A stretch of a table's items: `count` of them from item `first` on, in the file `name`."""

    name: str
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Settings:
    """The arguments of `write_sample_exports` that decide the bytes. `items` is per table; shares are in 0..1."""

    items: int
    faulty: float
    odd: float
    seed: int
    items_per_file: int

    def problems(self, tables: Sequence[str]) -> list[str]:
        """Say what cannot be written, in sentences; an empty list when all is well."""
        found = [
            f"{name} is a share and must be in 0..1, not {share}."
            for name, share in (("faulty", self.faulty), ("odd", self.odd))
            if not 0 <= share <= 1
        ]
        if self.items < 0:
            found.append(f"items must not be negative, but is {self.items}.")
        if self.items_per_file < 1:
            found.append(f"items_per_file must be at least 1, but is {self.items_per_file}.")
        unknown = [table for table in tables if table not in SOURCE_TABLES]
        if unknown:
            found.append(f"There is no sample content for {', '.join(unknown)}; known: {', '.join(SOURCE_TABLES)}.")
        if len(set(tables)) != len(tables):
            found.append("A table is named twice.")
        return found

    def digest(self, *parts: object) -> bytes:
        """32 bytes that depend on all settings and on `parts`."""
        return hashlib.blake2b(repr((self, parts)).encode(), digest_size=32).digest()

    def random(self, *parts: object) -> Random:
        """A generator of its own for `parts`, so that data files do not depend on one another."""
        return Random(self.digest(*parts))

    def faulty_before(self, item: int) -> int:
        """How many of the items before `item` are faulty; exact, so that every data file can number its own."""
        return int(Fraction(str(self.faulty)) * item)

    def odd_before(self, item: int) -> int:
        """How many of the items before `item` are odd."""
        return int(Fraction(str(self.odd)) * item)

    def data_files(self, table: str) -> list[DataFile]:
        """The data files in manifest order; the second is empty, as AWS writes for a partition without items."""
        starts = range(0, self.items, self.items_per_file)
        files = [
            DataFile(self._file_name(table, number), first, min(self.items_per_file, self.items - first))
            for number, first in enumerate(starts)
        ]
        files.insert(1, DataFile(self._file_name(table, "empty"), 0, 0))
        return files

    def _file_name(self, table: str, part: object) -> str:
        letters = base64.b32encode(self.digest("data file", table, part)).decode().lower()
        return f"{letters[:26]}.json.gz"
