"""Entries of the page's list in columns, where what comes again is told once: a hundred thousand of them are a few megabytes, before gzip.

strings     every text, once; 0 is none
error_sets  every combination of errors, once: [[code, attribute, column, message, SQLSTATE], ...] as numbers of strings
blocks      the entries of one folder of files, a column of numbers for each thing to tell of them
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

Value = TypeVar("Value")


class Numbers(dict[Value, int]):
    """Gives each value that it is asked for the number under which it was first met."""

    def __missing__(self, value: Value) -> int:
        number = self[value] = len(self)
        return number


# Tuples, because a dataclass takes four times as long to make and to find again.
class EntryError(NamedTuple):
    """One thing to say of an entry: an error of a dead letter, or a column of a mismatch."""

    code: str
    attribute: str | None
    column: str | None
    message: str | None
    sqlstate: str | None


class Entry(NamedTuple):
    """One dead letter or mismatch. `fields` are shapes by name; `text` is the item itself, only where values are shown."""

    data_file: str | None
    item_number: int | None
    stage: str | None
    errors: tuple[EntryError, ...]
    fields: dict[str, str]
    size: int
    text: str | None = None


@dataclass(slots=True)
class _Block:
    kind: str
    table: str
    target: str
    total: int
    columns: dict[str, list[Any]] = field(
        default_factory=lambda: {name: [] for name in ("file", "item", "stage", "errors", "size", "text")}
    )
    fields: dict[str, list[int]] = field(default_factory=dict)


class Packer:
    """Takes entries, gives what the page unpacks."""

    def __init__(self) -> None:
        self._strings: Numbers[str | None] = Numbers({None: 0})
        self._errors: Numbers[tuple[str, tuple[EntryError, ...]]] = Numbers()
        self._blocks: list[_Block] = []

    def begin(self, kind: str, table: str, target: str, total: int) -> None:
        """What is added next is of this folder; `total` is how many there are, of which not all may be added."""
        self._blocks.append(_Block(kind, table, target, total))

    def add(self, entry: Entry) -> None:
        """Add to the block that was begun last."""
        block, strings = self._blocks[-1], self._strings
        columns, fields, so_far = block.columns, block.fields, len(block.columns["item"])
        columns["file"].append(strings[entry.data_file])
        columns["item"].append(entry.item_number)
        columns["stage"].append(strings[entry.stage])
        columns["errors"].append(self._errors[block.table, entry.errors])
        columns["size"].append(entry.size)
        columns["text"].append(entry.text)
        for name, shape in entry.fields.items():
            shapes = fields.get(name)
            if shapes is None:
                shapes = fields[name] = []
            if len(shapes) < so_far:
                shapes.extend([0] * (so_far - len(shapes)))
            shapes.append(strings[shape])

    def packed(self, shown: Callable[[str, str, str], str]) -> dict[str, Any]:
        """For JSON; `shown` says, by table and code, how the path of an attribute is to be shown."""
        error_sets = [[self._packed_error(table, error, shown) for error in errors] for table, errors in self._errors]
        blocks = [self._packed_block(block) for block in self._blocks]
        return {"strings": list(self._strings), "error_sets": error_sets, "blocks": blocks}

    def _packed_error(self, table: str, error: EntryError, shown: Callable[[str, str, str], str]) -> list[int]:
        attribute = None if error.attribute is None else shown(table, error.code, error.attribute)
        return [self._strings[text] for text in (error.code, attribute, error.column, error.message, error.sqlstate)]

    @staticmethod
    def _packed_block(block: _Block) -> dict[str, Any]:
        count = len(block.columns["item"])
        fields = [[name, [*shapes, *[0] * (count - len(shapes))]] for name, shapes in block.fields.items()]
        columns: dict[str, Sequence[Any]] = dict(block.columns)
        if not any(text is not None for text in columns["text"]):
            columns["text"] = []
        return {"kind": block.kind, "table": block.table, "target": block.target, "total": block.total, "fields": fields, **columns}
