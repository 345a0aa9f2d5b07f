"""The terminal. What is printed may hold names from outside, of tables, files and folders: none of their signs draws, none is markup."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table

from pipeline.errors import Refused

# A pipe or a file has no width of its own.
_WIDTH_WITHOUT_TERMINAL: Final = 120
_MOST_WIDTH: Final = 10_000
_NOUN: Final = re.compile(r"^(row|dead letter|conflict|item|record)s\b")


def counted_in_words(count: int, noun: str) -> str:
    """`1 item`, `2 items`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def counted_words(count: int, words: str) -> str:
    """Words that begin with a noun in the plural, in the form for a count: `1 row`, `2 rows`, `1 dead letter`.

    >>> counted_words(1, "rows of others"), counted_words(0, "rows"), counted_words(1, "equal")
    ('1 row of others', '0 rows', '1 equal')
    """
    return f"{count:,} {noun_for(count, words)}"


def noun_for(count: int, words: str) -> str:
    """The same without the count."""
    return _NOUN.sub(r"\1", words, count=1) if count == 1 else words


def printable(name: str) -> str:
    r"""The name as a terminal may have it: control and formatting characters, U+202E among them, as `\u202e`."""
    if name.isprintable():
        return name
    return "".join(character if character.isprintable() else character.encode("unicode_escape").decode("ascii") for character in name)


class PlainConsole(Console):
    """Prints text as it is, but for characters that a terminal would act upon: those it shows as their escapes."""

    def __init__(self, *, stderr: bool = False, **settings: Any) -> None:
        stream = settings.get("file") or (sys.stderr if stderr else sys.stdout)
        super().__init__(stderr=stderr, highlight=False, markup=False, soft_wrap=not stream.isatty(), **settings)

    @property
    def encoding(self) -> str:
        """For programs that read a pipe, and where the locale says that a terminal has no more, what is drawn is ASCII; names are not."""
        return super().encoding if self.is_terminal and not _is_plain_locale() else "ascii"

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """All that `Console` prints comes through here."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment("\n".join(map(printable, segment.text.split("\n"))), segment.style)


def _is_plain_locale() -> bool:
    """Whether it is C or POSIX. Python itself sets LC_CTYPE to C.UTF-8 there, which says nothing of the terminal."""
    named = [os.environ.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG")]
    return next((name for name in named if name not in ("", "C.UTF-8")), "C") in ("C", "POSIX")


def print_if_fits(console: Console, grid: Table) -> bool:
    """Print a table unless a cell of it would have to be folded; returns whether it was printed."""
    wanted = Measurement.get(console, console.options.update(max_width=_MOST_WIDTH), grid).maximum
    if wanted > (console.width if console.is_terminal else _WIDTH_WITHOUT_TERMINAL):
        return False
    grid.width = wanted
    console.print(grid, soft_wrap=False, crop=False, no_wrap=False, width=wanted)
    return True


def print_grid(console: Console, grid: Table) -> None:
    """A table that folds its long cells, as wide as the terminal."""
    grid.width = None if console.is_terminal else _WIDTH_WITHOUT_TERMINAL
    console.print(grid, soft_wrap=False, crop=False, no_wrap=False, width=grid.width)


@contextmanager
def details_console(path: Path | None) -> Iterator[Console | None]:
    """For what is too long for the terminal: it prints into a new file, which only its owner may read. Raises `Refused` where it cannot."""
    if path is None:
        yield None
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Refused([f"--details: {path} is there already; remove it, or give another name"]) from None
    except OSError as error:
        raise Refused([f"--details: {path} cannot be written: {error.strerror}; give another name"]) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        yield PlainConsole(file=stream)
