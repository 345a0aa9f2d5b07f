"""All items of an export, looked at by kind: of a single-table design each kind of item gets statistics of its own.

What is looked for (`Plan`) comes from a sample (`plan.py`), so that one pass over the export is enough.

    >>> survey = Survey(Plan(discriminator=ByAttribute("entity"), keys=(("PK", "SK"),)))
    >>> survey.add_line(b'{"Item":{"PK":{"S":"CUSTOMER#5"},"SK":{"S":"PROFILE"},"entity":{"S":"CUSTOMER"}}}')
    >>> survey.kinds["CUSTOMER"].statistics.items
    1
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from pipeline.inspection.counting import CountedLines, Parts, Sizes, Table, add_lines_to, attribute_of, statistics_of
from pipeline.inspection.evidence import Evidence, KeepValues, KeyCount
from pipeline.inspection.names import looks_like_data
from pipeline.inspection.statistics import Attribute, ItemStatistics
from transforms.native.plan import LookedFor

MOST_KINDS: Final = 30
REST: Final = ""
"""The kind of items that have no other."""
SEPARATOR: Final = "#"

_LITERAL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,39}")

Item = Mapping[str, dict[str, Any]]


def is_literal(text: str) -> bool:
    """Whether a text may be one that a program has written in it, such as `ORDER`; what looks like data is none."""
    return _LITERAL.fullmatch(text) is not None and not looks_like_data(text)


def text_of(value: dict[str, Any] | None) -> str | None:
    """What a string or a number says; None for any other attribute value, and for none."""
    return None if value is None else value.get("S", value.get("N"))


# -- what is looked for --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ByAttribute:
    """An attribute says of what kind an item is."""

    name: str

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def kind_of(self, item: Item) -> str:
        text = item.get(self.name, {}).get("S", "")
        return text if is_literal(text) else REST


@dataclass(frozen=True, slots=True)
class ByPrefixes:
    """The beginnings of keys do: `CUSTOMER#` and `ORDER#`; or a whole key, `PROFILE`. A kind is `CUSTOMER#|ORDER#`."""

    names: tuple[str, ...]

    def kind_of(self, item: Item) -> str:
        prefixes = [prefix_of(item.get(name, {}).get("S", "")) for name in self.names]
        return "|".join(prefixes) if any(prefixes) else REST


def prefix_of(text: str) -> str:
    """Of a key: its beginning with the separator, or all of it where that is literal; empty where there is none such."""
    head, separator, _ = text.partition(SEPARATOR)
    return f"{head}{separator}" if is_literal(head) else ""


Discriminator = ByAttribute | ByPrefixes


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a string is made of: `("CUSTOMER#", "#ORDER#", "")` are the literals before, between and behind two parts.

    No part has a separator in it.
    """

    literals: tuple[str, ...]

    @property
    def parts(self) -> int:
        return len(self.literals) - 1

    def split(self, text: str) -> tuple[str, ...] | None:
        """The parts; None for a text that is made otherwise."""
        match = _compiled(self.literals).fullmatch(text)
        return match.groups() if match else None


@cache
def _compiled(literals: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(f"([^{SEPARATOR}]+)".join(map(re.escape, literals)))


Slot = tuple[str, int | None]
"""A whole attribute (None), or a part of one by number."""


@dataclass(frozen=True, slots=True)
class KindPlan:
    """What is looked for in items of one kind."""

    patterns: Mapping[str, Pattern] = field(default_factory=dict)
    """By attribute."""
    repeats: Mapping[Slot, Slot] = field(default_factory=dict)
    """Which seem to say what another does."""


@dataclass(frozen=True, slots=True)
class Plan:
    discriminator: Discriminator | None = None
    keys: tuple[tuple[str, ...], ...] = ()
    """What could be the table's key: attributes, one or two each."""
    kinds: Mapping[str, KindPlan] = field(default_factory=dict)
    values: KeepValues = KeepValues.DIGESTS


def _looked_for(plan: Plan) -> LookedFor:
    """The same for the compiled module, attributes by their numbers."""
    by = () if plan.discriminator is None else plan.discriminator.names
    kinds = plan.kinds.values()
    slots = [slot for kind in kinds for repeat in kind.repeats.items() for slot in repeat]
    names = [
        *by,
        *(name for key in plan.keys for name in key),
        *(name for kind in kinds for name in kind.patterns),
        *(name for name, _ in slots),
    ]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}

    def number_of(slot: Slot) -> tuple[int, int]:
        name, part = slot
        return numbers[name], -1 if part is None else part

    plans = {
        kind.encode(): (
            tuple((numbers[name], tuple(literal.encode() for literal in pattern.literals)) for name, pattern in of_kind.patterns.items()),
            tuple((number_of(slot), number_of(source)) for slot, source in of_kind.repeats.items()),
        )
        for kind, of_kind in plan.kinds.items()
    }
    return LookedFor(
        tuple(name.encode() for name in numbers),
        tuple(numbers[name] for name in by),
        isinstance(plan.discriminator, ByPrefixes),
        tuple(tuple(numbers[name] for name in key) for key in plan.keys),
        plans,
    )


# -- what is found -------------------------------------------------------------------------------------------------------------------------


class Kind:
    """The items of one kind."""

    __slots__ = ("_values", "parts", "plan", "same", "statistics", "unlike")

    def __init__(self, values: KeepValues, plan: KindPlan | None = None) -> None:
        self._values = values
        self.plan = plan or KindPlan()
        self.statistics = ItemStatistics(values)
        self.parts: dict[Slot, Attribute] = {}
        self.unlike: dict[str, int] = {}
        """By attribute: strings that its pattern does not fit."""
        self.same: dict[Slot, list[int]] = {}
        """By what seems to repeat another: how often it did, and how often not."""

    def add(self, line: bytes, sound: list[tuple[str, dict[str, Any], int]], item: Item) -> None:
        self.statistics.add_item(line, sound)
        slots: dict[Slot, str] = {}
        for name, pattern in self.plan.patterns.items():
            text = item.get(name, {}).get("S")
            if text is None:
                continue
            parts = pattern.split(text)
            if parts is None:
                self.unlike[name] = self.unlike.get(name, 0) + 1
                continue
            for number, part in enumerate(parts):
                slots[name, number] = part
                self._part((name, number)).add({"S": part}, 0)
        for slot, source in self.plan.repeats.items():
            text, other = (slots.get(one) if one[1] is not None else text_of(item.get(one[0])) for one in (slot, source))
            if text is not None:
                tally = self.same.setdefault(slot, [0, 0])
                tally[text != other] += 1

    def take_in(self, statistics: ItemStatistics, parts: Parts) -> None:
        """Take in what the compiled module has counted."""
        self.statistics.merge(statistics)
        patterns, repeats = parts
        for (name, _), (alike, unlike, figures) in zip(self.plan.patterns.items(), patterns, strict=True):
            if unlike:
                self.unlike[name] = unlike
            for number, of_part in enumerate(figures if alike else ()):
                self._part((name, number)).merge(attribute_of([("S", alike)], of_part, self._values))
        for slot, tally in zip(self.plan.repeats, repeats, strict=True):
            if any(tally):
                self.same[slot] = [*tally]

    def _part(self, slot: Slot) -> Attribute:
        part = self.parts.get(slot)
        if part is None:
            part = self.parts[slot] = Attribute(Evidence(self._values))
        return part

    def merge(self, other: Kind) -> None:
        """Take in what another has seen; it stays as it is."""
        self.statistics.merge(other.statistics)
        for slot, part in other.parts.items():
            self._part(slot).merge(part)
        for name, count in other.unlike.items():
            self.unlike[name] = self.unlike.get(name, 0) + count
        for slot, (alike, unlike) in other.same.items():
            tally = self.same.setdefault(slot, [0, 0])
            tally[0] += alike
            tally[1] += unlike


class Survey(CountedLines):
    """All lines of some data files.

    Of more than 30 kinds those with the shortest names are kept, and all others are in `REST`; that does not depend on the order of items.
    """

    __slots__ = ("_longest", "all", "keys", "kinds", "plan")

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        self.all = ItemStatistics()
        """Of the lines only; attributes are in the kinds."""
        self.kinds: dict[str, Kind] = {}
        self.keys = {names: KeyCount() for names in plan.keys}
        """Of the items that have all of a key's attributes."""
        self._longest: tuple[int, str] | None = None

    @property
    def items(self) -> int:
        return sum(kind.statistics.items for kind in self.kinds.values())

    def add_line(self, line: bytes) -> None:
        """Take in one line."""
        sound = self.all.read_line(line)
        if sound is None:
            return
        item = {name: value for name, value, _ in sound}
        named = self.plan.discriminator.kind_of(item) if self.plan.discriminator else REST
        kind = self.kinds.get(named) or self._kind(named)
        kind.add(line, sound, item)
        for names, count in self.keys.items():
            texts = [key_text(item.get(name)) for name in names]
            if None not in texts:
                count.add(*map(str, texts))

    def _looked_for(self) -> LookedFor:
        return _looked_for(self.plan)

    def _take_digests(self, digests: Sequence[bytes]) -> None:
        for count, of_key in zip(self.keys.values(), digests, strict=True):
            count.add_digests(of_key)

    def _take_in(self, lines: int, sizes: Sizes, tables: Sequence[Table]) -> None:
        add_lines_to(self.all, lines, sizes)
        for name, items, nodes, parts in tables:
            if items:
                kind = Kind(self.plan.values, self.plan.kinds.get(name))
                kind.take_in(statistics_of(nodes, items, self.plan.values), parts)
                self._merge_kind(name, kind)

    def _merge_kind(self, name: str, kind: Kind) -> None:
        ours = self._kind(name)
        if name in self.kinds:
            ours.merge(kind)
        else:
            ours.statistics.merge(kind.statistics)

    def _kind(self, named: str) -> Kind:
        """The kind of that name, a new one if need be; where there are too many, `REST`."""
        name = REST if self._longest is not None and (len(named), named) >= self._longest else named
        if name not in self.kinds:
            self.kinds[name] = Kind(self.plan.values, self.plan.kinds.get(name))
            if len(self.kinds) > MOST_KINDS + 1:
                self._let_go()
                return self._kind(named)
        return self.kinds[name]

    def _let_go(self) -> None:
        longest = max((len(name), name) for name in self.kinds)
        self._longest = longest
        gone = self.kinds.pop(longest[1])
        self._kind(REST).statistics.merge(gone.statistics)

    def merge(self, other: Survey) -> None:
        """Take in what another has seen; it stays as it is."""
        self.all.merge(other.all)
        if other._longest is not None and (self._longest is None or other._longest < self._longest):
            self._longest = other._longest
            for name in [name for name in self.kinds if (len(name), name) >= other._longest]:
                self._kind(REST).statistics.merge(self.kinds.pop(name).statistics)
        for name, kind in other.kinds.items():
            self._merge_kind(name, kind)
        for names, count in other.keys.items():
            self.keys[names].merge(count)


def key_text(value: dict[str, Any] | None) -> str | None:
    """Of a string, a number or binary content, which is what a key may be."""
    if value is None:
        return None
    [(tag, content)] = value.items()
    return content if tag in ("S", "N", "B") else None
