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
    counted: str = "item"

    @property
    def alternative(self) -> str:
        """The bar in words."""
        parts = ", ".join(f"{part.count:,} {part.words}" for part in self.parts)
        return f"Of {self.items:,} {self.counted}s: {parts}"


def equations(tables: Sequence[Mapping[str, Any]]) -> Iterator[Equation]:
    """Of those tables that were loaded, compared, brought in again or rolled back."""
    for table in tables:
        if "given" in table:
            yield _of_replay(table)
        elif "loaded_rows" in table:
            yield _of_rollback(table)
        elif "totals" in table:
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


def _of_replay(table: Mapping[str, Any]) -> Equation:
    given = table["given"]
    parts = [
        Part("rows", "rows now", table["rows"]),
        Part("before", "rows before", table["rows_before"]),
        Part("dead", "refused again", table["dead_letters"]),
    ]
    return _equation(table, "dead letter", given, "given", sum(part.count for part in parts), "tried", parts)


def _of_rollback(table: Mapping[str, Any]) -> Equation:
    is_to_do = table["is_dry"] and not table["is_finished"]
    parts = [
        Part("rows", "to delete" if is_to_do else "deleted", table["deleted"]),
        Part("before", "gone before", table["gone"]),
        Part("different", "to leave" if is_to_do else "left", sum(table["kept"].values())),
    ]
    return _equation(table, "row", table["loaded_rows"], "loaded", sum(part.count for part in parts), "looked at", parts)


def _equation(
    table: Mapping[str, Any], counted: str, items: int, items_words: str, read: int, read_words: str, parts: list[Part]
) -> Equation:
    return Equation(
        table=table["source_table"],
        target=table["target_table"],
        items=items,
        items_words=items_words,
        read=read,
        read_words=read_words,
        parts=tuple(laid_out(parts, items)),
        holds=not table["problems"],
        notices=None,
        took=table["seconds"],
        counted=counted,
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
