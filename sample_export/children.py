"""Made-up elements for each child of a definition, clean and with the faults that its rules know, and the row that each must become.

An element is made up as an item of up to two attributes, `element` and `member`, by whoever makes up items of a table's columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from sample_export.any_table import NULL, CannotMakeUp, Error, Made, Path, Plain, Typed, encode_json, in_words, kind_of, put, steps
from sample_export.conditions import look_up

_ELEMENT, _MEMBER = ("element",), ("member",)
_MOST = 3
"""Elements of a list or map."""
_TRIES = 20
_SETS = {"S": "SS", "N": "NS", "B": "BS"}
_COUNTING = ("SmallInt", "Integer", "BigInt", "Numeric", "Double", "Real", "Text", "Citext", "Varchar")
"""Rules of which it is known what they make of a position."""


class Fault(Protocol):
    """Something that must be refused."""

    path: Path

    def __call__(self, item: Typed, chance: Random, /) -> Sequence[Error]:
        """Write it into an item; the errors that it must have then."""


class Inside(Protocol):
    """Makes up items of some columns."""

    def sound(self, chance: Random, odd: float) -> Made: ...

    def faults(self) -> Iterator[Fault]: ...


@dataclass(frozen=True, slots=True)
class Element:
    """One of a list or set, or a member of a map. `made` has its attributes, and what of its row comes of these."""

    step: int | str
    made: Made

    @property
    def value(self) -> Typed:
        found: Typed = self.made.item.get("element", NULL)
        return found

    def notices(self, path: Path) -> list[Error]:
        return [(code, _in_item(attribute, (*path, self.step))) for code, attribute in self.made.notices]


@dataclass(frozen=True, slots=True)
class Container:
    """What an item has at a child's path; `value` is None for nothing."""

    value: Typed | None
    elements: Sequence[Element] = ()


class Child:
    """A child of a definition. `paths_beside` are those of the item's own columns and of its condition."""

    def __init__(self, plain: Plain, table: str, paths_beside: Sequence[Path], inside: Callable[[Plain], Inside]) -> None:
        self.target: str = plain["target"]
        self.path = steps(plain["path"])
        self._table = table
        columns = plain["columns"]
        self.of_item = [each for each in columns if each["source"] == "ITEM" or (_is_object(each) and "Parent" in each["source"])]
        self._positions = [each for each in columns if each["source"] == "POSITION"]
        self._members = [each for each in columns if each["source"] == "MEMBER"]
        beside = [*self.of_item, *self._positions]
        self._columns = {each["name"]: _in_element(each) for each in columns if each not in beside}
        self._inside = inside({"name": f"{table}, {self.target}", "columns": list(self._columns.values())})
        self._is_alone = not any(len(path) > len(self.path) for path in _below(self.path, paths_beside))
        self._is_free = not any(path[: len(self.path)] == self.path for path in paths_beside)
        self._least = 0
        indexes = {type(path[len(self.path)]) for path in _below(self.path, paths_beside)}
        self._check_positions()
        self._is_list, self._is_map = self._can_be(indexes)

    def _can_be(self, indexes: set[type]) -> tuple[bool, bool]:
        is_list = all(each["missing"] == "NULL" for each in self._members) and str not in indexes
        is_map = all(each["missing"] == "NULL" for each in self._positions) and int not in indexes
        if not is_list and not is_map:
            raise self._cannot("its elements have both a position and a name, and sample-export makes up no such")
        return is_list, is_map

    def _check_positions(self) -> None:
        for column in self._positions:
            name, of = kind_of(column["rule"])
            name, of = kind_of(of["rule"]) if name == "Domain" else (name, of)
            least, most = (None if of.get(bound) is None else float(of[bound]) for bound in ("least", "most"))
            if name not in _COUNTING or "N" not in of["tags"] or (least or 0) > 0 or (most is not None and most < _MOST):
                raise self._cannot(f"{column['name']}: sample-export does not know what its rule makes of a position")

    def _cannot(self, problem: str) -> CannotMakeUp:
        return CannotMakeUp(f"{self._table}, {self.target}, {problem}")

    # -- columns of the item that take what is inside an element, too

    def tells(self, path: Path) -> bool:
        """Whether a path leads into an element."""
        return len(path) > len(self.path) and path[: len(self.path)] == self.path

    def expect_same(self, column: Plain) -> None:
        """Of a column of the item that takes what a column of the child takes. Raises `CannotMakeUp`."""
        same = self._same(column) if isinstance(column["source"], str) else None
        is_required = column["missing"] == "REFUSED"
        if same is None or (is_required and same["missing"] != "REFUSED"):
            raise self._cannot(f"and {column['name']} of the item take the same in two ways; sample-export makes up no value for both")
        step = steps(column["source"])[len(self.path)]
        if is_required:
            if isinstance(step, str) or step >= _MOST:
                raise self._cannot(f"{column['name']} of the item takes an element that sample-export does not make up")
            self._least = max(self._least, step + 1)

    def _same(self, column: Plain) -> Plain | None:
        path = (*_ELEMENT, *steps(column["source"])[len(self.path) + 1 :])
        for each in self._columns.values():
            same = [each[name] == column[name] for name in ("rule", "clean")]
            if isinstance(each["source"], str) and steps(each["source"]) == path and all(same):
                return each
        return None

    def of_item_column(self, column: Plain, container: Container) -> tuple[Any, list[Error]] | None:
        """What a column of the item must hold that takes what is inside an element, and its notices; None where that is missing."""
        path, same = steps(column["source"]), self._same(column)
        element = next((each for each in container.elements if each.step == path[len(self.path)]), None)
        if element is None or same is None or look_up(element.made.item, steps(same["source"])) is None:
            return None
        notices = [notice for notice in element.notices(self.path) if notice[1] == in_words(path)]
        return element.made.row[same["name"]], notices

    # -- elements

    def container(self, chance: Random, odd: float, least: int = 0) -> Container:
        """Of some elements, at least so many."""
        least = max(least, self._least)
        if self._is_free and not least and chance.random() < odd:
            return Container(chance.choice([None, NULL]))
        usual = bool(self._members) if self._is_list and self._is_map else self._is_map
        is_map = usual != (self._is_list and self._is_map and chance.random() < odd)
        elements = self._elements(is_map, max(least, chance.randrange(_MOST + 1)), chance, odd)
        if len(elements) < least:
            raise self._cannot("sample-export does not find enough rows that differ")
        value = _container_of(elements, is_map=is_map)
        if not is_map and self._is_free and chance.random() < odd and (as_set := _set_of(elements)) is not None:
            value = as_set
        return Container(value, elements)

    def _elements(self, is_map: bool, count: int, chance: Random, odd: float) -> list[Element]:
        """Perhaps fewer: rows that no position and no name tells apart must differ in all that may not be missing."""
        found: list[Element] = []
        is_told = bool(self._members if is_map else self._positions)
        seen: set[tuple[str, str]] = set()
        names: set[str] = set()
        for _ in range(count * _TRIES):
            if len(found) == count:
                break
            made = self._inside.sound(chance, odd)
            name = made.item.get("member", {}).get("S", f"name {len(found)}")
            telling = set() if is_told else self._telling(made)
            if not is_told and (not telling or telling & seen):
                continue
            if is_map and name in names:
                continue
            seen |= telling
            names.add(name)
            found.append(self._element(made, name if is_map else len(found)))
        return found

    def _telling(self, made: Made) -> set[tuple[str, str]]:
        required = [name for name, each in self._columns.items() if each["missing"] == "REFUSED"]
        values = {name: made.row[name] for name in required or self._columns}
        held = {(name, encode_json(value)) for name, value in values.items() if value is not None}
        return held if required else {("", encode_json(sorted(held)))} if held else set()

    def _element(self, made: Made, step: int | str) -> Element:
        """With what its place says of its row."""
        if "element" not in made.item and not any(_takes_element(each) for each in self._columns.values()):
            made.item["element"] = {"S": "x"}
            made.notices.append(("unmapped_attribute", _ELEMENT[0]))
        for column in self._positions:
            made.row[column["name"]] = None if isinstance(step, str) else str(step)
        if isinstance(step, int):
            made.row.update({column["name"]: None for column in self._members})
            made.notices = [notice for notice in made.notices if notice[1] != _MEMBER[0]]
        return Element(step, made)

    # -- faults

    def faults(self) -> Iterator[Fault]:
        """All of them leave one fault in one element, or in what the elements are in."""
        yield _FaultInPlace(self.path, {"S": "no elements"}, self.path)
        if len(self.path) > 1:
            yield _FaultInPlace(self.path, {"S": "no elements"}, self.path[:-1])
        if any(len(steps(each["source"])) > 1 for each in self._columns.values() if isinstance(each["source"], str)):
            yield _FaultInElement(self, _not_a_map)
        for fault in self._inside.faults():
            if fault.path != _MEMBER or (self._is_map and _is_of_a_name(fault)):
                yield _FaultInElement(self, fault)
        if self._members and not self._is_list and self._is_alone:
            yield _FaultOfForm(self, is_map=False)
        if self._positions and not self._is_map and self._is_alone:
            yield _FaultOfForm(self, is_map=True)

    def of_form(self, chance: Random, *, is_map: bool) -> tuple[Typed, str | int]:
        """One element in what may not hold it."""
        element = self._element(self._inside.sound(chance, 0.0), "name" if is_map else 0)
        return _container_of([element], is_map=is_map), element.step


def _is_of_a_name(fault: Fault) -> bool:
    """Whether a name can have it: a text that is not empty, and of characters that a dead letter can tell."""
    made: Typed = {}
    fault(made, Random(0))
    content = made.get("member", {}).get("S", "")
    return bool(content) and "\0" not in content


def _is_object(column: Plain) -> bool:
    return isinstance(column["source"], dict)


def _in_element(column: Plain) -> Plain:
    """As a column of the item of `element` and `member`."""
    source = column["source"]
    if source == "MEMBER":
        return {**column, "source": "member", "missing": "REFUSED"}
    if source is None or source == "ELEMENT":
        return {**column, "source": source and "element"}
    if isinstance(source, str):
        return {**column, "source": f"element.{source}"}
    name, of = kind_of(source)
    below: dict[str, Any] = {key: f"element.{of[key]}" for key in ("path", "first", "second") if key in of}
    if "paths" in of:
        below["paths"] = [f"element.{path}" for path in of["paths"]]
    return {**column, "source": {name: {**of, **below}}}


def _takes_element(column: Plain) -> bool:
    return column["source"] is not None and column["source"] != "member"


def _below(path: Path, others: Sequence[Path]) -> list[Path]:
    return [other for other in others if len(other) > len(path) and other[: len(path)] == path]


def _container_of(elements: Sequence[Element], *, is_map: bool) -> Typed:
    return {"M": {str(each.step): each.value for each in elements}} if is_map else {"L": [each.value for each in elements]}


def _set_of(elements: Sequence[Element]) -> Typed | None:
    """The same elements as a set; None where there can be none."""
    tags = {tag for each in elements for tag in each.value}
    contents = [each.value.get(next(iter(tags))) for each in elements] if len(tags) == 1 else []
    [tag] = tags if len(tags) == 1 else {""}
    if tag not in _SETS or not all(contents) or len({str(content) for content in contents}) < len(contents):
        return None
    return {_SETS[tag]: contents}


def _in_item(attribute: str | None, place: Path) -> str:
    """A path of `element` and `member` as one of the item."""
    below = (attribute or "").removeprefix("element").removeprefix("member")
    return in_words(place) + below


# -- what must be refused ------------------------------------------------------------------------------------------------------------------


class _FaultInPlace:
    """Another value than a list or map, or than what that is in. `path` is that of the elements."""

    def __init__(self, path: Path, value: Typed, at: Path) -> None:
        self.path, self._value, self._at = path, value, at

    def __call__(self, item: Typed, _chance: Random) -> Sequence[Error]:
        put(item, self._at, self._value)
        return [("wrong_type", in_words(self._at))]


def _not_a_map(made: Typed, _chance: Random) -> Sequence[Error]:
    made["element"] = {"S": "no map"}
    return [("wrong_type", _ELEMENT[0])]


class _FaultInElement:
    """What an element's columns refuse, in one of several elements."""

    def __init__(self, child: Child, fault: Callable[[Typed, Random], Sequence[Error]]) -> None:
        self.path, self._child, self._fault = child.path, child, fault

    def __call__(self, item: Typed, chance: Random) -> Sequence[Error]:
        container = self._child.container(chance, 0.0, least=1)
        number = chance.randrange(len(container.elements))
        element = container.elements[number]
        errors = self._fault(element.made.item, chance)
        step = element.step
        if isinstance(step, str) and "member" in element.made.item:
            step = element.made.item["member"].get("S") or step
        changed = [Element(step, each.made) if each is element else each for each in container.elements]
        put(item, self.path, _container_of(changed, is_map=isinstance(step, str)))
        return [(code, _in_item(attribute, (*self.path, step))) for code, attribute in errors]


class _FaultOfForm:
    """A list where a name is wanted, or a map where a position is."""

    def __init__(self, child: Child, *, is_map: bool) -> None:
        self.path, self._child, self._is_map = child.path, child, is_map

    def __call__(self, item: Typed, chance: Random) -> Sequence[Error]:
        value, step = self._child.of_form(chance, is_map=self._is_map)
        put(item, self.path, value)
        return [("missing_required", in_words((*self.path, step)))]
