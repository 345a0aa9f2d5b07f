"""Definitions in TOML: the objects of `ddb2pg`, written as tables, for those who write no Python.

    [[tables]]
    source = "Orders"
    target = "public.orders"
    key = ["pk", "sk"]

    [[tables.columns]]
    source = "total"
    name = "total"
    rule = { Numeric = { precision = 12, scale = 2 } }
    missing = "REFUSED"

A key is the name of an argument in Python. An object is a table with its name as the one key, and as the value its arguments, by name or in
their order (`{ BeginsWith = ["pk", "ORDER#"] }`). One without arguments is its name alone where nothing else could stand there:
`rule = "Uuid"`, `missing = "NULL"`, `clean = ["TRIM"]`. What takes a function of Python cannot be written so.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Final

import ddb2pg
from pipeline.definitions.spelling import in_words, text_of
from pipeline.errors import Refused, meant

_HEADER: Final = re.compile(r"\s*\[\[\s*([\w.]+)\s*\]\]")
_OBJECTS: Final[Mapping[str, Any]] = {name: getattr(ddb2pg, name) for name in ddb2pg.__all__}
_CONDITIONS: Final = ("Equals", "In", "BeginsWith", "Exists", "AllOf", "AnyOf", "Not")
# Of these, one is its name alone.
_ENUMS: Final[Mapping[str, type[Enum]]] = {"missing": ddb2pg.Missing, "clean": ddb2pg.Clean, "otherwise": ddb2pg.NoticeCode}


def read_toml(path: Path) -> Sequence[object]:
    """The objects that the file describes, in its order. Raises `Refused` with all that is wrong with it."""
    try:
        text = text_of(path)
        document = tomllib.loads(text, parse_float=Decimal)
    except (OSError, tomllib.TOMLDecodeError) as error:
        quotes = '; a text is in quotes, as rule = "Text"' if "Invalid value" in str(error) else ""
        raise Refused([f"{path}: {type(error).__name__}: {error}{quotes}"]) from None
    reader = _Reader(path, text)
    made = reader.document(document)
    if reader.problems:
        raise Refused(reader.problems)
    return made


class _Reader:
    """Makes objects, and collects what is wrong with them."""

    def __init__(self, path: Path, text: str) -> None:
        self.problems: list[str] = []
        self._path = path
        self._lines = _lines_of_headers(text)
        self._place = str(path)

    def document(self, document: Mapping[str, Any]) -> Sequence[object]:
        kinds = {"tables": ddb2pg.Table, "ignored": ddb2pg.Ignore}
        for name in document.keys() - kinds.keys():
            self._complain(f"there is no [[{name}]]{meant(name, kinds)}; a file has [[tables]], and perhaps [[ignored]]")
        if not document.get("tables"):
            self._complain("has no [[tables]]")
        return [made for name, kind in kinds.items() for made in self._sequence(document.get(name, []), name, kind)]

    def _sequence(self, values: Any, header: str, kind: type) -> Iterator[object]:
        """Objects of one kind, each under a header of its own."""
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            self._complain(f"write each of {header} under a header of its own, in double brackets: [[{header}]]")
            return
        for value in values:
            self._at(header)
            made = self._object(kind, value, header)
            if made is not None:
                yield made

    def _at(self, header: str) -> None:
        line = next(self._lines.get(header, iter(())), None)
        self._place = str(self._path) if line is None else f"{self._path}, line {line}"

    def _complain(self, problem: str) -> None:
        self.problems.append(f"{self._place}: {problem}")

    def _object(self, kind: type, given: Mapping[str, Any], header: str) -> object | None:
        """An object by the names of its arguments; None where they are wrong."""
        place, before = self._place, len(self.problems)
        taken = {field.name: field for field in fields(kind) if field.init}
        for name in given.keys() - taken.keys():
            self._complain(f"{kind.__name__} takes no {name}{meant(name, taken)}")
        lacking = [name for name, field in taken.items() if name not in given and _is_required(field)]
        if lacking:
            self._complain(f"{kind.__name__} needs {' and '.join(lacking)}")
        arguments = {}
        for name in taken.keys() & given.keys():
            nested = f"{header}.{name}"
            if name in _NESTED and header:
                arguments[name] = tuple(self._sequence(given[name], nested, _NESTED[name]))
                self._place = place
            elif kind is ddb2pg.Column and name == "source" and given[name] in _SOURCES:
                self._complain(
                    f'source = "{given[name]}" would be an attribute of that name: write source = {{ {given[name]} = {{}} }}; an attribute '
                    "that is called so can be named in a definition in Python"
                )
            else:
                arguments[name] = self._value(given[name], name)
        return self._call(kind, (), arguments) if len(self.problems) == before else None

    def _value(self, value: Any, name: str) -> Any:
        if isinstance(value, list):
            return tuple(self._value(member, name) for member in value)
        if isinstance(value, str):
            return self._named(value, name)
        if isinstance(value, dict) and len(value) == 1:
            [(object_name, arguments)] = value.items()
            made = _OBJECTS.get(object_name)
            if made is not None:
                return self._made(made, arguments) if isinstance(made, type) else made
            if name in _OBJECTS_ONLY:
                known = _CONDITIONS if name.startswith(("where", "condition")) else _OBJECTS
                others = f"; conditions are {', '.join(_CONDITIONS)}" if known is _CONDITIONS else ""
                self._complain(f"there is no {object_name}{meant(object_name, known) or others}")
        return value

    def _named(self, text: str, name: str) -> Any:
        """What a string stands for as the value of this argument."""
        if name in _ENUMS:
            if text in _ENUMS[name].__members__:
                return _ENUMS[name][text]
            if name == "missing" and text == "EMPTY_OBJECT":
                return ddb2pg.EMPTY_OBJECT
            content = f', or a content, as {{ Otherwise = "{text}" }}' if name == "missing" else ""
            there_are = f"there are {', '.join(_ENUMS[name].__members__)}{content}"
            self._complain(f"{name} has no {text}{meant(text, _ENUMS[name].__members__)}; {there_are}")
        elif name == "rule":
            made = _OBJECTS.get(text)
            if isinstance(made, type):
                lacking = [field.name for field in fields(made) if field.init and _is_required(field)] if is_dataclass(made) else []
                if not lacking:
                    return self._call(made, (), {})
                arguments = ", ".join(f"{each} = ..." for each in lacking)
                self._complain(f"{text} needs {' and '.join(lacking)}: rule = {{ {text} = {{ {arguments} }} }}")
                return text
            self._complain(f"there is no rule {text}{meant(text, _OBJECTS)}")
        return text

    def _made(self, kind: type, arguments: Any) -> Any:
        if kind in (ddb2pg.Computed, ddb2pg.Check):
            self._complain(
                f"{kind.__name__} takes a function of Python, so its definition is a file of Python; docs/tables.md shows both forms"
            )
            return None
        if not is_dataclass(kind):
            self._complain(f"{kind.__name__} cannot be written so")
            return None
        names = [field.name for field in fields(kind) if field.init]
        is_object = isinstance(arguments, dict) and len(arguments) == 1 and arguments.keys() <= _OBJECTS.keys() - set(names)
        if isinstance(arguments, dict) and not is_object:
            return self._object(kind, arguments, "")
        several = arguments if isinstance(arguments, list) else [arguments]
        return self._call(kind, [self._value(value, names[min(place, len(names) - 1)]) for place, value in enumerate(several)], {})

    def _call(self, kind: Callable[..., Any], positional: Sequence[Any], named: Mapping[str, Any]) -> Any:
        try:
            return kind(*positional, **named)
        except (TypeError, ValueError) as error:
            self._complain(in_words(error))
            return None


# What is no attribute where a column is taken from, and would be one as a text.
_SOURCES: Final = tuple(source.name for source in (*ddb2pg.ITEM.__class__, *ddb2pg.POSITION.__class__))
# Arguments of which a table with one key can be nothing but an object.
_OBJECTS_ONLY: Final = frozenset({"rule", "source", "where", "condition", "conditions"})
_NESTED: Final[Mapping[str, type]] = {"columns": ddb2pg.Column, "children": ddb2pg.Child}


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _lines_of_headers(text: str) -> dict[str, Iterator[int]]:
    """The lines on which headers stand, by their names."""
    lines: dict[str, list[int]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header:
            lines.setdefault(header[1], []).append(number)
    return {name: iter(numbers) for name, numbers in lines.items()}
