"""What every rule is, and what a column makes of one.

Each rule is a small frozen value that says which type tags it takes and which type of column it fills, and makes an *encoder*: a
function from content (`"5f0c..."` of `{"S": "5f0c..."}`) to the encoded field, which raises `ValueRefused` and notes notices. Encoders are
made once a table, so what can be prepared is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from transforms.rejects import ErrorCode, Notice, ValueRefused
from transforms.types import PgType
from transforms.values import JSON_TYPE_OF_TAG, NOT_AN_ATTRIBUTE_VALUE, check_number, is_attribute_value

Encoder = Callable[[Any, list[Notice]], bytes]


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
        """The function that encodes the content of the first of the tags; `attribute` is what its notices name."""


@runtime_checkable
class ReadsTags(Protocol):
    """A conversion whose tags do not all mean the same."""

    def encoders(self, attribute: str) -> Mapping[str, Encoder]:
        """The function of each tag. Raises `ValueError` for a tag that it cannot read."""


def encoders_of(conversion: Conversion, attribute: str) -> Mapping[str, Encoder]:
    """The function of each tag that a conversion takes; none where it takes the whole attribute value.

    Raises `ValueError` for a conversion that cannot read one of its tags, or cannot keep what it promises.
    """
    if isinstance(conversion, ReadsTags):
        return conversion.encoders(attribute)
    if any(JSON_TYPE_OF_TAG.get(tag) is not conversion.content_type for tag in conversion.tags):
        raise unreadable(conversion)
    encode = conversion.encoder(attribute)
    # A conversion of numbers checks them itself; one of text that takes N besides does not know that it has a number.
    takes_text = conversion.tags != ("N",)
    return {tag: _of_number(encode) if tag == "N" and takes_text else encode for tag in conversion.tags}


def wrong_type(value: object, tags: Sequence[str]) -> ValueRefused:
    """Why a value that has none of the tags is refused: because it is no attribute value at all, or of another type."""
    if not is_attribute_value(value):
        return ValueRefused(ErrorCode.NOT_AN_ITEM, NOT_AN_ATTRIBUTE_VALUE)
    return ValueRefused(ErrorCode.WRONG_TYPE, f"must have the type tag {' or '.join(tags)}")


class _Tagged(Protocol):
    @property
    def tags(self) -> tuple[str, ...]: ...


def unreadable(conversion: _Tagged) -> ValueError:
    return ValueError(f"{type(conversion).__name__} cannot take all of the type tags {', '.join(conversion.tags)}")


def expect_tags(conversion: _Tagged, *readable: str) -> None:
    """Raises `ValueError` for a tag that is not one of these."""
    if not conversion.tags or not set(conversion.tags) <= set(readable):
        raise unreadable(conversion)


def _of_number(encode: Encoder) -> Encoder:
    def encode_number(text: str, notices: list[Notice]) -> bytes:
        check_number(text)
        return encode(text, notices)

    return encode_number
