"""The terminal. What is printed may hold names from outside, of tables, files and folders: none of their signs draws, none is markup."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import orjson
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment


def counted_in_words(count: int, noun: str) -> str:
    """`1 item`, `2 items`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def printable(name: str) -> str:
    r"""The name as a terminal may have it: control and formatting characters, U+202E among them, as `\u202e`."""
    if name.isprintable():
        return name
    return "".join(character if character.isprintable() else character.encode("unicode_escape").decode("ascii") for character in name)


class PlainConsole(Console):
    """Prints text as it is, but for characters that a terminal would act upon: those it shows as their escapes."""

    def __init__(self, *, stderr: bool = False, **settings: Any) -> None:
        stream = sys.stderr if stderr else sys.stdout
        super().__init__(stderr=stderr, highlight=False, markup=False, soft_wrap=not stream.isatty(), **settings)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """All that `Console` prints comes through here."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment("\n".join(map(printable, segment.text.split("\n"))), segment.style)


def print_json(value: object) -> None:
    """For other programs, on standard output."""
    sys.stdout.buffer.write(orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
