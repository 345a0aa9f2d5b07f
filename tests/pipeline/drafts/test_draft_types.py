"""One attribute's values to a rule, a type, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pipeline.drafts.types import Typed, rule_for
from pipeline.inspection.evidence import Evidence, KeepValues
from pipeline.inspection.statistics import Attribute

Value = dict[str, Any]
UUID = "9a3ed888-4b76-41a7-a0b2-1fdfc3f81d3b"


def typed(name: str, values: Sequence[Value], keep: KeepValues = KeepValues.DIGESTS, *, of_key: bool = False) -> Typed:
    attribute = Attribute(Evidence(keep))
    for value in values:
        attribute.add(value, 1 if "M" in value or "L" in value else 0)
    return rule_for(name, attribute, of_key=of_key)


def texts(*contents: str) -> list[Value]:
    return [{"S": content} for content in contents]


def numbers(*contents: str) -> list[Value]:
    return [{"N": content} for content in contents]


CASES: dict[str, tuple[str, list[Value], str, str]] = {
    "uuid": ("id", texts(UUID, UUID.upper()), "Uuid()", "uuid"),
    "uuid, some empty": ("noteId", texts(UUID, ""), "Uuid(empty_as_null=True)", "uuid"),
    "iso with a zone": ("at", texts("2024-05-14T11:14:20.608Z", "2024-05-14T11:14:20+02:00"), 'Timestamp(form="iso")', "timestamptz"),
    "iso without a zone": ("at", texts("2024-05-14T11:14:20", "2024-05-14 11:14"), 'LocalTimestamp(form="iso")', "timestamp"),
    "both": ("at", texts("2024-05-14T11:14:20", "2024-05-14T11:14:20Z"), "Text()", "text"),
    "dates": ("born", texts("1975-01-31", "2024-02-29"), "Date()", "date"),
    "no dates": ("born", texts("1975-02-31", "2023-02-29"), "Text()", "text"),
    "milliseconds": ("createdAt", numbers("1735134334581"), "Timestamp()", "timestamptz"),
    "milliseconds, by their look alone": ("x", numbers(*["1735134334581"] * 10), "Timestamp()", "timestamptz"),
    "seconds": ("createdAt", numbers("1735134334"), 'Timestamp(form="s")', "timestamptz"),
    "microseconds": ("createdAt", numbers("1735134334581000"), 'Timestamp(form="us")', "timestamptz"),
    "seconds and milliseconds": ("createdAt", numbers("1735134334", "1735134334581"), 'Timestamp(form="epoch")', "timestamptz"),
    "ten digits that may be a telephone's": ("phone", numbers(*["1735134334"] * 20), "BigInt()", "bigint"),
    "integers": ("count", numbers("0", "-5", "999999999"), "Integer()", "integer"),
    "large integers": ("count", numbers("5", "3000000000"), "BigInt()", "bigint"),
    "the largest that bigint holds": ("count", numbers("9223372036854775807"), "BigInt()", "bigint"),
    "one more": ("count", numbers("9223372036854775808"), "Numeric()", "numeric"),
    "the least that bigint holds": ("count", numbers("-9223372036854775808"), "BigInt()", "bigint"),
    "decimals": ("price", numbers("12.50", "3"), "Numeric()", "numeric"),
    "booleans": ("active", [{"BOOL": True}], "Boolean()", "boolean"),
    "binary": ("photo", [{"B": "aGVsbG8="}], "Bytes()", "bytea"),
    "texts": ("name", texts("Ann", "Bob Müller"), "Text()", "text"),
    "digits in strings": ("zip", texts("01234", "99999"), "Text()", "text"),
    "string sets": ("tags", [{"SS": ["a", "b"]}], "Array(Text())", "text[]"),
    "sets of UUIDs": ("ids", [{"SS": [UUID]}], "Array(Uuid())", "uuid[]"),
    "number sets": ("codes", [{"NS": ["3", "2"]}], "Array(BigInt())", "bigint[]"),
    "number sets with fractions": ("codes", [{"NS": ["3", "2.5"]}], "Array(Numeric())", "numeric[]"),
    "binary sets": ("blobs", [{"BS": ["aGVsbG8="]}], "Array(Bytes())", "bytea[]"),
    "maps": ("address", [{"M": {"city": {"S": "x"}}}], "Jsonb()", "jsonb"),
    "lists": ("lines", [{"L": [{"S": "x"}]}], "Jsonb()", "jsonb"),
    "nulls": ("none", [{"NULL": True}], "Jsonb()", "jsonb"),
    "numbers, some as strings": ("amount", [*numbers("5"), *texts("6.5")], 'Numeric(tags=("N", "S"))', "numeric"),
    "numbers and words": ("amount", [*numbers("5"), *texts("many")], 'Text(tags=("S", "N"))', "text"),
    "numbers, some as strings with zeros before": ("amount", [*numbers("5"), *texts("06")], 'Text(tags=("S", "N"))', "text"),
    "of several types": ("odd", [*numbers("5"), {"BOOL": True}], "Jsonb()", "jsonb"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_rule_by_evidence(case: str) -> None:
    name, values, call, sql_type = CASES[case]
    rule = typed(name, values).rule
    assert (rule.call, rule.sql_type) == (call, sql_type)


def test_few_that_do_not_fit_are_dead_letters_and_counted() -> None:
    found = typed("id", [*texts(UUID) * 997, *texts("x", "y", "z")])
    assert found.rule.call == "Uuid()"
    assert found.remarks == ("3 of 1,000 are not UUIDs: dead letters; Text() takes them",)


def test_many_that_do_not_fit_make_another_rule() -> None:
    found = typed("id", [*texts(UUID) * 980, *(texts("x") * 20)])
    assert found.rule.call == "Text()"
    assert "980 of 1,000 are UUIDs" in found.remarks


def test_few_of_another_type_are_dead_letters_and_counted() -> None:
    found = typed("n", [*numbers("5") * 999, *texts("5")])
    assert found.rule.call == "Integer()"
    assert found.remarks == ("1 of 1,000 is S: dead letters, wrong_type",)


def test_times_out_of_the_usual_bounds_get_wide_ones() -> None:
    found = typed("at", texts("1975-05-14T11:14:20Z"))
    assert found.rule.call.startswith('Timestamp(form="iso", earliest=-62135596800000')
    assert found.remarks == ("1 of 1 is before 2000 or after 2100, so the bounds are wide",)


def test_finer_than_a_microsecond_is_no_time() -> None:
    assert typed("at", texts("2024-05-14T11:14:20.1234567Z")).rule.call == "Text()"
    assert typed("at", texts("2024-05-14T11:14:20.1234560Z")).rule.call == 'Timestamp(form="iso")'


def test_what_a_key_has_empty_is_a_dead_letter_and_not_null() -> None:
    found = typed("id", texts(UUID, ""), of_key=True)
    assert (found.rule.call, found.makes_null, found.clean) == ("Uuid()", False, ())
    assert found.remarks == ("1 of 2 is empty: dead letters",)


def test_an_empty_time_becomes_null() -> None:
    found = typed("at", texts("2024-05-14T11:14:20Z", ""))
    assert (found.rule.call, found.clean, found.makes_null) == ('Timestamp(form="iso")', ("EMPTY_AS_NULL",), True)


def test_few_values_are_counted_and_listed_only_where_asked_for() -> None:
    values = texts("OPEN") * 30 + texts('CLO"SED') * 20
    silent, told = typed("state", values), typed("state", values, KeepValues.TEXTS)
    assert silent.rule.call == "Text()"
    assert silent.remarks == ("2 different values in 50 items",)
    assert told.rule.call == """OneOf(("OPEN", 'CLO"SED'))"""
    assert told.remarks == ("2 different values in 50 items", """"OPEN" 30, 'CLO"SED' 20""")


def test_many_values_are_not_listed() -> None:
    values = texts(*(f"v{number % 21}" for number in range(500)))
    assert typed("state", values, KeepValues.TEXTS).rule.call == "Text()"


def test_u_0000_is_a_dead_letter_and_said_to_be() -> None:
    assert typed("text", texts("a\0b", "c d")).remarks == ("1 of 2 has U+0000: dead letters; Column(..., clean=(REPLACE_NUL,)) takes them",)
