"""What a command is given: exports, each of a table with a definition, and a folder for what it writes."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pipeline.export.given import ExportArgument, read_given_exports
from pipeline.export.manifest import Export
from pipeline.storage import Storage
from transforms.table import Table


def new_run_id() -> str:
    """Sorts by time; two runs that start at once differ all the same."""
    now = datetime.now(UTC)
    return f"{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03d}-{secrets.token_hex(3)}"


def find_exports(
    arguments: Sequence[ExportArgument], tables: Sequence[Table], output: Path, storage: Storage
) -> tuple[list[tuple[Table, Export]], list[str]]:
    """Each sound export with its table's definition, in the order of the tables; and what is wrong with the others, or the output."""
    found: list[tuple[Table, Export]] = []
    by_source = {table.source: table for table in tables}
    given, problems = read_given_exports(arguments, storage)
    for name, export in ((one.source_table, one.export) for one in given):
        if name in by_source:
            found.append((by_source[name], export))
        else:
            known = ", ".join(by_source)
            problems.append(f"{export.uri}: is of the table {name!r}, which has no definition; there are {known} (NAME=URI picks one)")
    problems.extend(_twice(found))
    problems.extend(_problems_of_output(output))
    order = list(by_source)
    return sorted(found, key=lambda pair: order.index(pair[0].source)), problems


def _problems_of_output(output: Path) -> Iterator[str]:
    existing = next(path for path in (output.absolute(), *output.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        yield f"--output {output}: {existing} is no folder that we may write to"


def _twice(found: Sequence[tuple[Table, Export]]) -> Iterator[str]:
    first: dict[str, Export] = {}
    for table, export in found:
        other = first.setdefault(table.source, export)
        if other is not export:
            yield f"{export.uri} and {other.uri}: are both of {table.source}; give one of them"
