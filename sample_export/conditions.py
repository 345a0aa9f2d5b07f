"""What the conditions of a definition say of made-up items, and how to make one hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sample_export.any_table import NULL, CannotMakeUp, Path, Typed, kind_of, put, steps


def look_up(item: Typed, path: Path) -> Typed | None:
    value: Any = {"M": item}
    for step in path:
        if isinstance(step, int):
            elements = value.get("L", [])
            value = elements[step] if step < len(elements) else None
        else:
            value = value.get("M", {}).get(step)
        if value is None or value == NULL:
            return None
    found: Typed = value
    return found


def holds(condition: Any, item: Typed) -> bool:
    name, of = kind_of(condition)
    match name:
        case "AllOf":
            return all(holds(each, item) for each in of["conditions"])
        case "AnyOf":
            return any(holds(each, item) for each in of["conditions"])
        case "Not":
            return not holds(of["condition"], item)
        case "Check":
            message = "what Check says of an item is not in the definition; sample-export makes up no items for it"
            raise CannotMakeUp(message)
    value = look_up(item, steps(of["path"]))
    if value is None or name == "Exists":
        return value is not None
    if name == "BeginsWith":
        return str(value.get("S", "")).startswith(of["text"])
    return any(value == _attribute_of(each) for each in ([of["value"]] if name == "Equals" else of["values"]))


def _attribute_of(scalar: Any) -> Typed:
    return {"BOOL": scalar} if isinstance(scalar, bool) else {"S": scalar} if isinstance(scalar, str) else {"N": str(scalar)}


def paths_of(condition: Any) -> set[Path]:
    if condition is None:
        return set()
    _, of = kind_of(condition)
    below = of.get("conditions") or ([of["condition"]] if "condition" in of else [])
    return {steps(of["path"])} if "path" in of else {path for each in below for path in paths_of(each)}


def equals_of(condition: Any) -> set[Path]:
    """The paths of attributes whose value is known of all items for which it holds."""
    if condition is None:
        return set()
    name, of = kind_of(condition)
    if name == "Equals":
        return {steps(of["path"])}
    return {path for each in of["conditions"] for path in equals_of(each)} if name == "AllOf" else set()


def satisfy(condition: Any, item: Typed, taken: Sequence[Path]) -> bool:
    """Write what the condition wants where no column takes it; whether it holds then."""
    if holds(condition, item):
        return True
    name, of = kind_of(condition)
    if name == "AllOf":
        for each in of["conditions"]:
            satisfy(each, item, taken)
    elif name == "AnyOf":
        return any(satisfy(each, item, taken) for each in of["conditions"])
    elif name != "Not" and steps(of["path"]) not in taken:
        value = {"BeginsWith": of.get("text"), "Exists": "x", "Equals": of.get("value")}.get(name)
        value = of["values"][0] if name == "In" else value
        put(item, steps(of["path"]), _attribute_of(value))
    return holds(condition, item)
