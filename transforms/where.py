"""Which items a table takes: conditions of its definition, and the function that says why an item does not meet them.

    AllOf(Equals("entity", "ORDER"), BeginsWith("PK", "CUSTOMER#"), Not(Exists("deletedAt")))

A text is compared with an S, an int or Decimal with an N by its value, a bool with a BOOL; an attribute that is missing, NULL or of another
type equals nothing. What does not hold is told in words of the definition alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from transforms.functions import ReadsRefused, compile_call, failed, name_of
from transforms.rejects import ErrorCode, ItemRefused, ReadRefused, TransformRefused, ValueRefused, item_error
from transforms.sources import Names, Reads, names_of, plain_path
from transforms.values import ABSENT, NOT_AN_ATTRIBUTE_VALUE, Item, is_attribute_value, is_missing, to_decimal

Scalar = str | int | Decimal | bool


@dataclass(frozen=True, slots=True)
class Equals:
    """Whether the attribute is this value."""

    path: str
    value: Scalar


@dataclass(frozen=True, slots=True)
class In:
    """Whether the attribute is one of these values."""

    path: str
    values: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        if isinstance(self.values, str):
            # Its letters, otherwise.
            message = f"In: values must be several: ({self.values!r},)"
            raise TypeError(message)
        object.__setattr__(self, "values", tuple(self.values))


@dataclass(frozen=True, slots=True)
class BeginsWith:
    """Whether the attribute is a string that begins so."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Exists:
    """Whether the attribute is there and not NULL."""

    path: str


@dataclass(frozen=True, slots=True, init=False)
class AllOf:
    """Whether all of the conditions hold: `AllOf(Equals(...), Exists(...))`."""

    conditions: tuple[Condition, ...]

    def __init__(self, *conditions: Condition) -> None:
        object.__setattr__(self, "conditions", conditions)


@dataclass(frozen=True, slots=True, init=False)
class AnyOf:
    """Whether at least one of the conditions holds."""

    conditions: tuple[Condition, ...]

    def __init__(self, *conditions: Condition) -> None:
        object.__setattr__(self, "conditions", conditions)


@dataclass(frozen=True, slots=True)
class Not:
    """Whether the condition does not hold."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class Check:
    """Whether a pure Python function of the attributes that it reads, as of a `Computed`, gives True. The last resort: slow."""

    function: Callable[[Reads], bool]
    reads: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "reads", (self.reads,) if isinstance(self.reads, str) else tuple(self.reads))


Condition = Equals | In | BeginsWith | Exists | AllOf | AnyOf | Not | Check

WhyNot = Callable[[Item], str | None]
"""Why an item is not taken, in words of the definition; None where it is."""


IGNORED: Final = "ignored: "
"""How the reason begins for which an item is filtered that no table takes and an `Ignore` does."""


@dataclass(frozen=True, slots=True)
class Ignore:
    """In TABLES: these items of a source are for no table, on purpose."""

    source: str
    where: Condition


def compile_condition(condition: Condition) -> WhyNot:
    """The function that says what does not hold; raises `ValueError` for a condition that cannot be.

    The function raises `ReadRefused` for an attribute value that is none, and `TransformRefused` where a `Check` fails. What does not
    decide is not looked at: of an `AllOf` nothing behind the first that does not hold.
    """
    match condition:
        case AllOf(conditions):
            return _all_of([compile_condition(inner) for inner in _some(condition, conditions)])
        case AnyOf(conditions):
            return _any_of([compile_condition(inner) for inner in _some(condition, conditions)], in_words(condition))
        case Not(inner):
            return _not(compile_condition(inner), in_words(condition))
        case Check():
            return _check(condition)
        case Equals() | In() | BeginsWith() | Exists():
            return _of_attribute(condition)
    message = f"{condition!r} is no condition; conditions are Equals, In, BeginsWith, Exists, AllOf, AnyOf, Not and Check"
    raise ValueError(message)


def compile_known(condition: Condition, names: Sequence[str]) -> WhyNot:
    """The function of an item of which only these attributes are known: what does not hold, whatever the others are; None if it may.

    Raises nothing on any item.
    """
    verdict_of = _verdict(condition, frozenset(names))

    def why_not(item: Item) -> str | None:
        holds, words = verdict_of(item)
        return words if holds is False else None

    return why_not


_Verdict = Callable[[Item], tuple[bool | None, str]]
"""Whether it holds, None where that is not known, and in words what decided it."""


def _verdict(condition: Condition, known: Set[str]) -> _Verdict:
    match condition:
        case AllOf(conditions) | AnyOf(conditions):
            inner = [_verdict(each, known) for each in conditions]
            return _verdict_of_several(inner, decides=isinstance(condition, AnyOf), words=in_words(condition))
        case Not(negated):
            of_negated, words = _verdict(negated, known), in_words(condition)
            return lambda item: (None if (holds := of_negated(item)[0]) is None else not holds, words)
    words = in_words(condition)
    paths = condition.reads if isinstance(condition, Check) else (condition.path,)
    if not all(names_of(path)[0] in known for path in paths):
        return lambda _item: (None, words)
    why_not = compile_condition(condition)

    def verdict(item: Item) -> tuple[bool | None, str]:
        try:
            return why_not(item) is None, words
        except ItemRefused:
            return None, words

    return verdict


def _verdict_of_several(verdicts: Sequence[_Verdict], *, decides: bool, words: str) -> _Verdict:
    """Of conditions of which one that is so decides all."""

    def verdict(item: Item) -> tuple[bool | None, str]:
        found = [each(item) for each in verdicts]
        decided = next((inner for holds, inner in found if holds is decides), None)
        if decided is not None:
            return decides, words if decides else decided
        return (None if any(holds is None for holds, _ in found) else not decides), words

    return verdict


def pinned_by(condition: Condition | None) -> set[Names]:
    """The attributes that are one and the same in every item that meets it."""
    match condition:
        case AllOf(conditions):
            return {names for inner in conditions for names in pinned_by(inner)}
        case Equals(path) | In(path, (_,)):
            return {names_of(path)}
    return set()


def in_words(condition: Condition) -> str:  # noqa: PLR0911 - one return a condition
    """Such as `entity is "ORDER"`."""
    match condition:
        case Equals(path, value):
            return f"{plain_path(path)} is {_shown(value)}"
        case In(path, values):
            more = f" or {len(values) - _MOST_SHOWN} more" if len(values) > _MOST_SHOWN else ""
            return f"{plain_path(path)} is one of {', '.join(map(_shown, values[:_MOST_SHOWN]))}{more}"
        case BeginsWith(path, text):
            return f"{plain_path(path)} begins with {_shown(text)}"
        case Exists(path):
            return f"{plain_path(path)} exists"
        case AllOf(conditions):
            return " and ".join(map(_in_brackets, conditions))
        case AnyOf(conditions):
            return " or ".join(map(_in_brackets, conditions))
        case Not(inner):
            return f"not {_in_brackets(inner)}"
        case Check(function):
            return f"{name_of(function)} is true"


def reads_python(condition: Condition) -> bool:
    """Whether a `Check` is in it, which only Python can do."""
    match condition:
        case AllOf(conditions) | AnyOf(conditions):
            return any(map(reads_python, conditions))
        case Not(inner):
            return reads_python(inner)
    return isinstance(condition, Check)


def paths_told_by(condition: Condition | None) -> tuple[str, ...]:
    """Of the attributes whose value is known of every item that meets the condition: nothing is lost where no column takes them."""
    match condition:
        case Equals(path):
            return (path,)
        case AllOf(conditions):
            return tuple(path for inner in conditions for path in paths_told_by(inner))
    return ()


def attribute_at(item: Item, names: Names) -> object:
    """The attribute value there; `ABSENT` where there is none, or one on the way is NULL or holds no such things.

    Raises `ReadRefused` where one on the way, or itself, is no attribute value.
    """
    value: object = {"M": item}
    for length, name in enumerate(names):
        content = value.get("L" if isinstance(name, int) else "M") if type(value) is dict else None
        if isinstance(name, int):
            value = content[name] if type(content) is list and name < len(content) else ABSENT
        else:
            value = content.get(name, ABSENT) if type(content) is dict else ABSENT
        if is_missing(value):
            return ABSENT
        if not is_attribute_value(value):
            raise ReadRefused.because(ErrorCode.NOT_AN_ITEM, NOT_AN_ATTRIBUTE_VALUE, plain_path(names[: length + 1]))
    return value


_MOST_SHOWN: Final = 5


def _shown(value: Scalar) -> str:
    return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)


def _in_brackets(condition: Condition) -> str:
    words = in_words(condition)
    return f"({words})" if isinstance(condition, AllOf | AnyOf) else words


def _some(condition: Condition, conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    if not conditions:
        message = f"{type(condition).__name__} must have conditions"
        raise ValueError(message)
    return conditions


def _all_of(conditions: Sequence[WhyNot]) -> WhyNot:
    return lambda item: next((why for why_not in conditions if (why := why_not(item)) is not None), None)


def _any_of(conditions: Sequence[WhyNot], words: str) -> WhyNot:
    return lambda item: None if any(why_not(item) is None for why_not in conditions) else words


def _not(why_not: WhyNot, words: str) -> WhyNot:
    return lambda item: words if why_not(item) is None else None


def _of_attribute(condition: Equals | In | BeginsWith | Exists) -> WhyNot:
    names, holds = names_of(condition.path), _holds(condition)
    words = in_words(condition)
    return lambda item: None if holds(attribute_at(item, names)) else words


def _holds(condition: Equals | In | BeginsWith | Exists) -> Callable[[Any], bool]:
    match condition:
        case Exists():
            return lambda value: value is not ABSENT
        case BeginsWith(text=text):
            if not isinstance(text, str) or not text:
                message = f"{condition}: must be a text that is not empty"
                raise ValueError(message)
            return lambda value: value is not ABSENT and "S" in value and value["S"].startswith(text)
        case Equals(value=value):
            values: tuple[Scalar, ...] = (value,)
        case In(values=values):
            pass
    if not values or not all(type(value) in (str, int, bool) or (isinstance(value, Decimal) and value.is_finite()) for value in values):
        message = f"{condition}: a value must be str, int, Decimal or bool"
        raise ValueError(message)
    texts = {value for value in values if type(value) is str}
    booleans = {value for value in values if type(value) is bool}
    numbers = {Decimal(value) for value in values if type(value) is int or isinstance(value, Decimal)}

    def is_one(value: Any) -> bool:
        if value is ABSENT:
            return False
        ((tag, content),) = value.items()
        if tag == "N":
            return to_decimal(content) in numbers
        return content in (texts if tag == "S" else booleans if tag == "BOOL" else ())

    return is_one


def _check(condition: Check) -> WhyNot:
    call, words, name = compile_call(condition.function, condition.reads), in_words(condition), name_of(condition.function)
    paths = [plain_path(path) for path in condition.reads]
    places = [names_of(path) for path in condition.reads]

    def why_not(item: Item) -> str | None:
        try:
            result = call([attribute_at(item, names) for names in places])
            if type(result) is not bool:
                raise failed(name, f"gave {type(result).__name__}: it must give bool")
        except ReadsRefused as each:
            errors = [item_error(refused, paths[number], None) for number, refused in each.refusals.items()]
            raise TransformRefused(tuple(errors)) from None
        except ValueRefused as refused:
            raise TransformRefused((item_error(refused, next(iter(paths), None), None),)) from None
        return None if result else words

    return why_not
