"""One table of the file: its keys by their types, with a sentence for everything that is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pipeline.postcheck.requests.json_values import Value


class Fields:
    """The keys of a TOML table. Each is taken once; what was never taken is unknown."""

    def __init__(self, table: Mapping[str, Any], where: str, problems: list[str]) -> None:
        self._left = dict(table)
        self.where = where
        self._problems = problems

    def complain(self, sentence: str) -> None:
        """Note what is wrong here."""
        self._problems.append(f"{self.where}: {sentence}")

    def text(self, key: str, *, default: str | None = None) -> str:
        """A string with something in it; it must be there unless it has a default."""
        if key not in self._left and default is not None:
            return default
        value = self._left.pop(key, None)
        if isinstance(value, str) and value.strip():
            return value
        self.complain(f"{key} must be a text, and not an empty one")
        return default or ""

    def number(self, key: str, default: float, most: float) -> float:
        """A number above 0."""
        value = self._left.pop(key, default)
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool) and 0 < value <= most:
            return float(value)
        self.complain(f"{key} must be a number above 0, at most {most:g}")
        return default

    def whole_number(self, key: str, default: int, most: int) -> int:
        """A whole number from 1."""
        value = self._left.pop(key, default)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= most:
            return value
        self.complain(f"{key} must be a whole number from 1 to {most}")
        return default

    def table(self, key: str, *, is_required: bool = False) -> dict[str, Any]:
        """A table; an empty one where there is none."""
        value = self._left.pop(key, None if is_required else {})
        if isinstance(value, dict):
            return value
        self.complain(f"{key} must be a table")
        return {}

    def values(self, key: str) -> list[Any]:
        """An array, or one value that stands for an array of it; empty where there is none."""
        value = self._left.pop(key, [])
        return value if isinstance(value, list) else [value]

    def value(self, key: str) -> tuple[bool, Value]:
        """Whether it is there, and what it is as JSON."""
        return (True, self.exact(key, self._left.pop(key))) if key in self._left else (False, None)

    def exact(self, what: str, value: Any) -> Value:
        """A value of TOML as that of JSON."""
        match value:
            case bool() | str():
                return value
            case int() | Decimal() if Decimal(value).is_finite():
                return Decimal(value)
            case list():
                return [self.exact(what, one) for one in value]
            case dict():
                return {name: self.exact(what, one) for name, one in value.items()}
        self.complain(f"{what} holds what JSON has no type for; put times and dates in quotes")
        return None

    def refuse_others(self) -> None:
        """Complain about every key that nobody took."""
        for key in self._left:
            self.complain(f"unknown key {key!r}")
