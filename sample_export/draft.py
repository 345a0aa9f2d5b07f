"""An item on its way into a data file, with the truth about it: first sound, then perhaps changed by planters.

A planter claims the attributes it changes, so that two of them never work on the same value and every error stays certain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import orjson

from sample_export.attribute_values import AttributeValue, jsonb


@dataclass(slots=True)
class Draft:
    """`row` holds the plain columns, `documents` the jsonb ones, `times` microseconds where a column has two sources.

    `line` stands for the whole line where no attributes can say it, `spelling` changes how the line is written and not what
    it says, `is_last` is true for the last item of a data file, `planted` names the kinds of faults and oddities.
    """

    attributes: dict[str, AttributeValue]
    row: dict[str, Any]
    documents: dict[str, Any] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)
    notices: list[tuple[str, str]] = field(default_factory=list)
    errors: list[tuple[str, str | None]] = field(default_factory=list)
    read_error: tuple[str, str | None] | None = None
    group: str | None = None
    line: bytes | None = None
    spelling: Callable[[bytes], bytes] | None = None
    is_last: bool = False
    planted: list[str] = field(default_factory=list)
    claimed: set[str] = field(default_factory=set)

    def claim(self, *names: str) -> bool:
        """Take attributes for one planter; False, and nothing taken, where another has one of them."""
        if not self.claimed.isdisjoint(names):
            return False
        self.claimed.update(names)
        return True

    def refuse(self, code: str, attribute: str) -> bool:
        """Note an error of the transform stage. Always True, so that a planter can end with it."""
        self.errors.append((code, attribute))
        return True

    def shuffle_attributes(self, random: Random) -> None:
        """Put the attributes in another order: DynamoDB keeps none."""
        names = list(self.attributes)
        random.shuffle(names)
        self.attributes = {name: self.attributes[name] for name in names}

    def to_line(self) -> bytes:
        """The line of the data file, without its newline."""
        if self.line is not None:
            return self.line
        line = orjson.dumps({"Item": self.attributes})
        return line if self.spelling is None else self.spelling(line)

    def to_truth(self, data_file: str, item_number: int) -> bytes:
        """The line of the truth, without its newline."""
        return orjson.dumps({"data_file": data_file, "item_number": item_number, **self._outcome()})

    def to_planted(self, data_file: str, item_number: int) -> bytes:
        """What was planted, by name: tells why an item is as it is."""
        return orjson.dumps({"data_file": data_file, "item_number": item_number, "kinds": self.planted})

    def _outcome(self) -> dict[str, Any]:
        if self.read_error is not None:
            return {"outcome": "dead_letter", "stage": "read", "errors": _listed([self.read_error])}
        if self.errors:
            return {"outcome": "dead_letter", "stage": "transform", "errors": _listed(self.errors)}
        for column, plain in self.documents.items():
            self.row[column] = jsonb(plain)
        notices = _listed(self.notices)
        if self.group is not None:
            return {"outcome": "conflict", "group": self.group, "row": self.row, "notices": notices}
        return {"outcome": "row", "row": self.row, "notices": notices}


def _listed(found: list[tuple[str, str]] | list[tuple[str, str | None]]) -> list[dict[str, str | None]]:
    return [{"code": code, "attribute": attribute} for code, attribute in found]
