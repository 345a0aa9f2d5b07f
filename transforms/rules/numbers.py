"""Rules of numbers, which are stored exactly or refused, and of booleans."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any, ClassVar, Final

from transforms.rejects import ErrorCode, Notice, NoticeCode, ValueRefused
from transforms.rules.base import Encoder, expect_tags
from transforms.types import (
    BIGINT,
    BOOLEAN,
    DOUBLE,
    INTEGER,
    MOST_SCALE,
    NUMERIC,
    REAL,
    SMALLINT,
    PgType,
    boolean_field,
    double_field,
    numeric_field,
    real_field,
)
from transforms.values import check_number

# Of numerics with a limit; newer servers allow a scale beyond the precision, and a negative one.
_MOST_PRECISION: Final = 1000
_EXACT: Final = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)

ToNumber = Callable[[str], Decimal]


class _OfNumber:
    """What rules of numbers share: N, and S with a number in it."""

    __slots__ = ()
    tags: tuple[str, ...]
    zero_padded: bool

    def encoder(self, attribute: str) -> Encoder:
        encoders = self.encoders(attribute)
        return encoders[self.tags[0]]

    def encoders(self, attribute: str) -> Mapping[str, Encoder]:
        """The function of each tag: only a string may have zeros in front, and only if the rule says so."""
        expect_tags(self, "N", "S")
        if self.zero_padded and "S" not in self.tags:
            message = f"{type(self).__name__}: zero_padded is for strings, so the tags must have S"
            raise ValueError(message)
        of_string = _check_zero_padded if self.zero_padded else check_number
        return {tag: self._encoder(attribute, of_string if tag == "S" else check_number) for tag in self.tags}

    def _encoder(self, attribute: str, to_number: ToNumber) -> Encoder:
        raise NotImplementedError


def _check_zero_padded(text: str) -> Decimal:
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    stripped = digits.lstrip("0")
    # A digit was there, and one must be left in front of the point.
    lead = "0" if stripped != digits and not stripped[:1].isdigit() else ""
    return check_number(f"{sign}{lead}{stripped}")


def _check_bounds(rule: object, least: int | Decimal | None, most: int | Decimal | None) -> None:
    name = type(rule).__name__
    if any(bound is not None and (type(bound) not in (int, Decimal) or not Decimal(bound).is_finite()) for bound in (least, most)):
        message = f"{name}: least and most must be numbers, of int or Decimal"
        raise ValueError(message)
    if least is not None and most is not None and least > most:
        message = f"{name}: least {least} is above most {most}"
        raise ValueError(message)


def _out_of_range(least: object, most: object) -> ValueRefused:
    bounds = [f"at least {least}"] * (least is not None) + [f"at most {most}"] * (most is not None)
    return ValueRefused(ErrorCode.NUMBER_OUT_OF_RANGE, f"must be {' and '.join(bounds)}")


# -- whole numbers -------------------------------------------------------------------------------------------------------------------------


class _WholeNumber(_OfNumber):
    __slots__ = ()
    least: int | None
    most: int | None
    pg_type: ClassVar[PgType]
    size: ClassVar[int]

    @property
    def bounds(self) -> tuple[int, int]:
        """Both valid: those of the definition, within those of the type. Raises `ValueError` where nothing is between them."""
        _check_bounds(self, self.least, self.most)
        limit = 1 << (8 * self.size - 1)
        least = -limit if self.least is None else max(self.least, -limit)
        most = limit - 1 if self.most is None else min(self.most, limit - 1)
        if least > most:
            message = f"{type(self).__name__}: no {self.pg_type} is within its bounds"
            raise ValueError(message)
        return least, most

    def _encoder(self, attribute: str, to_number: ToNumber) -> Encoder:  # noqa: ARG002 - has no notices
        (least, most), size, head = self.bounds, self.size, struct.pack(">i", self.size)

        def encode(text: str, _notices: list[Notice]) -> bytes:
            # What nearly all look like.
            is_usual = len(text) <= 18 and text.isdecimal() and text.isascii() and text[0] != "0"
            number = int(text) if is_usual else _whole(to_number(text))
            if not least <= number <= most:
                raise _out_of_range(least, most)
            return head + number.to_bytes(size, "big", signed=True)

        return encode


def _whole(number: Decimal) -> int:
    if number != number.to_integral_value():
        message = "must be a whole number"
        raise ValueRefused(ErrorCode.NOT_AN_INTEGER, message)
    return int(number)


@dataclass(frozen=True, slots=True)
class SmallInt(_WholeNumber):
    """A whole number of two bytes, in any spelling; bounds are valid themselves."""

    least: int | None = None
    most: int | None = None
    zero_padded: bool = False
    tags: tuple[str, ...] = ("N",)
    content_type: ClassVar[type] = str
    pg_type: ClassVar[PgType] = SMALLINT
    size: ClassVar[int] = 2


@dataclass(frozen=True, slots=True)
class Integer(_WholeNumber):
    """A whole number of four bytes, in any spelling; bounds are valid themselves."""

    least: int | None = None
    most: int | None = None
    zero_padded: bool = False
    tags: tuple[str, ...] = ("N",)
    content_type: ClassVar[type] = str
    pg_type: ClassVar[PgType] = INTEGER
    size: ClassVar[int] = 4


@dataclass(frozen=True, slots=True)
class BigInt(_WholeNumber):
    """A whole number of eight bytes, in any spelling; bounds are valid themselves."""

    least: int | None = None
    most: int | None = None
    zero_padded: bool = False
    tags: tuple[str, ...] = ("N",)
    content_type: ClassVar[type] = str
    pg_type: ClassVar[PgType] = BIGINT
    size: ClassVar[int] = 8


# -- decimals ------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Numeric(_OfNumber):
    """A number with all its digits; with a precision, of so many digits, of which `scale` are behind the point."""

    precision: int | None = None
    scale: int | None = None
    least: int | Decimal | None = None
    most: int | Decimal | None = None
    zero_padded: bool = False
    tags: tuple[str, ...] = ("N",)
    content_type: ClassVar[type] = str

    @property
    def pg_type(self) -> PgType:
        return NUMERIC if self.precision is None else replace(NUMERIC, modifier=(self.precision, self.scale or 0))

    def check(self) -> None:
        """Raises `ValueError` for a limit or bounds that cannot be."""
        _check_bounds(self, self.least, self.most)
        if self.precision is None:
            is_sound = self.scale is None
        else:
            is_sound = 1 <= self.precision <= _MOST_PRECISION and 0 <= (self.scale or 0) <= self.precision
        if not is_sound:
            message = f"Numeric: precision is from 1 to {_MOST_PRECISION}, and scale from 0 to the precision"
            raise ValueError(message)

    def _encoder(self, attribute: str, to_number: ToNumber) -> Encoder:  # noqa: ARG002 - has no notices
        self.check()
        least, most = self.least, self.most
        fit = _as_it_is if self.precision is None else _fit_to(self.precision, self.scale or 0)

        def encode(text: str, _notices: list[Notice]) -> bytes:
            number = to_number(text)
            if (least is not None and number < least) or (most is not None and number > most):
                raise _out_of_range(least, most)
            return numeric_field(fit(number))

        return encode


def _as_it_is(number: Decimal) -> Decimal:
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > MOST_SCALE:
        message = f"must have at most {MOST_SCALE} digits behind the point"
        raise ValueRefused(ErrorCode.NUMBER_OUT_OF_RANGE, message)
    return number


def _fit_to(precision: int, scale: int) -> Callable[[Decimal], Decimal]:
    unit = Decimal(1).scaleb(-scale, _EXACT)
    # Of which no number that fits has the size.
    limit = Decimal(1).scaleb(precision - scale, _EXACT)
    too_large = f"must have at most {precision - scale} digits in front of the point"
    too_fine = f"must have at most {scale} digits behind the point" if scale else "must be a whole number"

    def fit(number: Decimal) -> Decimal:
        if not -limit < number < limit:
            raise ValueRefused(ErrorCode.NUMBER_OUT_OF_RANGE, too_large)
        fitted = number.quantize(unit, context=_EXACT)
        if fitted != number:
            raise ValueRefused(ErrorCode.PRECISION_LOST, too_fine)
        return fitted

    return fit


# -- floats --------------------------------------------------------------------------------------------------------------------------------


class _Float(_OfNumber):
    """A number that the nearest float is written as, in as few digits as say which float it is.

    PostgreSQL never writes a float as the number halfway between it and the next, such as 1E23, whichever of the two reads back.
    """

    __slots__ = ()
    rounded: bool

    def _encoder(self, attribute: str, to_number: ToNumber) -> Encoder:
        notice = Notice(NoticeCode.ROUNDED, attribute)
        to_field, rounded = self._to_field, self.rounded

        def encode(text: str, notices: list[Notice]) -> bytes:
            field, is_exact = to_field(to_number(text))
            if not is_exact:
                if not rounded:
                    message = "has more digits than the float that is nearest to it; rounded=True takes it all the same"
                    raise ValueRefused(ErrorCode.PRECISION_LOST, message)
                notices.append(notice)
            return field

        return encode

    @staticmethod
    def _to_field(number: Decimal) -> tuple[bytes, bool]:
        """The field, and whether the number is what the float is written as."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Double(_Float):
    """A number that the nearest float of eight bytes is written as; `rounded`: any number, noted where it is not."""

    rounded: bool = False
    zero_padded: bool = False
    tags: tuple[str, ...] = ("N",)
    content_type: ClassVar[type] = str
    pg_type: ClassVar[PgType] = DOUBLE

    @staticmethod
    def _to_field(number: Decimal) -> tuple[bytes, bool]:
        # No number of DynamoDB's range is beyond a float's.
        value = float(number)
        is_shortest = Decimal(repr(value)) == number
        return double_field(value), is_shortest and not _is_halfway(number, value)


@dataclass(frozen=True, slots=True)
class Real(_Float):
    """A number that the nearest float of four bytes is written as; `rounded`: any number, noted where it is not."""

    rounded: bool = False
    zero_padded: bool = False
    tags: tuple[str, ...] = ("N",)
    content_type: ClassVar[type] = str
    pg_type: ClassVar[PgType] = REAL

    @staticmethod
    def _to_field(number: Decimal) -> tuple[bytes, bool]:
        value = float(number)
        # Six digits are what the nearest float is written as (FLT_DIG); the way over eight bytes is to its neighbour only from halfway.
        if len(number.as_tuple().digits) <= 6 and -36 <= number.adjusted() <= 5 and not _is_halfway_between_reals(value):
            return real_field(value), True
        nearest = _nearest_real(number)
        if nearest is None:
            message = "must be zero, or of a magnitude that a float of four bytes has"
            raise ValueRefused(ErrorCode.NUMBER_OUT_OF_RANGE, message)
        value, is_halfway = nearest
        return real_field(value), not is_halfway and _shortest_of_real(value) == number


# No number below this is halfway between two floats of eight bytes, unless it has 16 digits.
_ALL_WHOLE: Final = Decimal(2**53)


def _is_halfway(number: Decimal, value: float) -> bool:
    """Between the float that is nearest to it and another."""
    if abs(number) < _ALL_WHOLE and len(number.as_tuple().digits) < 16:
        return False
    other = math.nextafter(value, math.inf if number > value else -math.inf)
    return _EXACT.multiply(number, 2) == _EXACT.add(Decimal(value), Decimal(other))


_REAL: Final = struct.Struct(">f")
_REAL_AS_INTEGER: Final = struct.Struct(">I")


def _nearest_real(number: Decimal) -> tuple[float, bool] | None:
    """The float of four bytes that is nearest to a number, the even one of two, and whether there are two.

    None beyond all of them, and for a number so near zero that it would become zero.
    """
    try:
        bits = _REAL_AS_INTEGER.unpack(_REAL.pack(float(number)))[0]
    except OverflowError:
        return None
    # By way of eight bytes it may be the neighbour of the nearest.
    near = [_real_of(other) for other in (bits - 1, bits, bits + 1) if other >= 0 and other & 0x7FFFFFFF < 0x7F800000]
    distances = {value: abs(_EXACT.subtract(Decimal(value), number)) for value in near}
    least = min(distances.values())
    nearest = [value for value in near if distances[value] == least]
    value = min(nearest, key=lambda value: _REAL.pack(value)[3] & 1)
    return None if number and not value else (value, len(nearest) > 1)


def _is_halfway_between_reals(value: float) -> bool:
    """Of a float of eight bytes; not for those so near zero that they have fewer digits."""
    return int.from_bytes(struct.pack(">d", value), "big") & 0x1FFFFFFF == 0x10000000


def _real_of(bits: int) -> float:
    value: float = _REAL.unpack(_REAL_AS_INTEGER.pack(bits))[0]
    return value


def _shortest_of_real(value: float) -> Decimal:
    """The shortest number that reads as a float of four bytes, of several the one nearest to it."""
    exact = Decimal(value)
    for digits in range(1, 10):
        contexts = [Context(prec=digits, rounding=rounding) for rounding in (ROUND_FLOOR, ROUND_CEILING)]
        numbers = [number for number in (context.plus(exact) for context in contexts) if _nearest_real(number) == (value, False)]
        if numbers:
            return min(numbers, key=lambda number: abs(_EXACT.subtract(number, exact)))
    return exact


# -- boolean -------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Boolean:
    """A BOOL as it is; with the tag S or N also the spellings that mean true, and those that mean false."""

    true: tuple[str, ...] = ()
    false: tuple[str, ...] = ()
    tags: tuple[str, ...] = ("BOOL",)
    content_type: ClassVar[type] = bool
    pg_type: ClassVar[PgType] = BOOLEAN

    def encoder(self, attribute: str) -> Encoder:  # noqa: ARG002 - has no notices
        expect_tags(self, "BOOL", "S", "N")
        return lambda value, _notices: boolean_field(value)

    def encoders(self, attribute: str) -> Mapping[str, Encoder]:
        """The function of each tag; BOOL is what it is, the others are spellings."""
        spelled = set(self.tags) - {"BOOL"}
        if bool(spelled) != bool(self.true or self.false):
            message = "Boolean: the tags S and N go together with the spellings in true and false"
            raise ValueError(message)
        if set(self.true) & set(self.false):
            message = "Boolean: a spelling cannot mean both true and false"
            raise ValueError(message)
        fields = dict.fromkeys(self.true, boolean_field(True)) | dict.fromkeys(self.false, boolean_field(False))
        message = f"must be one of {', '.join(fields)}"

        def of_number(text: str, notices: list[Notice]) -> bytes:
            check_number(text)
            return of_text(text, notices)

        def of_text(text: Any, _notices: list[Notice]) -> bytes:
            field = fields.get(text)
            if field is None:
                raise ValueRefused(ErrorCode.INVALID_BOOLEAN, message)
            return field

        by_tag: dict[str, Encoder] = {"BOOL": self.encoder(attribute), "S": of_text, "N": of_number}
        return {tag: by_tag[tag] for tag in self.tags}
