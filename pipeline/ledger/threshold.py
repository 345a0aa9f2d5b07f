"""How many dead letters a table's load may have before it is stopped: `--max_dead_letters`.

    N            more than so many
    5%, 0.05     more than this share of the items that the manifest counts, without those that are filtered

Without it, and with a share below a half, a load is also stopped when more than half of what was loaded so far are dead letters, as soon
as that can be judged: then the definition is wrong, not the data. Items that are filtered are not for this table, and are no part of either
share. What counts is the ledger, so all workers and all runs of a load count together.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from pipeline.errors import Stopped
from pipeline.ledger.chunks import ChunkCounts, Totals, code_counts, load_totals
from pipeline.ledger.loads import Load
from pipeline.target.session import Cursor, Session

_LEAST_INTERVAL: Final = 0.5  # seconds
# Looking takes at most this share of a worker's time: the ledger adds up all chunks of the load for it.
_MOST_OF_THE_TIME: Final = 0.02
_CODES_SHOWN: Final = 3

JUDGED_FROM: Final = 20_000
"""With fewer items so far, their share of dead letters does not stop a load."""
_HALF: Final = Fraction(1, 2)
_WHAT: Final = "must be a number, as 1000, or a share up to 100%, as 5% or 0.05"


@dataclass(frozen=True, slots=True)
class Threshold:
    """The option's value. Travels with the job."""

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

    def excess(self, totals: Totals, manifest_items: int) -> str | None:
        """What is exceeded by what was loaded so far, in words; None while nothing is."""
        dead_letters, expected = totals.dead_letters, manifest_items - totals.filtered
        if not self.is_limited or not dead_letters:
            return None
        if self.most is not None:
            return f"more than --max_dead_letters={self.most}" if dead_letters > self.most else None
        if self.share is not None and dead_letters > self.share * expected:
            but = f" that are not filtered so far ({totals.filtered:,} are)" if totals.filtered else ""
            return f"more than --max_dead_letters={_percent(self.share)} of the {expected:,} items of the export{but}"
        early = max(self.share or _HALF, _HALF)
        if totals.taken >= JUDGED_FROM and dead_letters > early * totals.taken:
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


def stop_if_exceeded(cursor: Cursor, threshold: Threshold, load: Load, totals: Totals) -> None:
    """Raise `Stopped` if the load, of which `totals` are committed, has too many dead letters, and is not at its end."""
    excess = threshold.excess(totals, load.manifest_items)
    if excess is None or totals.items >= load.manifest_items:
        return
    codes, _ = code_counts(cursor, load.load_id)
    frequent = ", ".join(f"{code} ({count:,})" for code, count in list(codes.items())[:_CODES_SHOWN])
    share = totals.dead_letters / totals.taken
    message = (
        f"{load.source_table}, for {load.target_table}: {totals.dead_letters:,} of {totals.taken:,} items are dead letters ({share:.1%}), "
        f"{excess}; most by code: {frequent}. What is committed stays, nothing more is loaded. See what is wrong with ddb2pg preflight "
        "--sample=20. If it is the definition of the table, fix it and begin anew (docs/rollback.md, Begin anew); if so many are expected, "
        "run the same command again with a higher --max_dead_letters (100% is no limit) to go on"
    )
    raise Stopped(message)


class DeadLetterGuard:
    """Of one worker. It counts its own dead letters at once, and reads those of other workers from the ledger.

    A worker without dead letters never reads the ledger; others read it now and then, and at once when their own are too many.
    """

    def __init__(self, threshold: Threshold, load: Load, session: Session) -> None:
        self._threshold = threshold
        self._load = load
        self._session = session
        self._seen: Totals | None = None
        self._own = Totals()
        """Of the chunks that this worker wrote since it last looked."""
        self._next_look = 0.0

    def check(self) -> None:
        """Before a chunk is written. Raises `Stopped`."""
        if self._threshold.is_limited and self._is_time_to_look():
            self._session.transact(self._look)

    def note(self, counts: ChunkCounts) -> None:
        """What became of a chunk that this worker wrote."""
        self._own = _sum(self._own, counts)

    def _is_time_to_look(self) -> bool:
        if self._seen is None:
            return True
        if not self._own.dead_letters:
            return False
        now = _sum(self._seen, self._own)
        return time.monotonic() >= self._next_look or self._threshold.excess(now, self._load.manifest_items) is not None

    def _look(self, cursor: Cursor) -> None:
        started = time.monotonic()
        self._seen = load_totals(cursor, self._load.load_id)
        self._own = Totals()
        ended = time.monotonic()
        self._next_look = ended + max(_LEAST_INTERVAL, (ended - started) / _MOST_OF_THE_TIME)
        stop_if_exceeded(cursor, self._threshold, self._load, self._seen)


def _sum(totals: Totals, more: Totals | ChunkCounts) -> Totals:
    """As far as a threshold needs them."""
    return Totals(
        items=totals.items + more.items, dead_letters=totals.dead_letters + more.dead_letters, filtered=totals.filtered + more.filtered
    )
