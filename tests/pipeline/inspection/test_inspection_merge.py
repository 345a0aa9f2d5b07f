"""Files are read by several processes: what they found, put together in any order, is what one would have found."""

from __future__ import annotations

import json
import pickle
from functools import reduce
from itertools import pairwise, permutations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.inspection.statistics import ItemStatistics
from tests import strategies
from tests.pipeline.inspection.inspected import line_of, statistics_of, told
from tests.strategies import BRIEF, to_typed_json

_names = st.sampled_from(["id", "plan", "dose", "2024-01-31", "soap data"])
_items = st.dictionaries(
    _names,
    strategies.odd_values
    | strategies.structures.map(to_typed_json)
    | st.recursive(
        strategies.json_numbers().map(lambda text: {"N": text}) | st.sampled_from(["", "A", "Sore throat"]).map(lambda text: {"S": text}),
        lambda inner: (
            st.dictionaries(_names, inner, max_size=3).map(lambda members: {"M": members})
            | st.lists(inner).map(lambda elements: {"L": elements})
        ),
        max_leaves=8,
    ),
    max_size=4,
)


# Each line twelve times, so that some names are frequent.
_lines = st.lists(_items.map(line_of) | st.binary(max_size=5), max_size=8).map(lambda lines: [line for line in lines for _ in range(12)])


def _copied(parts: list[ItemStatistics]) -> list[ItemStatistics]:
    return pickle.loads(pickle.dumps(parts))  # noqa: S301 - our own bytes


def _merged(parts: list[ItemStatistics]) -> dict[str, Any]:
    """Through pickle, as between processes; all others into a copy of the first."""
    copies = _copied(parts)
    reduce(lambda into, part: (into.merge(part), into)[1], copies)
    return told(copies[0])


@BRIEF
@given(_lines, st.integers(1, 5), st.randoms(use_true_random=False))
def test_parts_put_together_in_any_order_are_the_whole(lines: list[bytes], files: int, random: Any) -> None:
    parts = [statistics_of(lines[len(lines) * number // files : len(lines) * (number + 1) // files]) for number in range(files)]
    whole = told(statistics_of(lines))

    assert _merged(parts) == whole
    random.shuffle(parts)
    assert _merged(parts) == whole
    first, *others = _copied(parts)
    if others:
        # The others among themselves first.
        others[0].merge(first)
    assert _merged(others or [first]) == whole


def _wide_item(number: int) -> dict[str, Any]:
    """More names than are kept, of attributes, of places and of names at one place, and some that all items have, or all of the last."""
    later = {"later": {"S": "x"}} if number >= 2_000 else {}
    member = f"member{number % 53}"
    return {
        "id": {"S": "1"},
        f"column{number % 331}": {"N": str(number)},
        f"p{number}@x": {"N": "1"},
        "plan": {"M": {"dose": {"N": "1"}, f"key{number % 47}": {"M": {member: {"M": {"x": {"S": ""}}}}}, **later}},
        "named": {"M": {f"n{number}": {"S": ""}, "open": {"S": "x"}}},
        **later,
    }


def test_what_is_kept_does_not_depend_on_the_order_when_there_are_too_many_names() -> None:
    """Of the figures of names that are kept, nothing is lost."""
    lines = [line_of(_wide_item(number)) for number in range(2_600)]
    whole = told(statistics_of(lines))

    assert whole["other_attributes_capped"]
    capped = {attribute["name"]: attribute["other_members_capped"] for attribute in whole["attributes"]}
    assert capped == {"id": False, "named": True, "plan": True, "later": False}
    assert [member["path"] for member in whole["attributes"][2]["members"]] == ["plan.dose", "plan.later"]
    assert told(statistics_of(reversed(lines))) == whole
    for cuts in ((0, 1, 2_600), (0, 2_599, 2_600), (0, 100, 1_300, 2_500, 2_600)):
        parts = [statistics_of(lines[start:end]) for start, end in pairwise(cuts)]
        assert _merged(parts) == _merged(parts[::-1]) == whole


def test_what_was_let_go_stays_known_as_too_many() -> None:
    """A part that keeps just what may be kept, put into one that has less, or nothing."""
    part = statistics_of(line_of(_wide_item(number)) for number in range(2_600))
    summary = told(part)
    into = ItemStatistics()

    into.merge(part)

    assert told(into) == summary


def test_the_extremes_of_parts_are_those_of_the_whole() -> None:
    lines = [[line_of({"n": {"N": str(number)}})] * 10 for number in (500, -20, 7_000)]

    for order in permutations(lines):
        [attribute] = _merged([statistics_of(part) for part in order])["attributes"]
        assert (attribute["numbers"]["least"], attribute["numbers"]["greatest"]) == ("-2E+1", "7E+3")


def test_merging_leaves_the_other_as_it_is_and_shares_nothing_with_it() -> None:
    lines = [line_of({"a": {"M": {"b": {"L": [{"N": "1"}]}}}})] * 10
    other = statistics_of(lines)
    before = told(other)
    into = ItemStatistics()

    into.merge(other)
    into.add_line(lines[0])

    assert told(other) == before
    assert told(into) == told(statistics_of([*lines, lines[0]]))


def test_a_part_that_waits_for_its_turn_shows_no_value_by_its_name() -> None:
    """What an exception or a log would print of it."""
    statistics = statistics_of([line_of({"a": {"N": "48151623"}, "m": {"M": {"108": {"S": "Maria"}}}})])

    for part in (statistics, statistics.attributes["a"], statistics.attributes["m"].places.root):
        assert "48151623" not in repr(part)
        assert "108" not in repr(part).partition(" at 0x")[0]
    assert json.dumps(told(statistics)).count("48151623") == 0
