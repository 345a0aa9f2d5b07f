"""Rules of times. All is exact to the microsecond: integers and decimals only, no float on the way."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from itertools import pairwise
from typing import ClassVar, Final
from zoneinfo import ZoneInfo

from transforms.rejects import ErrorCode, Notice, ValueRefused
from transforms.rules.base import Encoder, expect_tags
from transforms.types import (
    DATE,
    DAY_2000,
    INTERVAL,
    POSTGRES_EPOCH,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    PgType,
    date_field,
    interval_field,
    pack_timestamptz,
    timestamptz_field,
)
from transforms.values import check_number

_MILLISECONDS_2000: Final = 946_684_800_000
_MILLISECONDS_2100: Final = 4_102_444_800_000
_EXACT: Final = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)

POWER_OF_FORM: Final = {"s": 6, "ms": 3, "us": 0}
"""Of ten, which makes microseconds of a number."""
_UNIT_OF_FORM: Final = {"s": "seconds", "ms": "milliseconds", "us": "microseconds"}
_DAY: Final = 86_400_000_000
_QUARTER: Final = 900_000_000
_1970: Final = datetime.fromtimestamp(0, UTC).replace(tzinfo=None)
_DAY_1970: Final = _1970.toordinal()
# The years 1 to 9999, in milliseconds: those that ISO 8601 writes in four digits.
_LEAST_TIMESTAMP: Final = -62_135_596_800_000
_MOST_TIMESTAMP: Final = 253_402_300_799_999


def _check_form(rule: Timestamp | LocalTimestamp | Date | Interval, form: str, *forms: str) -> None:
    """Raises `ValueError` for a form that is not one of these, or a tag that it cannot read."""
    if form not in forms:
        message = f"{type(rule).__name__}: {form!r} is none of its forms: {', '.join(forms)}"
        raise ValueError(message)
    expect_tags(rule, *("S",) if form == "iso" else ("N", "S"))


def _set_tags(rule: Timestamp | LocalTimestamp | Date | Interval, form: str) -> None:
    """The tags of a rule that has not been given any: ISO forms are text, all others numbers."""
    if not rule.tags:
        object.__setattr__(rule, "tags", ("S",) if form == "iso" else ("N",))


def _check_bounds(rule: Timestamp | LocalTimestamp) -> None:
    if not _LEAST_TIMESTAMP <= rule.earliest <= rule.latest <= _MOST_TIMESTAMP:
        message = f"{type(rule).__name__}: earliest and latest are milliseconds since 1970, in this order, within the years 1 to 9999"
        raise ValueError(message)


# -- numbers and texts to microseconds -----------------------------------------------------------------------------------------------------


def _whole_microseconds(number: Decimal, power: int) -> int | None:
    """`number` times a power of ten if that is whole. `Decimal`'s own operators would round to the default context's 28 digits."""
    microseconds = number.scaleb(power, _EXACT)
    return int(microseconds) if microseconds == microseconds.to_integral_value() else None


_DATE_TEXT: Final = r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
_TIME_TEXT: Final = r"((?:[01][0-9]|2[0-3]):[0-5][0-9])(?::([0-5][0-9])(?:\.([0-9]+))?)?"
_ISO_DATE: Final = re.compile(_DATE_TEXT)
_ISO_TIME: Final = re.compile(_TIME_TEXT)
_ISO_TIMESTAMP: Final = re.compile(rf"{_DATE_TEXT}[T ]{_TIME_TEXT}(?:(Z)|([+-])([0-9]{{2}})(?::?([0-9]{{2}}))?)?")
_MOST_OFFSET_HOURS: Final = 15
"""PostgreSQL's own limit."""


def _day_of(text: str) -> int | None:
    """Days since 1970 of a date that is written as one."""
    try:
        return date.fromisoformat(text).toordinal() - _DAY_1970
    except ValueError:
        return None


def _microseconds_of_day(minutes: str, seconds: str | None, fraction: str | None) -> int | None:
    """Of `09:30`, `15` and `25`; None where the fraction is finer than a microsecond."""
    fraction = fraction or ""
    if fraction[6:].strip("0"):
        return None
    return ((int(minutes[:2]) * 60 + int(minutes[3:])) * 60 + int(seconds or 0)) * 1_000_000 + int(fraction[:6].ljust(6, "0"))


def _offset_microseconds(sign: str, hours: str, minutes: str | None) -> int | None:
    if int(hours) > _MOST_OFFSET_HOURS or int(minutes or 0) > 59:
        return None
    return (int(hours) * 60 + int(minutes or 0)) * (-60_000_000 if sign == "-" else 60_000_000)


def _zone_offset(clock: int, zone: ZoneInfo) -> int | None:
    """Microseconds that a zone is ahead of UTC at a time on its own clock; None where that time does not exist or comes twice."""
    local = (_1970 + timedelta(microseconds=clock)).replace(tzinfo=zone)
    first, second = local.utcoffset(), local.replace(fold=1).utcoffset()
    return first // timedelta(microseconds=1) if first is not None and first == second else None


def offsets_of(zone: str) -> Callable[[int], int | None]:
    """How many microseconds a zone is ahead of UTC, by the number of a quarter of an hour since 1970 on its own clock.

    None for a quarter in which the clock changes, or that does not exist or comes twice.
    """
    of_zone = ZoneInfo(zone)

    def offset(quarter: int) -> int | None:
        begin = quarter * _QUARTER
        first, last = _zone_offset(begin, of_zone), _zone_offset(begin + _QUARTER - 1, of_zone)
        return first if first == last else None

    return offset


def _iso_to_clock(text: str) -> tuple[int, int | None] | None:
    """Microseconds since 1970 on the clock that a text shows, and how far ahead of UTC it says that is; None for what is no such text."""
    match = _ISO_TIMESTAMP.fullmatch(text)
    if match is None:
        return None
    day, minutes, seconds, fraction, utc, sign, hours, of_hour = match.groups()
    days, of_day = _day_of(day), _microseconds_of_day(minutes, seconds, fraction)
    if days is None or of_day is None:
        return None
    offset = 0 if utc else None
    if sign:
        offset = _offset_microseconds(sign, hours, of_hour)
        if offset is None:
            return None
    return days * _DAY + of_day, offset


# -- timestamps ----------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Timestamp:
    """An instant, to the microsecond; bounds in milliseconds since 1970, both valid, whatever the form (`docs/tables.md`).

    `form`: a number of milliseconds (`ms`), seconds (`s`) or microseconds (`us`) since 1970; `epoch`, whichever of the three is within the
    bounds; or `iso`, a text with an offset or Z, or else on the clock of `zone` (`Europe/Berlin`).
    """

    form: str = "ms"
    zone: str | None = None
    earliest: int = _MILLISECONDS_2000
    latest: int = _MILLISECONDS_2100
    tags: tuple[str, ...] = ()
    content_type: ClassVar[type] = str
    pg_type: ClassVar[PgType] = TIMESTAMPTZ

    def __post_init__(self) -> None:
        _set_tags(self, self.form)

    def encoder(self, attribute: str) -> Encoder:  # noqa: ARG002 - has no notices
        to_microseconds = self._reader()
        # What nearly every timestamp looks like: 13 digits, no exponent, no fraction, no leading zero.
        earliest, latest = (max(self.earliest, 10**12), self.latest) if self.form == "ms" else (1, 0)
        pack = pack_timestamptz

        def encode(text: str, _notices: list[Notice]) -> bytes:
            if len(text) == 13 and text.isdecimal() and text.isascii():
                milliseconds = int(text)
                if earliest <= milliseconds <= latest:
                    return pack(8, milliseconds * 1000 - POSTGRES_EPOCH)
            return timestamptz_field(to_microseconds(text))

        return encode

    def to_microseconds(self, text: str) -> int:
        """Exact microseconds since 1970 of a text of this form: integers and decimals only, no float on the way.

        Raises `ValueRefused`: `invalid_number`, `invalid_timestamp` (finer than a microsecond), `timestamp_out_of_range`.
        """
        return self._reader()(text)

    def _reader(self) -> Callable[[str], int]:
        _check_form(self, self.form, *POWER_OF_FORM, "epoch", "iso")
        _check_bounds(self)
        if self.zone is not None and self.form != "iso":
            message = "Timestamp: only a text can be on the clock of a zone; the form must be iso"
            raise ValueError(message)
        if self.form == "iso":
            return _iso_reader(self, _zone(self.zone))
        return _of_number(self, self.form)


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return None if name is None else ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        message = f"Timestamp: {name!r} is no time zone that this machine knows; write one as Europe/Berlin"
        raise ValueError(message) from None


def _of_number(rule: Timestamp | LocalTimestamp, form: str) -> Callable[[str], int]:
    return _epoch_reader(rule) if form == "epoch" else _number_reader(rule, form)


def _number_reader(rule: Timestamp | LocalTimestamp, form: str) -> Callable[[str], int]:
    power, earliest, latest = POWER_OF_FORM[form], rule.earliest, rule.latest

    def read(text: str) -> int:
        microseconds = _whole_microseconds(check_number(text), power)
        if microseconds is None:
            raise _finer_than_a_microsecond()
        if not earliest * 1000 <= microseconds <= latest * 1000:
            raise ValueRefused(ErrorCode.TIMESTAMP_OUT_OF_RANGE, _out_of_range(rule, form, microseconds))
        return microseconds

    return read


def _epoch_reader(rule: Timestamp | LocalTimestamp) -> Callable[[str], int]:
    first, last = rule.earliest * 1000, rule.latest * 1000
    # The least and the greatest number of each unit.
    spans = sorted((Decimal(first).scaleb(-power), Decimal(last).scaleb(-power)) for power in POWER_OF_FORM.values())
    if any(low <= high for (_, high), (low, _) in pairwise(spans)):
        message = (
            f"{type(rule).__name__}: a number can be plausible in two units within its bounds; narrow earliest and latest, or name the form"
        )
        raise ValueError(message)

    def read(text: str) -> int:
        number = check_number(text)
        for power in POWER_OF_FORM.values():
            if first <= number.scaleb(power, _EXACT) <= last:
                microseconds = _whole_microseconds(number, power)
                if microseconds is None:
                    raise _finer_than_a_microsecond()
                return microseconds
        message = f"must be seconds, milliseconds or microseconds since 1970 of a time {_between(rule)}"
        raise ValueRefused(ErrorCode.TIMESTAMP_OUT_OF_RANGE, message)

    return read


def _iso_reader(rule: Timestamp, zone: ZoneInfo | None) -> Callable[[str], int]:
    def read(text: str) -> int:
        found = _iso_to_clock(text)
        if found is None:
            message = "must be a date and a time in ISO 8601, such as 2024-06-01T08:20:00.5Z, of at most six digits behind the point"
            raise ValueRefused(ErrorCode.INVALID_TIMESTAMP, message)
        clock, offset = found
        if offset is None:
            if zone is None:
                message = "must have an offset or Z, for its column has no zone"
                raise ValueRefused(ErrorCode.INVALID_TIMESTAMP, message)
            offset = _zone_offset(clock, zone)
            if offset is None:
                message = f"must be a time that is once on the clocks of {zone.key}"
                raise ValueRefused(ErrorCode.INVALID_TIMESTAMP, message)
        return _within(rule, clock - offset)

    return read


def _within(rule: Timestamp | LocalTimestamp, microseconds: int) -> int:
    if not rule.earliest * 1000 <= microseconds <= rule.latest * 1000:
        message = f"must be a time {_between(rule)}"
        raise ValueRefused(ErrorCode.TIMESTAMP_OUT_OF_RANGE, message)
    return microseconds


def _finer_than_a_microsecond() -> ValueRefused:
    message = "must not be finer than a microsecond"
    return ValueRefused(ErrorCode.INVALID_TIMESTAMP, message)


def _between(rule: Timestamp | LocalTimestamp) -> str:
    return f"from {rule.earliest} to {rule.latest} milliseconds since 1970"


def _out_of_range(rule: Timestamp | LocalTimestamp, form: str, microseconds: int) -> str:
    if form == "ms":
        message = f"must be milliseconds since 1970 from {rule.earliest} to {rule.latest}"
    else:
        message = f"must be {_UNIT_OF_FORM[form]} since 1970 of a time {_between(rule)}"
    number = Decimal(microseconds).scaleb(-POWER_OF_FORM[form])
    for other, power in POWER_OF_FORM.items():
        if other != form and rule.earliest * 1000 <= int(number.scaleb(power)) <= rule.latest * 1000:
            return f"{message}; it would be plausible as {_UNIT_OF_FORM[other]}"
    return message


@dataclass(frozen=True, slots=True)
class LocalTimestamp:
    """A date and a time of day without a zone: a text without an offset (`iso`), or a number as of `Timestamp`, on the clock of UTC."""

    form: str = "iso"
    earliest: int = _MILLISECONDS_2000
    latest: int = _MILLISECONDS_2100
    tags: tuple[str, ...] = ()
    content_type: ClassVar[type] = str
    pg_type: ClassVar[PgType] = TIMESTAMP

    def __post_init__(self) -> None:
        _set_tags(self, self.form)

    def encoder(self, attribute: str) -> Encoder:  # noqa: ARG002 - has no notices
        _check_form(self, self.form, *POWER_OF_FORM, "epoch", "iso")
        _check_bounds(self)
        read = self._from_text if self.form == "iso" else _of_number(self, self.form)
        return lambda text, _notices: timestamptz_field(read(text))

    def _from_text(self, text: str) -> int:
        found = _iso_to_clock(text)
        if found is None or found[1] is not None:
            message = "must be a date and a time in ISO 8601 without an offset, such as 2024-06-01T08:20:00.5"
            raise ValueRefused(ErrorCode.INVALID_TIMESTAMP, message)
        return _within(self, found[0])


# -- days and times of day -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Date:
    """A day: `2024-06-01` (`iso`), or the number (`s`, `ms`, `us` since 1970) of the instant at which it begins in UTC."""

    form: str = "iso"
    tags: tuple[str, ...] = ()
    content_type: ClassVar[type] = str
    pg_type: ClassVar[PgType] = DATE

    def __post_init__(self) -> None:
        _set_tags(self, self.form)

    def encoder(self, attribute: str) -> Encoder:  # noqa: ARG002 - has no notices
        _check_form(self, self.form, *POWER_OF_FORM, "iso")
        if self.form == "iso":
            return _encode_iso_date
        power, unit = POWER_OF_FORM[self.form], _UNIT_OF_FORM[self.form]

        def encode(text: str, _notices: list[Notice]) -> bytes:
            microseconds = _whole_microseconds(check_number(text), power)
            days, rest = divmod(microseconds, _DAY) if microseconds is not None else (0, 1)
            if rest or not 1 <= days + _DAY_1970 <= date.max.toordinal():
                message = f"must be {unit} since 1970 of the beginning of a day in UTC"
                raise ValueRefused(ErrorCode.INVALID_DATE, message)
            return date_field(days + _DAY_1970 - DAY_2000)

        return encode


def _encode_iso_date(text: str, _notices: list[Notice]) -> bytes:
    days = _day_of(text) if _ISO_DATE.fullmatch(text) else None
    if days is None:
        message = "must be a day, such as 2024-06-01"
        raise ValueRefused(ErrorCode.INVALID_DATE, message)
    return date_field(days + _DAY_1970 - DAY_2000)


@dataclass(frozen=True, slots=True)
class Time:
    """A time of day without a zone: `09:30`, `09:30:15.25`."""

    tags: tuple[str, ...] = ("S",)
    content_type: ClassVar[type] = str
    pg_type: ClassVar[PgType] = TIME

    def encoder(self, attribute: str) -> Encoder:  # noqa: ARG002 - has no notices
        expect_tags(self, "S")

        def encode(text: str, _notices: list[Notice]) -> bytes:
            match = _ISO_TIME.fullmatch(text)
            microseconds = _microseconds_of_day(*match.groups()) if match else None
            if microseconds is None:
                message = "must be a time of day, such as 09:30 or 09:30:15.25, of at most six digits behind the point"
                raise ValueRefused(ErrorCode.INVALID_TIME, message)
            return TIME.encode(microseconds)

        return encode


# -- spans ---------------------------------------------------------------------------------------------------------------------------------

_ISO_SPAN: Final = re.compile(
    r"P(?=.)(?:(-?[0-9]+)Y)?(?:(-?[0-9]+)M)?(?:(-?[0-9]+)W)?(?:(-?[0-9]+)D)?"
    r"(?:T(?=.)(?:(-?[0-9]+)H)?(?:(-?[0-9]+)M)?(?:(-?[0-9]+(?:\.[0-9]+)?)S)?)?"
)
Span = tuple[int, int, int]
"""Months, days, microseconds."""

# The largest of each are infinity to newer servers.
_MOST_MONTHS_OR_DAYS: Final = 2**31 - 2
_MOST_MICROSECONDS: Final = 2**63 - 2


@dataclass(frozen=True, slots=True)
class Interval:
    """A span of time: a number of seconds (`s`) or milliseconds (`ms`), or `iso`: `P1Y2M3DT4H5M6.5S`."""

    unit: str = "s"
    tags: tuple[str, ...] = ()
    content_type: ClassVar[type] = str
    pg_type: ClassVar[PgType] = INTERVAL

    def __post_init__(self) -> None:
        _set_tags(self, self.unit)

    def encoder(self, attribute: str) -> Encoder:  # noqa: ARG002 - has no notices
        _check_form(self, self.unit, "s", "ms", "iso")
        read: Callable[[str], Span | None] = _iso_to_span
        if self.unit == "iso":
            message = "must be a span in ISO 8601, such as P1Y2M3DT4H5M6.5S, that PostgreSQL can store, to the microsecond"
        else:
            read = _number_to_span(POWER_OF_FORM[self.unit])
            message = f"must be {_UNIT_OF_FORM[self.unit]} that PostgreSQL can store, to the microsecond"

        def encode(text: str, _notices: list[Notice]) -> bytes:
            span = read(text)
            if span is None:
                raise ValueRefused(ErrorCode.INVALID_INTERVAL, message)
            return interval_field(span)

        return encode


def _number_to_span(power: int) -> Callable[[str], Span | None]:
    def read(text: str) -> Span | None:
        microseconds = _whole_microseconds(check_number(text), power)
        return None if microseconds is None else _storable((0, 0, microseconds))

    return read


def _iso_to_span(text: str) -> Span | None:
    match = _ISO_SPAN.fullmatch(text)
    # Longer ones are beyond what can be stored, or have more zeros than anybody writes.
    if match is None or len(text) > 200:
        return None
    *parts, seconds = match.groups()
    years, months, weeks, days, hours, minutes = (int(part or 0) for part in parts)
    microseconds = _whole_microseconds(Decimal(seconds or 0), 6)
    if microseconds is None:
        return None
    return _storable((years * 12 + months, weeks * 7 + days, (hours * 60 + minutes) * 60_000_000 + microseconds))


def _storable(span: Span) -> Span | None:
    months, days, microseconds = map(abs, span)
    return span if max(months, days) <= _MOST_MONTHS_OR_DAYS and microseconds <= _MOST_MICROSECONDS else None
