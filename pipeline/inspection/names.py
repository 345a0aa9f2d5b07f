"""Texts: what kind a string is, never what it says; and names of attributes and members: which may be shown, and how.

    >>> shape_of("9a3ed888-4b76-41a7-a0b2-1fdfc3f81d3b")
    <Shape.UUID: 'uuid'>

A shape is asked for of every string of an export, and a string can have 400 KB: one pattern decides about short ones, a long one is looked
at its ends and in its first characters only.

A name in a map can be schema (`dose`) or data (a patient's number as the key of his record). What is schema comes again in most items,
so a name is known by how often it is there, and by its looks.

Names are kept up to a limit, and which ones are kept must not depend on the order in which they came, or else the same export would give
another answer with another number of processes. So the *plainest* are kept: a name that was ever let go has enough plainer ones before it,
for ever, and the figures of those that stayed are whole.
"""

from __future__ import annotations

import hashlib
import re
from enum import StrEnum
from typing import Final


class Shape(StrEnum):
    """The kinds. A string has one, the first that fits."""

    EMPTY = "empty"
    UUID = "uuid"
    DIGITS = "digits"
    NUMBER = "number"
    DATE = "date"
    TIMESTAMP = "timestamp"
    HEX = "uuid without dashes"
    UPPER_CASE_WORD = "upper-case word"
    WORD = "word"
    URL = "url"
    E_MAIL = "e-mail"
    BLANK = "blank"
    NUL = "with U+0000"
    """PostgreSQL stores it nowhere."""
    SURROGATES = "with unpaired surrogates"
    """Nor these. The parser of lines refuses them already."""
    CONTROLS = "with control characters"
    """Others than tab and line breaks."""
    JSON = "json"
    TEXT = "text"


# Beyond so many characters a string is none of the kinds that the pattern knows, but for a URL's.
_SHORT: Final = 512
# So much of a long string is searched for control characters.
_PREFIX: Final = 4096
# So much white space may stand around JSON.
_MARGIN: Final = 64

_HEX: Final = "[0-9a-fA-F]"
_DATE: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_KINDS: Final = {
    Shape.UUID: f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}",
    Shape.DIGITS: "[0-9]+",
    Shape.NUMBER: r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?",
    Shape.DATE: _DATE,
    Shape.TIMESTAMP: rf"{_DATE}[Tt ][0-9]{{2}}:?[0-9]{{2}}(?::?[0-9]{{2}}(?:[.,][0-9]+)?)?(?: ?[Zz]| ?[+-][0-9]{{2}}(?::?[0-9]{{2}})?)?",
    Shape.HEX: f"{_HEX}{{32}}",
    Shape.UPPER_CASE_WORD: "[A-Z][A-Z0-9_-]*",
    Shape.WORD: r"[\w-]+",
    Shape.URL: r"[a-zA-Z][a-zA-Z0-9+.-]{1,20}://\S+",
    Shape.E_MAIL: r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]+\.[^@\s\x00-\x1f.]+",
}
# One group a kind, empty and at its end: what `lastindex` then is, is the number of the kind.
_KIND: Final = re.compile("|".join(f"(?:{pattern})()" for pattern in _KINDS.values()))
_SHAPE_OF_GROUP: Final = (Shape.TEXT, *_KINDS)

_URL_START: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{1,20}://")
_WHITE_SPACE: Final = re.compile(r"\s")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_CONTROL: Final = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")


def shape_of(text: str) -> Shape:
    """The kind of `text`; one of a few words that hold nothing of it."""
    if len(text) <= _SHORT:
        match = _KIND.fullmatch(text)
        if match is not None:
            return _SHAPE_OF_GROUP[match.lastindex or 0]
        if not text:
            return Shape.EMPTY
    return _shape_of_prose(text)


def _shape_of_prose(text: str) -> Shape:
    """What is left: it is long, or has white space, punctuation or worse in it."""
    if text.isspace():
        return Shape.BLANK
    prefix = text[:_PREFIX]
    unwelcome = _unwelcome_in(text, prefix)
    if unwelcome is not None:
        return unwelcome
    if text[:_MARGIN].lstrip()[:1] + text[-_MARGIN:].rstrip()[-1:] in ("{}", "[]"):
        return Shape.JSON
    is_url = _URL_START.match(text) and not _WHITE_SPACE.search(prefix)
    return Shape.URL if is_url else Shape.TEXT


def _unwelcome_in(text: str, prefix: str) -> Shape | None:
    """What no text should have in it; U+0000 is looked for everywhere."""
    if "\0" in text:
        return Shape.NUL
    if not prefix.isascii() and _SURROGATE.search(prefix):
        return Shape.SURROGATES
    if not prefix.isprintable() and _CONTROL.search(prefix):
        return Shape.CONTROLS
    return None


# -- names ---------------------------------------------------------------------------------------------------------------------------------

# A name is schema when at least so many of the maps that could have it do, and at least one in so many of them.
LEAST_HAVING: Final = 10
ONE_IN: Final = 10

# Longer names are cut, so that a name of 64 KB costs no more than another.
_LONGEST: Final = 64
_KEPT: Final = 48
_CUT: Final = "…"

# `[name]` has the shape of JSON.
_SCHEMA_SHAPES: Final = frozenset({Shape.WORD, Shape.UPPER_CASE_WORD, Shape.TEXT, Shape.JSON})
# Numbers of patients, dates, addresses, keys made of parts, documents.
_DATA: Final = re.compile(rf"(?:\d\D*){{5}}|[@#\"{_CUT}]")

PlainnessKey = tuple[bool, int, str]


def bounded(name: str) -> str:
    """The name, or when it is long its beginning and a digest, which distinguishes it from others."""
    if len(name) <= _LONGEST:
        return name
    return f"{name[:_KEPT]}{_CUT}{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def looks_like_data(name: str) -> bool:
    """Whether a bounded name is an unlikely one for a schema: five digits, a UUID, an address, control characters, very long."""
    return shape_of(name) not in _SCHEMA_SHAPES or _DATA.search(name) is not None


def plainness(name: str) -> PlainnessKey:
    """Sorts bounded names: what looks like schema first, then the short ones."""
    return looks_like_data(name), len(name), name


def is_frequent(having: int, of: int) -> bool:
    """Whether so many have a name that it is schema; of fewer than ten nothing can be said, so it is not."""
    return having >= LEAST_HAVING and having * ONE_IN >= of
