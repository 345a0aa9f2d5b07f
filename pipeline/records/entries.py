"""One record as an entry of the page's list: what is wrong with it, and its item as shapes, or as it is where values are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any, Final, Protocol

import orjson

from pipeline.inspection.shapes import shape_of
from pipeline.records.item import line_of, parsed_item
from pipeline.records.kinds import KINDS
from pipeline.records.mask import ShapesInWords, members_of, shape_of_value, way_of_path
from pipeline.records.names import TableNames
from pipeline.records.packing import Entry, EntryError

MOST_TEXT: Final = 64 << 20
"""Characters of items of one folder in a page with values; those beyond have their errors only."""
_OTHERS: Final = "(attributes that no column takes)"


class ReadEntry(Protocol):
    """How records of one folder are read."""

    def errors(self, record: dict[str, Any], names: TableNames) -> tuple[EntryError, ...]:
        """What the record says; the paths of attributes are added to the table's names."""

    def entry(self, record: dict[str, Any], errors: tuple[EntryError, ...]) -> Entry:
        """The rest of it."""

    def counted(self, error: EntryError) -> str | None:
        """What errors of one code are counted by."""


@dataclass(slots=True)
class DeadLetters:
    """Dead letters of one table, whose definition names these paths."""

    paths: InitVar[Sequence[str]]
    show_values: bool
    text_left: int = MOST_TEXT
    _ways: list[tuple[str, list[str], str]] = field(init=False)
    _attributes: frozenset[str] = field(init=False)
    _in_words: Callable[[object], str] = field(init=False)

    def __post_init__(self, paths: Sequence[str]) -> None:
        self._ways = [(path, *way_of_path(path)) for path in paths]
        self._attributes = frozenset(path.partition(".")[0] for path in paths)
        self._in_words = ShapesInWords().of

    def errors(self, record: dict[str, Any], names: TableNames) -> tuple[EntryError, ...]:
        """See `ReadEntry`."""
        return tuple([_error(error, names) for error in record["errors"]])

    def entry(self, record: dict[str, Any], errors: tuple[EntryError, ...]) -> Entry:
        """See `ReadEntry`."""
        line = record["item"]
        text = None
        if self.show_values and len(line) <= self.text_left:
            self.text_left -= len(line)
            text = line
        content = line_of(record)
        fields = {} if self.show_values else self._shapes(content)
        return Entry(record["data_file"], record["item_number"], record["stage"], errors, fields, len(content), text)

    def _shapes(self, line: bytes) -> dict[str, str]:
        item = parsed_item(line)
        if item is None:
            return {}
        in_words = self._in_words
        shapes = {}
        for path, maps, name in self._ways:
            value = (members_of(item, maps) if maps else item).get(name)
            if value is not None:
                shapes[path] = in_words(value)
        if not self._attributes.issuperset(item):
            shapes[_OTHERS] = f"{len(item.keys() - self._attributes):,}"
        return shapes

    def counted(self, error: EntryError) -> str | None:
        """See `ReadEntry`."""
        return error.attribute


def _error(error: dict[str, Any], names: TableNames) -> EntryError:
    attribute = error["attribute"] if error["attribute"] is None else names.add(error["code"], error["attribute"])
    return EntryError(error["code"], attribute, error["column"], error["message"], error["sqlstate"])


@dataclass(slots=True)
class Mismatches:
    """Mismatches of one table: what differs is a column."""

    show_values: bool
    text_left: int = MOST_TEXT

    def errors(self, record: dict[str, Any], names: TableNames) -> tuple[EntryError, ...]:  # noqa: ARG002 - columns are no data
        """See `ReadEntry`."""
        kind, refused = record["kind"], record["refused"] or {}
        message = KINDS[kind].sentence if kind in KINDS else kind
        if refused:
            message = f"{message}; PostgreSQL refused: {refused['code']}"
            message = f"{message} (constraint {refused['constraint']})" if refused["constraint"] else message
        return tuple(EntryError(kind, None, column, message, refused.get("sqlstate")) for column in record["columns"] or [None])

    def entry(self, record: dict[str, Any], errors: tuple[EntryError, ...]) -> Entry:
        """See `ReadEntry`."""
        key, primary_key = record["key"] or {}, record["primary_key"] or {}
        text = None
        if self.show_values:
            shown = orjson.dumps({"key": key, "primary_key": primary_key, "values": record.get("values", {})}).decode()
            if len(shown) <= self.text_left:
                self.text_left -= len(shown)
                text = shown
        fields = {name: str(shape_of_value(value)) for name, value in key.items()}
        fields |= {name: f"text({len(content)}) {shape_of(content)}" for name, content in primary_key.items()}
        return Entry(record["data_file"], record["item_number"], None, errors, fields, 0, text)

    def counted(self, error: EntryError) -> str | None:
        """See `ReadEntry`."""
        return error.column
