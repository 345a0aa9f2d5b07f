"""Which names of members are shown, and what of them."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.console import printable
from pipeline.inspection.names import bounded
from tests.pipeline.inspection.inspected import attribute_of, inspected


def _shown(*items: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {member["path"]: member for member in attribute_of(inspected(*items), "a")["members"]}


def _maps(having: int, of: int, name: str = "plan") -> list[dict[str, Any]]:
    return [{"a": {"M": {name: {"S": "x"}} if number < having else {}}} for number in range(of)]


@pytest.mark.parametrize(("having", "of", "is_shown"), [(10, 10, True), (9, 9, False), (10, 100, True), (10, 101, False), (9, 90, False)])
def test_a_name_is_shown_when_ten_maps_and_a_tenth_of_them_have_it(having: int, of: int, is_shown: bool) -> None:
    items = _maps(having, of)

    assert list(_shown(*items)) == (["a.plan"] if is_shown else [])
    assert attribute_of(inspected(*items), "a")["other_members"] == (0 if is_shown else 1)


def test_a_member_is_counted_among_the_maps_that_could_have_it() -> None:
    """Other types at the place are none."""
    text = {"a": {"S": "x"}}

    shown = _shown(*_maps(15, 40), text, text)

    assert shown["a.plan"] == {"path": "a.plan", "of": 40, "present": 15, "types": {"S": 15}}


def test_places_are_shown_three_steps_deep() -> None:
    """A list's elements are a step."""
    deep = {"M": {"b": {"M": {"c": {"M": {"d": {"N": "1"}}}}}, "l": {"L": [{"M": {"e": {"BOOL": True}}}, {"S": "x"}]}}}

    shown = _shown(*[{"a": {"M": {"top": deep}}}] * 10, *[{"a": deep}] * 10)

    assert {path: (member["present"], member["of"], member["types"]) for path, member in shown.items()} == {
        "a.b": (10, 20, {"M": 10}),
        "a.b.c": (10, 10, {"M": 10}),
        "a.b.c.d": (10, 10, {"N": 10}),
        "a.l": (10, 20, {"L": 10}),
        "a.l[]": (20, 20, {"M": 10, "S": 10}),
        "a.l[].e": (10, 10, {"BOOL": 10}),
        "a.top": (10, 20, {"M": 10}),
        "a.top.b": (10, 10, {"M": 10}),
        "a.top.b.c": (10, 10, {"M": 10}),
        "a.top.l": (10, 10, {"L": 10}),
        "a.top.l[]": (20, 20, {"M": 10, "S": 10}),
    }


def test_a_place_with_very_many_names_hides_them_and_nothing_else() -> None:
    """Names are data there; the schema around it stays."""
    items = [
        {"a": {"M": {"plan": {"S": "x"}, "by name": {"M": {f"k{number}": {"S": ""}, "frequent": {"S": ""}}}}}} for number in range(300)
    ]

    attribute = attribute_of(inspected(*items), "a")

    assert [member["path"] for member in attribute["members"]] == ["a.by name", "a.plan"]
    assert attribute["other_members"] == 200
    assert attribute["other_members_capped"]


def test_two_hundred_names_at_a_place_are_all_known() -> None:
    items = [{"a": {"M": {f"k{number}": {"S": ""} for number in range(200)}}}] * 10

    attribute = attribute_of(inspected(*items), "a")

    assert len(attribute["members"]) == 200
    assert not attribute["other_members_capped"]


@pytest.mark.parametrize(
    "name", ["12345", "pat-1-2-3-4-5", "x" * 65, "9a3ed888-4b76-41a7-a0b2-1fdfc3f81d3b", "a@b", "a#b", '{"a": 1}', "", " ", "a\x1bb"]
)
def test_a_name_that_looks_like_data_is_never_shown(name: str) -> None:
    assert list(_shown(*_maps(100, 100, name))) == []


@pytest.mark.parametrize("name", ["plan", "icd10_code", "two words", "données", "名前", "soap.data", "x" * 64, "[]"])
def test_a_name_that_looks_like_a_schemas_is_shown(name: str) -> None:
    assert list(_shown(*_maps(10, 10, name))) == [f"a.{name}"]


def test_an_attribute_that_looks_like_data_is_shown_when_it_is_frequent() -> None:
    frequent, rare = {"report-20240131": {"S": ""}}, {"report-20240201": {"S": ""}}

    summary = inspected(*[frequent] * 10, *[rare] * 9)

    assert [attribute["name"] for attribute in summary["attributes"]] == ["report-20240131"]
    assert summary["other_attributes"] == 1
    assert not summary["other_attributes_capped"]


def test_long_names_are_told_apart() -> None:
    names = ["x" * 65 + "a", "x" * 65 + "b"]

    summary = inspected(*[{name: {"S": ""} for name in names}] * 10)

    shown = [attribute["name"] for attribute in summary["attributes"]]
    assert shown == sorted(map(bounded, names))
    assert len(set(shown)) == 2
    assert all(name.startswith("x" * 48 + "…") and len(name) <= 64 for name in shown)


@pytest.mark.parametrize(
    ("name", "safe"), [("a\x1b[31m", "a\\x1b[31m"), ("\u202ea", "\\u202ea"), ("\x9b", "\\x9b"), ("a\nb", "a\\nb"), ("é 名", "é 名")]
)
def test_names_are_safe_for_a_terminal(name: str, safe: str) -> None:
    assert printable(name) == safe
    assert [attribute["name"] for attribute in inspected(*[{name: {"S": ""}}] * 10)["attributes"]] == [safe]
