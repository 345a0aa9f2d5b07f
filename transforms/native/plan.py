"""The input of `sound_rows.c`, made from a definition: the compiled conversion of sound items.

It makes the same rows as the conversion in Python, several times as fast, and leaves to Python every item that it is not sure of. Where it
is not built (no C compiler when ddb2pg was installed), Python converts all items.
"""

from __future__ import annotations

import hashlib
import pkgutil
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

import orjson

from transforms.columns import CompiledColumn, EachRefused, Map
from transforms.lines import parse_json
from transforms.rejects import Notice, NoticeCode, ValueRefused
from transforms.rules import (
    Array,
    BigInt,
    Boolean,
    Bytes,
    Cast,
    Char,
    Citext,
    Conversion,
    Date,
    Domain,
    Double,
    Enum,
    Inet,
    Integer,
    Interval,
    Json,
    Jsonb,
    LocalTimestamp,
    Numeric,
    OneOf,
    Real,
    SmallInt,
    Text,
    Time,
    Timestamp,
    UpperCased,
    Uuid,
    UuidV5,
    Varchar,
)
from transforms.rules.documents import rule_of_elements
from transforms.rules.text import is_uuid
from transforms.rules.times import POWER_OF_FORM, offsets_of
from transforms.sources import Clean, Computed, Joined, LaterOf, Part, Whole, names_of, parts_of_pattern
from transforms.table import Missing
from transforms.types import oid_of_elements
from transforms.values import ABSENT
from transforms.where import IGNORED, AllOf, AnyOf, BeginsWith, Check, Condition, Equals, Exists, Ignore, In, Not, Scalar, in_words


def _is_built_of_these(sources: str) -> bool:
    """Whether each of these files, `name:hash name:hash`, that is beside this one is as it was; an installed ddb2pg has none of them."""
    for source in sources.split():
        name, _, digest = source.partition(":")
        try:
            content = pkgutil.get_data("transforms.native", name)
        except OSError:
            continue
        if content is not None and hashlib.sha256(content).hexdigest() != digest:
            return False
    return True


try:
    from transforms.native import sound_rows
except ImportError:
    IS_BUILT = False
else:
    # One that was built long ago says nothing.
    IS_BUILT = hasattr(sound_rows, "SOURCES") and _is_built_of_these(sound_rows.SOURCES)

EncodeSound = Callable[[bytes, list[Notice]], tuple[bytes, list[tuple[int, str]] | None] | int | None]
"""See `SoundRows.encode`."""
ValuesToField = Callable[[tuple[bytes | None, ...], list[Notice]], bytes | None]
"""The JSON of attribute values, or None where one is missing, to a field; None where Python must see the whole line."""

# Of 13 digits, which are all that a step reads, fractions apart.
_MOST_MILLISECONDS: Final = 10**13 - 1
# Not those derived from them, which may do otherwise.
# A text in which U+0000 is replaced is never sure.
_CLEAN: Final = {Clean.TRIM: 1, Clean.LOWER: 2, Clean.UPPER: 4, Clean.EMPTY_AS_NULL: 8, Clean.REPLACE_NUL: 0}
# Plain integers have one spelling, of at most so many digits.
_MOST_DIGITS: Final = 38
_KNOWN: Final = frozenset(
    {
        *(Boolean, SmallInt, Integer, BigInt, Numeric, Double, Real),
        *(Text, Varchar, Char, Citext, Enum, Cast, OneOf, UpperCased, Uuid, UuidV5, Inet),
        *(Timestamp, LocalTimestamp, Date, Time, Interval),
        *(Jsonb, Json, Bytes, Array),
    }
)
_INSTANTS: Final = ("TIMESTAMP", "EPOCH", "ISO")
# The bounds of numerics that a step compares with; others are for Python.
_MOST_WHOLE: Final = 10**17
_MOST_POWER: Final = 17


class Left(NamedTuple):
    """What the compiled conversion leaves to Python of an item that is sound otherwise."""

    columns: Sequence[tuple[int, tuple[bytes | None, ...]]]
    """The numbers of columns, and the JSON of the values that each takes; None for one that is not there. Need not be sound JSON."""
    unmapped: Sequence[tuple[int, str]]
    """As `SoundRows.encode` has them."""
    seen: Sequence[tuple[int, str | int]]
    """The attributes that no item had before, as `take_unseen` has them."""


class LookedFor(NamedTuple):
    """The arguments of `SoundStatistics`."""

    names: tuple[bytes, ...]
    by: tuple[int, ...]
    is_by_prefix: bool
    keys: tuple[tuple[int, ...], ...]
    plans: dict[bytes, tuple[tuple[tuple[int, tuple[bytes, ...]], ...], tuple[tuple[tuple[int, int], tuple[int, int]], ...]]]


LOOKED_FOR_NOTHING: Final = LookedFor((), (), is_by_prefix=False, keys=(), plans={})


class SoundFunctions(NamedTuple):
    """The functions of one definition."""

    encode: EncodeSound
    find_left: Callable[[bytes], Left | None]
    """Of a line that `encode` is not sure of; None where Python must see the whole line."""
    take_unseen: Callable[[], Collection[tuple[int, str | int]]] | None
    """The attributes, as (number of its map, name), that no item had of which `encode` made a row since this was last called."""
    try_lines: TryLines


class TriedLines(NamedTuple):
    """What lines become, where their rows are not wanted."""

    rows: int
    filtered: int
    key_digests: bytes
    """Of each row eight bytes of the SHA-1 of its first fields."""
    left: list[bytes]
    """The lines that Python must see."""


TryLines = Callable[[list[bytes], int], TriedLines]
"""Takes lines, and how many columns, which come first, are the key; 0 for no digests."""


def leave_lines(lines: list[bytes], _key_fields: int) -> TriedLines:
    """A `TryLines` that is not sure of any."""
    return TriedLines(0, 0, b"", lines)


class Attribute(NamedTuple):
    """A name in a map or list, by its number (0 is the item); `opens` is the number of the one that it is itself, or -1."""

    map: int
    name: str
    opens: int = -1
    is_taken: bool = True
    is_list: bool = False


class Step(NamedTuple):
    """One column. `kind` is a name of `EACH_KIND` in steps.h; `attribute` and `other` are numbers of attributes, or -1."""

    kind: str
    attribute: int = -1
    other: int = -1
    if_missing: bytes | None = None
    missing_notice: Notice | None = None
    notice: Notice | None = None
    texts: tuple[bytes, ...] = ()
    to_field: ValuesToField | Callable[[int], int | None] | None = None
    """Of a `CALL`; or of ISO texts on the clock of a zone, see `offsets_of`."""
    earliest: int = 0
    latest: int = 0
    tags: tuple[str, ...] = ()
    """The type tags that it takes; none means any."""
    options: tuple[int, ...] = ()
    """What the kind needs besides: see `OPTIONS` in steps.c."""
    element: Step | None = None
    """Of an array, what each element is; of a `LATER_OF`, what each of the times is."""


class StepSource(NamedTuple):
    """What a step takes. `kind` is a name of `EACH_SOURCE` in sources.h, the other fields are those of its `Source`."""

    kind: str
    attributes: tuple[int, ...] = ()
    texts: tuple[bytes, ...] = ()
    part: int = 0
    clean: int = 0


class ConditionPlan(NamedTuple):
    """A condition. `kind` is a name of `EACH_CONDITION` in where.h, the other fields are those of its `Condition`."""

    kind: str
    reason: int
    names: tuple[bytes | int, ...] = ()
    texts: tuple[bytes, ...] = ()
    numbers: tuple[bytes, ...] = ()
    booleans: int = 0
    inside: tuple[ConditionPlan, ...] = ()


def compile_sound_rows(
    columns: Sequence[CompiledColumn], maps: Sequence[Map], conditions: Sequence[Condition | Ignore] = ()
) -> SoundFunctions:
    """What encodes the items of lines that are sound; it is sure of none where the compiled module is not there.

    `conditions` are the table's own, then those of others. Of an item that is not for the table it gives the number of a reason.
    """
    if not IS_BUILT:
        return NEVER_SURE
    opened = [(map_.parent, map_.name, number) for number, map_ in enumerate(maps) if number]
    attributes = {
        (parent, name): Attribute(parent, str(name), number, name in maps[parent].taken, maps[number].is_list)
        for parent, name, number in opened
    }
    for number, map_ in enumerate(maps):
        for name in map_.taken:
            attributes.setdefault((number, name), Attribute(number, str(name)))
        for name in map_.known - map_.taken:
            attributes.setdefault((number, name), Attribute(number, str(name), is_taken=False))
    numbers = {map_.names: number for number, map_ in enumerate(maps)}
    places = {place: number for number, place in enumerate(attributes)}
    of_columns = [[places[numbers[names[:-1]], names[-1]] for names in column.paths] for column in columns]
    steps = tuple(_step(column, taken) for column, taken in zip(columns, of_columns, strict=True))
    sources = tuple(_source(column, step, taken) for column, step, taken in zip(columns, steps, of_columns, strict=True))
    reasons = {reason: number for number, reason in enumerate(reasons_of(conditions))}
    # What a table takes counts before what is to be ignored.
    ordered = sorted(conditions, key=lambda condition: isinstance(condition, Ignore))
    plans = tuple(_condition_plan(_condition_of(condition), reasons) for condition in ordered)
    answers = tuple(reasons[_ignored(condition)] if isinstance(condition, Ignore) else -1 for condition in ordered)
    rows = sound_rows.SoundRows(len(maps), tuple(attributes.values()), steps, sources, plans, answers)
    named = list(attributes)

    def find_left(line: bytes) -> Left | None:
        found = rows.find_left(line)
        return None if found is None else Left(found[0], found[1], [named[number] for number in found[2]])

    return SoundFunctions(
        rows.encode,
        find_left,
        lambda: [named[number] for number in rows.take_unseen()],
        lambda lines, key_fields: TriedLines(*rows.try_lines(lines, key_fields)),
    )


def is_called(column: CompiledColumn) -> bool:
    """Whether the compiled conversion calls Python for the fields of a column."""
    return _step(column, range(len(column.definition.paths))).kind == "CALL"


def read_sound_change(line: bytes, key: tuple[str, ...]) -> tuple[int, bytes, bytes | None, bytes | None] | None:
    """The fields of a `Change`, of a line that is written as DynamoDB writes them; None where the way in Python must decide.

    Whether the images are sound JSON is not looked at.
    """
    return sound_rows.read_change(line, key) if IS_BUILT else None


def new_sound_statistics(looked_for: LookedFor | None = None) -> sound_rows.SoundStatistics | None:
    """Counts what is in the items of lines that are sound; with what a draft needs if that is given.

    None where the compiled module is not there, or cannot look for all of that.
    """
    if not IS_BUILT:
        return None
    try:
        return sound_rows.SoundStatistics(looked_for is not None, *(looked_for or LOOKED_FOR_NOTHING))
    except ValueError:
        return None


NEVER_SURE: Final = SoundFunctions(lambda _line, _notices: None, lambda _line: None, None, leave_lines)


# -- steps ---------------------------------------------------------------------------------------------------------------------------------


def _step(column: CompiledColumn, attributes: Sequence[int]) -> Step:
    source, rule = column.definition.source, column.definition.rule
    if source is None:
        return Step("CONSTANT", if_missing=column.to_field((), []))
    first, second = (*attributes, -1, -1)[:2]
    known = None if isinstance(source, Computed) else _of_conversion(rule, str(column.attribute))
    if known is None or (second >= 0 and known.kind not in _INSTANTS and isinstance(source, LaterOf)):
        return Step("CALL", first, to_field=_of_values(column))
    step = Step("LATER_OF", first, second, element=known) if isinstance(source, LaterOf) else known._replace(attribute=first)
    if column.definition.missing is Missing.REFUSED:
        return step
    notices: list[Notice] = []
    field = column.if_missing(notices)
    return step._replace(if_missing=field, missing_notice=next(iter(notices), None))


def _source(column: CompiledColumn, step: Step, attributes: Sequence[int]) -> StepSource:
    definition = column.definition
    # A column of Python's own cleans for itself.
    clean = 0 if step.kind == "CALL" else sum(_CLEAN[kind] for kind in definition.clean)
    plain = StepSource("FROM_VALUE", tuple(attributes), clean=clean)
    match definition.source:
        case Whole.ITEM:
            return plain._replace(kind="FROM_ITEM")
        case Whole.REST:
            return plain._replace(kind="FROM_REST")
        case Part(_, pattern, name):
            literals, names = parts_of_pattern(pattern)
            return plain._replace(kind="FROM_PART", texts=_utf8(literals), part=names.index(name))
        case Joined(separator=separator):
            return plain._replace(kind="FROM_JOINED", texts=(orjson.dumps(separator)[1:-1],))
    return plain


def _of_values(column: CompiledColumn) -> ValuesToField:
    """The column's own function, of its attributes alone."""

    def to_field(values: tuple[bytes | None, ...], notices: list[Notice]) -> bytes | None:
        try:
            return column.to_field([ABSENT if value is None else parse_json(value) for value in values], notices)
        except (orjson.JSONDecodeError, ValueRefused, EachRefused):
            return None

    return to_field


# -- conditions ----------------------------------------------------------------------------------------------------------------------------


def reasons_of(conditions: Sequence[Condition | Ignore]) -> list[str]:
    """What may be said of an item that is not for a table, by number; each once."""
    reasons: dict[str, None] = {}
    for condition in conditions:
        if isinstance(condition, Ignore):
            reasons |= dict.fromkeys((_ignored(condition), *reasons_of((condition.where,))))
            continue
        inside: tuple[Condition, ...] = ()
        if isinstance(condition, AllOf | AnyOf):
            inside = condition.conditions
        elif isinstance(condition, Not):
            inside = (condition.condition,)
        reasons |= dict.fromkeys((in_words(condition), *reasons_of(inside)))
    return list(reasons)


def _ignored(ignore: Ignore) -> str:
    return f"{IGNORED}{in_words(ignore.where)}"


def _condition_of(condition: Condition | Ignore) -> Condition:
    return condition.where if isinstance(condition, Ignore) else condition


def _condition_plan(condition: Condition, reasons: Mapping[str, int]) -> ConditionPlan:
    reason = reasons[in_words(condition)]
    match condition:
        case AllOf(conditions):
            return ConditionPlan("ALL_OF", reason, inside=tuple(_condition_plan(inner, reasons) for inner in conditions))
        case AnyOf(conditions):
            return ConditionPlan("ANY_OF", reason, inside=tuple(_condition_plan(inner, reasons) for inner in conditions))
        case Not(inner):
            return ConditionPlan("NOT", reason, inside=(_condition_plan(inner, reasons),))
        case Check():
            message = "a Check is for Python alone"
            raise ValueError(message)
    names = tuple(name if isinstance(name, int) else name.encode() for name in names_of(condition.path))
    match condition:
        case Exists():
            return ConditionPlan("EXISTS", reason, names)
        case BeginsWith(text=text):
            return ConditionPlan("BEGINS_WITH", reason, names, (text.encode(),))
        case Equals(value=value):
            values: tuple[Scalar, ...] = (value,)
        case In(values=values):
            pass
    texts = _utf8([value for value in values if isinstance(value, str)])
    numbers = tuple(_plain_integer(Decimal(value)) for value in values if isinstance(value, int | Decimal) and not isinstance(value, bool))
    booleans = (1 if any(value is False for value in values) else 0) | (2 if any(value is True for value in values) else 0)
    return ConditionPlan("EQUALS", reason, names, texts, numbers, booleans)


def _plain_integer(number: Decimal) -> bytes:
    """Empty for what no plain integer is equal to."""
    is_integer = number == 0 or (number.adjusted() < _MOST_DIGITS and number == number.to_integral_value())
    return str(int(number)).encode() if is_integer else b""


def _of_conversion(conversion: Conversion, path: str) -> Step | None:
    """What is special in a conversion; None where only Python knows it."""
    if type(conversion) is Domain:
        return _of_conversion(conversion.rule, path)
    if type(conversion) not in _KNOWN:
        return None
    step = _of_text(conversion, path) or _of_number(conversion) or _of_time(conversion) or _of_document(conversion, path)
    return None if step is None else step._replace(tags=conversion.tags)


def _of_text(conversion: Conversion, path: str) -> Step | None:  # noqa: PLR0911 - one return a conversion
    match conversion:
        case Uuid():
            return Step("UUID", notice=Notice(NoticeCode.EMPTY_UUID_AS_NULL, path) if conversion.empty_as_null else None)
        case Text(expected=None) | Citext() | Cast() | Enum(values=()):
            return Step("TEXT")
        case Text(expected=expected, otherwise=NoticeCode() as otherwise) if expected is is_uuid:
            return Step("UUID_AS_TEXT", notice=Notice(otherwise, path))
        case OneOf(values=values) | Enum(values=values):
            return Step("ONE_OF", texts=_utf8(values))
        case UpperCased():
            return Step("UPPER_CASED", texts=_utf8(conversion.known), notice=Notice(conversion.otherwise, path))
        case UuidV5(namespace=namespace):
            return Step("UUID_V5", texts=(uuid.UUID(namespace).bytes,))
        case Inet():
            return Step("INET")
        case Varchar(length=length) | Char(length=length):
            return Step("LIMITED", options=(length,))
    return None


def _of_number(conversion: Conversion) -> Step | None:  # noqa: PLR0911 - one return a conversion
    match conversion:
        case SmallInt() | Integer() | BigInt():
            return Step("INTEGER", options=(conversion.size, *conversion.bounds, conversion.zero_padded))
        case Numeric(precision=precision, scale=scale, least=least, most=most):
            bounds = _scaled_bounds(least, most)
            if bounds is None:
                return None
            *least_and_most, power = bounds
            has_bounds = (least, most) != (None, None)
            options = (precision or 0, scale or 0, has_bounds, *least_and_most, conversion.zero_padded, power)
            return Step("NUMERIC", options=options)
        case Double():
            return Step("DOUBLE", options=(conversion.zero_padded,))
        case Real():
            return Step("REAL", options=(conversion.zero_padded,))
        case Boolean(true=(), false=()):
            return Step("BOOLEAN")
        case Boolean(true=true, false=false):
            return Step("SPELLED", texts=_utf8((*true, *false)), options=(len(true),))
    return None


def _scaled_bounds(least: object, most: object) -> tuple[int, int, int] | None:
    """Both times a power of ten, as whole numbers, and that power; None where a step cannot compare with them."""
    given = [bound for bound in (least, most) if bound is not None]
    if not all(type(bound) in (int, Decimal) for bound in given):
        return None
    exact = [Decimal(str(bound)) for bound in given]
    power = max([0, *(-int(bound.as_tuple().exponent) for bound in exact if bound.is_finite())])
    if power > _MOST_POWER or not all(bound.is_finite() and abs(bound) * 10**power <= _MOST_WHOLE for bound in exact):
        return None
    whole = iter([int(bound.scaleb(power)) for bound in exact])
    return -_MOST_WHOLE if least is None else next(whole), _MOST_WHOLE if most is None else next(whole), power


def _of_time(conversion: Conversion) -> Step | None:  # noqa: PLR0911 - one return a conversion
    match conversion:
        case Timestamp(form="ms"):
            return Step("TIMESTAMP", earliest=max(conversion.earliest, 0), latest=min(conversion.latest, _MOST_MILLISECONDS))
        case Timestamp(form="iso", zone=zone):
            return Step("ISO", options=_microseconds(conversion), to_field=None if zone is None else offsets_of(zone))
        case LocalTimestamp(form="iso"):
            return Step("LOCAL", options=_microseconds(conversion))
        case Timestamp() | LocalTimestamp():
            return Step("EPOCH", options=(POWER_OF_FORM.get(conversion.form, -1), *_microseconds(conversion)))
        case Date(form="iso"):
            return Step("DATE")
        case Date(form=form):
            return Step("DAY", options=(POWER_OF_FORM[form],))
        case Time():
            return Step("TIME")
        case Interval(unit="s" | "ms" as unit):
            return Step("SPAN", options=(POWER_OF_FORM[unit],))
        case Interval(unit="iso"):
            return Step("ISO_SPAN")
    return None


def _microseconds(conversion: Timestamp | LocalTimestamp) -> tuple[int, int]:
    return conversion.earliest * 1000, conversion.latest * 1000


def _of_document(conversion: Conversion, path: str) -> Step | None:
    match conversion:
        case Jsonb(typed=typed):
            return Step("JSONB", options=(typed,))
        case Json(typed=typed):
            return Step("JSON", options=(typed,))
        case Bytes():
            return Step("BYTES")
        case Array():
            element = _of_conversion(rule_of_elements(conversion.rule), path)
            return None if element is None else Step("ARRAY", options=(oid_of_elements(conversion.pg_type),), element=element)
    return None


def _utf8(texts: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(text.encode() for text in texts)
