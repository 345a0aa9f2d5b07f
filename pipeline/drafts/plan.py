"""From a sample of an export: what all of its items are then looked at for. Nothing here is certain; the survey of all items tells.

A discriminator has the name of one, or is the literal beginning of keys, and items of its kinds differ in the attributes that they have.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Final

from pipeline.drafts.survey import (
    MOST_KINDS,
    SEPARATOR,
    ByAttribute,
    ByPrefixes,
    Discriminator,
    Item,
    KindPlan,
    Pattern,
    Plan,
    Slot,
    is_literal,
    key_text,
    text_of,
)
from pipeline.inspection.evidence import KeepValues
from pipeline.inspection.names import LEAST_HAVING, Shape, shape_of

# Without case, underscores and hyphens.
DISCRIMINATORS: Final = (
    *("typename", "entity", "entitytype", "entityname", "et", "edbe", "recordtype", "itemtype", "objecttype", "model", "type", "kind"),
)
PARTITION_KEYS: Final = ("pk", "partitionkey", "hashkey")
SORT_KEYS: Final = ("sk", "sortkey", "rangekey", "rk")
IDS: Final = ("id", "uuid", "guid", "key")
_MOST_KEYS: Final = 3
# Kinds that have at most so much of their attributes in common are different things.
_ALIKE: Final = 0.7
_USUAL: Final = 0.5
_NEARLY_ALL: Final = 0.99
_MOST_PARTS: Final = 8


def plain(name: str) -> str:
    """A name without case, underscores and hyphens."""
    return name.lower().replace("_", "").replace("-", "")


def make_plan(items: Sequence[Item], key: Sequence[str] = (), values: KeepValues = KeepValues.DIGESTS) -> Plan:
    """The plan for a table from some of its items; `key` is the table's, where it is known."""
    counts = Counter(name for item in items for name in item)
    keys = (tuple(key),) if key else _keys(items, counts)
    discriminator = _discriminator(items, counts, keys[0] if keys else ())
    by_kind: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_kind[discriminator.kind_of(item) if discriminator else ""].append(item)
    return Plan(
        discriminator,
        keys,
        # What a few items are like says nothing.
        {kind: _of_kind(of_kind) for kind, of_kind in by_kind.items() if len(of_kind) >= LEAST_HAVING},
        values,
    )


# -- keys ----------------------------------------------------------------------------------------------------------------------------------


def _keys(items: Sequence[Item], counts: Mapping[str, int]) -> tuple[tuple[str, ...], ...]:
    """What is in all items, a string, a number or binary, and comes once; the likeliest first: pk and sk, then id, then others."""
    possible = [name for name, count in counts.items() if count >= _NEARLY_ALL * len(items) and _is_key_like(items, name)]
    named = [
        (first, second)
        for first in possible
        if plain(first) in PARTITION_KEYS
        for second in possible
        if plain(second) in SORT_KEYS and _is_unique(items, (first, second))
    ]
    single = sorted((name for name in possible if _is_unique(items, (name,))), key=lambda name: _unlikeliness(items, name))
    found: list[tuple[str, ...]] = [*named, *((name,) for name in single)]
    # Two that are unique only together, of which the first looks like an id.
    unsure = sorted((name for name in possible if name not in single), key=lambda name: _unlikeliness(items, name))
    if not found or not _is_an_id(items, found[0][0]):
        ids = [name for name in unsure if _is_an_id(items, name)]
        pairs = ((first, second) for first in ids for second in possible if second != first and _may_sort(items, second))
        found = [*(pair for pair in pairs if _is_unique(items, pair)), *found]
    return tuple(found[:_MOST_KEYS])


def _is_key_like(items: Sequence[Item], name: str) -> bool:
    """Of one type, which a key may have; but for a few items, as an export that is no longer as DynamoDB wrote it can have them."""
    [(tag, count)] = Counter(tag for item in items for tag in item.get(name, ())).most_common(1)
    return tag in ("S", "N", "B") and count >= _NEARLY_ALL * len(items)


def _is_unique(items: Sequence[Item], names: Sequence[str]) -> bool:
    """Of the items that have them all."""
    contents = [tuple(key_text(item.get(name)) for name in names) for item in items]
    whole = [content for content in contents if None not in content]
    return len(set(whole)) == len(whole)


def _unlikeliness(items: Sequence[Item], name: str) -> tuple[bool, bool, bool, str]:
    return plain(name) not in PARTITION_KEYS, plain(name) not in IDS, not _is_an_id(items, name), name


def _is_an_id(items: Sequence[Item], name: str) -> bool:
    if plain(name) in (*PARTITION_KEYS, *IDS) or name.endswith(("Id", "ID", "_id")):
        return True
    return _usual_shape(items, name) is Shape.UUID


def _may_sort(items: Sequence[Item], name: str) -> bool:
    """Whether it looks like a sort key: by its name, as a number, or as a time."""
    return plain(name) in SORT_KEYS or _usual_shape(items, name) in (Shape.TIMESTAMP, Shape.DATE, Shape.DIGITS)


def _usual_shape(items: Sequence[Item], name: str) -> Shape:
    [(shape, _)] = Counter(shape_of(text_of(item.get(name)) or "") for item in items).most_common(1)
    return shape


# -- kinds of items ------------------------------------------------------------------------------------------------------------------------


def _discriminator(items: Sequence[Item], counts: Mapping[str, int], key: Sequence[str]) -> Discriminator | None:
    named = sorted((name for name in counts if plain(name) in DISCRIMINATORS), key=lambda name: DISCRIMINATORS.index(plain(name)))
    prefixed = [name for name in key if any(SEPARATOR in item.get(name, {}).get("S", "") for item in items)]
    if prefixed:
        # A sort key without a separator of its own may be the literal PROFILE.
        prefixed = [name for name in key if all("S" in item.get(name, {}) for item in items)]
    possible: list[Discriminator] = [ByAttribute(name) for name in named]
    if prefixed:
        possible.append(ByPrefixes(tuple(prefixed)))
    return next((one for one in possible if _tells_kinds_apart(items, one)), None)


def _tells_kinds_apart(items: Sequence[Item], discriminator: Discriminator) -> bool:
    by_kind: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_kind[discriminator.kind_of(item)].append(item)
    known = [of_kind for kind, of_kind in by_kind.items() if kind and len(of_kind) >= LEAST_HAVING]
    is_of_all = sum(map(len, known)) >= _NEARLY_ALL * len(items)
    if not 2 <= len(known) <= MOST_KINDS or not is_of_all:
        return False
    usual = [_usual_attributes(of_kind) for of_kind in known]
    likeness = [len(one & other) / max(len(one | other), 1) for one, other in combinations(usual, 2)]
    return sum(likeness) / len(likeness) <= _ALIKE


def _usual_attributes(items: Sequence[Item]) -> frozenset[str]:
    counts = Counter(name for item in items for name in item)
    return frozenset(name for name, count in counts.items() if count >= _USUAL * len(items))


# -- of one kind ---------------------------------------------------------------------------------------------------------------------------


def _of_kind(items: Sequence[Item]) -> KindPlan:
    texts: dict[str, list[str]] = defaultdict(list)
    for item in items:
        for name, value in item.items():
            if "S" in value:
                texts[name].append(value["S"])
    patterns = {name: pattern for name, of_name in texts.items() if (pattern := _pattern(of_name))}
    return KindPlan(patterns, _repeats(items, patterns))


def _pattern(texts: Sequence[str]) -> Pattern | None:
    """What nearly all of the texts are made of, if that is parts with separators between them and a literal first."""
    if len(texts) < LEAST_HAVING:
        return None
    pieces = [text.split(SEPARATOR) for text in texts if SEPARATOR in text]
    [(count, _)] = Counter(map(len, pieces)).most_common(1) or [(0, 0)]
    alike = [parts for parts in pieces if len(parts) == count]
    if len(alike) < _NEARLY_ALL * len(texts) or not 2 <= count <= _MOST_PARTS:
        return None
    literals = [""]
    is_behind_literal = False
    for number in range(count):
        different = {parts[number] for parts in alike}
        separator = SEPARATOR if number < count - 1 else ""
        first = next(iter(different))
        # No literal stands behind another: `USER#alice#` in all items is one user's, not a program's word.
        is_behind_literal = len(different) == 1 and is_literal(first) and not is_behind_literal
        if is_behind_literal:
            literals[-1] += first + separator
        else:
            literals.append(separator)
    pattern = Pattern(tuple(literals))
    # What begins with no literal may be an address with a fragment, or anything else.
    return pattern if pattern.parts and literals[0] else None


def _repeats(items: Iterable[Item], patterns: Mapping[str, Pattern]) -> dict[Slot, Slot]:
    """Which slots say the same as another in all of the items that have them. The other is a plain attribute where there is one."""
    same: dict[Slot, set[Slot]] = {}
    seen: Counter[Slot] = Counter()
    for item in items:
        slots = _slots_of(item, patterns)
        by_text: dict[str, set[Slot]] = defaultdict(set)
        for slot, text in slots.items():
            by_text[text].add(slot)
        for slot, text in slots.items():
            seen[slot] += 1
            alike = by_text[text] - {slot}
            same[slot] = same[slot] & alike if slot in same else alike
    found: dict[Slot, Slot] = {}
    for slot in sorted(same, key=_order):
        others = [other for other in same[slot] if seen[slot] >= LEAST_HAVING and other not in found]
        if others:
            found[slot] = max(others, key=lambda other: (other[1] is None, other[0] not in patterns, [-ord(sign) for sign in other[0]]))
    return found


def _slots_of(item: Item, patterns: Mapping[str, Pattern]) -> dict[Slot, str]:
    slots: dict[Slot, str] = {}
    for name, value in item.items():
        text = text_of(value)
        # The empty text, a number of one digit and the like are alike by chance.
        if text is not None and len(text) > 1:
            slots[name, None] = text
        pattern = patterns.get(name)
        parts = pattern.split(value.get("S", "")) if pattern else None
        slots.update({(name, number): part for number, part in enumerate(parts or ())})
    return slots


def _order(slot: Slot) -> tuple[bool, str, int]:
    """Parts first: they repeat attributes, rather than attributes them; then what looks like an index's key."""
    name, part = slot
    return part is None and not is_index_key(name), name, -1 if part is None else part


def is_index_key(name: str) -> bool:
    """Whether an attribute's name is that of the key of an index: GSI1PK."""
    return plain(name).startswith(("gsi", "lsi"))
