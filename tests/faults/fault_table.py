"""The table that a test run ends with: of each kind of fault how often it was caused, and what came of it.

A test's figures travel with its report, so they come from pytest-xdist's processes as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, astuple, dataclass
from typing import Any

import pytest

_PROPERTY = "faults"


@dataclass(frozen=True, slots=True)
class Faults:
    """Of one kind: how many came about, at how many items, and how many of these were lost, doubled, or shown where they must not be."""

    kind: str
    tried: int
    items: int
    lost: int
    doubled: int
    leaked: int


def note_faults(node: pytest.Item, faults: Faults) -> None:
    """Send them along with the test's report."""
    node.user_properties.append((_PROPERTY, asdict(faults)))


def fault_table(stats: Iterable[Iterable[Any]]) -> list[str]:
    """The lines of a Markdown table, of pytest's reports by outcome; none where no test noted faults."""
    sums: dict[tuple[str, str], tuple[int, ...]] = {}
    for room, faults in _noted(stats):
        kind, *figures = astuple(faults)
        known = sums.get((room, kind), (0,) * len(figures))
        sums[room, kind] = tuple(map(sum, zip(known, figures, strict=True)))
    if not sums:
        return []
    rows = [[room, kind, *(f"{figure:,}" for figure in figures)] for (room, kind), figures in sorted(sums.items())]
    total = [sum(figures) for figures in zip(*sums.values(), strict=True)]
    rows.append(["all", "", *(f"{figure:,}" for figure in total)])
    lines = [["test", "fault", "tried", "items", "lost", "doubled", "leaked"], ["---"] * 7, *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _noted(stats: Iterable[Iterable[Any]]) -> Iterator[tuple[str, Faults]]:
    for reports in stats:
        for report in reports:
            if getattr(report, "when", None) == "call":
                room = report.nodeid.partition("::")[0].rpartition("/")[2].removesuffix(".py")
                yield from ((room, Faults(**value)) for name, value in report.user_properties if name == _PROPERTY)
