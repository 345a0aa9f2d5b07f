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
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum, StrEnum
from functools import cache, partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Final

from transforms.functions import text_of_class, text_of_function, text_of_value
from transforms.rules import Conversion
from transforms.sources import Clean, Parent, Source, names_of, paths_of
from transforms.types import NULL, PgType
from transforms.where import Condition, Ignore

# What makes a row of an item besides its table's definition: a load in progress must not mix rows of two versions of it.
RULE_FILES: Final = (
    *(
        "lines.py",
        "values.py",
        "types.py",
        "sources.py",
        "functions.py",
        "where.py",
        "columns.py",
        "compile.py",
        "children.py",
        "changes.py",
    ),
    *("rules/base.py", "rules/text.py", "rules/numbers.py", "rules/times.py", "rules/documents.py"),
)


class Missing(Enum):
    """What a column gets when its attribute is absent or NULL."""

    REFUSED = "refused"
    """The column is NOT NULL and has no rule: the item is refused, `missing_required`."""
    NULL = "null"
    """SQL NULL."""
    MIGRATION_TIME = "migration_time"
    """The load's one `migration_time`, with the notice `timestamp_defaulted`."""
    COLUMN_DEFAULT = "column_default"
    """The value that the column's own DEFAULT had when the load began, without a notice."""


@dataclass(frozen=True, slots=True)
class Otherwise:
    """A missing attribute counts as this content, without a notice: `Otherwise(False)`."""

    content: str | bool | Mapping[str, Any]


EMPTY_OBJECT: Final = Otherwise({"M": {}})


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What `Missing.COLUMN_DEFAULT` is in a load, which keeps the value: the field of a row (`Table.with_defaults`)."""

    field: bytes


Defaults = Mapping[str, bytes]
"""By a column's name the value of its DEFAULT, as the field of a row."""


@dataclass(frozen=True, slots=True)
class Column:
    """One line of the mapping: where the value comes from (`transforms/sources.py`), the target's column, the rule, and what else holds."""

    source: Source
    name: str
    rule: Conversion
    missing: Missing | Otherwise | Evaluated = Missing.NULL
    clean: tuple[Clean, ...] = ()

    def __post_init__(self) -> None:
        clean: object = self.clean
        if not isinstance(clean, tuple):
            object.__setattr__(self, "clean", tuple(clean) if isinstance(clean, Iterable) else (clean,))

    @property
    def paths(self) -> tuple[str, ...]:
        """Of the attributes that feed it."""
        return paths_of(self.source)

    @property
    def pg_type(self) -> PgType:
        return self.rule.pg_type

    @property
    def is_nullable(self) -> bool:
        """Whether the column can get NULL from an item."""
        return self.missing is Missing.NULL or getattr(self.rule, "empty_as_null", False)

    @property
    def takes_default(self) -> bool:
        """Whether it needs the value of the target's DEFAULT (`with_default`) before it can be compiled."""
        return self.missing is Missing.COLUMN_DEFAULT

    def with_default(self, field: bytes = NULL) -> Column:
        """With the value of its DEFAULT; one of which only the rest is looked at takes any."""
        return replace(self, missing=Evaluated(field)) if self.takes_default else self


@dataclass(frozen=True, slots=True)
class Child:
    """A row for each element of the list, or member of the map, at `path`: see `ELEMENT`, `POSITION`, `MEMBER`, `Parent`."""

    path: str
    target: str
    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        _expect(isinstance(self.columns, Iterable), f"Child {self.target}: columns must be several, (Column(...), Column(...),)")
        object.__setattr__(self, "columns", tuple(self.columns))

    @property
    def parent_paths(self) -> tuple[str, ...]:
        """Of the attributes of the item that feed its columns."""
        return tuple(path for column in self.columns if isinstance(column.source, Parent) for path in column.paths)


@dataclass(frozen=True, slots=True)
class Table:
    """A DynamoDB table, its target, and the columns. `key` is DynamoDB's own, which notices show; a string is one name.

    `where` says which items it takes, `children` which parts of them become rows of further tables. `others` is given by whoever knows all
    tables, to the first of a source: an item that neither it nor any of them takes is a dead letter, `no_table`.
    Raises `TypeError` for what is no definition at all; `pipeline/definitions/` looks at the rest.
    """

    source: str
    target: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    where: Condition | None = None
    children: tuple[Child, ...] = ()
    others: tuple[Condition | Ignore, ...] = ()

    def __post_init__(self) -> None:
        problems = [
            *(f"Table: {name} must be a name, not {value!r}" for name, value in self._names if not (isinstance(value, str) and value)),
            *self._problems_of_key,
            *self._problems_of_parts,
        ]
        if problems:
            raise TypeError("; ".join(problems))
        # A definition is written with whatever brackets.
        object.__setattr__(self, "key", (self.key,) if isinstance(self.key, str) else tuple(self.key))
        object.__setattr__(self, "columns", tuple(self.columns))
        object.__setattr__(self, "children", tuple(self.children))

    @property
    def _names(self) -> tuple[tuple[str, object], ...]:
        return ("source", self.source), ("target", self.target)

    @property
    def _problems_of_key(self) -> list[str]:
        key: object = self.key
        names = (key,) if isinstance(key, str) else key
        is_of_names = isinstance(names, Sequence) and bool(names) and all(isinstance(name, str) and name for name in names)
        return [] if is_of_names else [f"Table {self.source}: key must be the names of DynamoDB's key, not {key!r}"]

    @property
    def _problems_of_parts(self) -> list[str]:
        columns: object = self.columns
        if isinstance(columns, Sequence):
            odd = [f"Table {self.source}: columns must be of Column, not {each!r}" for each in columns if not isinstance(each, Column)]
            problems = odd[:1]
        else:
            problems = [f"Table {self.source}: columns must be several, (Column(...), Column(...),)"]
        if not isinstance(self.children, Iterable):
            problems.append(f"Table {self.source}: children must be several, (Child(...),)")
        return problems

    @property
    def child_tables(self) -> tuple[Table, ...]:
        """Its children, each as a table: a target, and columns."""
        return tuple(Table(self.source, child.target, self.key, child.columns) for child in self.children)

    @property
    def column_names(self) -> tuple[str, ...]:
        """In the order of the encoded row."""
        return tuple(column.name for column in self.columns)

    def only(self, names: Sequence[str]) -> Table:
        """The table of these columns alone, in this order: a primary key's, for example."""
        by_name = {column.name: column for column in self.columns}
        return replace(self, columns=tuple(by_name[name] for name in names))

    @property
    def takes_defaults(self) -> bool:
        """Whether a column of it or of its children needs the value of its DEFAULT (`with_defaults`) before it can be compiled."""
        return any(column.takes_default for one in (self, *self.child_tables) for column in one.columns)

    def with_defaults(self, defaults: Sequence[Defaults]) -> Table:
        """With the values of its columns' DEFAULTs, then of each child's. Raises `KeyError` where one is lacking."""
        if not self.takes_defaults:
            return self
        own, *of_children = defaults
        children = (replace(child, columns=_filled(child.columns, of)) for child, of in zip(self.children, of_children, strict=True))
        return replace(self, columns=_filled(self.columns, own), children=tuple(children))

    @property
    def with_any_defaults(self) -> Table:
        """To be compiled where only the definition is known: each column that takes its DEFAULT gets NULL."""
        return self.with_defaults([defaultdict(lambda: NULL)] * (1 + len(self.children)))

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns that the attributes of DynamoDB's key feed, in its order."""
        return tuple(column.name for attribute in self.key for column in self.columns if (attribute,) in map(names_of, column.paths))

    @property
    def paths(self) -> tuple[str, ...]:
        """Of the attributes that feed columns and children, each once."""
        own = [path for column in self.columns for path in column.paths]
        of_children = [path for child in self.children for path in (child.path, *child.parent_paths)]
        return tuple(dict.fromkeys((*own, *of_children)))

    @property
    def fingerprint(self) -> str:
        """Equal for definitions that make equal rows of every item, as long as the code of the rules is the same."""
        return hashlib.sha256(f"{_hash_of_rules()} {_canonical(self)}".encode()).hexdigest()[:16]


def _filled(columns: Sequence[Column], defaults: Defaults) -> tuple[Column, ...]:
    return tuple(column.with_default(defaults[column.name]) if column.takes_default else column for column in columns)


class Unmapped(StrEnum):
    """What to do with an attribute that no column takes (`--unmapped`)."""

    NOTICE = "notice"
    REJECT = "reject"


def _expect(holds: bool, message: str) -> None:
    if not holds:
        raise TypeError(message)


def hash_of_code(sources: Iterable[bytes]) -> str:
    """A hash of Python code that comments, docstrings and layout do not change."""
    return hashlib.sha256("\0".join(_text_of_code(ast.parse(source)) for source in sources).encode()).hexdigest()


def _text_of_code(node: object) -> str:
    """All of a syntax tree but places and docstrings. `ast.unparse` takes ten times as long, a tenth of a second for the rules."""
    if isinstance(node, ast.AST):
        parts = ((name, getattr(node, name, None)) for name in node._fields)
        # Newer versions of Python have fields that older ones lack, which are empty for the same code.
        inner = [f"{name}={_text_of_code(part)}" for name, part in parts if part is not None and part != []]
        return f"{type(node).__name__}({', '.join(inner)})"
    if isinstance(node, list):
        return f"[{', '.join([_text_of_code(one) for one in node if not _is_docstring(one)])}]"
    return repr(node)


def _is_docstring(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


@cache
def _hash_of_rules() -> str:
    return hash_of_code(pkgutil.get_data("transforms", name) or b"" for name in RULE_FILES)


def _canonical(value: object) -> str:
    """Text of a definition that is the same in every process."""
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if is_dataclass(value):
        inner = ", ".join(f"{field.name}={_canonical(getattr(value, field.name))}" for field in fields(value))
        own = text_of_class(type(value), lambda member: text_of_value(member, _canonical))
        return f"{type(value).__qualname__}({inner}){own if '(' in own else ''}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_canonical, value))})"
    if isinstance(value, FunctionType | MethodType | BuiltinFunctionType | partial):
        return text_of_function(value, _canonical)
    return repr(value)
