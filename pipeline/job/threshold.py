"""How many dead letters a table's load may have before it is stopped: `--max_dead_letters`.

    N            more than so many
    5%, 0.05     more than this share of the items that the manifest counts

Without it, and with a share below a half, a load is also stopped when more than half of what was loaded so far are dead letters, as soon
as that can be judged: then the definition is wrong, not the data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

JUDGED_FROM: Final = 20_000
"""Of fewer items nothing is concluded from a share of what was loaded so far."""
_HALF: Final = Fraction(1, 2)
_WHAT: Final = "must be a number, as 1000, or a share up to 100%, as 5% or 0.05"


@dataclass(frozen=True, slots=True)
class Threshold:
    """What was asked for. Travels with the job."""

    most: int | None = None
    share: Fraction | None = None
    is_limited: bool = True

    def __str__(self) -> str:
        """As it may be typed, where it may."""
        if self.most is not None:
            return str(self.most)
        if self.share is not None:
            return _percent(self.share)
        return "half" if self.is_limited else "none"

    def excess(self, items: int, dead_letters: int, manifest_items: int) -> str | None:
        """What is exceeded, in words; None while nothing is. `items` were loaded so far, of `manifest_items`."""
        if not self.is_limited or not dead_letters:
            return None
        if self.most is not None:
            return f"more than --max_dead_letters={self.most}" if dead_letters > self.most else None
        if self.share is not None and dead_letters > self.share * manifest_items:
            return f"more than --max_dead_letters={_percent(self.share)} of the {manifest_items:,} items of the export"
        early = max(self.share or _HALF, _HALF)
        if items >= JUDGED_FROM and dead_letters > early * items:
            return f"more than {'half' if early == _HALF else _percent(early)} of what was loaded so far"
        return None


USUAL: Final = Threshold()
"""Without `--max_dead_letters`."""
UNLIMITED: Final = Threshold(is_limited=False)


def parse_threshold(text: str) -> Threshold:
    """`1000`, `5%` or `0.05`. Raises `ValueError` with what it must be."""
    if re.fullmatch(r"[0-9]{1,18}", text):
        return Threshold(most=int(text))
    if re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,9})?%", text):
        share = Fraction(text[:-1]) / 100
    elif re.fullmatch(r"[0-9]?\.[0-9]{1,9}", text):
        share = Fraction(f"0{text}")
    else:
        raise ValueError(_WHAT)
    if share > 1:
        raise ValueError(_WHAT)
    return Threshold(share=share)


def _percent(share: Fraction) -> str:
    return f"{float(100 * share):.9g}%"
