"""The equation of each table: its numbers, and the lengths of the bar that shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

BAR: Final = 1000.0
"""The width of a whole bar, in its own units."""
_LEAST: Final = 6.0
"""What is there is seen, however few."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a bar; `kind` decides its colour."""

    kind: str
    words: str
    count: int
    start: float = 0.0
    width: float = 0.0


@dataclass(frozen=True, slots=True)
class Equation:
    """`items = read = the parts`, of one table."""

    table: str
    target: str
    items: int
    items_words: str
    read: int
    read_words: str
    parts: tuple[Part, ...]
    holds: bool
    notices: int | None
    took: float

    @property
    def alternative(self) -> str:
        """The bar in words."""
        parts = ", ".join(f"{part.count:,} {part.words}" for part in self.parts)
        return f"Of {self.items:,} items: {parts}"


def equations(tables: Sequence[Mapping[str, Any]]) -> Iterator[Equation]:
    """Of those tables that were loaded or compared."""
    for table in tables:
        if "totals" in table:
            yield _of_load(table)
        elif "compared_items" in table:
            yield _of_comparison(table)


def _of_load(table: Mapping[str, Any]) -> Equation:
    totals, items = table["totals"], table["manifest_items"]
    lost = max(0, items - totals["rows"] - totals["dead_letters"])
    parts = [Part("rows", "rows", totals["rows"]), Part("dead", "dead letters", totals["dead_letters"])]
    if lost:
        parts.append(Part("lost", "not accounted for", lost))
    return Equation(
        table=table["source_table"],
        target=table["target_table"],
        items=items,
        items_words="in the manifest" if table.get("has_manifest", True) else "counted in the files",
        read=totals["items"],
        read_words="read",
        parts=tuple(laid_out(parts, items)),
        holds=not table.get("problems"),
        notices=totals["notices"],
        took=table.get("seconds", 0.0),
    )


def _of_comparison(table: Mapping[str, Any]) -> Equation:
    items, compared = table["manifest_items"], table["compared_items"]
    dead = table["dead_letters"]
    different = max(0, compared - table["equal_rows"] - dead)
    parts = [Part("rows", "equal rows", table["equal_rows"]), Part("dead", "dead letters", dead)]
    if different:
        parts.append(Part("different", "missing or different", different))
    if items > compared:
        parts.append(Part("lost", "not compared", items - compared))
    return Equation(
        table=table["source_table"],
        target=table["target_table"],
        items=items,
        items_words="in the manifest",
        read=compared,
        read_words="compared",
        parts=tuple(laid_out(parts, items)),
        holds=not table.get("problems") and not different,
        notices=None,
        took=table.get("seconds", 0.0),
    )


def laid_out(parts: Sequence[Part], total: int) -> Iterator[Part]:
    """The parts side by side; a small one gets a little of what is the largest one's."""
    widths = [max(_LEAST, BAR * part.count / total) if part.count and total else 0.0 for part in parts]
    if widths:
        largest = widths.index(max(widths))
        widths[largest] = max(0.0, widths[largest] - max(0.0, sum(widths) - BAR))
    start = 0.0
    for part, width in zip(parts, widths, strict=True):
        yield Part(part.kind, part.words, part.count, round(start, 2), round(width, 2))
        start += width
