"""From items to what `inspect` tells of them, and back to plain JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from typing import Any

import orjson
from rich.console import Console

from pipeline.inspection.evidence import Evidence, Figures
from pipeline.inspection.statistics import Attribute, ItemStatistics, Place
from pipeline.inspection.summary import summarise
from pipeline.inspection.terminal import print_attributes


def line_of(item: dict[str, Any]) -> bytes:
    """The line of an item in typed JSON."""
    return json.dumps({"Item": item}, ensure_ascii=False).encode()


def statistics_of(lines: Iterable[bytes]) -> ItemStatistics:
    statistics = ItemStatistics()
    for line in lines:
        statistics.add_line(line)
    return statistics


def inspected(*items: dict[str, Any]) -> dict[str, Any]:
    """The JSON form of what is told of items."""
    return told(statistics_of(map(line_of, items)))


def told(statistics: ItemStatistics) -> dict[str, Any]:
    """The JSON form."""
    return json.loads(orjson.dumps(summarise(statistics)))


def attribute_of(summary: dict[str, Any], name: str) -> dict[str, Any]:
    [attribute] = [attribute for attribute in summary["attributes"] if attribute["name"] == name]
    return attribute


def printed(statistics: ItemStatistics, *, width: int | None = 100) -> str:
    """What a person reads: on a terminal of that width, or, None, in a file."""
    file = io.StringIO()
    if width is None:
        console = Console(file=file, highlight=False, soft_wrap=True)
    else:
        console = Console(file=file, highlight=False, force_terminal=True, color_system=None, width=width, _environ={})
    print_attributes(console, summarise(statistics))
    return file.getvalue()


def known(figures: Figures) -> dict[str, Any]:
    """All that figures hold; what is counted 0 times is as if it were not there."""
    tallies = {kind: {key: count for key, count in tally.items() if count} for kind, tally in figures.tallies.items()}
    found: dict[str, Any] = {"tallies": {kind: tally for kind, tally in tallies.items() if tally}, "extremes": figures.extremes}
    if isinstance(figures, Attribute):
        found |= {"places": tree(figures.places.root), "steps": figures.places.steps}
        found |= {"evidence": known(figures.evidence)} if figures.evidence is not None else {}
    if isinstance(figures, Evidence):
        found |= {"texts": figures.texts, "has_many_texts": figures.has_many_texts}
    if isinstance(figures, ItemStatistics):
        figures.trim()
        found |= {"attributes": {name: known(attribute) for name, attribute in figures.attributes.items()}, "is_capped": figures.is_capped}
    return found


def tree(place: Place) -> Any:
    below = {name: tree(member) for name, member in place.members.items()}
    return dict(place.types), below, place.elements and tree(place.elements), place.has_too_many
