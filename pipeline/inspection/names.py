"""Names of attributes and members: which may be shown, and how.

A name in a map can be schema (`dose`) or data (a patient's number as the key of his record). What is schema comes again in most items,
so a name is known by how often it is there, and by its looks.

Names are kept up to a limit, and which ones are kept must not depend on the order in which they came, or else the same export would give
another answer with another number of processes. So the *plainest* are kept: a name that was ever let go has enough plainer ones before it,
for ever, and the figures of those that stayed are whole.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from pipeline.inspection.shapes import Shape, shape_of

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
    """The name, or when it is long its beginning and a digest, which tells it from others."""
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
