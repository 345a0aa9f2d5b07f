"""Which windows of changes DynamoDB exports, and which of them follow what is applied.

Windows are whole seconds, from inclusive, to exclusive, and each must begin where the one before it ends: a change between two of them is
in neither, and of an item that is inserted in one and deleted in the other there may be no record where they overlap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from transforms.lines import View

SHORTEST: Final = timedelta(minutes=15)
LONGEST: Final = timedelta(hours=24)
"""Of the windows that DynamoDB exports."""
KEPT: Final = timedelta(days=35)
"""For how long point-in-time recovery keeps changes, unless it was set to keep them for less."""
FEW_DAYS: Final = timedelta(days=7)
"""Left of that, before somebody is warned."""


class AppliedWindow(NamedTuple):
    export_id: str
    end: datetime


@dataclass(frozen=True, slots=True)
class Applied:
    """How far a table of DynamoDB is in its target: to where the next window begins."""

    end: datetime
    """Exclusive. A chain of windows needs a whole second here."""
    table_id: str | None = None
    """None where it is not known."""
    view: View | None = None
    """Of the windows that were applied; None before the first."""
    begun: tuple[str, ...] = ()
    """The ids of the exports of further windows, in their order, that were begun, or are applied to some of its targets and not to all."""
    done: tuple[AppliedWindow, ...] = ()
    """The windows that are applied to all of its targets, in their order."""


@dataclass(frozen=True, slots=True)
class WantedWindows:
    """Of one `ddb2pg export --incremental`: the next windows of each table."""

    applied: Mapping[str, Applied]
    """By the names of the tables."""
    until: datetime | None = None
    """Where all of them end; without it, shortly before now by DynamoDB's clock."""
    view: View | None = None
    """Without it, that of the windows before."""
    least: timedelta = SHORTEST
    """No further windows are asked for before so much time has passed; at least `SHORTEST`."""
    after: datetime | None = None
    """In place of `until`: they end as soon as they can hold all that was written before that time; those of all tables at one time.
    Applied windows that end later come with them."""


def shown_time(time: datetime) -> str:
    """As the options take it, and AWS's calls."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def cut(begin: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The time between two whole seconds, at least `SHORTEST`, in windows that touch; where there are several, each begins 24 hours later.

    So the first ones are the same whenever they are asked for. Only the last two may be shorter, so that neither is too short.
    """
    begin, end = begin.astimezone(UTC), end.astimezone(UTC)
    while end - begin > LONGEST:
        is_rest_too_short = end - begin - LONGEST < SHORTEST
        middle = begin + LONGEST / 2 if is_rest_too_short else begin + LONGEST
        yield begin, middle
        begin = middle
    yield begin, end
