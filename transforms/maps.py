"""The maps that a definition's columns take their attributes from: the item itself, and maps inside it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from transforms.attribute_value import ABSENT, Item, is_attribute_value, is_missing
from transforms.column import wrong_type
from transforms.table import Column


class Map(NamedTuple):
    """`path` is "" for the item itself; `parent` is the number of the map that it is in, `known` what columns take of it."""

    path: str
    parent: int
    name: str
    known: frozenset[str]


def maps_of(columns: Iterable[Column]) -> list[Map]:
    """The item first, then every map inside it that a column's path goes through, parents before children."""
    names: dict[str, set[str]] = {"": set()}
    for path in (path for column in columns for path in column.paths):
        holder = ""
        for name in path.split("."):
            names.setdefault(holder, set()).add(name)
            holder = join(holder, name)
    paths = list(names)
    return [
        Map(
            path=path,
            parent=paths.index(path.rpartition(".")[0]) if path else 0,
            name=path.rpartition(".")[2],
            known=frozenset(known),
        )
        for path, known in names.items()
    ]


def join(path: str, name: str) -> str:
    """The path of an attribute of a map."""
    return f"{path}.{name}" if path else name


def open_map(map_: Map, parent: Item) -> Item:
    """The members of one; raises `ValueRefused`."""
    value = parent.get(map_.name, ABSENT)
    if is_missing(value):
        return {}
    if is_attribute_value(value) and "M" in value:
        members: Item = value["M"]
        return members
    raise wrong_type(value, ("M",))
