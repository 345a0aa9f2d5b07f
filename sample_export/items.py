"""Items of the three tables by number and version, for chains of exports (`windows.py`)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from random import Random

from sample_export.content import world
from sample_export.drafts import Draft, Order, Planter, sound_draft
from sample_export.kinds import odd_kinds, transform_faults
from sample_export.tables import SOURCE_TABLES, TABLES
from sample_export.windows import ChainSettings, Item, SampleChain, Version, write_chain

_KEYS = {"medzen-meeting-audit": ("id", "timestamp")}
# What a target may want to be unique.
_UNIQUE = {"medzen-video-sessions": "meetingId", "medzen-soap-notes": "sessionId"}


def write_sample_chains(
    root: Path, settings: ChainSettings, tables: Sequence[str] = SOURCE_TABLES, fresh: Path | None = None
) -> list[SampleChain]:
    """A chain for each of the three tables. Raises what `write_chain` raises."""
    most = settings.items + settings.windows * settings.changes + 1
    return [write_chain(root, MedzenItems(table, settings.seed, most), settings, fresh) for table in tables]


class MedzenItems:
    """One of the three tables. `most` is more than the numbers of items that will be asked for."""

    kinds = ("sound", "odd", "bad")

    def __init__(self, source: str, seed: int, most: int) -> None:
        self.source = source
        self.names = (source,)
        self._table = TABLES[source]
        self._seed = seed
        self._world = world(seed, most)
        self._key = _KEYS.get(source, ("id",))
        self._unique = _UNIQUE.get(source)
        self._cached = lru_cache(4)(self._made)

    def is_one(self, number: int) -> bool:  # noqa: ARG002 - no two have one id
        return True

    def item(self, number: int, version: Version) -> Item:
        return self._cached(number, version)

    def _made(self, number: int, version: Version) -> Item:
        draft = self._draft(number, version)
        unique = draft.attributes.get(self._unique or "", {}).get("S")
        keys = {name: draft.attributes[name] for name in self._key}
        return Item(keys, draft.attributes, {self.source: draft.to_truth()}, unique)

    def _draft(self, number: int, version: Version) -> Draft:
        first = self._sound(number, 0)
        if version == Version(0):
            return first
        draft = self._sound(number, version.serial)
        for name in self._key:
            draft.put(name, first.attributes[name], first.values[name])
            draft.claim(name)
        if version.taken is not None and self._unique is not None:
            draft.put(self._unique, {"S": version.taken}, version.taken)
            draft.claim(self._unique)
        if version.kind != "sound":
            self._plant(draft, version)
        return draft

    def _sound(self, number: int, serial: int) -> Draft:
        chance = self._random(number, serial)
        return sound_draft(self._table, self._world, chance, number, self._orders[chance.randrange(len(self._orders))])

    def _plant(self, draft: Draft, version: Version) -> None:
        """One kind, in its turn; those that need what is claimed already give way to the next."""
        kinds = self._faults if version.kind == "bad" else self._oddities
        chance = self._random("plant", draft.attributes["id"]["S"], version.serial)
        begin = chance.randrange(len(kinds))
        for name, planter in kinds[begin:] + kinds[:begin]:
            if planter(draft, chance):
                draft.planted.append(name)
                return

    @cached_property
    def _faults(self) -> list[tuple[str, Planter]]:
        return list(transform_faults(self.source).items())

    @cached_property
    def _oddities(self) -> list[tuple[str, Planter]]:
        # How a line is spelled is no matter of its item.
        return [(name, planter) for name, planter in odd_kinds(self.source).items() if not name.startswith("line.")]

    @cached_property
    def _orders(self) -> list[Order]:
        attributes = [(field.attribute, field.tag) for field in self._table.fields]
        return [self._random("order", number).sample(attributes, len(attributes)) for number in range(16)]

    def _random(self, *parts: object) -> Random:
        return Random(hashlib.blake2b(repr((self._seed, self.source, parts)).encode(), digest_size=16).digest())
