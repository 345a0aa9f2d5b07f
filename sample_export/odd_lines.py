r"""Lines that spell the same item in another legal way: escapes, spaces around tokens, a carriage return at the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

import orjson

from sample_export.draft import Draft
from sample_export.faults_in_columns import Planter

_SPELLINGS: dict[str, Callable[[bytes], bytes]] = {
    # orjson never escapes what it need not; other writers do.
    "escaped": lambda line: json.dumps(orjson.loads(line), separators=(",", ":")).encode(),
    "escaped_names": lambda line: line.replace(b'{"Item":', b'{"\\u0049tem":').replace(b'{"S":', b'{"\\u0053":'),
    "escaped_slashes": lambda line: line.replace(b"/", b"\\/"),
    "spaced": lambda line: json.dumps(orjson.loads(line), separators=(" , ", " : "), ensure_ascii=False).encode(),
    "spaces_around": lambda line: b" \t%b  \t" % line,
    "carriage_return": lambda line: line + b"\r",
}


def odd_lines() -> dict[str, Planter]:
    """Unusual spellings of lines, by name."""
    return {f"line.{name}": _planter(spelling) for name, spelling in _SPELLINGS.items()}


def _planter(spelling: Callable[[bytes], bytes]) -> Planter:
    def plant(draft: Draft, _random: Random) -> bool:
        if not draft.claim("line"):
            return False
        draft.spelling = spelling
        return True

    return plant
