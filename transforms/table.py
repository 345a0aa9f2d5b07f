"""The declarative definition of a table: it reads like the mapping's own tables.

    Table("medzen-video-sessions", "video_call_sessions", key=("id",), columns=(
        Column("id",        "id",         Uuid(),      Missing.REFUSED),
        Column("startTime", "start_time", Timestamp(), Missing.MIGRATION_TIME),
        ...

Attribute, column, conversion, and what a missing attribute means. `compile.py` makes the function of it that converts.
"""

from __future__ import annotations

import ast
import hashlib
import pkgutil
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum, StrEnum
from functools import cache
from types import FunctionType
from typing import Any, Final

from transforms.rules import Conversion
from transforms.types import PgType

# What makes a row of an item besides its table's definition: a load in progress must not mix rows of two versions of it.
RULE_FILES: Final = ("lines.py", "values.py", "types.py", "rules.py", "columns.py", "compile.py")


# In a path: an escaped character, a dot between two names, or any other character.
_SIGN: Final = re.compile(r"\\[\\.]|.", re.DOTALL)


class Missing(Enum):
    """What a column gets when its attribute is absent or NULL."""

    REFUSED = "refused"
    """The column is NOT NULL and has no rule: the item is refused, `missing_required`."""
    NULL = "null"
    """SQL NULL."""
    MIGRATION_TIME = "migration_time"
    """The load's one `migration_time`, with the notice `timestamp_defaulted`."""


@dataclass(frozen=True, slots=True)
class Otherwise:
    """A missing attribute counts as this content, without a notice: `Otherwise(False)`."""

    content: str | bool | Mapping[str, Any]


EMPTY_OBJECT: Final = Otherwise({"M": {}})


@dataclass(frozen=True, slots=True)
class LaterOf:
    """The later of two timestamps; where one is missing, the other (`docs/tables.md`)."""

    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Column:
    r"""One line of the mapping. `attribute` is a path (`soapData.plan`), or None for a column that no attribute feeds.

    A dot that is part of a name, or a backslash before a dot or a backslash, has a backslash before it: `model\.maker`.
    """

    attribute: str | LaterOf | None
    name: str
    conversion: Conversion
    missing: Missing | Otherwise = Missing.NULL

    @property
    def paths(self) -> tuple[str, ...]:
        """Of the attributes that feed it."""
        match self.attribute:
            case LaterOf(first, second):
                return (first, second)
            case None:
                return ()
            case path:
                return (path,)

    @property
    def pg_type(self) -> PgType:
        return self.conversion.pg_type

    @property
    def is_nullable(self) -> bool:
        """Whether the column can get NULL from an item."""
        return self.missing is Missing.NULL or getattr(self.conversion, "empty_as_null", False)


@dataclass(frozen=True, slots=True)
class Table:
    """A DynamoDB table, its target, and the columns. `key` is DynamoDB's own, which notices show; a string is one name.

    Raises `TypeError` for what is no definition at all; `transforms/check.py` looks at the rest.
    """

    source: str
    target: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        key: object = self.key
        for name, value in (("source", self.source), ("target", self.target)):
            _expect(isinstance(value, str) and bool(value), f"Table: {name} must be a name, not {value!r}")
        _expect(isinstance(key, str | Sequence), f"Table {self.source}: key must be the names of DynamoDB's key, not {key!r}")
        _expect(isinstance(self.columns, Sequence), f"Table {self.source}: columns must be several, (Column(...), Column(...),)")
        # A definition is written with whatever brackets.
        object.__setattr__(self, "key", (key,) if isinstance(key, str) else tuple(self.key))
        object.__setattr__(self, "columns", tuple(self.columns))
        names = f"Table {self.source}: key must be the names of DynamoDB's key, not {key!r}"
        _expect(all(isinstance(name, str) and name for name in self.key) and bool(self.key), names)
        for column in self.columns:
            _expect(isinstance(column, Column), f"Table {self.source}: columns must be of Column, not {column!r}")

    @property
    def column_names(self) -> tuple[str, ...]:
        """In the order of the encoded row."""
        return tuple(column.name for column in self.columns)

    def only(self, names: Sequence[str]) -> Table:
        """The table of these columns alone, in this order: a primary key's, for example."""
        by_name = {column.name: column for column in self.columns}
        return replace(self, columns=tuple(by_name[name] for name in names))

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns that the attributes of DynamoDB's key feed, in its order."""
        return tuple(column.name for attribute in self.key for column in self.columns if (attribute,) in map(names_of, column.paths))

    @property
    def paths(self) -> tuple[str, ...]:
        """Of the attributes that feed columns, each once."""
        return tuple(dict.fromkeys(path for column in self.columns for path in column.paths))

    @property
    def fingerprint(self) -> str:
        """Equal for definitions that make equal rows of every item, as long as the code of the rules is the same."""
        return hashlib.sha256(f"{_hash_of_rules()} {_canonical(self)}".encode()).hexdigest()[:16]


@cache
def names_of(path: str) -> tuple[str, ...]:
    r"""The names on a path of a definition: `("soapData", "plan")` of `soapData.plan`, and `("model.maker",)` of `model\.maker`."""
    names = [""]
    for sign in _SIGN.findall(path):
        if sign == ".":
            names.append("")
        else:
            names[-1] += sign[-1]
    return tuple(names)


def path_of(names: Iterable[str]) -> str:
    """The path of a definition that has these names; the inverse of `names_of`."""
    return ".".join(re.sub(r"[\\.]", r"\\\g<0>", name) for name in names)


def plain_path(path: str) -> str:
    """A path of a definition as errors and notices have it, where a name's own dots are dots."""
    return ".".join(names_of(path))


class Unmapped(StrEnum):
    """What to do with an attribute that no column takes (`--unmapped`)."""

    NOTICE = "notice"
    REJECT = "reject"


def _expect(holds: bool, message: str) -> None:
    if not holds:
        raise TypeError(message)


def hash_of_code(sources: Iterable[bytes]) -> str:
    """A hash of Python code that comments, docstrings and layout do not change."""
    trees = [_WithoutDocstrings().visit(ast.parse(source)) for source in sources]
    return hashlib.sha256("\0".join(map(ast.unparse, trees)).encode()).hexdigest()


class _WithoutDocstrings(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) else node


@cache
def _hash_of_rules() -> str:
    return hash_of_code(pkgutil.get_data("transforms", name) or b"" for name in RULE_FILES)


def _canonical(value: object) -> str:
    """Text of a definition that is the same in every process."""
    if is_dataclass(value):
        inner = ", ".join(f"{field.name}={_canonical(getattr(value, field.name))}" for field in fields(value))
        return f"{type(value).__qualname__}({inner})"
    if isinstance(value, tuple):
        return f"({', '.join(map(_canonical, value))})"
    if isinstance(value, FunctionType):
        return f"{value.__module__}.{value.__qualname__}"
    return repr(value)
