"""Items as they may be shown: a value as its shape, a name only where the table's definition has it.

>>> source_shape({"S": "9a3ed888-4b76-41a7-a0b2-1fdfc3f81d3b"})
'S(36) uuid'
>>> masked_path("eventData.9931.dose", ["id", "eventData"])
'eventData (inside)'
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pipeline.inspection.shapes import shape_of
from transforms.attribute_value import is_attribute_value, is_missing

OF_NO_COLUMN: Final = "(an attribute that no column takes)"


def value_at(item: dict[str, Any], path: str) -> Any:
    """The attribute value at a path through maps; None where there is none."""
    *maps, name = path.split(".")
    holder: Any = item
    for map_ in maps:
        value = holder.get(map_)
        holder = value.get("M") if isinstance(value, dict) else None
        if not isinstance(holder, dict):
            return None
    return holder.get(name)


def masked_path(path: str, paths: Sequence[str]) -> str:
    """An attribute's path as far as the definition's `paths` have it; below, it is made of keys of the item, which may be data."""
    if path in paths or any(known.startswith(f"{path}.") for known in paths):
        return path
    above = [known for known in paths if path.startswith((f"{known}.", f"{known}["))]
    return f"{max(above, key=len)} (inside)" if above else OF_NO_COLUMN


def source_shape(value: Any) -> str:
    """What kind of attribute value it is: `S(36) uuid`, `N(13) digits`, `M(4)`."""
    if not is_attribute_value(value):
        return "not an attribute value"
    if is_missing(value):
        return "NULL"
    [(tag, content)] = value.items()
    match content:
        case bool():
            return tag
        case str():
            return f"{tag}({len(content)})" if tag == "B" else f"{tag}({len(content)}) {shape_of(content)}"
        case dict() | list():
            return f"{tag}({len(content)})"
    return tag
