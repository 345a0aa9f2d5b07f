"""Rules of bytes, of whole attribute values as JSON, and of rules within others: arrays and domains."""

from __future__ import annotations

from binascii import Error as BinasciiError
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

import orjson

from transforms.rejects import ErrorCode, Notice, ValueRefused
from transforms.rules.base import Conversion, Encoder, encoders_of, expect_tags, wrong_type
from transforms.rules.text import check_type_name
from transforms.types import BYTEA, JSON, JSONB, NULL, PgType, array_of, jsonb_field, text_field
from transforms.values import attribute_value_to_json, is_attribute_value

# -- bytes ---------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bytes:
    """The bytes of a B, or of base64 in an S."""

    tags: tuple[str, ...] = ("B",)
    content_type: ClassVar[type] = str
    pg_type: ClassVar[PgType] = BYTEA

    def encoder(self, attribute: str) -> Encoder:  # noqa: ARG002 - has no notices
        expect_tags(self, "B", "S")
        return _encode_base64


def _encode_base64(text: str, _notices: list[Notice]) -> bytes:
    try:
        content = a2b_base64(text)
        # There is one way to write them; the decoder takes others too.
        if b2a_base64(content, newline=False).decode() == text:
            return BYTEA.encode(content)
    except (BinasciiError, ValueError):
        pass
    message = "must be base64 (RFC 4648, section 4), with its padding and nothing else"
    raise ValueRefused(ErrorCode.INVALID_BASE64, message)


# -- JSON ----------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Jsonb:
    """An attribute value of any type, with its full structure; `typed`: as DynamoDB writes it, with its type tags (`docs/tables.md`)."""

    typed: bool = False
    tags: ClassVar[tuple[str, ...]] = ()
    content_type: ClassVar[type] = dict
    pg_type: ClassVar[PgType] = JSONB

    def encoder(self, attribute: str) -> Encoder:  # noqa: ARG002 - has no notices
        return _json_encoder(jsonb_field, typed=self.typed)


@dataclass(frozen=True, slots=True)
class Json:
    """As `Jsonb`, in a column that keeps the text as it is."""

    typed: bool = False
    tags: ClassVar[tuple[str, ...]] = ()
    content_type: ClassVar[type] = dict
    pg_type: ClassVar[PgType] = JSON

    def encoder(self, attribute: str) -> Encoder:  # noqa: ARG002 - has no notices
        return _json_encoder(text_field, typed=self.typed)


def _json_encoder(to_field: Callable[[bytes], bytes], *, typed: bool) -> Encoder:
    to_json = _typed_json if typed else attribute_value_to_json

    def encode(value: Mapping[str, Any], _notices: list[Notice]) -> bytes:
        return to_field(to_json(value))

    return encode


def _typed_json(value: object) -> bytes:
    """As `attribute_value_to_json`, which sees what is wrong with a value."""
    attribute_value_to_json(value)
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        message = "nested too deep to be written with its type tags"
        raise ValueRefused(ErrorCode.INVALID_JSON, message) from None


# -- rules within others -------------------------------------------------------------------------------------------------------------------

_TAG_OF_SET: Final = {"SS": "S", "NS": "N", "BS": "B"}
# The order in which errors of one attribute count (`docs/tables.md`); all others are equal.
_WEIGHTS: Final = (ErrorCode.INVALID_JSON, ErrorCode.NOT_AN_ITEM, ErrorCode.WRONG_TYPE, ErrorCode.NUL_CHARACTER)


@dataclass(frozen=True, slots=True)
class Array:
    """A list, or a set in the order of the export, each element by a rule; an element that is NULL is NULL."""

    rule: Conversion
    tags: tuple[str, ...] = ()
    content_type: ClassVar[type] = list

    def __post_init__(self) -> None:
        # A rule without its brackets is told with the column (pipeline/definitions/find.py).
        if not self.tags and not isinstance(self.rule, type):
            sets = (set_tag for set_tag, tag in _TAG_OF_SET.items() if tag in getattr(self.rule, "tags", ()))
            object.__setattr__(self, "tags", ("L", *sets))

    @property
    def pg_type(self) -> PgType:
        if isinstance(self.rule, Domain):
            # The server reads an array only of the very type that it names, and no domain has a number of ours.
            return replace(Domain(f"{self.rule.type_name}[]", Array(self.rule.rule)).pg_type, copies_directly=False)
        return array_of(self.rule.pg_type)

    def encoder(self, attribute: str) -> Encoder:
        return self.encoders(attribute)[self.tags[0]]

    def encoders(self, attribute: str) -> Mapping[str, Encoder]:
        """The function of each tag: the members of a set are contents, those of a list are attribute values."""
        sets = [tag for tag in self.tags if tag != "L"]
        if any(_TAG_OF_SET.get(tag) not in self.rule.tags for tag in sets):
            message = f"Array: {type(self.rule).__name__} cannot take the members of {' '.join(sets)}"
            raise ValueError(message)
        return {tag: self._of_set(attribute, _TAG_OF_SET[tag]) if tag in _TAG_OF_SET else self._of_list(attribute) for tag in self.tags}

    def _of_list(self, attribute: str) -> Encoder:
        rule = rule_of_elements(self.rule)
        encode_value = _by_tag(encoders_of(rule, attribute)) if rule.tags else rule.encoder(attribute)

        def encode_element(value: Any, notices: list[Notice]) -> bytes:
            return NULL if is_attribute_value(value) and "NULL" in value else encode_value(value, notices)

        return _of_elements(encode_element, self.pg_type.encode)

    def _of_set(self, attribute: str, tag: str) -> Encoder:
        return _of_elements(encoders_of(rule_of_elements(self.rule), attribute)[tag], self.pg_type.encode)


def rule_of_elements(rule: Conversion) -> Conversion:
    """The rule that makes the fields of elements. Raises `ValueError` for one that cannot."""
    if isinstance(rule, Domain):
        return rule_of_elements(rule.rule)
    if isinstance(rule, Jsonb):
        # Parsed by the server, from text: see `array_of`.
        return Json(typed=rule.typed)
    pg_type = rule.pg_type
    if isinstance(rule, Array) or (pg_type.oid is None and pg_type.encode is not text_field):
        message = f"Array: there are no arrays of {type(rule).__name__}, {pg_type}"
        raise ValueError(message)
    return rule


def _by_tag(encoders: Mapping[str, Encoder]) -> Encoder:
    tags = tuple(encoders)

    def encode(value: Any, notices: list[Notice]) -> bytes:
        if is_attribute_value(value):
            ((tag, content),) = value.items()
            encode_content = encoders.get(tag)
            if encode_content is not None:
                return encode_content(content, notices)
        raise wrong_type(value, tags)

    return encode


def _of_elements(encode_element: Encoder, to_field: Callable[[list[bytes]], bytes]) -> Encoder:
    def encode(elements: list[Any], notices: list[Notice]) -> bytes:
        noted: list[Notice] = []
        fields: list[bytes] = []
        refusals: list[ValueRefused] = []
        for index, element in enumerate(elements):
            try:
                fields.append(encode_element(element, noted))
            except ValueRefused as refused:
                refusals.append(ValueRefused(refused.code, refused.message, f"[{index}]{refused.path}"))
        if refusals:
            raise min(refusals, key=_weight)
        # One for each kind, however many elements are so.
        notices += dict.fromkeys(noted)
        return to_field(fields)

    return encode


def _weight(refused: ValueRefused) -> int:
    return _WEIGHTS.index(refused.code) if refused.code in _WEIGHTS else len(_WEIGHTS)


@dataclass(frozen=True, slots=True)
class Domain:
    """What another rule makes, in a column of a domain over its type."""

    type_name: str
    rule: Conversion

    @property
    def tags(self) -> tuple[str, ...]:
        return self.rule.tags

    @property
    def content_type(self) -> type:
        return self.rule.content_type

    @property
    def empty_as_null(self) -> bool:
        return bool(getattr(self.rule, "empty_as_null", False))

    @property
    def pg_type(self) -> PgType:
        """As the type of its rule, which a row that stands alone is cast from: a domain may have a CHECK."""
        base = self.rule.pg_type
        cast = self.type_name.replace("{", "{{").replace("}", "}}")
        return replace(
            base,
            name=self.type_name,
            further_columns=(),
            unparsed_type=base.unparsed_type or str(base),
            parse=f"({base.parse})::{cast}",
            modifier=(),
            oid=None,
        )

    def encoder(self, attribute: str) -> Encoder:
        check_type_name(self, self.type_name)
        return self.rule.encoder(attribute)

    def encoders(self, attribute: str) -> Mapping[str, Encoder]:
        """Those of its rule."""
        check_type_name(self, self.type_name)
        return encoders_of(self.rule, attribute)
