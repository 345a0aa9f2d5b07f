"""The rules a table definition is written with, each in front of a type: the content of one attribute value to one field of a row.

Each is a small frozen value that says which type tags it takes and which type of column it fills, and makes an *encoder*: a
function from content (`"5f0c..."` of `{"S": "5f0c..."}`) to the encoded field, which raises `ValueRefused` and notes notices. Encoders are
made once a table, so what can be prepared is.
"""

from __future__ import annotations

import re
from binascii import unhexlify
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Any, ClassVar, Final, Protocol

from transforms.rejects import ErrorCode, Notice, NoticeCode, ValueRefused
from transforms.types import (
    BOOLEAN,
    JSONB,
    NULL,
    POSTGRES_EPOCH,
    TEXT,
    TIMESTAMPTZ,
    UUID,
    PgType,
    boolean_field,
    jsonb_field,
    pack_timestamptz,
    text_field,
    timestamptz_field,
    uuid_field,
)
from transforms.values import HOLDS_NUL, attribute_value_to_json, check_number

Encoder = Callable[[Any, list[Notice]], bytes]

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_UUID_LENGTH: Final = uuid_field(b"")
_INVALID_UUID: Final = "must be a UUID of 8-4-4-4-12 hexadecimal digits"

_MILLISECONDS_2000: Final = 946_684_800_000
_MILLISECONDS_2100: Final = 4_102_444_800_000
_EXACT: Final = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


class Conversion(Protocol):
    """What a column does with its attribute."""

    @property
    def tags(self) -> tuple[str, ...]:
        """The type tags it takes; none means any, and the encoder gets the whole attribute value."""

    @property
    def content_type(self) -> type:
        """The JSON type of the content that its encoder takes."""

    @property
    def pg_type(self) -> PgType:
        """The column's type."""

    def encoder(self, attribute: str) -> Encoder:
        """The function that encodes; `attribute` is what its notices name."""


# -- UUID ----------------------------------------------------------------------------------------------------------------------------------


def is_uuid(text: str) -> bool:
    """8-4-4-4-12 hexadecimal ASCII digits with hyphens, either case (`docs/tables.md`)."""
    return _UUID.fullmatch(text) is not None


def uuid_to_field(text: str, _notices: list[Notice] | None = None) -> bytes:
    """A uuid's field; raises `ValueRefused` (`invalid_uuid`)."""
    # Half the time of the pattern, and as strict: 32 characters are left, and `unhexlify` takes hexadecimal ASCII digits only.
    digits = text.replace("-", "")
    if len(text) == 36 and len(digits) == 32 and text[8:24:5] == "----":
        try:
            return _UUID_LENGTH + unhexlify(digits)
        except ValueError:
            pass
    raise ValueRefused(ErrorCode.INVALID_UUID, _INVALID_UUID)


@dataclass(frozen=True, slots=True)
class Uuid:
    """A UUID. `empty_as_null` is for nullable columns: an empty string becomes NULL, with a notice."""

    empty_as_null: bool = False
    tags: tuple[str, ...] = ("S",)
    content_type: ClassVar[type] = str
    pg_type: ClassVar[PgType] = UUID

    def encoder(self, attribute: str) -> Encoder:
        if not self.empty_as_null:
            return uuid_to_field
        notice = Notice(NoticeCode.EMPTY_UUID_AS_NULL, attribute)

        def encode(text: str, notices: list[Notice]) -> bytes:
            if text:
                return uuid_to_field(text)
            notices.append(notice)
            return NULL

        return encode


# -- text ----------------------------------------------------------------------------------------------------------------------------------


def text_to_field(text: str, _notices: list[Notice] | None = None) -> bytes:
    """A text's field, byte for byte; raises `ValueRefused` (`nul_character`)."""
    if "\0" in text:
        raise ValueRefused(ErrorCode.NUL_CHARACTER, HOLDS_NUL)
    return text_field(text.encode())


@dataclass(frozen=True, slots=True)
class Text:
    """Text as it is. With `expected`, a text that is not so is stored all the same and noted as `otherwise`."""

    expected: Callable[[str], bool] | None = None
    otherwise: NoticeCode | None = None
    tags: tuple[str, ...] = ("S",)
    content_type: ClassVar[type] = str
    pg_type: ClassVar[PgType] = TEXT

    def encoder(self, attribute: str) -> Encoder:
        if (self.expected is None) != (self.otherwise is None):
            message = "Text: expected and otherwise go together"
            raise ValueError(message)
        if self.expected is None or self.otherwise is None:
            return text_to_field
        expected = self.expected
        notice = Notice(self.otherwise, attribute)

        def encode(text: str, notices: list[Notice]) -> bytes:
            field = text_to_field(text)
            if not expected(text):
                notices.append(notice)
            return field

        return encode


@dataclass(frozen=True, slots=True)
class OneOf:
    """Text that must be one of `values`, case included."""

    values: tuple[str, ...]
    tags: tuple[str, ...] = ("S",)
    content_type: ClassVar[type] = str
    pg_type: ClassVar[PgType] = TEXT

    def encoder(self, attribute: str) -> Encoder:  # noqa: ARG002 - has no notices
        fields = {value: text_field(value.encode()) for value in self.values}
        message = f"must be one of {', '.join(self.values)}"

        def encode(text: str, _notices: list[Notice]) -> bytes:
            field = fields.get(text)
            if field is None:
                raise ValueRefused(ErrorCode.INVALID_ENUM, message)
            return field

        return encode


@dataclass(frozen=True, slots=True)
class UpperCased:
    """Text that is not empty, in ASCII upper case; one outside `known` is stored and noted."""

    known: tuple[str, ...]
    otherwise: NoticeCode
    tags: tuple[str, ...] = ("S",)
    content_type: ClassVar[type] = str
    pg_type: ClassVar[PgType] = TEXT

    def encoder(self, attribute: str) -> Encoder:
        known = {text_to_field(value) for value in self.known}
        notice = Notice(self.otherwise, attribute)

        def encode(text: str, notices: list[Notice]) -> bytes:
            if not text:
                message = "must not be empty"
                raise ValueRefused(ErrorCode.INVALID_ENUM, message)
            # `upper` of bytes knows ASCII only, as the rule asks, and leaves the length as it is.
            field = text_to_field(text)
            upper = field[:4] + field[4:].upper()
            if upper not in known:
                notices.append(notice)
            return upper

        return encode


# -- boolean -------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Boolean:
    """A BOOL as it is."""

    tags: tuple[str, ...] = ("BOOL",)
    content_type: ClassVar[type] = bool
    pg_type: ClassVar[PgType] = BOOLEAN

    def encoder(self, attribute: str) -> Encoder:  # noqa: ARG002 - has no notices
        return lambda value, _notices: boolean_field(value)


# -- timestamps ----------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Timestamp:
    """Milliseconds since the epoch, UTC, to the microsecond; bounds in milliseconds, both valid (`docs/tables.md`)."""

    earliest: int = _MILLISECONDS_2000
    latest: int = _MILLISECONDS_2100
    tags: tuple[str, ...] = ("N",)
    content_type: ClassVar[type] = str
    pg_type: ClassVar[PgType] = TIMESTAMPTZ

    def encoder(self, attribute: str) -> Encoder:  # noqa: ARG002 - has no notices
        # What nearly every timestamp looks like: 13 digits, no exponent, no fraction, no leading zero.
        earliest, latest = max(self.earliest, 10**12), self.latest
        pack = pack_timestamptz

        def encode(text: str, _notices: list[Notice]) -> bytes:
            if len(text) == 13 and text.isdecimal() and text.isascii():
                milliseconds = int(text)
                if earliest <= milliseconds <= latest:
                    return pack(8, milliseconds * 1000 - POSTGRES_EPOCH)
            return timestamptz_field(self.to_microseconds(text))

        return encode

    def to_microseconds(self, text: str) -> int:
        """Exact microseconds of any numeric spelling: integers and decimals only, no float on the way.

        Raises `ValueRefused`: `invalid_number`, `invalid_timestamp` (finer than a microsecond), `timestamp_out_of_range`.
        """
        microseconds = _thousandfold(check_number(text))
        if microseconds is None:
            message = "must not be finer than a microsecond"
            raise ValueRefused(ErrorCode.INVALID_TIMESTAMP, message)
        if not self.earliest * 1000 <= microseconds <= self.latest * 1000:
            raise ValueRefused(ErrorCode.TIMESTAMP_OUT_OF_RANGE, self._out_of_range(microseconds))
        return microseconds

    def _out_of_range(self, microseconds: int) -> str:
        message = f"must be milliseconds since 1970 from {self.earliest} to {self.latest}"
        if self.earliest <= microseconds <= self.latest:
            return f"{message}; it would be plausible as seconds"
        if self.earliest <= microseconds // 1_000_000 <= self.latest:
            return f"{message}; it would be plausible as microseconds"
        return message


def _thousandfold(number: Decimal) -> int | None:
    """`number` * 1000 if that is whole. `Decimal`'s own operators would round to the default context's 28 digits."""
    thousandfold = number.scaleb(3, _EXACT)
    return int(thousandfold) if thousandfold == thousandfold.to_integral_value() else None


# -- JSONB ---------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Jsonb:
    """An attribute value of any type, with its full structure (`docs/tables.md`)."""

    tags: ClassVar[tuple[str, ...]] = ()
    content_type: ClassVar[type] = dict
    pg_type: ClassVar[PgType] = JSONB

    def encoder(self, attribute: str) -> Encoder:  # noqa: ARG002 - has no notices

        def encode(value: Mapping[str, Any], _notices: list[Notice]) -> bytes:
            return jsonb_field(attribute_value_to_json(value))

        return encode
