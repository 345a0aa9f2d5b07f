"""The text of a file of definitions: names in it that ddb2pg does not have, and the lines on which columns stand."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib.util import decode_source
from pathlib import Path
from typing import Any, Final

import ddb2pg
from pipeline.errors import Refused, meant


def text_of(path: Path) -> str:
    """Of a file of Python, or of TOML. Raises `Refused` where it is no text, and `OSError`."""
    content = path.read_bytes()
    fix = "save it as UTF-8"
    try:
        text = decode_source(content)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Refused([f"{path}, line {line}: is no text in UTF-8; {fix}"]) from None
    except SyntaxError:
        raise Refused([f"{path}: is no text in UTF-8; {fix}"]) from None
    if "\0" in text:
        raise Refused([f"{path}: holds U+0000, so it is no text in UTF-8; {fix}"])
    return text


_LACKING: Final = re.compile(r"(\w+)\.__init__\(\) missing \d+ required positional arguments?: (.+)")


def in_words(error: BaseException) -> str:
    """What Python says of an error, but for arguments that are lacking."""
    lacking = _LACKING.fullmatch(str(error))
    return f"{lacking[1]} needs {lacking[2].replace(chr(39), '')}" if lacking else str(error)


def no_member(kind: type[Enum], name: str) -> str:
    """That an enum of `ddb2pg` has no such member, and what to write instead."""
    members = kind.__members__
    return f"{kind.__name__} has no {name}{meant(name, members) or '; there are ' + ', '.join(members)}"


def misspelt(text: str, file: str) -> Iterator[str]:
    """What a file of Python takes of `ddb2pg` that is not there: names, arguments and members, each with its line.

    Python itself would end with the first of them.
    """
    try:
        tree = ast.parse(text)
    except SyntaxError:
        # Importing says it, in Python's words.
        return
    names = _Names()
    for node in ast.walk(tree):
        names.note(node)
    problems = [*names.unknown, *(problem for node in ast.walk(tree) for problem in _unknown(names, node))]
    yield from (f"{file}, line {line}: {problem}" for line, problem in sorted(problems))


class _Names:
    """What names of a file stand for in `ddb2pg`."""

    def __init__(self) -> None:
        self.unknown: list[tuple[int, str]] = []
        self._imported: dict[str, Any] = {}
        self._modules: set[str] = set()

    def note(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            self._modules.update(alias.asname or alias.name for alias in node.names if alias.name == "ddb2pg")
        elif isinstance(node, ast.ImportFrom) and node.module == "ddb2pg":
            for alias in node.names:
                if alias.name == "*":
                    self._imported.update({name: getattr(ddb2pg, name) for name in ddb2pg.__all__})
                elif alias.name in ddb2pg.__all__:
                    self._imported[alias.asname or alias.name] = getattr(ddb2pg, alias.name)
                else:
                    self.unknown.append((node.lineno, f"ddb2pg has no {alias.name}{meant(alias.name, ddb2pg.__all__)}"))

    def is_module(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id in self._modules

    def object_of(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Attribute) and self.is_module(node.value):
            return getattr(ddb2pg, node.attr, None)
        return self._imported.get(node.id) if isinstance(node, ast.Name) else None


def _unknown(names: _Names, node: ast.AST) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Call):
        yield from _unknown_arguments(names.object_of(node.func), node)
    elif isinstance(node, ast.Attribute) and names.is_module(node.value):
        if node.attr not in ddb2pg.__all__:
            yield node.lineno, f"ddb2pg has no {node.attr}{meant(node.attr, ddb2pg.__all__)}"
    elif isinstance(node, ast.Attribute):
        kind = names.object_of(node.value)
        if isinstance(kind, type) and issubclass(kind, Enum) and not hasattr(kind, node.attr):
            yield node.lineno, no_member(kind, node.attr)


def _unknown_arguments(kind: Any, call: ast.Call) -> Iterator[tuple[int, str]]:
    if isinstance(kind, type) and is_dataclass(kind):
        taken = [field.name for field in fields(kind) if field.init]
        for keyword in call.keywords:
            if keyword.arg is not None and keyword.arg not in taken:
                yield keyword.value.lineno, f"{kind.__name__} takes no {keyword.arg}{meant(keyword.arg, taken)}"


_NAME_IN_TOML: Final = re.compile(r"""\s*name\s*=\s*["'](.+?)["']""")


def lines_of_columns(text: str, *, is_toml: bool) -> Mapping[str, Sequence[int]]:
    """The lines on which a file of definitions names each column; none where it is made in another way than by its name as text."""
    lines: dict[str, list[int]] = {}
    if is_toml:
        for number, line in enumerate(text.splitlines(), 1):
            named = _NAME_IN_TOML.match(line)
            if named:
                lines.setdefault(named[1], []).append(number)
        return lines
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and (node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")) == "Column":
            name = node.args[1] if len(node.args) > 1 else next((keyword.value for keyword in node.keywords if keyword.arg == "name"), None)
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                lines.setdefault(name.value, []).append(node.lineno)
    return lines
