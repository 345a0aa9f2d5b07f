"""The first items of an export: how large their rows are, and each beside its row, with shapes for values unless those are asked for."""

from __future__ import annotations

import contextlib
import difflib
import itertools
import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

import orjson
from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from pipeline.console import counted_in_words, print_grid, printable
from pipeline.inspection.names import looks_like_data, shape_of
from pipeline.outcome.outcome import Check
from pipeline.places.place import StorageFailed
from pipeline.places.storage import Storage
from pipeline.preflight.exports import Planned
from pipeline.preflight.findings import Code, warning
from pipeline.records.mask import masked_path, shape_of_value, value_of_path
from pipeline.source.data_file import DataFileRefused, read_lines
from transforms.children import ChildRows, ToRows, compile_rows, elements_of, values_in
from transforms.compile import EncodedRow, ToRow
from transforms.lines import read_full_export_line
from transforms.rejects import ItemFiltered, ItemRefused, ReadRefused, ValueRefused
from transforms.sources import Names, names_of, path_of
from transforms.table import Child, Column, Table, Unmapped
from transforms.types import PgType, row_to_texts
from transforms.types import Shape as TypeShape
from transforms.values import Item


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
class SampledChild:
    """What of one item would be rows of a child's table."""

    target_table: str
    elements: int
    """How many there are, and so rows, unless the item is a dead letter."""
    rows: tuple[tuple[SampledColumn, ...], ...]
    """The first of them."""


@dataclass(frozen=True, slots=True)
class SampledItem:
    """One line of an export and what would become of it, as far as the definition says: PostgreSQL may refuse the row still."""

    data_file: str
    item_number: int
    is_row: bool
    columns: tuple[SampledColumn, ...]
    errors: tuple[SampledRemark, ...]
    notices: tuple[SampledRemark, ...]
    children: tuple[SampledChild, ...] = ()
    """In the definition's order."""


@dataclass(frozen=True, slots=True)
class TableSample:
    """The first items of one table's export that the table takes."""

    source_table: str
    target_table: str
    items: tuple[SampledItem, ...]
    filtered: Mapping[str, int] = field(default_factory=dict)
    """How many items before the last of them are not for this table, by reason."""
    problem: str | None = None
    """Why there are no more of them: a data file that cannot be read."""


_LOOKED_AT: Final = 200
_LOOKED_THROUGH: Final = 20_000
"""Items, at most, for those that the table takes."""
_SHOWN_ROWS: Final = 3
"""Of each child of an item."""
_ROW_OVERHEAD: Final = 32  # bytes of header, item pointer, padding
_DEEPEST_NAMES: Final = 8  # maps in maps that definitions may go through
_MOST_ELEMENTS: Final = 100  # of a list; definitions name the first ones
_KEY_ENTRY: Final = 40  # bytes in the primary key's index, at its usual fill


@dataclass(frozen=True, slots=True)
class _Line:
    data_file: str
    item_number: int
    content: bytes


def _first_lines(planned: Planned, count: int, storage: Storage) -> Generator[_Line, None, None]:
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
    """Convert the first `count` items that the table takes; `now`, in microseconds since 1970, stands in for `migration_time`."""
    table = planned.table
    to_row = compile_rows(table, migration_time=now, unmapped=unmapped)
    items: list[SampledItem] = []
    filtered = Counter[str]()
    problem = None
    try:
        with contextlib.closing(_first_lines(planned, max(count, _LOOKED_THROUGH), storage)) as lines:
            for line in lines:
                try:
                    items.append(_sampled(line, table, to_row, show_values))
                except ItemFiltered as left_out:
                    filtered[left_out.reason] += 1
                if len(items) == count:
                    break
    except (DataFileRefused, StorageFailed) as failed:
        problem = str(failed)
    return TableSample(table.source, table.target, tuple(items), dict(filtered.most_common()), problem)


def estimate_bytes(planned: Sequence[Planned], storage: Storage) -> int | None:
    """What the rows and their primary keys will take, from the first items of each export; None where those cannot be read."""
    try:
        return sum(int(one.export.items * _bytes_of_an_item(one, storage)) for one in planned if one.export.items)
    except (DataFileRefused, StorageFailed):
        return None


def _bytes_of_an_item(planned: Planned, storage: Storage) -> float:
    """What the rows of one take on average; an item that is not for this table takes nothing."""
    to_row = compile_rows(planned.table.with_any_defaults, migration_time=0)
    sizes = []
    for line in _first_lines(planned, _LOOKED_AT, storage):
        try:
            own, _, *of_children = to_row(line.content)
            rows = [own, *(row for children in of_children for of_child in children for row in of_child)]
            sizes.append(sum(len(row) + _ROW_OVERHEAD + _KEY_ENTRY for row in rows))
        except ItemRefused:
            sizes.append(_ROW_OVERHEAD + _KEY_ENTRY)
        except ItemFiltered:
            sizes.append(0)
    return sum(sizes) / len(sizes) if sizes else 0


# -- attributes that no item has -----------------------------------------------------------------------------------------------------------


def absent_findings(planned: Planned, storage: Storage) -> Iterator[Check]:
    """Which attributes of the definition none of the first items has; nothing where there are no items, or they cannot be read."""
    names = sample_names(planned, storage)
    absent = [path for path in planned.table.paths if not names.has(path)]
    if names.items and absent:
        items = f"of the first {names.items:,} items none" if names.items > 1 else "the first item does not"
        yield warning(Code.ATTRIBUTE_ABSENT, f"{items} has {told_absent(absent, names)}", planned.table.target)


def told_absent(absent: Sequence[str], names: SampledNames) -> str:
    """`statTime (items have startTime), legacyId: correct ...`."""
    told = []
    for path in absent:
        nearest = names.nearest(path)
        told.append(f"{path} (items have {nearest})" if nearest else path)
    several = len(told) > 1
    return (
        f"{', '.join(told)}, which the definition takes {'columns' if several else 'a column'} from; if misspelt, correct the definition, "
        "and begin anew what was loaded (docs/rollback.md)"
    )


def sample_names(planned: Planned, storage: Storage) -> SampledNames:
    """The names of attributes in the first items."""
    names = SampledNames()
    with contextlib.suppress(DataFileRefused, StorageFailed):
        for line in _first_lines(planned, _LOOKED_AT, storage):
            with contextlib.suppress(ReadRefused):
                names.add(read_full_export_line(line.content).item)
    return names


class SampledNames:
    """How many items have which attribute, at the top or in maps and lists; by the way to it."""

    def __init__(self) -> None:
        self.items = 0
        self._having: Counter[Names] = Counter()

    def add(self, item: Item) -> None:
        self.items += 1
        self._add(item.items(), ())

    def _add(self, members: Iterable[tuple[str | int, Any]], above: Names) -> None:
        for name, value in members:
            self._having[*above, name] += 1
            if not isinstance(value, dict) or len(above) == _DEEPEST_NAMES:
                continue
            match value:
                case {"M": dict() as inside}:
                    self._add(inside.items(), (*above, name))
                case {"L": list() as elements}:
                    self._add(enumerate(elements[:_MOST_ELEMENTS]), (*above, name))

    def has(self, path: str) -> bool:
        return names_of(path) in self._having

    def nearest(self, path: str) -> str | None:
        """The path that items have and that is most like this one; none that looks like data.

        A name inside a map may be data (a patient's number), so it must be that of half of the maps.
        """
        names = names_of(path)
        known = next((length for length in range(len(names)) if names[: length + 1] not in self._having), None)
        if known is None:
            # Other items of the export have it: those of another table, or dead letters.
            return None
        above, wanted = names[:known], names[known]
        if isinstance(wanted, int):
            return None
        least = self._having[above] / 2 if above else 1
        there = (having[-1] for having, count in self._having.items() if having[:-1] == above and count >= least)
        beside = {name: _plain(name) for name in there if isinstance(name, str) and not looks_like_data(name)}
        like = difflib.get_close_matches(_plain(wanted), beside.values(), 1)
        return next((path_of((*above, name)) for name, plain in beside.items() if plain in like), None)


def _plain(name: str) -> str:
    """Without what spellings differ in: `start_time` is `startTime`."""
    return re.sub(r"[^a-z0-9]", "", name.lower()) or name


# -- an item beside its row ----------------------------------------------------------------------------------------------------------------


def _sampled(line: _Line, table: Table, to_row: ToRow | ToRows, show_values: bool) -> SampledItem:
    """Raises `ItemFiltered`."""
    try:
        item = read_full_export_line(line.content).item
    except ReadRefused:
        item = {}
    texts: list[str | None] = [None] * len(table.columns)
    rows: ChildRows = ()
    errors: list[SampledRemark] = []
    notices: list[SampledRemark] = []
    is_row = True
    try:
        encoded, noticed, *of_children = to_row(line.content)
        rows = of_children[0] if of_children else ()
        texts = row_to_texts(encoded, [column.pg_type for column in table.columns])
        notices = [SampledRemark(notice.code, _shown_path(table, notice.attribute, show_values), None) for notice in noticed]
    except ItemRefused as refused:
        is_row = False
        errors = [SampledRemark(error.code, _shown_path(table, error.attribute, show_values), error.message) for error in refused.errors]
    columns = tuple(
        _column(column, [value_of_path(item, path) for path in column.paths], text, show_values)
        for column, text in zip(table.columns, texts, strict=True)
    )
    pairs = itertools.zip_longest(table.children, rows, fillvalue=())
    children = tuple(_child(child, item, of_child, show_values) for child, of_child in pairs if isinstance(child, Child))
    return SampledItem(line.data_file, line.item_number, is_row, columns, tuple(errors), tuple(notices), children)


def _child(child: Child, item: dict[str, Any], rows: Sequence[EncodedRow], show_values: bool) -> SampledChild:
    """`rows` are none of an item that would be a dead letter."""
    try:
        elements = elements_of(item, child)
    except ValueRefused:
        elements = []
    types = [column.pg_type for column in child.columns]
    shown = []
    for number, element in enumerate(elements[:_SHOWN_ROWS]):
        texts = row_to_texts(rows[number], types) if rows else [None] * len(types)
        of_columns = zip(child.columns, texts, strict=True)
        shown.append(tuple(_column(column, values_in(element, item, column), text, show_values) for column, text in of_columns))
    return SampledChild(child.target, len(elements), tuple(shown))


def _column(column: Column, values: Sequence[object], text: str | None, show_values: bool) -> SampledColumn:
    source = column.source
    words = source.name if isinstance(source, Enum) else " | ".join(column.paths)
    shown = [_shown_source(value, show_values) for value in values if value is not None]
    row = text if show_values or text is None else row_shape(text, column.pg_type)
    return SampledColumn(words or None, " | ".join(shown) or None, column.name, row)


def _shown_path(table: Table, attribute: str | None, show_values: bool) -> str | None:
    return attribute if attribute is None or show_values else masked_path(attribute, table.paths)


# -- shapes --------------------------------------------------------------------------------------------------------------------------------


def _shown_source(value: object, show_values: bool) -> str:
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


# -- on the terminal -----------------------------------------------------------------------------------------------------------------------


def print_samples(console: Console, details: Console | None, samples: Iterable[TableSample]) -> None:
    """What the items would become, and one of them beside its row; every item goes to `details`."""
    for sample in samples:
        _print_summary(console, sample)
        if details is None and len(sample.items) > 1:
            _print_line(console, "  every item beside its row: --details FILE")
        if details:
            _print_items(details, sample.items, sample)
            _print_filtered(details, sample)


def _print_summary(console: Console, sample: TableSample) -> None:
    rows = [item for item in sample.items if item.is_row]
    refused = len(sample.items) - len(rows)
    became = f"{counted_in_words(len(rows), 'row')}, {counted_in_words(refused, 'dead letter')}"
    heading = f"{sample.source_table} -> {sample.target_table}: of {counted_in_words(len(sample.items), 'item')}, {became}"
    console.print(f"\n{heading}", style="bold", highlight=False, markup=False)
    _print_remarks(console, [(item, remark) for item in sample.items for remark in item.errors], "", "red")
    _print_remarks(console, [(item, remark) for item in sample.items for remark in item.notices], "notice ", "yellow")
    _print_filtered(console, sample)
    _print_items(console, (rows or sample.items)[:1], sample)


def _print_remarks(console: Console, remarks: Sequence[tuple[SampledItem, SampledRemark]], kind: str, style: str) -> None:
    """Each once, with how many items have it and where the first of them is."""
    counts = Counter(_remark(remark) for _, remark in remarks)
    first = {_remark(remark): item for item, remark in reversed(remarks)}
    for words, count in counts.most_common():
        place = f"item {first[words].item_number} of {printable(first[words].data_file)}"
        console.print(f"  {kind}{words} ({counted_in_words(count, 'item')}, first {place})", style=style, highlight=False, markup=False)


def _print_line(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False)


def _print_items(console: Console, items: Sequence[SampledItem], sample: TableSample) -> None:
    for item in items:
        became = sample.target_table if item.is_row else "DEAD LETTER"
        console.print(f"\n{sample.source_table} item {item.item_number} of {item.data_file} -> {became}", style="bold")
        for remark in item.errors:
            console.print(f"  {_remark(remark)}", style="red")
        for remark in item.notices:
            console.print(f"  notice {_remark(remark)}", style="yellow")
        print_grid(console, _grid(item.columns, item.is_row))
        for child in item.children:
            _print_child(console, child, item.is_row)


def _print_filtered(console: Console, sample: TableSample) -> None:
    """Items that were passed over, by the condition that they do not meet."""
    for reason, count in sample.filtered.items():
        _print_line(console, f"  {counted_in_words(count, 'item')} filtered: {printable(reason)}")


def _remark(remark: SampledRemark) -> str:
    place = f" {printable(remark.attribute)}" if remark.attribute else ""
    return f"{remark.code}{place}{f': {remark.message}' if remark.message else ''}"


def _print_child(console: Console, child: SampledChild, is_row: bool) -> None:
    left = f"; the first {len(child.rows)} of them" if child.elements > len(child.rows) else ""
    console.print(f"  {printable(child.target_table)}: {counted_in_words(child.elements, 'element')}{left}", highlight=False, markup=False)
    for columns in child.rows:
        print_grid(console, _grid(columns, is_row))


def _grid(columns: Sequence[SampledColumn], is_row: bool) -> Grid:
    grid = Grid(box=box.HORIZONTALS, pad_edge=False)
    for heading in ("attribute", "in DynamoDB", "column", "in PostgreSQL"):
        grid.add_column(heading, overflow="fold")
    for column in columns:
        row = column.row if column.row is not None else "NULL" if is_row else "-"
        cells = (column.attribute or "-", column.source or "-", column.column, row)
        # Text, not str: what is in it is no markup.
        grid.add_row(*(Text(printable(cell)) for cell in cells))
    return grid
