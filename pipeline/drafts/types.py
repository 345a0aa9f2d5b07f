"""From what is known of one attribute to a rule, a type, and what must be said of them. Pure; no value of an item comes out of it.

A rule is proposed where at least 99 % of the attribute's values fit it. Those that do not are dead letters, and are said to be, with their
number; so is what would take them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from pipeline.drafts.names import words_of
from pipeline.inspection.evidence import TimeForm
from pipeline.inspection.names import Shape
from pipeline.inspection.statistics import Attribute

# So many of the values may be dead letters.
_FEW: Final = 0.01
# A text comes so often, on average, where it is one of a few.
_OFTEN: Final = 5
_INTEGER: Final = 10**9
"""Below it a number fits `integer` and has room to grow."""
_BIGINT: Final = 2**63
_FORMS: Final = {"seconds": "s", "milliseconds": "ms", "microseconds": "us"}
_FRACTION_DIGITS: Final = {"seconds": 6, "milliseconds": 3, "microseconds": 0}
_TIME_WORDS: Final = frozenset({"timestamp", "datetime", "ttl", "expires", "expiry", "expiration"})
_TIME_ENDS: Final = _TIME_WORDS | {"at", "time", "date", "ts", "on", "until", "since"}
_TTL: Final = frozenset({"ttl", "expires", "expiry", "expiration", "expire"})
_ALL_TIMES: Final = "earliest=-62135596800000, latest=253402300799999"
"""From the year 1 to 9999."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as Python writes it, and the type of its column as SQL does."""

    call: str
    sql_type: str


@dataclass(frozen=True, slots=True)
class Typed:
    """A rule for an attribute, and what must be said of it."""

    rule: Rule
    remarks: tuple[str, ...] = ()
    clean: tuple[str, ...] = ()
    makes_null: bool = False
    """Whether a value may become NULL, an empty string for example."""


def python_text(text: str) -> str:
    """A text as Python writes it, all of its characters visible."""
    quote = "'" if '"' in text and "'" not in text else '"'
    return f"{quote}{''.join(_escaped(character, quote) for character in text)}{quote}"


def _escaped(character: str, quote: str) -> str:
    if character in (quote, "\\"):
        return f"\\{character}"
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def counted(count: int, of: int) -> str:
    """`3 of 120,000`."""
    return f"{count:,} of {of:,}"


def _in_order(tally: Mapping[str, int]) -> list[tuple[str, int]]:
    """What is counted, in an order that does not depend on which item came first: the largest count first."""
    return sorted(tally.items(), key=lambda counted: (-counted[1], counted[0]))


def rule_for(name: str, attribute: Attribute, *, of_key: bool = False) -> Typed:
    """The rule for an attribute: by its type tags first, then by what its values look like."""
    types = {tag: count for tag, count in _in_order(attribute.tallies["types"]) if tag != "NULL" and count}
    present = sum(types.values())
    if not present:
        return Typed(_JSONB, ("NULL in all items: its type is not known",))
    usual = {tag for tag, count in types.items() if count > _FEW * present}
    typed = _rule_for_tags(name, attribute, usual)
    if typed.rule != _JSONB:
        odd = [
            f"{counted(count, present)} {_are(count)} {tag}: dead letters, wrong_type" for tag, count in types.items() if tag not in usual
        ]
        typed = replace(typed, remarks=(*typed.remarks, *odd))
    return _without_null(typed) if of_key else typed


_AS_NULL: Final = "NULL, each with a notice"


def _without_null(typed: Typed) -> Typed:
    """For a key, which is never NULL: what would become NULL is a dead letter."""
    rule = Rule("Uuid()", "uuid") if typed.makes_null and typed.rule.sql_type == "uuid" else typed.rule
    return Typed(rule, tuple(remark.replace(_AS_NULL, "dead letters") for remark in typed.remarks))


_JSONB: Final = Rule("Jsonb()", "jsonb")
_TEXT: Final = Rule("Text()", "text")
_SURE: Final = {frozenset({"BOOL"}): Rule("Boolean()", "boolean"), frozenset({"B"}): Rule("Bytes()", "bytea")}


def _one_of(times: str) -> str:
    """`times with a zone` as `a time with a zone`."""
    return f"a {times.replace('times', 'time').replace('dates', 'date')}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _rule_for_tags(name: str, attribute: Attribute, tags: set[str]) -> Typed:
    if tags == {"S"}:
        return _rule_for_text(attribute)
    if tags == {"N"}:
        return _rule_for_number(name, attribute, ())
    if frozenset(tags) in _SURE:
        return Typed(_SURE[frozenset(tags)])
    if len(tags) == 1 and tags <= {"SS", "NS", "BS"}:
        return _rule_for_set(attribute, tags.copy().pop())
    if tags == {"S", "N"}:
        return _rule_for_text_and_number(name, attribute)
    counts = ", ".join(f"{attribute.tallies['types'][tag]:,} {tag}" for tag in sorted(tags))
    return Typed(_JSONB, (*([f"of several types: {counts}"] if len(tags) > 1 else []), *_about_lists(attribute, tags)))


def _about_lists(attribute: Attribute, tags: set[str]) -> Iterator[str]:
    elements = attribute.places.root.elements
    if tags == {"L"} and elements is not None and len(elements.types) == 1:
        [tag] = elements.types
        rule = {"S": "Array(Text())", "N": "Array(Numeric())"}.get(tag)
        yield f"all elements are {tag}" + (f"; {rule} would make an array" if rule else "")


# -- text ----------------------------------------------------------------------------------------------------------------------------------


def _rule_for_text(attribute: Attribute) -> Typed:
    shapes = attribute.tallies["shapes"]
    texts, empty = sum(shapes.values()), shapes[Shape.EMPTY]
    filled = texts - empty
    typed = _rule_for_uuids(filled, shapes[Shape.UUID]) or _rule_for_times(attribute, filled)
    if typed is not None:
        return _with_empty(typed, empty, texts)
    said = tuple(_about_texts(attribute, texts))
    known = attribute.evidence.known_texts if attribute.evidence else {}
    if known and texts >= _OFTEN * len(known) and not shapes[Shape.NUL]:
        in_order = sorted(known, key=lambda text: (-known[text], text))
        listed = ", ".join(f"{python_text(text)} {known[text]:,}" for text in in_order)
        values = "".join(f"{python_text(text)}, " for text in in_order)
        return Typed(Rule(f"OneOf(({values.strip() if len(known) == 1 else values[:-2]}))", "text"), (*said, listed))
    return Typed(_TEXT, said)


def _with_empty(typed: Typed, empty: int, texts: int) -> Typed:
    """An empty string is no UUID and no time; it becomes NULL."""
    if not empty:
        return typed
    said = f"{counted(empty, texts)} {_are(empty)} empty: {_AS_NULL}"
    is_uuid = typed.rule.call == "Uuid()"
    rule = Rule("Uuid(empty_as_null=True)", "uuid") if is_uuid else typed.rule
    return replace(typed, rule=rule, clean=() if is_uuid else ("EMPTY_AS_NULL",), makes_null=True, remarks=(*typed.remarks, said))


def _rule_for_uuids(filled: int, uuids: int) -> Typed | None:
    others = filled - uuids
    if not uuids or others > _FEW * filled:
        return None
    said = [f"{counted(others, filled)} {_are(others)} not {'UUIDs' if others > 1 else 'a UUID'}: dead letters; Text() takes them"]
    return Typed(Rule("Uuid()", "uuid"), tuple(said) if others else ())


def _rule_for_times(attribute: Attribute, filled: int) -> Typed | None:
    times = attribute.evidence.tallies["times"] if attribute.evidence else {}
    rules = {
        TimeForm.WITH_ZONE: (Rule('Timestamp(form="iso")', "timestamptz"), "times with a zone"),
        TimeForm.WITHOUT_ZONE: (Rule('LocalTimestamp(form="iso")', "timestamp"), "times without a zone"),
        TimeForm.DATE: (Rule("Date()", "date"), "dates"),
    }
    for form, (rule, noun) in rules.items():
        count = times.get(form, 0)
        if not count or filled - count > _FEW * filled:
            continue
        said, wide = [], rule
        if form is TimeForm.WITHOUT_ZONE:
            said.append('no zone is written; if it is known, Timestamp(form="iso", zone="Europe/Paris") makes a timestamptz of them')
        outside = times.get(TimeForm.OUT_OF_BOUNDS, 0)
        if outside and form is not TimeForm.DATE:
            wide = Rule(f"{rule.call[:-1]}, {_ALL_TIMES})", rule.sql_type)
            said.append(f"{counted(outside, filled)} {_are(outside)} before 2000 or after 2100, so the bounds are wide")
        if count < filled:
            others = filled - count
            of_them = _one_of(noun) if others == 1 else noun
            said.append(f"{counted(others, filled)} {_are(others)} not {of_them}: dead letters; Text() takes them")
        return Typed(wide, tuple(said))
    return None


def _about_texts(attribute: Attribute, texts: int) -> Iterator[str]:
    shapes, evidence = attribute.tallies["shapes"], attribute.evidence
    nul = shapes[Shape.NUL]
    if nul:
        yield f"{counted(nul, texts)} {'has' if nul == 1 else 'have'} U+0000: dead letters; Column(..., clean=(REPLACE_NUL,)) takes them"
    if shapes[Shape.UUID]:
        yield f"{counted(shapes[Shape.UUID], texts)} {_are(shapes[Shape.UUID])} UUIDs"
    for form, count in _in_order(evidence.tallies["times"] if evidence else {}):
        if form not in (TimeForm.OUT_OF_BOUNDS, TimeForm.INVALID) and count:
            yield f"{counted(count, texts)} {_are(count)} {'dates' if form == TimeForm.DATE else f'times {form}'}"
    digits = shapes[Shape.DIGITS]
    if digits > texts * (1 - _FEW):
        yield f"digits in {'all' if digits == texts else counted(digits, texts)}; leading zeros are kept as text"
    if evidence and evidence.texts and texts >= _OFTEN * len(evidence.texts):
        different = len(evidence.texts)
        yield f"{different} different values in {texts:,} items" if different > 1 else f"one value in all {texts:,} items that have it"


# -- numbers -------------------------------------------------------------------------------------------------------------------------------


def _is_named_as_a_time(name: str) -> bool:
    words = words_of(name)
    return bool(words) and (words[-1] in _TIME_ENDS or not _TIME_WORDS.isdisjoint(words))


def is_named_as_a_ttl(name: str) -> bool:
    """Whether a name is one of those that tables have their time to live in."""
    words = words_of(name)
    return not _TTL.isdisjoint(words) or words in (("time", "to", "live"), ("time", "to", "exist"))


def _rule_for_number(name: str, attribute: Attribute, tags: tuple[str, ...]) -> Typed:
    numbers = attribute.tallies["numbers"]
    valid, invalid = numbers["valid"], numbers["invalid"]
    said = []
    if invalid:
        said.append(f"{counted(invalid, valid + invalid)} {_are(invalid)} no number as DynamoDB writes them: dead letters, invalid_number")
    given = f"tags={tags!r}".replace("'", '"') if tags else ""
    times = _rule_for_epochs(name, attribute) if not tags else None
    if times is not None:
        return replace(times, remarks=(*times.remarks, *said))
    said += _about_epochs(attribute)
    if numbers["fractional"]:
        after = attribute.extremes["digits_after_point"][1]
        said.append(f"up to {after} digit{'s' if after > 1 else ''} after the point")
        return Typed(Rule(f"Numeric({given})", "numeric"), tuple(said))
    least, most = attribute.extremes.get("number", (0, 0))
    if -_INTEGER < least <= most < _INTEGER:
        rule = Rule(f"Integer({given})", "integer")
    elif -_BIGINT <= least <= most < _BIGINT:
        rule = Rule(f"BigInt({given})", "bigint")
    else:
        rule = Rule(f"Numeric({given})", "numeric")
        said.append("integers of more than 18 digits")
    return Typed(rule, tuple(said))


def _rule_for_epochs(name: str, attribute: Attribute) -> Typed | None:
    valid = attribute.tallies["numbers"]["valid"]
    units = {unit: count for unit, count in _in_order(attribute.tallies["epoch"]) if count}
    times = sum(units.values())
    others = valid - times
    if not times or others > _FEW * valid:
        return None
    usual = [unit for unit, count in units.items() if count > _FEW * valid]
    # Ten digits may be a phone number; thirteen that are a time of this century hardly anything else.
    if not _is_named_as_a_time(name) and ("seconds" in usual or valid < 10):
        return None
    if len(usual) > 1:
        said = [f"{' and '.join(f'{units[unit]:,} in {unit}' for unit in usual)}: each is taken as what is plausible"]
        rule = Rule('Timestamp(form="epoch")', "timestamptz")
    else:
        [unit] = usual
        said = [f"{unit} since 1970"]
        rule = Rule("Timestamp()" if unit == "milliseconds" else f'Timestamp(form="{_FORMS[unit]}")', "timestamptz")
        others = valid - units[unit]
    if others:
        said.append(f"{counted(others, valid)} {_are(others)} no such time from 2000 to 2100: dead letters; BigInt() takes them")
    fraction = attribute.extremes.get("digits_after_point", (0, 0))[1]
    if any(fraction > _FRACTION_DIGITS[unit] for unit in usual):
        said.append("some are finer than a microsecond: dead letters, invalid_timestamp; Numeric() takes them")
    return Typed(rule, tuple(said))


def _about_epochs(attribute: Attribute) -> Iterator[str]:
    valid = attribute.tallies["numbers"]["valid"]
    for unit, count in _in_order(attribute.tallies["epoch"]):
        if count > valid * (1 - _FEW):
            yield f'plausible as {unit} since 1970; Timestamp(form="{_FORMS[unit]}") would take it so'


def _rule_for_text_and_number(name: str, attribute: Attribute) -> Typed:
    """Strings that are numbers beside numbers are numbers; otherwise all are text."""
    texts, numbers = attribute.tallies["types"]["S"], attribute.tallies["types"]["N"]
    digits = attribute.evidence.tallies["digits"] if attribute.evidence else {}
    said = f"{numbers:,} N and {texts:,} S"
    if digits.get("integers", 0) + digits.get("fractions", 0) == texts:
        typed = _rule_for_number(name, attribute, ("N", "S"))
        # How long the digits in strings are is not known.
        return replace(typed, rule=Rule('Numeric(tags=("N", "S"))', "numeric"), remarks=(f"{said} that are digits", *typed.remarks))
    return Typed(Rule('Text(tags=("S", "N"))', "text"), (said, *_about_texts(attribute, texts)))


# -- sets ----------------------------------------------------------------------------------------------------------------------------------


def _rule_for_set(attribute: Attribute, tag: str) -> Typed:
    evidence = attribute.evidence
    if tag == "BS":
        return Typed(Rule("Array(Bytes())", "bytea[]"))
    if tag == "SS":
        sets = evidence.tallies["sets"] if evidence else {}
        if sets.get("uuids") and not sets.get("texts"):
            return Typed(Rule("Array(Uuid())", "uuid[]"))
        return Typed(Rule("Array(Text())", "text[]"))
    numbers = evidence.tallies["numbers_of_sets"] if evidence else {}
    least, most = evidence.extremes.get("integer_of_sets", (0, 0)) if evidence else (0, 0)
    said = (f"{numbers['invalid']:,} members are no numbers: dead letters",) if numbers.get("invalid") else ()
    if not numbers.get("fractions") and -_BIGINT <= least <= most < _BIGINT:
        return Typed(Rule("Array(BigInt())", "bigint[]"), said)
    return Typed(Rule("Array(Numeric())", "numeric[]"), said)
