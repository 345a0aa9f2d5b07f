"""The children of one table: what its items have for them, and the child rows beside an item's row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, NamedTuple

from sample_export.any_table import (
    CannotMakeUp,
    Error,
    Made,
    Path,
    Plain,
    Typed,
    in_words,
    kind_of,
    meaning_of_missing,
    paths_taken,
    put,
    steps,
    to_json,
)
from sample_export.children import Child, Container, Fault, Inside
from sample_export.conditions import look_up

Containers = Sequence[tuple[Child, Container]]


class _Fed(NamedTuple):
    """A column of a child that takes something of the item."""

    column: Plain
    by: str | None
    """The column of the item that holds the same; None where it is the text of an attribute, or the whole item."""


class Children:
    """`told` are the paths of the table's condition."""

    def __init__(self, table: Plain, told: Sequence[Path], inside: Callable[[Plain], Inside]) -> None:
        self._name, self._columns, self._told = table["name"], table["columns"], told
        self._beside = [path for column in self._columns for path in paths_taken(column["source"])]
        self._all = [Child(plain, self._name, [*self._beside, *told], inside) for plain in table.get("children", ())]
        self.hidden: list[Plain] = []
        """Columns that the item's row does not have: of attributes that children alone take."""
        self.never_missing: set[Path] = set()
        self.texts: list[Path] = []
        """Attributes whose text children take as it is made up for others."""
        self._user_of: dict[str, Child] = {}
        self._fed = {child.target: [_Fed(column, self._feed(column, child)) for column in child.of_item] for child in self._all}
        self.paths = [child.path for child in self._all]
        self._check()

    def _check(self) -> None:
        for number, child in enumerate(self._all):
            others = self.paths[:number] + self.paths[number + 1 :]
            for path in (*self._told, *others):
                if child.tells(path) or (path in others and path == child.path):
                    message = f"{self._name}, {child.target}: {in_words(path)} has another use; sample-export makes up no elements for both"
                    raise CannotMakeUp(message)
            for column in self._columns:
                if any(map(child.tells, paths_taken(column["source"]))):
                    child.expect_same(column)

    def _feed(self, column: Plain, child: Child) -> str | None:
        """Raises `CannotMakeUp` where the item's own columns take the same in another way."""
        if column["source"] == "ITEM":
            return None
        of_item = {**column, "source": kind_of(column["source"])[1]["source"]}
        paths = paths_taken(of_item["source"])
        for each in (*self._columns, *self.hidden):
            if all(each[name] == of_item[name] for name in ("source", "rule", "clean")):
                if each["missing"] != of_item["missing"]:
                    self.never_missing.update(paths)
                return str(each["name"])
        is_text = isinstance(of_item["source"], str) and kind_of(column["rule"])[0] in ("Text", "Citext") and not column["clean"]
        if is_text and paths[0] in (*self._beside, *self._told):
            self.never_missing.update(paths)
            self.texts += paths
            return None
        if not self._is_free(of_item["source"], paths):
            message = (
                f"{self._name}, {child.target}, {column['name']}: the item's own columns take {', '.join(map(in_words, paths))} in another "
                "way; sample-export makes up no value for both"
            )
            raise CannotMakeUp(message)
        self.hidden.append({**of_item, "name": f"{child.target}.{column['name']}"})
        self._user_of[self.hidden[-1]["name"]] = child
        return str(self.hidden[-1]["name"])

    def _is_free(self, source: Any, paths: Sequence[Path]) -> bool:
        """Whether no column takes a path, but for another part of a text."""
        part = source.get("Part") if isinstance(source, dict) else None
        for column in (*self._columns, *self.hidden):
            if not set(paths).isdisjoint(paths_taken(column["source"])):
                other = column["source"].get("Part") if isinstance(column["source"], dict) else None
                if part is None or other is None or part["pattern"] != other["pattern"] or part["name"] == other["name"]:
                    return False
        return True

    def told_by_elements(self, column: Plain) -> bool:
        """Whether a column of the item takes what is inside an element."""
        return any(child.tells(path) for child in self._all for path in paths_taken(column["source"]))

    # -- sound items

    def put(self, item: Typed, chance: Random, odd: float) -> Containers:
        """Write the elements of an item."""
        containers = [(child, child.container(chance, odd)) for child in self._all]
        for child, container in containers:
            if container.value is not None:
                put(item, child.path, container.value)
        return containers

    def finish(self, made: Made, containers: Containers) -> None:
        """Write the child rows, and what the item's row has of elements, once the item is whole."""
        for column in self._columns:
            for child, container in containers:
                if any(map(child.tells, paths_taken(column["source"]))):
                    found = child.of_item_column(column, container)
                    made.row[column["name"]] = meaning_of_missing(column) if found is None else found[0]
                    made.notices += _notices_if_missing(column) if found is None else found[1]
        for child, container in containers:
            fed = [(each.column["name"], *self._taken(each, made)) for each in self._fed[child.target]]
            made.children[child.target] = [
                {**element.made.row, **{name: value for name, value, _ in fed}} for element in container.elements
            ]
            of_rows = [notice for _, _, notices in fed for notice in notices]
            made.child_notices += [notice for element in container.elements for notice in (*element.notices(child.path), *of_rows)]
        words = {in_words(path) for column in self.hidden for path in paths_taken(column["source"])}
        made.notices = [notice for notice in made.notices if notice[1] not in words] + made.child_notices
        for column in self.hidden:
            del made.row[column["name"]]

    def _taken(self, fed: _Fed, made: Made) -> tuple[Any, list[Error]]:
        """What a column of a child has of an item, in each of its rows, and its notices."""
        if fed.by is not None:
            column = next(each for each in (*self._columns, *self.hidden) if each["name"] == fed.by)
            words = set(map(in_words, paths_taken(column["source"])))
            return made.row[fed.by], [notice for notice in made.notices if notice[1] in words]
        if fed.column["source"] == "ITEM":
            return {"jsonb": to_json({"M": made.item}, typed=kind_of(fed.column["rule"])[1]["typed"])}, []
        path = steps(kind_of(fed.column["source"])[1]["source"])
        found = look_up(made.item, path)
        tags = kind_of(fed.column["rule"])[1]["tags"]
        if found is None or not found.keys() <= set(tags):
            message = f"{self._name}, {fed.column['name']}: {in_words(path)} is no text here; sample-export makes up no child rows for it"
            raise CannotMakeUp(message)
        [content] = found.values()
        return content, []

    # -- faults

    def faults(self) -> Iterator[Fault]:
        for child in self._all:
            yield from child.faults()

    def with_rows(self, fault: Fault, column: Plain) -> Fault:
        """A fault in what a hidden column takes, in an item that has a row to be refused."""
        return _FaultWithRows(fault, self._user_of[column["name"]])


def _notices_if_missing(column: Plain) -> list[Error]:
    return [("timestamp_defaulted", in_words(steps(column["source"])))] if column["missing"] == "MIGRATION_TIME" else []


class _FaultWithRows:
    def __init__(self, fault: Fault, child: Child) -> None:
        self.path, self._fault, self._child = fault.path, fault, child

    def __call__(self, item: Typed, chance: Random) -> Sequence[Error]:
        put(item, self._child.path, self._child.container(chance, 0.0, least=1).value)
        return self._fault(item, chance)
