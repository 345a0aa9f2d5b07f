"""The first items of an export: how large their rows are, and each beside its row, with shapes for values unless those are asked for."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from pipeline.inspection.names import shape_of
from pipeline.places.place import StorageFailed
from pipeline.places.storage import Storage
from pipeline.preflight.exports import Planned
from pipeline.records.mask import masked_path, shape_of_value, value_of_path
from pipeline.source.data_file import DataFileRefused, read_lines
from transforms.compile import ToRow, compile_table
from transforms.lines import read_full_export_line
from transforms.rejects import ItemRefused, ReadRefused
from transforms.table import Column, Table, Unmapped
from transforms.types import PgType, row_to_texts
from transforms.types import Shape as TypeShape


@dataclass(frozen=True, slots=True)
class SampledColumn:
    """One column of the definition for one item."""

    attribute: str | None
    source: str | None
    """The attribute value, as DynamoDB's JSON or as a shape (`S(36) uuid`); None where the item has none."""
    column: str
    row: str | None
    """The column's value, as text or as a shape; None is NULL, or no row."""


@dataclass(frozen=True, slots=True)
class SampledRemark:
    """Why an item would be a dead letter, or what would be noted of its row."""

    code: str
    attribute: str | None
    message: str | None


@dataclass(frozen=True, slots=True)
class SampledItem:
    """One line of an export and what would become of it, as far as the definition says: PostgreSQL may refuse the row still."""

    data_file: str
    item_number: int
    is_row: bool
    columns: tuple[SampledColumn, ...]
    errors: tuple[SampledRemark, ...]
    notices: tuple[SampledRemark, ...]


@dataclass(frozen=True, slots=True)
class TableSample:
    """The first items of one table's export."""

    source_table: str
    target_table: str
    items: tuple[SampledItem, ...]
    problem: str | None = None
    """Why there are no more of them: a data file that cannot be read."""


_LOOKED_AT: Final = 200
_ROW_OVERHEAD: Final = 32  # bytes of header, item pointer, padding
_KEY_ENTRY: Final = 40  # bytes in the primary key's index, at its usual fill


@dataclass(frozen=True, slots=True)
class _Line:
    data_file: str
    item_number: int
    content: bytes


def _first_lines(planned: Planned, count: int, storage: Storage) -> Iterator[_Line]:
    """The first lines of an export, file by file. Raises `DataFileRefused`, `StorageFailed`."""
    left = count
    for data_file in planned.export.data_files:
        if left <= 0:
            return
        with contextlib.closing(read_lines(data_file.uri, storage)) as lines:  # type: ignore[type-var]
            for number, content in enumerate(itertools.islice(lines, min(left, data_file.items))):
                yield _Line(data_file.name, number, content)
                left -= 1


def sample_table(planned: Planned, count: int, unmapped: Unmapped, storage: Storage, now: int, *, show_values: bool) -> TableSample:
    """Convert the first `count` items; `now`, in microseconds since 1970, stands in for `migration_time`."""
    table = planned.table
    to_row = compile_table(table, migration_time=now, unmapped=unmapped)
    items: list[SampledItem] = []
    problem = None
    try:
        items.extend(_sampled(line, table, to_row, show_values) for line in _first_lines(planned, count, storage))
    except (DataFileRefused, StorageFailed) as failed:
        problem = str(failed)
    return TableSample(table.source, table.target, tuple(items), problem)


def estimate_bytes(planned: Sequence[Planned], storage: Storage) -> int | None:
    """What the rows and their primary keys will take, from the first items of each export; None where those cannot be read."""
    try:
        return sum(int(one.export.items * _bytes_of_a_row(one, storage)) for one in planned if one.export.items)
    except (DataFileRefused, StorageFailed):
        return None


def _bytes_of_a_row(planned: Planned, storage: Storage) -> float:
    to_row = compile_table(planned.table, migration_time=0)
    sizes = []
    for line in _first_lines(planned, _LOOKED_AT, storage):
        try:
            sizes.append(len(to_row(line.content)[0]))
        except ItemRefused:
            sizes.append(0)
    return sum(sizes) / len(sizes) + _ROW_OVERHEAD + _KEY_ENTRY if sizes else 0


# -- an item beside its row ----------------------------------------------------------------------------------------------------------------


def _sampled(line: _Line, table: Table, to_row: ToRow, show_values: bool) -> SampledItem:
    try:
        item = read_full_export_line(line.content).item
    except ReadRefused:
        item = {}
    texts: list[str | None] = [None] * len(table.columns)
    errors: list[SampledRemark] = []
    notices: list[SampledRemark] = []
    is_row = True
    try:
        encoded, noticed = to_row(line.content)
        texts = row_to_texts(encoded, [column.pg_type for column in table.columns])
        notices = [SampledRemark(notice.code, _shown_path(table, notice.attribute, show_values), None) for notice in noticed]
    except ItemRefused as refused:
        is_row = False
        errors = [SampledRemark(error.code, _shown_path(table, error.attribute, show_values), error.message) for error in refused.errors]
    columns = tuple(_column(column, item, text, show_values) for column, text in zip(table.columns, texts, strict=True))
    return SampledItem(line.data_file, line.item_number, is_row, columns, tuple(errors), tuple(notices))


def _column(column: Column, item: dict[str, Any], text: str | None, show_values: bool) -> SampledColumn:
    paths = column.paths
    sources = [_shown_source(value_of_path(item, path), show_values) for path in paths]
    shown = [source for source in sources if source is not None]
    row = text if show_values or text is None else row_shape(text, column.pg_type)
    return SampledColumn(" | ".join(paths) or None, " | ".join(shown) or None, column.name, row)


def _shown_path(table: Table, attribute: str | None, show_values: bool) -> str | None:
    return attribute if attribute is None or show_values else masked_path(attribute, table.paths)


# -- shapes --------------------------------------------------------------------------------------------------------------------------------


def _shown_source(value: Any, show_values: bool) -> str | None:
    if value is None:
        return None
    return orjson.dumps(value).decode() if show_values else str(shape_of_value(value))


def row_shape(text: str, pg_type: PgType) -> str:
    """What kind of value a column gets: `uuid`, `text(9) upper-case word`, `jsonb object(3)`."""
    match pg_type.shape:
        case TypeShape.TEXT:
            return f"{pg_type}({len(text)}) {shape_of(text)}"
        case TypeShape.JSON:
            return f"{pg_type} {_json_shape(text)}"
    return str(pg_type)


def _json_shape(text: str) -> str:
    match orjson.loads(text):
        case dict() as members:
            return f"object({len(members)})"
        case list() as elements:
            return f"array({len(elements)})"
        case str() as string:
            return f"string({len(string)})"
        case bool():
            return "boolean"
        case None:
            return "null"
    return "number"
