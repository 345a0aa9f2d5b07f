"""Hypothesis strategies: values as DynamoDB can hold them, typed JSON as its exports write it, and broken forms of both.

What is expected of them is in the tests. `MODERATE` and `BRIEF` are the settings of the property tests.
"""

import base64
import json
import os
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import Binary, TypeSerializer
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

IS_SOAK = "DDB2PG_SOAK" in os.environ


def examples(count: int) -> int:
    """So many in the long run; a third of it otherwise, for each run tries others."""
    return count if IS_SOAK else count // 3


MODERATE = settings(deadline=None, max_examples=examples(300), database=None, suppress_health_check=[HealthCheck.too_slow])
BRIEF = settings(deadline=None, max_examples=examples(100), database=None, suppress_health_check=[HealthCheck.too_slow])

# -- numbers -------------------------------------------------------------------------------------------------------------------------------


@st.composite
def decimals(draw: st.DrawFn) -> Decimal:
    """Any number that DynamoDB can hold and boto3 can write: up to 38 digits, magnitudes from 1E-130 to below 1E126, and zero."""
    digits = draw(st.integers(1, 38).flatmap(lambda length: st.integers(10 ** (length - 1), 10**length - 1)) | st.just(0))
    if not digits:
        return Decimal(draw(st.sampled_from(["0", "-0", "0.00", "0E-20"])))
    length = len(str(digits))
    # The first digit stands at 1E-130 to 1E125; boto3's context has no last digit below 1E-165.
    first = draw(st.sampled_from([-130, -129, -128, -7, -1, 0, 1, 37, 38, 124, 125]) | st.integers(-130, 125))
    exponent = max(first - (length - 1), -165)
    return Decimal((draw(st.integers(0, 1)), tuple(map(int, str(digits))), exponent))


@st.composite
def json_numbers(draw: st.DrawFn, max_exponent: int = 200) -> str:
    """Any text that JSON takes as a number, mostly inside DynamoDB's range."""
    whole = draw(st.just("0") | st.integers(1, 10**40).map(str))
    fraction = draw(st.none() | st.text("0123456789", min_size=1, max_size=45))
    exponent = draw(st.none() | st.integers(-max_exponent, max_exponent))
    text = f"{draw(st.sampled_from(['', '-']))}{whole}"
    if fraction is not None:
        text += f".{fraction}"
    if exponent is not None:
        sign = "-" if exponent < 0 else draw(st.sampled_from(["", "+"]))
        text += f"{draw(st.sampled_from('eE'))}{sign}{draw(st.sampled_from(['', '0', '00']))}{abs(exponent)}"
    return text


# -- Python structures ---------------------------------------------------------------------------------------------------------------------

# No surrogates: UTF-8 has none. No U+0000: PostgreSQL has none.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20) | st.sampled_from(
    ["", "\\u0000", '"', "\\", "\u2028", "😀"]
)
_non_empty_texts = texts.filter(bool)
_binaries = st.binary(max_size=12)

scalars = st.none() | st.booleans() | texts | decimals() | _binaries
sets = (
    st.sets(_non_empty_texts, min_size=1, max_size=4)
    | st.sets(decimals(), min_size=1, max_size=4)
    | st.sets(_binaries.filter(bool), min_size=1, max_size=3)
)
structures = st.recursive(
    scalars | sets,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=15,
)


def to_typed_json(value: Any) -> Any:
    """The attribute value of a Python structure as boto3 makes it, with binary in base64 text, as an export has it."""
    return _binary_to_base64(TypeSerializer().serialize(value))


def _binary_to_base64(value: Any) -> Any:
    match value:
        case bytes() | bytearray():
            return base64.b64encode(value).decode()
        case Binary():
            return base64.b64encode(value.value).decode()
        case dict():
            return {name: _binary_to_base64(member) for name, member in value.items()}
        case list():
            return [_binary_to_base64(member) for member in value]
    return value


# -- broken forms --------------------------------------------------------------------------------------------------------------------------

json_documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts | st.just("\0"),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["Item", "S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS", "id"]) | texts, inner, max_size=4
        )
    ),
    max_leaves=12,
)

# Whole attribute values of every kind, sound and not.
odd_values = (
    structures.map(to_typed_json)
    | json_documents
    | st.dictionaries(st.sampled_from(["S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"]), json_documents, min_size=1, max_size=2)
    | st.builds(lambda text: {"N": text}, json_numbers() | texts)
    | st.builds(lambda text: {"S": text}, texts | st.just("\0"))
)


@st.composite
def mutated_items(draw: st.DrawFn, item: dict[str, Any]) -> dict[str, Any]:
    """The item with some attributes taken away, replaced or added."""
    mutant = dict(item)
    for _ in range(draw(st.integers(1, 4))):
        name = draw(st.sampled_from(sorted(item)) | texts)
        mutant.pop(name, None)
        if draw(st.integers(0, 3)):
            mutant[name] = draw(odd_values)
    return mutant


@st.composite
def mutated_lines(draw: st.DrawFn, item: dict[str, Any]) -> bytes:
    """The item's line with bytes cut, doubled, put in or changed."""
    line = bytearray(json.dumps({"Item": item}, ensure_ascii=draw(st.booleans())).encode())
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(line)))
        end = min(len(line), start + draw(st.integers(0, 8)))
        other = draw(
            st.binary(max_size=3)
            | st.sampled_from([b"", b'"', b"{", b"}", b"\\u0000", b"\\ud800", b"\xef\xbb\xbf", b"\0", b"\r\n", b"null"])
        )
        line[start:end] = other
    return bytes(line)
