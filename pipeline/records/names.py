"""Paths of attributes as a report may show them.

A name that the table's definition has is no data. Any other can be schema (a field that was forgotten) or data (a patient's number as a
key), so it is shown by the rule of `inspect`: when enough of the records have it, and it does not look like data.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from pipeline.inspection.names import bounded, is_frequent, looks_like_data
from pipeline.records.mask import OF_NO_COLUMN, masked_path

# Of one table; beyond that they are data, and memory is for better things.
_MOST_PATHS: Final = 10_000
_INDEX: Final = re.compile(r"\[\d+\]")
_PARTS: Final = re.compile(r"[.\[\]]+")


def without_indexes(path: str) -> str:
    """`items[3].dose` -> `items[].dose`."""
    return _INDEX.sub("[]", path)


class TableNames:
    """The paths that records of one table mention, gathered first and shown afterwards."""

    def __init__(self, paths: Sequence[str], *, show_values: bool) -> None:
        self._paths = paths
        self._show_values = show_values
        self._counts: Counter[tuple[str, str]] = Counter()
        self._totals: Counter[str] = Counter()
        self._known: set[str] = set()

    def add(self, code: str, path: str) -> str:
        """Count a path under a code; returns what to keep of it, for `shown`."""
        if "[" in path:
            path = without_indexes(path)
        if path not in self._known:
            if len(self._known) >= _MOST_PATHS:
                path = OF_NO_COLUMN if self._show_values else masked_path(path, self._paths)
            self._known.add(path)
        self._counts[code, path] += 1
        self._totals[code] += 1
        return path

    def shown(self, code: str, path: str) -> str:
        """What of a path that was added may be shown."""
        if self._show_values:
            return path
        masked = masked_path(path, self._paths)
        if path in {masked, OF_NO_COLUMN}:
            return masked
        parts = [part for part in _PARTS.split(path) if part]
        is_schema = not any(looks_like_data(bounded(part)) for part in parts)
        return path if is_schema and is_frequent(self._counts[code, path], self._totals[code]) else masked


def names_by_table(attributes: Mapping[str, Sequence[str]], tables: Sequence[str], *, show_values: bool) -> dict[str, TableNames]:
    """One for each table, whether its definition is known or not."""
    return {table: TableNames(attributes.get(table, ()), show_values=show_values) for table in tables}
