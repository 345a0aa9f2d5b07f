"""Texts of the file with places to fill: `${NAME}` is an environment variable, `{column}` a column of a row of the SQL query.

    template, problems = parse_template("Bearer ${TOKEN} for {id}", {"TOKEN": "..."})
    template.render({"id": "7"}, quote) -> "Bearer ... for 7"

`{{` and `}}` are braces. What a variable or a row holds is never looked through for places again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from pipeline.postcheck.requests.json_values import Value

Row = Mapping[str, Value]
"""The columns of a row of the SQL query."""


@dataclass(frozen=True, slots=True)
class Column:
    """The place of a column's value."""

    name: str


@dataclass(frozen=True, slots=True)
class Template:
    """Literal texts, with the environment's in them, and columns. The texts may hold secrets."""

    parts: tuple[str | Column, ...] = field(repr=False)

    @property
    def columns(self) -> frozenset[str]:
        """The columns that it needs."""
        return frozenset(part.name for part in self.parts if isinstance(part, Column))

    @property
    def beginning(self) -> str:
        """The text before the first column."""
        return self.parts[0] if self.parts and isinstance(self.parts[0], str) else ""

    @property
    def literal(self) -> str:
        """The texts without the columns."""
        return "".join(part for part in self.parts if isinstance(part, str))

    def render(self, row: Row, to_text: Callable[[Value], str]) -> str:
        """The text with the row's values, each as `to_text` writes it."""
        return "".join(part if isinstance(part, str) else to_text(row[part.name]) for part in self.parts)


_TOKEN: Final = re.compile(r"\{\{|\}\}|\$\{(?P<variable>\w+)\}|\{(?P<column>\w+)\}|(?P<stray>[{}])")


def parse_template(text: str, environment: Mapping[str, str]) -> tuple[Template, list[str]]:
    """The template, and what is wrong with the text."""
    problems: list[str] = []
    parts: list[str | Column] = []
    for part in _parts(text, environment, problems):
        if isinstance(part, str) and parts and isinstance(parts[-1], str):
            parts[-1] += part
        elif part != "":
            parts.append(part)
    return Template(tuple(parts)), list(dict.fromkeys(problems))


def _parts(text: str, environment: Mapping[str, str], problems: list[str]) -> Iterator[str | Column]:
    end = 0
    for token in _TOKEN.finditer(text):
        yield text[end : token.start()]
        end = token.end()
        variable, column = token["variable"], token["column"]
        if column:
            yield Column(column)
        elif variable:
            if not environment.get(variable):
                problems.append(f"the environment variable {variable} is not set, or empty")
            yield environment.get(variable, "")
        elif token["stray"]:
            problems.append(f"a single {token['stray']} at character {token.start() + 1}; write it twice where it is meant as it is")
        else:
            yield token[0][0]
    yield text[end:]
