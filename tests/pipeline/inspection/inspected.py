"""From items to what `inspect` tells of them, and back to plain JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from typing import Any

import orjson
from rich.console import Console

from pipeline.inspection.statistics import ItemStatistics
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
