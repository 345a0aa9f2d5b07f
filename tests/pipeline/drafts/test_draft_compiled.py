"""What a draft looks for, the compiled module counts as Python does: kinds, keys, parts of composite strings, and what repeats others."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.drafts.infer import TableName, infer
from pipeline.drafts.plan import make_plan
from pipeline.drafts.render import to_python
from pipeline.drafts.survey import ByAttribute, ByPrefixes, KindPlan, Pattern, Plan, Survey
from pipeline.inspection.evidence import KeepValues, KeyCount
from pipeline.inspection.statistics import ItemStatistics
from tests.fuzzed_lines import UUID_2, mutated_line
from tests.pipeline.drafts.drafted import NOT_ASKED
from tests.pipeline.inspection.inspected import known, line_of
from tests.strategies import BRIEF
from transforms.native.plan import IS_BUILT, LookedFor, new_sound_statistics

_PATTERNS = {"PK": Pattern(("CUSTOMER#", "")), "SK": Pattern(("ORDER#", "#LINE#", "")), "ref": Pattern(("R#", "#", "#end"))}
_REPEATS = {("PK", 0): ("id", None), ("SK", 1): ("SK", 0), ("id", None): ("n", None), ("ref", 0): ("SK", 1)}
KIND = KindPlan(_PATTERNS, _REPEATS)
PLANS: dict[str, Callable[[KeepValues], Plan]] = {
    "alone": lambda values: Plan(None, (("id",), ("PK", "SK"), ("raw",)), {"": KIND}, values),
    "by attribute": lambda values: Plan(ByAttribute("type"), (("PK", "SK"),), {"ORDER": KIND, "": KIND}, values),
    "by prefixes": lambda values: Plan(ByPrefixes(("PK", "SK")), (("PK", "SK"), ("n", "id")), {"CUSTOMER#|ORDER#": KIND}, values),
}
BY_PLAN = pytest.mark.parametrize("plan", PLANS)


def in_python(plan: Plan, lines: Iterable[bytes]) -> Survey:
    survey = Survey(plan)
    for line in lines:
        survey.add_line(line)
    return survey


def compiled(plan: Plan, lines: list[bytes]) -> Survey:
    """Of two that are merged, as of two processes."""
    parts = [Survey(plan), Survey(plan)]
    for part, some in zip(parts, (lines[: len(lines) // 3], lines[len(lines) // 3 :]), strict=True):
        part.add_lines(some[:20])
        part.add_lines(some[20:])
        part.finish()
    into, other = pickle.loads(pickle.dumps(parts))  # noqa: S301 - our own bytes
    into.merge(other)
    return into


def all_of(survey: Survey) -> dict[str, Any]:
    kinds = {
        name: (
            known(kind.statistics),
            {slot: known(part) for slot, part in kind.parts.items()},
            kind.unlike,
            {slot: tally for slot, tally in kind.same.items() if any(tally)},
        )
        for name, kind in survey.kinds.items()
    }
    return {
        "all": known(survey.all),
        "kinds": kinds,
        "keys": {names: (count.values, count.repeated) for names, count in survey.keys.items()},
    }


def assert_the_same(plan: Callable[[KeepValues], Plan], lines: list[bytes]) -> None:
    for values in KeepValues:
        assert all_of(compiled(plan(values), lines)) == all_of(in_python(plan(values), lines))


ITEM: dict[str, Any] = {
    "PK": {"S": f"CUSTOMER#{UUID_2}"},
    "SK": {"S": "ORDER#2026-10-21T23:53:33Z#LINE#7"},
    "ref": {"S": "R#7#7#end"},
    "type": {"S": "ORDER"},
    "id": {"S": UUID_2},
    "n": {"N": "7"},
    "raw": {"B": "AAE="},
    "lines": {"L": [{"M": {"sku": {"S": "x"}, "count": {"N": "2"}}}]},
}


def test_it_is_built() -> None:
    """Else the tests here would compare Python with itself."""
    assert IS_BUILT


@BY_PLAN
@pytest.mark.parametrize("seed", range(3))
def test_lines_by_chance_are_looked_at_the_same(plan: str, seed: int) -> None:
    chance = random.Random(seed)
    assert_the_same(PLANS[plan], [mutated_line(chance, ITEM) for _ in range(200)] + [line_of(ITEM)] * 10)


_KEYS = [
    "",
    "#",
    "CUSTOMER",
    "CUSTOMER#",
    "CUSTOMER#7",
    "CUSTOMER#7#8",
    "ORDER#1#LINE#1",
    "ORDER#1#LINE#2",
    "ORDER##LINE#2",
    "ORDER#a\n#LINE#é",
    "PROFILE",
]
_KEYS += [
    "a1b2c3d4e5",
    "a1b2c3d4",
    UUID_2,
    f"{UUID_2}#x",
    "a" * 32,
    "_x.y-z#",
    "x" * 40,
    "x" * 41 + "#",
    "é#1",
    "R#1#2#end",
    "R#1#2#ends",
    "R#1#2",
    "2024-01-01T99",
    "7",
]


@BY_PLAN
@BRIEF
@given(
    st.lists(st.fixed_dictionaries({}, optional={name: st.sampled_from(_KEYS) for name in ("PK", "SK", "ref", "type", "id")}), max_size=20)
)
def test_keys_and_kinds_are_told_the_same(plan: str, items: list[dict[str, str]]) -> None:
    lines = [line_of({name: {"S": text} for name, text in item.items()}) for item in items]
    lines += [line_of({**{name: {"S": text} for name, text in item.items()}, "n": {"N": "7"}, "type": {"N": "1"}}) for item in items[:3]]
    assert_the_same(PLANS[plan], lines)


def test_more_kinds_than_are_kept() -> None:
    """Those with the shortest names are, whoever counted them."""
    lines = [line_of({"type": {"S": f"kind{'x' * (number % 40)}"}, "PK": {"S": str(number)}, "SK": {"S": "x"}}) for number in range(400)]
    plan = Plan(ByAttribute("type"), (("PK", "SK"),))
    assert all_of(compiled(plan, lines)) == all_of(in_python(plan, lines))


def test_a_plan_of_a_sample_is_followed() -> None:
    lines = [line_of({**ITEM, "id": {"S": str(number)}}) for number in range(40)]
    reader = ItemStatistics()
    sound = [found for line in lines if (found := reader.read_line(line)) is not None]
    plan = make_plan([{name: value for name, value, _ in found} for found in sound])
    assert plan.keys
    assert plan.kinds
    assert all_of(compiled(plan, lines)) == all_of(in_python(plan, lines))


@pytest.mark.parametrize(
    "plan",
    [
        Plan(None, (), {"": KindPlan({"SK": Pattern(("a", "b", ""))})}),
        Plan(None, (("a", "b", "c"),)),
        Plan(None, tuple((f"a{number}",) for number in range(70))),
    ],
    ids=["literal without a separator", "key of three", "too many"],
)
def test_what_it_cannot_look_for_is_for_python(plan: Plan) -> None:
    lines = [line_of(ITEM), line_of({"SK": {"S": "axb1"}, "a1": {"S": "x"}})]
    assert all_of(compiled(plan, lines)) == all_of(in_python(plan, lines))


def test_a_draft_says_the_same_in_the_same_order() -> None:
    """Whoever counted which lines, and whichever came first: those with an escaped name are for Python."""
    times = ("1767225600", "1767225600000", "1767225600000000")
    often = [{"a": {"S": "x"}, "at": {"N": times[number % 3]}} for number in range(1_500)]
    rare = [{"a": {"BOOL": True}, "at": {"N": times[0]}}] * 9 + [{"a": {"B": "AAE="}, "at": {"N": times[1]}}] * 9
    lines = [line_of(item) for item in (*rare, *often)]
    for_python = [line.replace(b'"a"', b'"\\u0061"') if b"AAE=" in line else line for line in lines]
    by_each = [survey(Plan(), some) for survey in (in_python, compiled) for some in (for_python, for_python[::-1])]
    [text] = {to_python([infer(survey, "Items", TableName("public", None), NOT_ASKED)]) for survey in by_each}
    said = " ".join(text.replace("#", "").split())
    assert "9 of 1,518 are B: dead letters, wrong_type" in said
    assert said.index("are B: dead") < said.index("are BOOL: dead")
    assert "509 in milliseconds and 509 in seconds and 500 in microseconds" in said


def test_what_is_looked_for_stays_when_its_asker_lets_go_of_it() -> None:
    """The dict that was given may change; patterns point to what was in it."""
    plans = {b"": (((0, (b"ORDER#", b"")),), ())}
    looked_for = LookedFor((b"SK",), (), is_by_prefix=False, keys=(), plans=plans)
    sound = new_sound_statistics(looked_for)
    assert sound is not None
    plans.clear()
    assert sound.add_lines([line_of({"SK": {"S": "ORDER#7"}})]) == []
    _, _, [(_, _, _, (patterns, _))] = sound.take_counted()
    assert [(alike, unlike) for alike, unlike, _ in patterns] == [(1, 0)]


def test_keys_beyond_the_limit_are_estimated_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """In whatever portions they come."""
    monkeypatch.setattr("pipeline.inspection.evidence._MOST_KEYS", 50)
    one, other, part = KeyCount(), KeyCount(), KeyCount()
    contents = [str(number % 700).encode() for number in range(1_000)]
    for content in contents:
        one.add_bytes(content)
    for content in contents[:300]:
        other.add_bytes(content)
    for content in contents[300:]:
        part.add_bytes(content)
    other.merge(part)
    assert (one.values, one.repeated, one.is_exact) == (other.values, other.repeated, other.is_exact)
    assert not one.is_exact
