r"""Where a column's value comes from: the first argument of a `Column`, and what may be done to a text before its rule.

    "soapData.plan", "lines[0].sku", r"model\.maker"            a path
    LaterOf("timestamp", "createdAt")                           the later of two times
    Part("PK", "CUSTOMER#{customer}#ORDER#{order}", "order")    a part of a composite string
    Joined(("PK", "SK"))                                        several attributes as one text
    ITEM, REST                                                  the whole item, or what no other column takes
    Computed(function, reads=("a", "b.c"))                      what a Python function makes of attributes
    None                                                        no attribute

What is wrong with one is said when its table is compiled, not when it is written, so that all of it can be told at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from string import Formatter
from typing import Any, Final

# -- paths ---------------------------------------------------------------------------------------------------------------------------------

# In a path: an escaped character, the index of an element, or any other character.
_SIGN: Final = re.compile(r"\\[\\.\[\]]|\[(0|[1-9][0-9]*)\](?=[.\[]|\Z)|.", re.DOTALL)

Names = tuple[str | int, ...]
"""The way to an attribute: names of members, and the indexes of elements."""


@cache
def names_of(path: str) -> Names:
    r"""The names on a path of a definition: `("soapData", "plan")` of `soapData.plan`, `("lines", 0, "sku")` of `lines[0].sku`.

    A backslash before `.`, `[`, `]` or a backslash makes that part of a name: `("model.maker",)` of `model\.maker`. Raises `ValueError`.
    """
    names: list[str | int] = [""]
    for sign in _SIGN.finditer(path):
        text, index = sign[0], sign[1]
        if index is not None and sign.start() > 0:
            names.append(int(index))
        elif text == ".":
            names.append("")
        elif text in ("[", "]") or index is not None or isinstance(names[-1], int):
            message = (
                f"the path {path!r} has a {text[0]} that is no index of an element, as in lines[0].sku; as part of a name it is \\{text[0]}"
            )
            raise ValueError(message)
        else:
            names[-1] += text[-1]
    return tuple(names)


def path_of(names: Iterable[str | int]) -> str:
    """The path of a definition that has these names; the inverse of `names_of`."""
    return _written(names, lambda name: re.sub(r"[\\.\[\]]", r"\\\g<0>", name))


def plain_path(path: str | Names) -> str:
    """A path of a definition as errors and notices have it, where a name's own dots are dots."""
    return _written(names_of(path) if isinstance(path, str) else path, str)


def join(path: str, name: str | int) -> str:
    """The plain path of a member of a map, or of an element of a list."""
    if isinstance(name, int):
        return f"{path}[{name}]"
    return f"{path}.{name}" if path else name


def _written(names: Iterable[str | int], written: Callable[[str], str]) -> str:
    parts = [f"[{name}]" if isinstance(name, int) else f".{written(name)}" for name in names]
    return "".join(parts).removeprefix(".")


# -- sources -------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LaterOf:
    """The later of two timestamps; where one is missing, the other (`docs/tables.md`)."""

    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a composite string: `Part("PK", "CUSTOMER#{customer}#ORDER#{order}", "order")`.

    Each placeholder stands for at least one character, up to where what follows it comes first; the whole string must match the pattern.
    Braces of the string itself are written twice, as in `str.format`.
    """

    path: str
    pattern: str
    name: str


@dataclass(frozen=True, slots=True)
class Joined:
    """The text of several attributes (S or N) with a separator between them; missing if one of them is missing."""

    paths: tuple[str, ...]
    separator: str = "#"

    def __post_init__(self) -> None:
        object.__setattr__(self, "paths", _several(self.paths))


class Whole(Enum):
    """What of an item is taken as a map."""

    ITEM = "item"
    REST = "rest"


ITEM: Final = Whole.ITEM
"""The whole item."""
REST: Final = Whole.REST
"""What no other column, and no child, takes: attributes, and in a map of which others take members the members that none takes."""

Reads = Mapping[str, Any]
"""What a function gets: each path that it reads, and the Python value there; None where that is missing or NULL."""


@dataclass(frozen=True, slots=True)
class Computed:
    """What a pure Python function makes of the attributes that it reads. Slow: an item with one is converted in Python in part.

    It gets a dict of the paths to str, Decimal, bool, None, bytes, list, dict or set, and gives str, int, Decimal, bool, bytes, list, dict,
    or None, which is a missing attribute. What it raises makes the item a dead letter, `function_failed`.
    """

    function: Callable[[Reads], Any]
    reads: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "reads", _several(self.reads))


@dataclass(frozen=True, slots=True)
class Parent:
    """In a column of a `Child`: an attribute of the item, or what is made of its attributes, as `Part`."""

    source: str | LaterOf | Part | Joined | Computed


class OfElement(Enum):
    """In a column of a `Child`: what it is of the list or map."""

    ELEMENT = "element"
    POSITION = "position"
    MEMBER = "member"


ELEMENT: Final = OfElement.ELEMENT
"""The element itself."""
POSITION: Final = OfElement.POSITION
"""Its number in the list, from 0."""
MEMBER: Final = OfElement.MEMBER
"""Its name in the map."""

Source = str | LaterOf | Part | Joined | Whole | Computed | Parent | OfElement | None


def paths_of(source: Source) -> tuple[str, ...]:  # noqa: PLR0911 - one return a source
    """Of the attributes of the item that feed it."""
    match source:
        case str():
            return (source,)
        case LaterOf(first, second):
            return (first, second)
        case Part(path):
            return (path,)
        case Parent(of_item):
            return paths_of(of_item)
        case Joined(paths):
            return paths
        case Computed(reads=reads):
            return reads
        case _:
            return ()


def _several(paths: object) -> object:
    """A string is one path; whatever brackets hold several."""
    if isinstance(paths, str):
        return (paths,)
    return tuple(paths) if isinstance(paths, Iterable) else paths


# -- cleaning ------------------------------------------------------------------------------------------------------------------------------


class Clean(Enum):
    """What is done to a text (S) before its rule, in this order; each that changes one is a notice."""

    REPLACE_NUL = "replace_nul"
    """U+0000, which PostgreSQL cannot store, becomes U+FFFD."""
    TRIM = "trim"
    """Without white space at both ends."""
    LOWER = "lower"
    UPPER = "upper"
    EMPTY_AS_NULL = "empty_as_null"
    """An empty text is a missing one."""


REPLACE_NUL: Final = Clean.REPLACE_NUL
TRIM: Final = Clean.TRIM
LOWER: Final = Clean.LOWER
UPPER: Final = Clean.UPPER
EMPTY_AS_NULL: Final = Clean.EMPTY_AS_NULL


def compile_clean(clean: Sequence[Clean]) -> Callable[[str], tuple[str | None, Sequence[Clean]]]:
    """The function that cleans a text: what is left, None for an empty one that counts as missing, and what changed it.

    Raises `ValueError`.
    """
    if not all(isinstance(kind, Clean) for kind in clean):
        message = f"clean takes {', '.join(kind.name for kind in Clean)}, not {clean!r}"
        raise ValueError(message)
    if LOWER in clean and UPPER in clean:
        message = "clean cannot be both LOWER and UPPER"
        raise ValueError(message)
    steps = [(kind, _CLEANED[kind]) for kind in Clean if kind in clean and kind is not EMPTY_AS_NULL]
    empty_as_null = EMPTY_AS_NULL in clean

    def cleaned(text: str) -> tuple[str | None, Sequence[Clean]]:
        changes = []
        for kind, change in steps:
            before, text = text, change(text)
            if text != before:
                changes.append(kind)
        if text or not empty_as_null:
            return text, changes
        return None, [*changes, EMPTY_AS_NULL]

    return cleaned


_CLEANED: Final[Mapping[Clean, Callable[[str], str]]] = {
    REPLACE_NUL: lambda text: text.replace("\0", "\ufffd"),
    TRIM: str.strip,
    LOWER: str.lower,
    UPPER: str.upper,
}


# -- composite strings ---------------------------------------------------------------------------------------------------------------------


def parts_of_pattern(pattern: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The literals of a pattern, one more than its placeholders, and the names of these. Raises `ValueError`."""
    literals, names = [""], []
    try:
        for literal, name, form, conversion in Formatter().parse(pattern):
            literals[-1] += literal
            if name is None:
                continue
            if not name.isidentifier() or form or conversion:
                message = f"{{{name}}} is no placeholder, as in CUSTOMER#{{customer}}"
                raise ValueError(message)
            names.append(name)
            literals.append("")
    except (ValueError, TypeError, AttributeError) as error:
        message = f"the pattern {pattern!r}: {error}"
        raise ValueError(message) from None
    if not names or len(set(names)) < len(names) or not all(literals[1:-1]):
        message = f"the pattern {pattern!r} must have placeholders, each of another name, and something between two of them"
        raise ValueError(message)
    return tuple(literals), tuple(names)


def compile_part(pattern: str, name: str) -> Callable[[str], str | None]:
    """The function that takes the part of this name out of a text; None for a text that is not of the pattern. Raises `ValueError`."""
    (first, *separators), names = parts_of_pattern(pattern)
    if name not in names:
        message = f"the pattern {pattern!r} has no {{{name}}}, but {', '.join(names)}"
        raise ValueError(message)
    *between, last = separators
    number = names.index(name)

    def take(text: str) -> str | None:
        if not text.startswith(first):
            return None
        at = len(first)
        parts = []
        for separator in between:
            end = text.find(separator, at + 1)
            if end < 0:
                return None
            parts.append(text[at:end])
            at = end + len(separator)
        # Behind the last placeholder nothing follows but its literal, so that comes first at the very end.
        end = text.find(last, at + 1) if last else len(text)
        if end <= at or end + len(last) != len(text):
            return None
        return (*parts, text[at:end])[number]

    return take
