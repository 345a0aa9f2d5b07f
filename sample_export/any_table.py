"""Made-up items for any definition, clean and with the faults that its rules know, and what must become of each.

It works the other way round than a conversion: first the value that a column must hold is made up, then the attribute that says it, so
that no conversion stands between the two. The definition comes as plain data, an object as `{"Part": {"path": "SK", ...}}`.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any

from sample_export.values import NAMES, random_uuid

Plain = Mapping[str, Any]
Error = tuple[str, str | None]
Path = tuple[str | int, ...]
Typed = dict[str, Any]

NULL: Typed = {"NULL": True}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = 1_577_836_800, 1_893_456_000  # 2020 to 2030, in seconds
_POWERS = {"s": 1, "ms": 1_000, "us": 1_000_000}
_BITS = {"SmallInt": 15, "Integer": 31, "BigInt": 63}
_NUMBERS = ("SmallInt", "Integer", "BigInt", "Numeric", "Double", "Real")
_TEXTS = ("Text", "Citext", "Varchar", "Char")


class CannotMakeUp(ValueError):
    """What the definition wants is not known to who makes up items."""


@dataclass(frozen=True, slots=True)
class Value:
    """A content of a tag, and what the column must hold, as PostgreSQL reads it."""

    tag: str
    content: Any
    meaning: Any


@dataclass(slots=True)
class Made:
    """An item, and for each column what it must hold."""

    item: Typed
    row: dict[str, Any]
    notices: list[Error] = field(default_factory=list)
    children: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Of each child's target the rows."""
    child_notices: list[Error] = field(default_factory=list)
    """Those of them that are of child rows."""


def kind_of(plain: Any) -> tuple[str, Plain]:
    """The name of an object and its arguments."""
    ((name, arguments),) = plain.items()
    return name, arguments


@cache
def steps(path: str) -> Path:
    """The names and indexes of a path; a backslash makes what follows a part of a name."""
    found: list[str | int] = []
    name, at, is_open = "", 0, True
    while at < len(path):
        if path[at] == "\\":
            name += path[at + 1]
            at += 2
            continue
        if path[at] in ".[":
            if is_open:
                found.append(name)
            name, is_open = "", path[at] == "."
            if path[at] == "[":
                end = path.index("]", at)
                found.append(int(path[at + 1 : end]))
                at = end
        else:
            name += path[at]
        at += 1
    return (*found, name) if is_open else tuple(found)


def paths_taken(source: Any) -> list[Path]:
    """The paths of a column's source; none for a constant and the whole item."""
    if isinstance(source, str):
        return [] if source in ("ITEM", "REST") else [steps(source)]
    if source is None:
        return []
    _, of = kind_of(source)
    return [steps(path) for path in of.get("paths", [of[name] for name in ("path", "first", "second") if name in of])]


def in_words(path: Path) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def put(item: Typed, path: Path, value: Typed | None) -> None:
    """Write an attribute value at its path; None takes out what is there."""
    name = path[0]
    if len(path) == 1 and isinstance(name, str) and value is not None:
        item[name] = value
        return
    holder: Any = {"M": item}
    for step, below in zip(path, (*path[1:], None), strict=True):
        tag = "L" if isinstance(step, int) else "M"
        members = holder.setdefault(tag, [] if tag == "L" else {})
        if isinstance(step, int):
            while len(members) <= step:
                members.append({"NULL": True})
        if below is None:
            if value is not None:
                members[step] = value
            elif isinstance(step, int):
                members[step] = {"NULL": True}
            else:
                members.pop(step, None)
            return
        if step not in members if isinstance(members, dict) else "NULL" in members[step]:
            members[step] = {}
        holder = members[step]


def meaning_of_missing(column: Plain) -> Any:
    """What a column must hold where its attribute is missing. The target alone says what a DEFAULT is, the ledger when the load began."""
    missing = column["missing"]
    if missing == "NULL":
        return None
    if missing in ("MIGRATION_TIME", "COLUMN_DEFAULT"):
        return missing.lower()
    content = missing["Otherwise"]["content"]
    name, of = kind_of(column["rule"])
    return {"jsonb": to_json(content, typed=of["typed"])} if name in ("Jsonb", "Json") else content


# -- values that columns must hold ---------------------------------------------------------------------------------------------------------


def make(rule: Any, chance: Random) -> Value:
    """A value of a rule, in one of the tags that it takes. Raises `CannotMakeUp`."""
    name, of = kind_of(rule)
    if name == "Domain":
        return make(of["rule"], chance)
    if name in ("Jsonb", "Json"):
        return _document(of, chance)
    if name == "Array":
        elements = [make(of["rule"], chance) for _ in range(chance.randrange(1, 4))]
        return Value(
            "L",
            [{each.tag: each.content} for each in elements],
            "{" + ",".join(encode_json(each.meaning) for each in elements) + "}",
        )
    maker = _MAKERS.get(name)
    if maker is None or of.get("expected") is not None:
        message = f"{name} says too little of what it takes; sample-export makes up no items for it"
        raise CannotMakeUp(message)
    tag = chance.choice([tag for tag in of["tags"] if tag in ("S", "N", "B", "BOOL")])
    return maker(name, of, tag, chance)


def _document(of: Plain, chance: Random) -> Value:
    dose = f"{chance.randrange(1000)}.{chance.randrange(10)}0"
    members = {"dose": {"N": dose}, "note": {"S": chance.choice(NAMES)}, "seen": {"L": [{"BOOL": True}, {"NULL": True}]}}
    return Value("M", members, {"jsonb": to_json({"M": members}, typed=of["typed"])})


# `json.dumps` with an argument makes an encoder for each call.
encode_json = json.JSONEncoder(ensure_ascii=False).encode


def to_json(value: Typed, *, typed: bool) -> str:
    """The JSON of an attribute value that was made up here."""
    if typed:
        return encode_json(value)
    ((tag, content),) = value.items()
    if tag == "M":
        return "{" + ", ".join(f"{encode_json(name)}: {to_json(each, typed=False)}" for name, each in content.items()) + "}"
    if tag == "L":
        return f"[{', '.join(to_json(each, typed=False) for each in content)}]"
    if tag == "NS":
        return f"[{', '.join(content)}]"
    return str(content) if tag == "N" else "null" if tag == "NULL" else encode_json(content)


def _text(name: str, of: Plain, tag: str, chance: Random) -> Value:
    if tag == "N":
        digits = str(chance.randrange(10 ** min(6, of.get("length", 6))))
        return Value("N", digits, digits)
    text = f"{chance.choice(NAMES)} {chance.randrange(1000)}"
    text = text[: of["length"]].strip() if name in ("Varchar", "Char") else text
    return Value("S", text, text)


def _uuid(_name: str, _of: Plain, tag: str, chance: Random) -> Value:
    made = random_uuid(chance)
    return Value(tag, made.upper() if chance.random() < 0.2 else made, made)


def _uuid_v5(_name: str, of: Plain, tag: str, chance: Random) -> Value:
    text = str(chance.randrange(10**9))
    return Value(tag, text, str(uuid.uuid5(uuid.UUID(of["namespace"]), text)))


def _listed(_name: str, of: Plain, tag: str, chance: Random) -> Value:
    if not of["values"]:
        message = "an Enum without its values says too little; sample-export makes up no items for it"
        raise CannotMakeUp(message)
    chosen = chance.choice(of["values"])
    return Value("S" if "S" in of["tags"] else tag, chosen, chosen)


def _upper_cased(_name: str, of: Plain, _tag: str, chance: Random) -> Value:
    chosen = chance.choice(of["known"])
    return Value("S", chosen.lower() if chosen.isascii() and chance.random() < 0.3 else chosen, chosen)


def _inet(_name: str, _of: Plain, tag: str, chance: Random) -> Value:
    address = f"10.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(1, 255)}"
    return Value(tag, address, address)


def _spelled(of: Plain, tag: str, digits: str, chance: Random) -> str:
    """A number in another spelling now and then."""
    if tag == "S" and of.get("zero_padded") and chance.random() < 0.5:
        return f"-00{digits[1:]}" if digits.startswith("-") else f"00{digits}"
    return digits


def _whole(name: str, of: Plain, tag: str, chance: Random) -> Value:
    half = 1 << _BITS[name]
    least = max(-half, -half if of["least"] is None else of["least"])
    most = min(half - 1, half - 1 if of["most"] is None else of["most"])
    digits = str(chance.randint(least, most))
    spelled = _spelled(of, tag, digits, chance)
    return Value(tag, f"{digits}.0" if chance.random() < 0.1 else spelled, digits)


def _numeric(_name: str, of: Plain, tag: str, chance: Random) -> Value:
    scale = (of["scale"] or 0) if of["precision"] is not None else 4
    most = Decimal(10) ** ((of["precision"] - scale) if of["precision"] is not None else 9) - Decimal(1).scaleb(-scale)
    least = -most if of["least"] is None else max(-most, Decimal(of["least"]))
    most = most if of["most"] is None else min(most, Decimal(of["most"]))
    unit = Decimal(1).scaleb(-scale)
    number = unit * chance.randint(int((least / unit).to_integral_value("ROUND_CEILING")), int(most // unit))
    digits = f"{number.quantize(unit):f}"
    return Value(tag, _spelled(of, tag, digits, chance), digits)


def _float(_name: str, _of: Plain, tag: str, chance: Random) -> Value:
    digits = f"{chance.randrange(-100_000, 100_000)}.{chance.choice(('25', '5', '75'))}"
    return Value(tag, digits, digits)


def _boolean(_name: str, of: Plain, tag: str, chance: Random) -> Value:
    is_true = chance.random() < 0.5
    spellings = of["true"] if is_true else of["false"]
    if tag == "BOOL" or not spellings:
        return Value("BOOL", is_true, is_true)
    return Value("S" if "S" in of["tags"] else tag, chance.choice(spellings), is_true)


def _instant(of: Plain, chance: Random) -> int:
    """Microseconds since 1970, of a whole second inside the bounds."""
    first, last = max(_FIRST, -(-of["earliest"] // 1000)), min(_LAST, of["latest"] // 1000)
    if first > last:
        first, last = -(-of["earliest"] // 1000), of["latest"] // 1000
    return chance.randint(first, last) * 1_000_000


def _timestamp(name: str, of: Plain, tag: str, chance: Random) -> Value:
    microseconds = _instant(of, chance)
    moment = _EPOCH + timedelta(microseconds=microseconds)
    meaning = moment.replace(tzinfo=None).isoformat() + ("Z" if name == "Timestamp" else "")
    if of["form"] == "iso":
        text = moment.replace(tzinfo=None).isoformat(sep=chance.choice("T "))
        return Value(tag, text + ("Z" if name == "Timestamp" else ""), meaning)
    form = chance.choice(list(_POWERS)) if of["form"] == "epoch" else of["form"]
    return Value(tag, str(microseconds * _POWERS[form] // 1_000_000), meaning)


def _date(_name: str, of: Plain, tag: str, chance: Random) -> Value:
    days = chance.randint(18_262, 21_914)
    day = (date(1970, 1, 1) + timedelta(days=days)).isoformat()
    return Value(tag, day if of["form"] == "iso" else str(days * 86_400 * _POWERS[of["form"]]), day)


def _time(_name: str, _of: Plain, tag: str, chance: Random) -> Value:
    text = f"{chance.randrange(24):02d}:{chance.randrange(60):02d}:{chance.randrange(60):02d}"
    return Value(tag, text, text)


def _interval(_name: str, of: Plain, tag: str, chance: Random) -> Value:
    hours = chance.randrange(24)
    if of["unit"] == "iso":
        return Value(tag, f"P2DT{hours}H", f"2 days {hours} hours")
    return Value(tag, str(hours * 3600 * _POWERS[of["unit"]]), f"{hours} hours")


def _bytes(_name: str, _of: Plain, tag: str, chance: Random) -> Value:
    content = chance.randbytes(chance.randrange(1, 9))
    return Value(tag, base64.b64encode(content).decode(), f"\\x{content.hex()}")


_MAKERS: Mapping[str, Callable[[str, Plain, str, Random], Value]] = {
    **dict.fromkeys(_TEXTS, _text),
    **dict.fromkeys(_BITS, _whole),
    **dict.fromkeys(("OneOf", "Enum"), _listed),
    **dict.fromkeys(("Double", "Real"), _float),
    **dict.fromkeys(("Timestamp", "LocalTimestamp"), _timestamp),
    "Uuid": _uuid,
    "UuidV5": _uuid_v5,
    "UpperCased": _upper_cased,
    "Inet": _inet,
    "Numeric": _numeric,
    "Boolean": _boolean,
    "Date": _date,
    "Time": _time,
    "Interval": _interval,
    "Bytes": _bytes,
}


# -- faults: what a rule must refuse, by its code ------------------------------------------------------------------------------------------


def faults_of(rule: Any, *, keeps_nul: bool) -> Iterator[tuple[str, Typed]]:
    """Codes with attribute values that have them. `keeps_nul`: U+0000 is not replaced before the rule."""
    name, of = kind_of(rule)
    if name == "Domain":
        yield from faults_of(of["rule"], keeps_nul=keeps_nul)
        return
    if name in ("Jsonb", "Json"):
        yield "nul_character", {"S": "before\0after"}
        if not of["typed"]:
            yield "invalid_number", {"N": "+1"}
        return
    tags = of["tags"]
    if name == "Array":
        yield "wrong_type", {"BOOL": True}
        return
    yield "wrong_type", {"SS": ["x"]}
    if "S" in tags:
        yield from ((code, {"S": content}) for code, content in _faults_in_texts(name, of, keeps_nul=keeps_nul))
    if "N" in tags and name != "Boolean":
        yield from ((code, {"N": content}) for code, content in _faults_in_numbers(name, of))
    if "B" in tags:
        yield "invalid_base64", {"B": "A"}


_WRONG_TEXTS: Mapping[str, tuple[str, str]] = {
    "UpperCased": ("invalid_enum", ""),
    "Uuid": ("invalid_uuid", "provider-17"),
    "Inet": ("invalid_inet", "300.1.1.1"),
    "Boolean": ("invalid_boolean", "perhaps"),
    "Bytes": ("invalid_base64", "A"),
    "Time": ("invalid_time", "25:00"),
    "Date": ("invalid_date", "2023-02-29"),
    "Interval": ("invalid_interval", "1 hour"),
    "Timestamp": ("invalid_timestamp", "2023-02-29T00:00:00Z"),
    "LocalTimestamp": ("invalid_timestamp", "2023-02-29T00:00:00"),
}


def _faults_in_texts(name: str, of: Plain, *, keeps_nul: bool) -> Iterator[tuple[str, str]]:
    if name in _TEXTS and keeps_nul:
        yield "nul_character", "before\0after"[: of.get("length", 12)] if of.get("length", 12) > 6 else "\0"
    if name in ("Varchar", "Char"):
        yield "text_too_long", "x" * (of["length"] + 1)
    if name in ("OneOf", "Enum") and of["values"]:
        yield "invalid_enum", "no value of these"
    if name in _WRONG_TEXTS and of.get("form", "iso") == of.get("unit", "iso") == "iso":
        yield _WRONG_TEXTS[name]
    if name in _NUMBERS or ("form" in of and of["form"] != "iso"):
        yield from _faults_in_numbers(name, of)


def _faults_in_numbers(name: str, of: Plain) -> Iterator[tuple[str, str]]:
    yield "invalid_number", "+1"
    if name in _BITS:
        yield "not_an_integer", "1.5"
        yield "number_out_of_range", str(1 << _BITS[name])
    if name == "Numeric" and of["precision"] is not None:
        least = Decimal(0 if of["least"] is None else of["least"])
        yield "precision_lost", f"{least + Decimal(1).scaleb(-(of['scale'] or 0) - 1):f}"
        yield "number_out_of_range", f"1E{of['precision'] - (of['scale'] or 0)}"
    if name in ("Double", "Real") and not of["rounded"]:
        yield "precision_lost", "0.12345678901234567890123"
    if name == "Date":
        yield "invalid_date", str(86_400 * _POWERS[of["form"]] + 1)
    if name == "Interval":
        yield "invalid_interval", "0.0000000001"
    if name in ("Timestamp", "LocalTimestamp"):
        yield "timestamp_out_of_range", "9.9E30"
        if of["form"] != "epoch":
            microsecond = {"s": "0000001", "ms": "0001", "us": "1"}[of["form"]]
            yield "invalid_timestamp", f"{_FIRST * _POWERS[of['form']]}.{microsecond}"
