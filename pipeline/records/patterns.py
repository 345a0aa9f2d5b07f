"""Which shapes the values at fault have, and how many each: what most often says why, without a value.

    412 x empty string, 3 x S(35) text

What is kept does not grow with the number of values: of the many lengths that texts of one kind can have, the extremes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from pipeline.records.mask import ValueShape

# Of one kind so many lengths are told apart; from one more on, a range is told.
_MOST_SIZES: Final = 3
_MOST_COUNTED: Final = 64
# Of texts of one kind with many lengths, a single one is still told when so many have it.
_MOST_OF_THEM: Final = 0.9


@dataclass(frozen=True, slots=True)
class Pattern:
    """A shape, in words, and how many values have it."""

    shape: str
    count: int


@dataclass(slots=True)
class _Sizes:
    """The sizes of values with one tag and kind. Once there are too many, only the range of those not counted is known."""

    counts: Counter[int | None] = field(default_factory=Counter)
    others: int = 0
    least: int = 0
    greatest: int = 0

    def add(self, size: int | None) -> None:
        if size in self.counts or len(self.counts) < _MOST_COUNTED:
            self.counts[size] += 1
            return
        known = size or 0
        self.least = min(self.least, known) if self.others else known
        self.greatest = max(self.greatest, known)
        self.others += 1


class Patterns:
    """Counts shapes."""

    def __init__(self) -> None:
        self._sizes: dict[tuple[str, str], _Sizes] = {}

    def add(self, shape: ValueShape) -> None:
        """Count one value."""
        self._sizes.setdefault((shape.tag, shape.kind), _Sizes()).add(shape.size)

    def most_common(self) -> list[Pattern]:
        """All patterns, the most frequent first."""
        found = [pattern for (tag, kind), sizes in self._sizes.items() for pattern in _patterns(tag, kind, sizes)]
        return sorted(found, key=lambda pattern: (-pattern.count, pattern.shape))


def _patterns(tag: str, kind: str, sizes: _Sizes) -> Iterator[Pattern]:
    """One for each size if there are few, else one for the size that nearly all have, and one with the range of the others."""
    told = sizes.counts.most_common(_MOST_SIZES)
    total = sizes.counts.total() + sizes.others
    if sizes.others or len(sizes.counts) > _MOST_SIZES:
        told = [(size, count) for size, count in told[:1] if count >= _MOST_OF_THEM * total]
    for size, count in told:
        yield Pattern(_in_words(ValueShape(tag, size, kind)), count)
    rest = [size for size in sizes.counts if size not in dict(told) and size is not None]
    if sizes.others:
        rest += [sizes.least, sizes.greatest]
    if rest:
        several = f"{tag}({min(rest)} to {max(rest)}){' ' if kind else ''}{kind}"
        yield Pattern(several, total - sum(count for _, count in told))


def _in_words(shape: ValueShape) -> str:
    return "empty string" if (shape.tag, shape.size) == ("S", 0) else str(shape)
