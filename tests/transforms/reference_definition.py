"""Any definition once more, slow and plain, from docs/tables.md and nothing of `transforms` but the definition's own words.

Of a line it says what must become of it: values as texts that PostgreSQL reads, or the errors, or that it is filtered. Where the
documentation leaves open which of several errors is told, it names them all (`Errors`).
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import re
import struct
import uuid
import zoneinfo
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, localcontext
from typing import Any

from reference_conversion import JSON_TYPES, Refused, number, parse, tag_of

Value = dict[str, Any]
Path = tuple[str | int, ...]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Error(Exception):
    """One of these (code, path as text); where there are several, the documentation does not say which."""

    def __init__(self, choices: frozenset[tuple[str, str | None]]) -> None:
        super().__init__(choices)
        self.choices = choices

    def __repr__(self) -> str:
        return " | ".join(f"{code} at {path}" for code, path in sorted(self.choices, key=str))


class OnTheWay(Error):
    """A path leads through what is no map or list: nothing else is said of the column that takes it."""


class Several(Exception):
    """Errors of several attributes that one column takes."""

    def __init__(self, errors: list[Error]) -> None:
        super().__init__(errors)
        self.errors = errors


@dataclass(frozen=True)
class Row:
    values: list[str | None]
    notices: list[tuple[str, str]]


@dataclass(frozen=True)
class Dead:
    stage: str
    errors: list[Error]
    or_filtered: bool = False
    """Of an item with an attribute value that is none, which does not meet the condition by its others: the documentation is silent."""

    def agrees_with(self, stage: str, found: list[tuple[str, str | None]]) -> bool:
        """Every error found is one of these, at each path once; and each of these has one found at one of its paths, of no lower rank."""
        allowed = frozenset[tuple[str, str | None]]().union(*(error.choices for error in self.errors))
        ranks = {path: _rank(code) for code, path in found}
        return (
            stage == self.stage
            and len(ranks) == len(found)
            and all(error in allowed for error in found)
            and all(any(ranks.get(path, 99) <= _rank(code) for code, path in error.choices) for error in self.errors)
        )


class Filtered:
    """No item of this table."""


class NoTable:
    """No item of any table."""


def _rank(code: str) -> int:
    order = ("not_an_item", "missing_required", "wrong_type", "nul_character")
    return order.index(code) if code in order else len(order)


def error(code: str, path: Path | str | None, *others: tuple[str, Path | str | None]) -> Error:
    return Error(frozenset((each, _text(at)) for each, at in ((code, path), *others)))


def _text(path: Path | str | None) -> str | None:
    if path is None or isinstance(path, str):
        return path
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def steps(path: str) -> Path:
    """The names and indexes of a path; a backslash takes the meaning of the character behind it away."""
    found: list[str | int] = [""]
    at = 0
    while at < len(path):
        if path[at] == "\\":
            found[-1] += path[at + 1]  # type: ignore[operator]
            at += 2
        elif path[at] == ".":
            found.append("")
            at += 1
        elif path[at] == "[":
            end = path.index("]", at)
            found.append(int(path[at + 1 : end]))
            at = end + 1
            if at < len(path) and path[at] == ".":
                found.append("")
                at += 1
        else:
            found[-1] += path[at]  # type: ignore[operator]
            at += 1
    return tuple(found)


# -- an item -------------------------------------------------------------------------------------------------------------------------------


def tag_at(value: Any, path: Path) -> str:
    try:
        return tag_of(value)
    except Refused:
        raise ReadFault(_text(path)) from None


class ReadFault(Exception):
    """What is no attribute value, and where."""


def is_missing(value: Any) -> bool:
    return value is None or value == {"NULL": True}


def look_up(item: Value, path: Path) -> Value | None:
    """The attribute value at a path, None where it is missing. Raises `Error` where a map or list on the way is something else."""
    value: Any = {"M": item}
    for depth, step in enumerate(path):
        tag = tag_at(value, path[:depth])
        if tag == "NULL":
            return None
        if isinstance(step, str):
            if tag != "M":
                raise OnTheWay(error("wrong_type", path[:depth]).choices)
            for name, member in value["M"].items():
                tag_at(member, (*path[:depth], name))
            value = value["M"].get(step)
        else:
            if tag != "L":
                raise OnTheWay(error("wrong_type", path[:depth]).choices)
            value = value["L"][step] if step < len(value["L"]) else None
        if value is None:
            return None
    tag_at(value, path)
    return None if is_missing(value) else value


# -- rules ---------------------------------------------------------------------------------------------------------------------------------

Notices = list[tuple[str, str]]


def convert(rule: Any, value: Value, path: Path, notices: Notices) -> str | None:
    """The text that PostgreSQL must read as the column's value."""
    name = type(rule).__name__
    tag = tag_at(value, path)
    if name in ("Jsonb", "Json"):
        check_document(value, path)
        return dump_typed(value) if rule.typed else dump(value)
    if name == "Domain":
        return convert(rule.rule, value, path, notices)
    if tag not in rule.tags:
        raise error("wrong_type", path)
    if name == "Array":
        return array(rule, value, tag, path, notices)
    return RULES[name](rule, tag, value[tag], path, notices)


def _digits(content: str, path: Path) -> str:
    """An N as text."""
    _number(content, path)
    return content


def _number(content: str, path: Path) -> Decimal:
    try:
        return number(content)
    except Refused:
        raise error("invalid_number", path) from None


def _number_of(rule: Any, tag: str, content: str, path: Path) -> Decimal:
    if tag == "S" and getattr(rule, "zero_padded", False):
        content = re.sub(r"^(-?)0+(?=[0-9])", r"\1", content, flags=re.ASCII)
    return _number(content, path)


def _no_nul(content: str, path: Path) -> str:
    if "\0" in content:
        raise error("nul_character", path)
    return content


def _as_text(tag: str, content: str, path: Path) -> str:
    return _digits(content, path) if tag == "N" else _no_nul(content, path)


def of_uuid(rule: Any, _tag: str, content: str, path: Path, notices: Notices) -> str | None:
    if content == "" and rule.empty_as_null:
        notices.append(("empty_uuid_as_null", _text(path) or ""))
        return None
    if re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", content) is None:
        raise error("invalid_uuid", path)
    return content


def of_uuid_v5(rule: Any, tag: str, content: str, path: Path, _notices: Notices) -> str:
    return str(uuid.uuid5(uuid.UUID(rule.namespace), _digits(content, path) if tag == "N" else content))


def of_text(rule: Any, tag: str, content: str, path: Path, notices: Notices) -> str:
    text = _as_text(tag, content, path)
    if rule.expected is not None and not rule.expected(text):
        notices.append((str(rule.otherwise), _text(path) or ""))
    return text


def of_plain_text(_rule: Any, tag: str, content: str, path: Path, _notices: Notices) -> str:
    return _as_text(tag, content, path)


def of_varchar(rule: Any, tag: str, content: str, path: Path, _notices: Notices) -> str:
    text = _as_text(tag, content, path)
    if len(text) > rule.length:
        raise error("text_too_long", path)
    return text


def of_one_of(rule: Any, tag: str, content: str, path: Path, _notices: Notices) -> str:
    if tag == "N":
        _digits(content, path)
    if content not in rule.values:
        raise error("invalid_enum", path)
    return content


def of_enum(rule: Any, tag: str, content: str, path: Path, notices: Notices) -> str:
    return of_one_of(rule, tag, content, path, notices) if rule.values else _as_text(tag, content, path)


def of_upper_cased(rule: Any, tag: str, content: str, path: Path, notices: Notices) -> str:
    text = _as_text(tag, content, path)
    if not text:
        raise error("invalid_enum", path)
    upper = "".join(letter.upper() if letter.isascii() else letter for letter in text)
    if upper not in rule.known:
        notices.append((str(rule.otherwise), _text(path) or ""))
    return upper


def of_inet(_rule: Any, _tag: str, content: str, path: Path, _notices: Notices) -> str:
    try:
        if re.fullmatch(r"[0-9a-fA-F:.]+(/[0-9]+)?", content, re.ASCII) is None:
            raise ValueError
        ipaddress.ip_interface(content)
    except ValueError:
        raise error("invalid_inet", path) from None
    return content


_BITS = {"SmallInt": 16, "Integer": 32, "BigInt": 64}


def of_whole_number(rule: Any, tag: str, content: str, path: Path, _notices: Notices) -> str:
    found = _number_of(rule, tag, content, path)
    if found.as_tuple().exponent < 0 and found % 1 if found.adjusted() < 60 else False:
        raise error("not_an_integer", path)
    half = 2 ** (_BITS[type(rule).__name__] - 1)
    least = -half if rule.least is None else rule.least
    most = half - 1 if rule.most is None else rule.most
    if not least <= found <= most:
        raise error("number_out_of_range", path)
    return str(int(found))


def of_numeric(rule: Any, tag: str, content: str, path: Path, _notices: Notices) -> str:
    found = _number_of(rule, tag, content, path)
    if rule.precision is not None:
        scale = rule.scale or 0
        with localcontext(prec=1000):
            is_lost = found.scaleb(scale) % 1 != 0
            is_beyond = abs(found) >= Decimal(10) ** (rule.precision - scale)
        if is_lost and is_beyond:
            raise error("precision_lost", path, ("number_out_of_range", path))
        if is_lost:
            raise error("precision_lost", path)
        if is_beyond:
            raise error("number_out_of_range", path)
    if (rule.least is not None and found < rule.least) or (rule.most is not None and found > rule.most):
        raise error("number_out_of_range", path)
    return f"{found:f}"


def of_double(rule: Any, tag: str, content: str, path: Path, notices: Notices) -> str:
    found = _number_of(rule, tag, content, path)
    return _rounded(rule, found, repr(float(found)), path, notices)


def of_real(rule: Any, tag: str, content: str, path: Path, notices: Notices) -> str:
    found = _number_of(rule, tag, content, path)
    if abs(found) > Decimal("3.4028235E38"):
        raise error("number_out_of_range", path)
    if found and abs(found) < Decimal("1E-37"):
        raise error("precision_lost", path, ("number_out_of_range", path))
    four_bytes = struct.pack(">f", float(found))
    shortest = next(text for digits in range(1, 10) if struct.pack(">f", float(text := f"{float(found):.{digits}g}")) == four_bytes)
    return _rounded(rule, found, shortest, path, notices)


def _rounded(rule: Any, found: Decimal, shortest: str, path: Path, notices: Notices) -> str:
    if Decimal(shortest) != found:
        if not rule.rounded:
            raise error("precision_lost", path)
        notices.append(("rounded", _text(path) or ""))
    return shortest


def of_boolean(rule: Any, tag: str, content: Any, path: Path, _notices: Notices) -> str:
    if tag == "BOOL":
        return "true" if content else "false"
    if content in rule.true:
        return "true"
    if content in rule.false:
        return "false"
    raise error("invalid_boolean", path, *([("invalid_number", path)] if tag == "N" else []))


_UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1}


def _microseconds(content: str, unit: str, path: Path, code: str) -> Decimal:
    with localcontext(prec=1000):
        microseconds = _number(content, path) * _UNITS[unit]
        if microseconds % 1 if microseconds.adjusted() < 900 else False:
            raise error(code, path)
    return microseconds


def _epoch(rule: Any, content: str, path: Path) -> int:
    """Microseconds since 1970, inside the bounds."""
    low, high = rule.earliest * 1000, rule.latest * 1000
    if rule.form == "epoch":
        with localcontext(prec=1000):
            plausible = [unit for unit in _UNITS if low <= _number(content, path) * _UNITS[unit] <= high]
        if not plausible:
            raise error("timestamp_out_of_range", path)
        return int(_microseconds(content, plausible[0], path, "invalid_timestamp"))
    with localcontext(prec=1000):
        microseconds = _number(content, path) * _UNITS[rule.form]
        is_fine, is_out = microseconds % 1 != 0, not low <= microseconds <= high
    if is_fine and is_out:
        raise error("invalid_timestamp", path, ("timestamp_out_of_range", path))
    if is_fine:
        raise error("invalid_timestamp", path)
    if is_out:
        raise error("timestamp_out_of_range", path)
    return int(microseconds)


_DAY = r"(\d{4})-(\d\d)-(\d\d)"
_CLOCK = r"(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?"
_OFFSET = r"(Z|[+-]\d\d(?::?\d\d)?)"


def _clock(groups: tuple[str | None, ...]) -> time:
    """Raises ValueError."""
    hour, minute, second, fraction = groups
    digits = fraction or ""
    if digits[6:].strip("0"):
        raise ValueError
    return time(int(hour or 0), int(minute or 0), int(second or 0), int(digits[:6].ljust(6, "0")))


def _iso(content: str, path: Path, zone: str | None, *, with_offset: bool) -> int:
    """Microseconds since 1970, of the instant, or on the clock of UTC."""
    bad = error("invalid_timestamp", path)
    match = re.fullmatch(rf"{_DAY}[T ]{_CLOCK}{_OFFSET}?", content, re.ASCII)
    if match is None:
        raise bad
    offset = match[8]
    try:
        local = datetime.combine(date(int(match[1]), int(match[2]), int(match[3])), _clock(match.groups()[3:7]))
    except ValueError:
        raise bad from None
    if not with_offset:
        if offset is not None:
            raise bad
        return (local.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
    if offset is None:
        if zone is None:
            raise bad
        there = zoneinfo.ZoneInfo(zone)
        instants = {local.replace(tzinfo=there, fold=fold).astimezone(UTC) for fold in (0, 1)}
        sound = [instant for instant in instants if instant.astimezone(there).replace(tzinfo=None) == local]
        if len(sound) != 1 or len(instants) != 1:
            raise bad
        return (sound[0] - EPOCH) // timedelta(microseconds=1)
    minutes = 0
    if offset != "Z":
        digits = offset[1:].replace(":", "").ljust(4, "0")
        minutes = (int(digits[:2]) * 60 + int(digits[2:])) * (-1 if offset[0] == "-" else 1)
        if int(digits[:2]) > 23 or int(digits[2:]) > 59:
            raise bad
    return (local.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1) - minutes * 60_000_000


def iso_text(microseconds: int) -> str:
    return (EPOCH + timedelta(microseconds=microseconds)).replace(tzinfo=None).isoformat()


def _in_bounds(rule: Any, microseconds: int, path: Path) -> int:
    if not rule.earliest * 1000 <= microseconds <= rule.latest * 1000:
        raise error("timestamp_out_of_range", path)
    return microseconds


def timestamp(rule: Any, content: str, path: Path) -> int:
    if rule.form == "iso":
        return _in_bounds(rule, _iso(content, path, rule.zone, with_offset=True), path)
    return _epoch(rule, content, path)


def of_timestamp(rule: Any, _tag: str, content: str, path: Path, _notices: Notices) -> str:
    return iso_text(timestamp(rule, content, path)) + "Z"


def of_local_timestamp(rule: Any, _tag: str, content: str, path: Path, _notices: Notices) -> str:
    if rule.form == "iso":
        return iso_text(_in_bounds(rule, _iso(content, path, None, with_offset=False), path))
    return iso_text(_epoch(rule, content, path))


def of_date(rule: Any, _tag: str, content: str, path: Path, _notices: Notices) -> str:
    bad = error("invalid_date", path)
    if rule.form == "iso":
        match = re.fullmatch(_DAY, content, re.ASCII)
        try:
            if match is None:
                raise ValueError
            return date(int(match[1]), int(match[2]), int(match[3])).isoformat()
        except ValueError:
            raise bad from None
    with localcontext(prec=1000):
        microseconds = _number(content, path) * _UNITS[rule.form]
        if microseconds % 86_400_000_000:
            raise bad
        days = int(microseconds // 86_400_000_000)
    try:
        return (date(1970, 1, 1) + timedelta(days=days)).isoformat()
    except OverflowError:
        raise bad from None


def of_time(_rule: Any, _tag: str, content: str, path: Path, _notices: Notices) -> str:
    match = re.fullmatch(_CLOCK, content, re.ASCII)
    try:
        if match is None:
            raise ValueError
        return _clock(match.groups()).isoformat()
    except ValueError:
        raise error("invalid_time", path) from None


_SPAN = r"P(?=.)(-?\d+Y)?(-?\d+M)?(-?\d+W)?(-?\d+D)?(T(?=.)(-?\d+H)?(-?\d+M)?(-?\d+(\.\d{1,6})?S)?)?"


def of_interval(rule: Any, _tag: str, content: str, path: Path, _notices: Notices) -> str:
    if rule.unit == "iso":
        if re.fullmatch(_SPAN, content, re.ASCII) is None:
            raise error("invalid_interval", path)
        return content
    microseconds = _microseconds(content, rule.unit, path, "invalid_interval")
    if abs(microseconds) >= 2**63:
        raise error("invalid_interval", path)
    return f"{microseconds:f} microseconds"


def of_bytes(_rule: Any, _tag: str, content: str, path: Path, _notices: Notices) -> str:
    try:
        decoded = base64.b64decode(content.encode("ascii"), validate=True)
        if base64.b64encode(decoded).decode() != content:
            raise ValueError
    except (binascii.Error, ValueError):
        raise error("invalid_base64", path) from None
    return "\\x" + decoded.hex()


RULES: dict[str, Callable[..., str | None]] = {
    "Uuid": of_uuid,
    "UuidV5": of_uuid_v5,
    "Text": of_text,
    "Citext": of_plain_text,
    "Cast": of_plain_text,
    "Varchar": of_varchar,
    "Char": of_varchar,
    "OneOf": of_one_of,
    "Enum": of_enum,
    "UpperCased": of_upper_cased,
    "Inet": of_inet,
    "SmallInt": of_whole_number,
    "Integer": of_whole_number,
    "BigInt": of_whole_number,
    "Numeric": of_numeric,
    "Double": of_double,
    "Real": of_real,
    "Boolean": of_boolean,
    "Timestamp": of_timestamp,
    "LocalTimestamp": of_local_timestamp,
    "Date": of_date,
    "Time": of_time,
    "Interval": of_interval,
    "Bytes": of_bytes,
}


def array(rule: Any, value: Value, tag: str, path: Path, notices: Notices) -> str:
    """A PostgreSQL array literal. A bad element's error is the array's; which one of several is told is open."""
    elements = value[tag] if tag == "L" else [{tag[0]: element} for element in value[tag]]
    texts, errors, noticed = [], [], set()
    for index, element in enumerate(elements):
        place = (*path, index)
        tag_at(element, place)
        own: Notices = []
        try:
            texts.append(None if is_missing(element) else convert(rule.rule, element, place, own))
            # A notice is the attribute's, whichever elements it is of.
            noticed |= {(code, _text(path) or "") for code, _ in own}
        except Error as found:
            errors.append(found)
    if errors:
        raise Error(frozenset().union(*(found.choices for found in errors)))
    notices += noticed
    return "{" + ",".join("NULL" if text is None else _quoted(text) for text in texts) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# -- documents -----------------------------------------------------------------------------------------------------------------------------


def check_document(value: Value, path: Path) -> None:
    """U+0000 counts before a bad number, and the first of each before others."""
    faults = list(_faults(value, path))
    for code in ("nul_character", "invalid_number"):
        places = [place for found, place in faults if found == code]
        if places:
            raise error(code, places[0], *((code, place) for place in places[1:]))


def _faults(value: Value, path: Path) -> Iterator[tuple[str, Path]]:  # noqa: C901 - a case a tag
    tag = tag_at(value, path)
    content = value[tag]
    if tag == "M":
        for name, member in content.items():
            if "\0" in name:
                yield "nul_character", path
            yield from _faults(member, (*path, name))
    elif tag == "L":
        for index, element in enumerate(content):
            yield from _faults(element, (*path, index))
    elif tag in ("S", "B"):
        if "\0" in content:
            yield "nul_character", path
    elif tag in ("SS", "BS"):
        if any("\0" in member for member in content):
            yield "nul_character", path
    elif tag in ("N", "NS"):
        for member in [content] if tag == "N" else content:
            try:
                number(member)
            except Refused:
                yield "invalid_number", path


def dump(value: Value) -> str:
    """Plain JSON with the digits as they are."""
    [(tag, content)] = value.items()
    match tag:
        case "N":
            return str(content)
        case "NULL":
            return "null"
        case "NS":
            return f"[{','.join(content)}]"
        case "M":
            return "{" + ",".join(f"{json.dumps(name)}:{dump(member)}" for name, member in content.items()) + "}"
        case "L":
            return f"[{','.join(map(dump, content))}]"
    return json.dumps(content)


def dump_typed(value: Value) -> str:
    return json.dumps(value)


# -- sources -------------------------------------------------------------------------------------------------------------------------------

CLEANS = ("REPLACE_NUL", "TRIM", "LOWER", "UPPER", "EMPTY_AS_NULL")


def clean(value: Value | None, cleans: Any, path: Path, notices: Notices) -> Value | None:
    if value is None or "S" not in value:
        return value
    text = value["S"]
    for name in [name for name in CLEANS if name in {each.name for each in cleans}]:
        if name == "EMPTY_AS_NULL":
            if text == "":
                notices.append(("empty_as_null", _text(path) or ""))
                return None
            continue
        change: Any = {
            "REPLACE_NUL": lambda text: text.replace("\0", "\ufffd"), "TRIM": str.strip, "LOWER": str.lower, "UPPER": str.upper
        }[name]  # fmt: skip
        changed = change(text)
        if changed != text:
            code = {"REPLACE_NUL": "nul_replaced", "TRIM": "trimmed", "LOWER": "case_changed", "UPPER": "case_changed"}[name]
            notices.append((code, _text(path) or ""))
        text = changed
    return {"S": text}


def part(source: Any, value: Value, path: Path) -> Value:
    if "S" not in value:
        raise error("wrong_type", path)
    pieces = re.split(r"\{(\w+)\}", source.pattern)
    text, at = value["S"], 0
    found: dict[str, str] = {}
    if not text.startswith(pieces[0]):
        raise error("pattern_mismatch", path)
    at = len(pieces[0])
    for index in range(1, len(pieces), 2):
        literal = pieces[index + 1]
        end = text.find(literal, at + 1) if literal else len(text)
        if end <= at or (end < 0):
            raise error("pattern_mismatch", path)
        found[pieces[index]] = text[at:end]
        at = end + len(literal)
    if at != len(text):
        raise error("pattern_mismatch", path)
    return {"S": found[source.name]}


def joined(source: Any, item: Value) -> Value | None:
    texts, faults, missing = [], [], False
    for path in source.paths:
        try:
            value = look_up(item, steps(path))
            if value is None:
                missing = True
                continue
            [(tag, content)] = value.items()
            if tag not in ("S", "N"):
                raise error("wrong_type", steps(path))
            texts.append(_digits(content, steps(path)) if tag == "N" else content)
        except Error as found:
            faults.append(found)
    if faults:
        faults = [fault for fault in faults if isinstance(fault, OnTheWay)] or faults
        raise Error(frozenset().union(*(fault.choices for fault in faults)))
    return None if missing else {"S": source.separator.join(texts)}


def to_python(value: Value | None) -> Any:
    """As boto3's deserialiser gives it."""
    if value is None:
        return None
    from boto3.dynamodb.types import TypeDeserializer

    def decoded(value: Value) -> Value:
        [(tag, content)] = value.items()
        match tag:
            case "B":
                return {"B": base64.b64decode(content)}
            case "BS":
                return {"BS": [base64.b64decode(member) for member in content]}
            case "L":
                return {"L": [decoded(element) for element in content]}
            case "M":
                return {"M": {name: decoded(member) for name, member in content.items()}}
        return value

    found = TypeDeserializer().deserialize(decoded(value))
    return found.value if type(found).__name__ == "Binary" else found


def taken_by(columns: Any) -> list[Path]:
    """Paths that columns take, whole."""
    found: list[Path] = []
    for column in columns:
        source = column.source
        match type(source).__name__:
            case "str":
                found.append(steps(source))
            case "Part":
                found.append(steps(source.path))
            case "Joined":
                found += map(steps, source.paths)
            case "LaterOf":
                found += [steps(source.first), steps(source.second)]
            case "Computed":
                found += map(steps, source.reads)
            case "Whole":
                found += [()] if source.name == "ITEM" else []
    return found


def rest(item: Value, taken: list[Path]) -> Value:
    """The item without what is taken whole."""

    def without(members: Value, at: Path) -> Value:
        left = {}
        for name, member in members.items():
            path = (*at, name)
            if path in taken:
                continue
            if any(other[: len(path)] == path for other in taken) and "M" in member:
                below = without(member["M"], path)
                if below:
                    left[name] = {"M": below}
            else:
                left[name] = member
        return left

    return without(item, ())


def unmapped(item: Value, taken: list[Path]) -> list[str]:
    """Attributes that no column takes, of the item and of maps of which columns take parts."""

    def names(members: Value, at: Path) -> Iterator[str]:
        for name, member in members.items():
            path = (*at, name)
            if path in taken:
                continue
            if any(other[: len(path)] == path for other in taken):
                if "M" in member:
                    yield from names(member["M"], path)
                elif "L" in member and any(
                    not is_missing(element) and not any(other[: len(path) + 1] == (*path, index) for other in taken)
                    for index, element in enumerate(member["L"])
                ):
                    # Elements that no column takes are told as their list.
                    yield _text(path) or ""
            elif not is_missing(member):
                yield _text(path) or ""

    return [] if () in taken else list(names(item, ()))


def told(condition: Any) -> list[str]:
    """Attributes whose value every item that meets the condition has."""
    if type(condition).__name__ == "AllOf":
        return [path for inner in condition.conditions for path in told(inner)]
    return [_text(steps(condition.path)) or ""] if type(condition).__name__ == "Equals" else []


# -- conditions ----------------------------------------------------------------------------------------------------------------------------


def holds(condition: Any, item: Value) -> bool:  # noqa: PLR0911 - a case a line
    name = type(condition).__name__
    if name == "AllOf":
        return all(holds(each, item) for each in condition.conditions)
    if name == "AnyOf":
        return any(holds(each, item) for each in condition.conditions)
    if name == "Not":
        return not holds(condition.condition, item)
    try:
        value = look_up(item, steps(condition.path))
    except Error:
        value = None
    if name == "Exists":
        return value is not None
    if value is None:
        return False
    [(tag, content)] = value.items()
    if name == "BeginsWith":
        return tag == "S" and bool(content.startswith(condition.text))
    wanted = [condition.value] if name == "Equals" else condition.values
    return any(_equals(tag, content, each) for each in wanted)


def _equals(tag: str, content: Any, wanted: Any) -> bool:
    if isinstance(wanted, bool):
        return tag == "BOOL" and content is wanted
    if isinstance(wanted, str):
        return tag == "S" and content == wanted
    try:
        return tag == "N" and number(content) == wanted
    except Refused:
        return False


# -- a line --------------------------------------------------------------------------------------------------------------------------------


def outcome_of(table: Any, line: bytes, migration_time: int) -> Row | Dead | Filtered | NoTable:  # noqa: PLR0911 - a case a line
    """What must become of a line. `migration_time` in microseconds since 1970."""
    try:
        document = parse(line)
    except Refused:
        return Dead("read", [error("invalid_json", None)])
    if not isinstance(document, dict) or document.keys() != {"Item"} or not isinstance(document["Item"], dict):
        return Dead("read", [error("not_an_item", None)])
    item = document["Item"]
    bad = [name for name, value in item.items() if not _is_value(value)]
    if bad:
        sound = {name: value for name, value in item.items() if name not in bad}
        is_other = table.where is not None and not holds(table.where, sound)
        return Dead("read", [error("not_an_item", bad[0], *(("not_an_item", name) for name in bad))], or_filtered=is_other)
    if table.where is not None and not holds(table.where, item):
        if table.others and not any(holds(other, item) for other in table.others):
            return NoTable()
        return Filtered()
    notices: Notices = []
    values, errors = [], []
    for column in table.columns:
        try:
            values.append(of_column(column, table, item, migration_time, notices))
        except Error as found:
            errors.append(found)
        except Several as found:
            errors += found.errors
        except ReadFault as fault:
            return Dead("read", [error("not_an_item", str(fault))])
    if errors:
        return Dead("transform", errors)
    taken = taken_by(table.columns)
    if not any(type(column.source).__name__ == "Whole" and column.source.name == "REST" for column in table.columns):
        notices += [("unmapped_attribute", name) for name in unmapped(item, taken) if name not in told(table.where)]
    return Row(values, sorted(notices))


def _is_value(value: Any) -> bool:
    try:
        tag_of(value)
    except Refused:
        return False
    return True


def of_column(column: Any, table: Any, item: Value, migration_time: int, notices: Notices) -> str | None:
    source, rule = column.source, column.rule
    path: Path = ()
    own: Notices = []
    match type(source).__name__:
        case "LaterOf":
            return later_of(column, item, migration_time, notices)
        case "NoneType":
            value = None
        case "str":
            path = steps(source)
            value = look_up(item, path)
        case "Part":
            path = steps(source.path)
            value = look_up(item, path)
            value = None if value is None else part(source, value, path)
        case "Joined":
            path = steps(source.paths[0])
            value = joined(source, item)
        case "Whole":
            value = {"M": item if source.name == "ITEM" else rest(item, taken_by(table.columns))}
        case other:
            message = f"no source {other}"
            raise AssertionError(message)
    value = clean(value, column.clean, path, own)
    try:
        text = missing(column, path, migration_time, own) if value is None else convert(rule, value, path, own)
    except Error as found:
        if type(source).__name__ != "Joined":
            raise
        # Of a text that is made of several attributes, the documentation does not say which of them is named.
        paths = [_text(steps(path)) for path in source.paths]
        raise Error(frozenset((code, path) for code, _ in found.choices for path in (*paths, ", ".join(source.paths), None))) from None
    notices += own
    return text


def missing(column: Any, path: Path, migration_time: int, notices: Notices) -> str | None:
    rule = column.missing
    if type(rule).__name__ == "Otherwise":
        content = rule.content
        name = type(column.rule).__name__
        value = content if name in ("Json", "Jsonb") else {tags_of(column.rule)[0]: content}
        return convert(column.rule, value, path, notices)
    match rule.name:
        case "REFUSED":
            raise error("missing_required", path)
        case "MIGRATION_TIME":
            if path:
                notices.append(("timestamp_defaulted", _text(path) or ""))
            return iso_text(migration_time) + "Z"
    return None


def tags_of(rule: Any) -> Any:
    return tags_of(rule.rule) if type(rule).__name__ == "Domain" else rule.tags


def later_of(column: Any, item: Value, migration_time: int, notices: Notices) -> str | None:
    times, errors = [], []
    for text in (column.source.first, column.source.second):
        path = steps(text)
        try:
            value = look_up(item, path)
            if value is not None:
                tag = tag_at(value, path)
                if tag not in column.rule.tags:
                    raise error("wrong_type", path)
                times.append(timestamp(column.rule, value[tag], path))
        except Error as found:
            errors.append(found)
    if errors:
        raise Several([each for each in errors if isinstance(each, OnTheWay)] or errors)
    return iso_text(max(times)) + "Z" if times else missing(column, steps(column.source.first), migration_time, notices)


assert {*JSON_TYPES} == {"S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"}
