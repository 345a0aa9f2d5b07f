"""Places inside an item: every nested attribute value with its path, in document order, so that one can be exchanged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import orjson

from sample_export.attribute_values import AttributeValue
from sample_export.draft import Draft
from sample_export.fields import Field, claim_one

_TREES = ("M", "L")


@dataclass(frozen=True, slots=True)
class Place:
    """`container[key]` is the attribute value at `path`, such as `soapData.plan.meds[0].dose`."""

    path: str
    container: Any
    key: str | int

    @property
    def value(self) -> AttributeValue:
        """What stands there."""
        found: AttributeValue = self.container[self.key]
        return found

    @property
    def is_leaf(self) -> bool:
        """True where nothing is nested further."""
        return not any(tag in self.value for tag in _TREES)

    def put(self, value: AttributeValue) -> None:
        """Exchange what stands there."""
        self.container[self.key] = value


def claim_document(draft: Draft, random: Random, fields: list[Field]) -> list[Place] | None:
    """The places of one jsonb attribute, itself first, now claimed and free to be changed; None where all are claimed."""
    field = claim_one(draft, random, fields)
    if field is None:
        return None
    holder = field.holder(draft)
    # Blocks of the pools are shared by many items: this item gets its own.
    holder[field.name] = orjson.loads(orjson.dumps(holder.get(field.name, {"M": {"note": {"S": "x"}}})))
    root = Place(field.attribute, holder, field.name)
    return [root, *_below(root)]


def _below(place: Place) -> Iterator[Place]:
    ((tag, content),) = place.value.items()
    if tag == "M":
        inner = [Place(f"{place.path}.{name}", content, name) for name in content]
    elif tag == "L":
        inner = [Place(f"{place.path}[{index}]", content, index) for index in range(len(content))]
    else:
        return
    for nested in inner:
        yield nested
        yield from _below(nested)
