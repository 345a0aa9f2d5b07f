"""Items for the tables of any definition by number and version, for chains of exports (`windows.py`)."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from sample_export.any_export import MadeUpTable, dead, row_of
from sample_export.any_table import CannotMakeUp, Made, Plain, Typed, put
from sample_export.conditions import holds, paths_of, satisfy
from sample_export.windows import ChainSettings, Item, SampleChain, Version, write_chain

# Of the versions of items with children: those that are the first one but for the children's elements.
_ELEMENTS_ALONE = 0.3
_TAGS_OF_KEYS = ("S", "N", "B")


def write_any_chains(
    root: Path, tables: Sequence[Plain], ignored: Sequence[Plain], settings: ChainSettings, fresh: Path | None = None
) -> list[SampleChain]:
    """A chain for each source of the tables, as `write_any_exports`. Raises what that and `write_chain` raise."""
    sources = dict.fromkeys(table["source"] for table in tables)
    contents = [
        AnyItems(
            source,
            [table for table in tables if table["source"] == source],
            [entry["where"] for entry in ignored if entry["source"] == source],
            settings.seed,
            settings.odd,
        )
        for source in sources
    ]
    return [write_chain(root, content, settings, fresh) for content in contents]


class AnyItems:
    """One DynamoDB table, of which several tables may take; an item is of one of them as long as it lives, or for none for a while."""

    def __init__(self, source: str, tables: Sequence[Plain], ignored: Sequence[Any], seed: int, odd: float) -> None:
        self.source = source
        self._tables = [MadeUpTable(table) for table in tables]
        self.names = [table.name for table in self._tables]
        self._key: Sequence[str] = tables[0]["key"]
        self._ignored, self._seed, self._odd = ignored, seed, odd
        self._of_keys: dict[bytes, int] = {}
        self._numbers: dict[int, bool] = {}
        self._cached = lru_cache(4)(self._made)
        can_stray = all(self._strayed(table, table.sound(Random(0), 0.0, Random(0))) for table in self._tables)
        has_faults = all(self._faults(table) for table in self._tables)
        self.kinds = ("sound", "odd", *(["bad"] if has_faults else []), *(["elsewhere"] if can_stray else []))

    def is_one(self, number: int) -> bool:
        if number not in self._numbers:
            keys = self._cached(number, Version(0)).keys
            digest = hashlib.blake2b(json.dumps(keys, sort_keys=True).encode(), digest_size=16).digest()
            is_empty = any(content == "" for value in keys.values() for content in value.values())
            self._numbers[number] = not is_empty and self._of_keys.setdefault(digest, number) == number
        return self._numbers[number]

    def item(self, number: int, version: Version) -> Item:
        return self._cached(number, version)

    def _made(self, number: int, version: Version) -> Item:
        table = self._random("table", number).choice(self._tables)
        chance = self._random(number, version.serial)
        made = self._sound(table, number, version, chance)
        if version.kind == "elsewhere" and (strayed := self._strayed(table, made)) is not None:
            return self._item(made.item, strayed)
        outcome: Mapping[str, Any] = row_of(made)
        if version.kind == "bad":
            outcome = self._spoil(table, made, chance)
        return self._item(made.item, {other.name: outcome if other is table else {"outcome": "filtered"} for other in self._tables})

    def _sound(self, table: MadeUpTable, number: int, version: Version, chance: Random) -> Made:
        of_elements = None
        if (
            table.has_children
            and version.kind == "sound"
            and self._random("elements alone", number, version.serial).random() < _ELEMENTS_ALONE
        ):
            chance, of_elements = self._random(number, 0), self._random("elements", number, version.serial)
        made = table.sound(chance, 1 / 2 if version.kind == "odd" else self._odd, self._random("key", number), of_elements)
        if any(other is not table and other.takes(made.item) for other in self._tables):
            message = f"an item of {table.name} is one of another table of {self.source}, too; sample-export does not make up such"
            raise CannotMakeUp(message)
        return made

    def _item(self, attributes: Typed, outcomes: Mapping[str, Mapping[str, Any]]) -> Item:
        keys = {name: attributes.get(name, {}) for name in self._key}
        if not all(value.keys() <= set(_TAGS_OF_KEYS) and value for value in keys.values()):
            message = (
                f"{self.source}: its key must be of attributes of the types S, N or B; sample-export makes up others for the definition"
            )
            raise CannotMakeUp(message)
        return Item(keys, attributes, outcomes, None)

    # -- items that are not rows

    def _faults(self, table: MadeUpTable) -> list[Any]:
        """None of them in the key, which stays."""
        return [fault for fault in table.faults() if fault.path[0] not in self._key]

    def _spoil(self, table: MadeUpTable, made: Made, chance: Random) -> Mapping[str, Any]:
        """Write a fault that leaves it an item of its table."""
        faults = self._faults(table)
        for fault in chance.sample(faults, len(faults)):
            tried = copy.deepcopy(made.item)
            errors = fault(tried, chance)
            if table.takes(tried) and not any(other is not table and other.takes(tried) for other in self._tables):
                made.item.clear()
                made.item.update(tried)
                return dead("transform", errors)
        message = f"{table.name}: sample-export knows no fault that leaves an item of its table"
        raise CannotMakeUp(message)

    def _strayed(self, table: MadeUpTable, made: Made) -> Mapping[str, Mapping[str, Any]] | None:
        """Change attributes outside of the key until no table takes the item; what becomes of it, None where one always does."""
        for tried in self._astray(table, made.item):
            if any(other.takes(tried) for other in self._tables):
                continue
            made.item.clear()
            made.item.update(tried)
            filtered: dict[str, Mapping[str, Any]] = {name: {"outcome": "filtered"} for name in self.names}
            is_ignored = any(holds(condition, tried) for condition in self._ignored)
            if is_ignored or (len(self._tables) == 1 and not self._ignored):
                return filtered
            return {**filtered, self.names[0]: dead("transform", [("no_table", None)])}
        return None

    def _astray(self, table: MadeUpTable, item: Typed) -> Iterator[Typed]:
        """What somebody ignores, and what lacks that by which its table knows it."""
        for condition in self._ignored:
            tried = copy.deepcopy(item)
            if satisfy(condition, tried, [(name,) for name in self._key]):
                yield tried
        tried = copy.deepcopy(item)
        for path in paths_of(table.where):
            if path[0] not in self._key:
                put(tried, path, None)
        yield tried

    def _random(self, *parts: object) -> Random:
        return Random(hashlib.blake2b(repr((self._seed, self.source, parts)).encode(), digest_size=16).digest())
