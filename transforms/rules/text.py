"""Rules whose content is text: UUIDs, texts of all kinds, and what the server itself reads from text."""

from __future__ import annotations

import re
import uuid
from binascii import unhexlify
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import ip_interface
from typing import ClassVar, Final

from transforms.rejects import ErrorCode, Notice, NoticeCode, ValueRefused
from transforms.rules.base import Encoder, expect_tags
from transforms.types import (
    CHARACTER,
    CITEXT,
    INET,
    NULL,
    TEXT,
    UUID,
    VARCHAR,
    PgType,
    inet_field,
    parsed_by_server,
    text_field,
    uuid_field,
)
from transforms.values import HOLDS_NUL

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_UUID_LENGTH: Final = uuid_field(b"")
# Of PostgreSQL's types with a length.
_MOST_LENGTH: Final = 10_485_760
_INVALID_UUID: Final = "must be a UUID of 8-4-4-4-12 hexadecimal digits"


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
        expect_tags(self, "S")
        if not self.empty_as_null:
            return uuid_to_field
        notice = Notice(NoticeCode.EMPTY_UUID_AS_NULL, attribute)

        def encode(text: str, notices: list[Notice]) -> bytes:
            if text:
                return uuid_to_field(text)
            notices.append(notice)
            return NULL

        return encode


@dataclass(frozen=True, slots=True)
class UuidV5:
    """The UUID of version 5 of a text, in a namespace that is a UUID itself."""

    namespace: str
    tags: tuple[str, ...] = ("S",)
    content_type: ClassVar[type] = str
    pg_type: ClassVar[PgType] = UUID

    def encoder(self, attribute: str) -> Encoder:  # noqa: ARG002 - has no notices
        expect_tags(self, "S", "N")
        if not is_uuid(self.namespace):
            message = f"UuidV5: the namespace {_INVALID_UUID}"
            raise ValueError(message)
        namespace = uuid.UUID(self.namespace)
        return lambda text, _notices: uuid_field(uuid.uuid5(namespace, text).bytes)


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
        expect_tags(self, "S", "N")
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
        expect_tags(self, "S", "N")
        if not self.values:
            message = "OneOf: has no values, so it would refuse every item"
            raise ValueError(message)
        return _one_of(self.values)


def _one_of(values: tuple[str, ...]) -> Encoder:
    fields = {value: text_field(value.encode()) for value in values}
    message = f"must be one of {', '.join(values)}"

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
        expect_tags(self, "S", "N")
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


# As SQL spells it: with a schema or not, with quotes where it needs them.
_TYPE_NAME: Final = r'(?:"(?:[^"\0]|"")+"|[^\W\d][\w$]*)'
_TYPE: Final = re.compile(rf"(?:{_TYPE_NAME}\.)?{_TYPE_NAME}")
_TYPE_WITH_LIMIT: Final = re.compile(rf"(?:{_TYPE_NAME}\.)?{_TYPE_NAME}(?: [a-z]+)*(?:\([0-9]+(?:, ?[0-9]+)*\))?")


def check_type_name(rule: object, name: str, pattern: re.Pattern[str] = _TYPE) -> None:
    """Raises `ValueError` for what is no name of a type."""
    if pattern.fullmatch(name) is None:
        message = f"{type(rule).__name__}: {name!r} is no name of a type; it is NAME or SCHEMA.NAME, with quotes where SQL needs them"
        raise ValueError(message)


def _limited(rule: Varchar | Char) -> Encoder:
    expect_tags(rule, "S", "N")
    length = rule.length
    if not 1 <= length <= _MOST_LENGTH:
        message = f"{type(rule).__name__}: the length must be from 1 to {_MOST_LENGTH}"
        raise ValueError(message)
    message = f"must have at most {length} characters"

    def encode(text: str, _notices: list[Notice]) -> bytes:
        field = text_to_field(text)
        if len(text) > length:
            raise ValueRefused(ErrorCode.TEXT_TOO_LONG, message)
        return field

    return encode


@dataclass(frozen=True, slots=True)
class Varchar:
    """Text of at most `length` characters."""

    length: int
    tags: tuple[str, ...] = ("S",)
    content_type: ClassVar[type] = str

    @property
    def pg_type(self) -> PgType:
        return replace(VARCHAR, modifier=(self.length,))

    def encoder(self, attribute: str) -> Encoder:  # noqa: ARG002 - has no notices
        return _limited(self)


@dataclass(frozen=True, slots=True)
class Char:
    """Text of at most `length` characters, which PostgreSQL fills up with spaces; spaces at its end do not count."""

    length: int
    tags: tuple[str, ...] = ("S",)
    content_type: ClassVar[type] = str

    @property
    def pg_type(self) -> PgType:
        return replace(CHARACTER, modifier=(self.length,))

    def encoder(self, attribute: str) -> Encoder:  # noqa: ARG002 - has no notices
        return _limited(self)


@dataclass(frozen=True, slots=True)
class Citext:
    """Text as it is, in a column that compares without case (the extension citext)."""

    tags: tuple[str, ...] = ("S",)
    content_type: ClassVar[type] = str
    pg_type: ClassVar[PgType] = CITEXT

    def encoder(self, attribute: str) -> Encoder:  # noqa: ARG002 - has no notices
        expect_tags(self, "S", "N")
        return text_to_field


@dataclass(frozen=True, slots=True)
class Enum:
    """A label of an enum type of the database. Without `values` the server alone knows which there are."""

    type_name: str
    values: tuple[str, ...] = ()
    tags: tuple[str, ...] = ("S",)
    content_type: ClassVar[type] = str

    @property
    def pg_type(self) -> PgType:
        return replace(parsed_by_server(self.type_name), copies_directly=True, is_long=False)

    def encoder(self, attribute: str) -> Encoder:  # noqa: ARG002 - has no notices
        expect_tags(self, "S", "N")
        check_type_name(self, self.type_name)
        return _one_of(self.values) if self.values else text_to_field


@dataclass(frozen=True, slots=True)
class Cast:
    """Text that the server casts to a type: `Cast("ltree")`."""

    type_name: str
    tags: tuple[str, ...] = ("S",)
    content_type: ClassVar[type] = str

    @property
    def pg_type(self) -> PgType:
        name, _, modifier = self.type_name.rstrip(")").partition("(")
        return parsed_by_server(name.strip(), tuple(map(int, modifier.split(","))) if modifier else ())

    def encoder(self, attribute: str) -> Encoder:  # noqa: ARG002 - has no notices
        expect_tags(self, "S", "N")
        check_type_name(self, self.type_name, _TYPE_WITH_LIMIT)
        return text_to_field


@dataclass(frozen=True, slots=True)
class Inet:
    """An IPv4 or IPv6 address, perhaps with the number of bits of its network: `192.0.2.7`, `2001:db8::/32`."""

    tags: tuple[str, ...] = ("S",)
    content_type: ClassVar[type] = str
    pg_type: ClassVar[PgType] = INET

    def encoder(self, attribute: str) -> Encoder:  # noqa: ARG002 - has no notices
        expect_tags(self, "S")
        return _encode_inet


_BITS: Final = re.compile("0|[1-9][0-9]{0,2}")


def _encode_inet(text: str, _notices: list[Notice]) -> bytes:
    address, slash, bits = text.partition("/")
    try:
        # A zone of IPv6 (%eth0) is none of PostgreSQL's.
        if "%" not in address and (not slash or _BITS.fullmatch(bits)):
            interface = ip_interface(text)
            return inet_field(interface)
    except ValueError:
        pass
    message = "must be an IPv4 or IPv6 address, perhaps with the number of bits of its network, such as 192.0.2.7 or 2001:db8::/32"
    raise ValueRefused(ErrorCode.INVALID_INET, message)
