"""Items without their values: shapes in place of values, and no name that may be data.

    >>> str(shape_of_value({"S": "9a3ed888-4b76-41a7-a0b2-1fdfc3f81d3b"}))
    'S(36) uuid'

The name of an attribute of an item is shown, unless it looks like data. A name inside a map may be schema or data (a patient's number as
the key of his record), so it is shown only where the table's definition has it; else the member is known by its number. Where many items
are shown at once, as in a report, no name is shown but those of the definition (`masked_path`), unless it is frequent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from pipeline.inspection.names import Shape, bounded, looks_like_data, shape_of
from transforms.sources import Names, join, names_of, plain_path
from transforms.table import Table
from transforms.values import JSON_TYPE_OF_TAG, is_attribute_value, is_missing

MISSING: Final = "missing"
OF_NO_COLUMN: Final = "(an attribute that no column takes)"
DEEPEST: Final = 40
"""DynamoDB nests 32 levels; a file that was made by hand may have more than can be shown."""
_MALFORMED: Final = "not an attribute value"
_HIDDEN_NAME: Final = "(a name that looks like data)"
_JSON_TYPES: Final[Mapping[type, str]] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}


# -- shapes of values ----------------------------------------------------------------------------------------------------------------------


class ValueShape(NamedTuple):
    """What kind of value it is: its tag, its length or number of members, and the kind of its text."""

    tag: str
    size: int | None = None
    kind: str = ""

    def __str__(self) -> str:
        size = "" if self.size is None else f"({self.size})"
        return f"{self.tag}{size}{' ' if self.kind else ''}{self.kind}"


def shape_of_value(value: object) -> ValueShape:
    """The shape of an attribute value, or of other JSON in its place."""
    if not is_attribute_value(value):
        return ValueShape(_MALFORMED, kind=_malformed_kind(value))
    if is_missing(value):
        return ValueShape("NULL")
    [(tag, content)] = value.items()
    match content:
        case bool():
            return ValueShape(tag)
        case str():
            return ValueShape(tag, len(content), "" if tag == "B" else shape_of(content))
    return ValueShape(tag, len(content))


def _malformed_kind(value: object) -> str:
    """Of which JSON type it is, and what its tag holds where it has a known one."""
    if type(value) is dict and len(value) == 1:
        [(tag, content)] = value.items()
        if tag in JSON_TYPE_OF_TAG:
            return f"({tag} with {_JSON_TYPES[type(content)]})"
    return f"({_JSON_TYPES[type(value)]})"


def shape_of_line(line: bytes) -> ValueShape:
    """What can be said of a line that is no item: its length in bytes, and whether it is text."""
    try:
        line.decode()
    except UnicodeDecodeError:
        return ValueShape("line", len(line), "bytes that are not UTF-8")
    return ValueShape("line", len(line), "bytes")


def shape_in_words(value: object) -> str:
    """`str(shape_of_value(value))`, for many values: equal texts are made once."""
    if type(value) is dict and len(value) == 1:
        [tag] = value
        content = value[tag]
        if type(content) is str and (tag == "S" or tag == "N"):  # noqa: PLR1714 - asked of every value, and a tuple takes longer
            return _text_in_words(tag, len(content), shape_of(content))
    return str(shape_of_value(value))


@lru_cache(maxsize=1 << 16)
def _text_in_words(tag: str, length: int, shape: Shape) -> str:
    return str(ValueShape(tag, length, shape))


# -- many shapes ---------------------------------------------------------------------------------------------------------------------------

# Up to so many lengths of one kind are shown singly; with more, a range is shown.
_MOST_SIZES: Final = 3
_MOST_COUNTED: Final = 64
# Even with many lengths of one kind, a length that so many texts have is shown singly.
_MOST_OF_THEM: Final = 0.9


@dataclass(frozen=True, slots=True)
class Pattern:
    """A shape, in words, and how many values have it."""

    shape: str
    count: int


class Patterns:
    """Counts the shapes that the values at fault have: what most often says why, without a value.

        412 x empty string, 3 x S(35) text

    What is kept does not grow with the number of values: of the many lengths that texts of one kind can have, the extremes.
    """

    def __init__(self) -> None:
        self._sizes: dict[tuple[str, str], Counter[int | None]] = {}
        self._others: dict[tuple[str, str], tuple[int, int, int]] = {}
        """The sizes beyond `_MOST_COUNTED`: how many values, the least, the greatest."""

    def add(self, shape: ValueShape) -> None:
        key = shape.tag, shape.kind
        sizes = self._sizes.setdefault(key, Counter())
        if shape.size in sizes or len(sizes) < _MOST_COUNTED:
            sizes[shape.size] += 1
        else:
            size = shape.size or 0
            count, least, greatest = self._others.get(key, (0, size, size))
            self._others[key] = count + 1, min(least, size), max(greatest, size)

    def most_common(self) -> list[Pattern]:
        """All patterns, the most frequent first."""
        patterns = [pattern for tag, kind in self._sizes for pattern in self._of_kind(tag, kind)]
        return sorted(patterns, key=lambda pattern: (-pattern.count, pattern.shape))

    def _of_kind(self, tag: str, kind: str) -> Iterator[Pattern]:
        """One for each size if there are few, else one for the size that nearly all have, and one with the range of the others."""
        sizes, (others, *extremes) = self._sizes[tag, kind], self._others.get((tag, kind), (0,))
        total = sizes.total() + others
        single = sizes.most_common(_MOST_SIZES)
        if others or len(sizes) > _MOST_SIZES:
            single = [(size, count) for size, count in single[:1] if count >= _MOST_OF_THEM * total]
        for size, count in single:
            yield Pattern("empty string" if (tag, size) == ("S", 0) else str(ValueShape(tag, size, kind)), count)
        rest = [*extremes, *(size for size in sizes if size not in dict(single) and size is not None)]
        if rest:
            words = f"{tag}({min(rest)} to {max(rest)}){' ' if kind else ''}{kind}"
            yield Pattern(words, total - sum(count for _, count in single))


# -- names ---------------------------------------------------------------------------------------------------------------------------------


def named_paths(table: Table) -> frozenset[str]:
    """The paths that a definition names, `soapData.plan`, and those on the way to them."""
    parted = [names_of(path) for path in table.paths]
    return frozenset(plain_path(parts[: length + 1]) for parts in parted for length in range(len(parts)))


Step = str | int
"""The name of an attribute or of a member of a map; the index of an element."""


def steps_to(item: Mapping[str, Any], attribute: str) -> tuple[Step, ...] | None:
    """The way to the value that an error names by its path, `eventData.items[3]`; None where there is none.

    Names may hold dots and brackets themselves, so it is found by what is there.
    """
    for name, value in item.items():
        if attribute.startswith(name):
            below = _steps_below(value, attribute[len(name) :])
            if below is not None:
                return name, *below
    return None


def _steps_below(value: Any, path: str) -> tuple[Step, ...] | None:
    if not path:
        return ()
    members: Any = value.get("M") if isinstance(value, dict) else None
    if path.startswith(".") and isinstance(members, dict):
        below = steps_to(members, path[1:])
        if below is not None:
            return below
    elements = value.get("L") if isinstance(value, dict) else None
    index, bracket, rest = path[1:].partition("]")
    if path.startswith("[") and bracket and index.isdecimal() and isinstance(elements, list) and int(index) < len(elements):
        below = _steps_below(elements[int(index)], rest)
        return None if below is None else (int(index), *below)
    return None


def value_at(item: Mapping[str, Any], steps: Iterable[Step]) -> Any:
    """The value at the end of a way that `steps_to` found."""
    value: Any = {"M": item}
    for step in steps:
        [holder] = value.values()
        value = holder[step]
    return value


def value_of_path(item: Mapping[str, Any], path: str) -> Any:
    """The attribute value at a path of a definition; None where there is none."""
    return value_by_names(item, names_of(path))


def value_by_names(item: Mapping[str, Any], names: Names) -> Any:
    """The same, of a path that was taken apart."""
    value: Any = {"M": item}
    for name in names:
        content = value.get("L" if isinstance(name, int) else "M") if isinstance(value, dict) else None
        if isinstance(content, dict):
            value = content.get(name)
        elif isinstance(content, list) and isinstance(name, int) and name < len(content):
            value = content[name]
        else:
            return None
    return value


def masked_path(path: str, paths: Sequence[str]) -> str:
    """A path as far as the `paths` of a definition have it: `eventData (inside)`. Of a name that they do not have, nothing is shown."""
    paths = _plain_paths(tuple(paths))
    if path in paths or any(known.startswith((f"{path}.", f"{path}[")) for known in paths):
        return path
    above = [known for known in paths if path.startswith((f"{known}.", f"{known}["))]
    return f"{max(above, key=len)} (inside)" if above else OF_NO_COLUMN


@lru_cache(maxsize=64)
def _plain_paths(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Of definitions, of which a process has few."""
    return tuple(map(plain_path, paths))


def shown_place(item: Mapping[str, Any], attribute: str, named: Collection[str]) -> str:
    """An error's path without what may be data: `eventData (inside)`."""
    if attribute in named:
        return attribute
    steps = steps_to(item, attribute) or (attribute.partition(".")[0].partition("[")[0],)
    path = shown_name(str(steps[0]))
    if len(steps) == 1 and steps[0] == attribute:
        return path
    whole = str(steps[0])
    for step in steps[1:]:
        whole = join(whole, step)
        if whole not in named:
            break
        path = whole
    return f"{path} (inside)"


def shown_name(name: str) -> str:
    short = bounded(name)
    return _HIDDEN_NAME if looks_like_data(short) else short


def member_name(path: str, number: int, named: Collection[str]) -> str:
    """Of the member of a map at `path`: its last name where the definition has it, else its number, from 1."""
    return path.rpartition(".")[2] if path in named else f"#{number}"


def masked_item(item: Mapping[str, Any], named: Collection[str]) -> dict[str, Any]:
    """The item with shapes in place of values; maps are objects, lists are arrays, so that its structure can be seen.

    Two names that look like data are distinguished by a number.
    """
    masked: dict[str, Any] = {}
    for number, (name, value) in enumerate(item.items(), 1):
        shown = shown_name(name)
        masked[shown if shown == name or shown not in masked else f"{shown} {number}"] = _masked(value, name, named)
    return masked


def _masked(value: Any, path: str, named: Collection[str], depth: int = 0) -> Any:
    if is_attribute_value(value) and depth < DEEPEST:
        if "M" in value:
            return {
                member_name(f"{path}.{name}", number, named): _masked(member, f"{path}.{name}", named, depth + 1)
                for number, (name, member) in enumerate(value["M"].items(), 1)
            }
        if "L" in value:
            return [_masked(element, f"{path}[{index}]", named, depth + 1) for index, element in enumerate(value["L"])]
    return str(shape_of_value(value))
