"""`docs/tables.md`, lines: nesting. DynamoDB's own limit of 32 levels must work; deeper is a row or `invalid_json`, never anything else."""

import json
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sound_items import AUDIT, SESSION, changed, line_of, only, refusal_of_line, row_of, to_row
from strategies import BRIEF

from transforms.rejects import ReadRefused
from transforms.tables.medzen import MEETING_AUDIT, VIDEO_SESSIONS

KINDS = pytest.mark.parametrize("kind", ["L", "M"])


def nested(levels: int, kind: str, innermost: bytes = b'{"N":"1.50"}') -> bytes:
    """The typed JSON of a value inside so many lists or maps."""
    if kind == "L":
        return b'{"L":[' * levels + innermost + b"]}" * levels
    return b'{"M":{"a":' * levels + innermost + b"}}" * levels


def plain(levels: int, kind: str) -> str:
    """The JSON text that it should become."""
    return "[" * levels + "1.50" + "]" * levels if kind == "L" else '{"a":' * levels + "1.50" + "}" * levels


def line_with(value: bytes, name: bytes = b"eventData") -> bytes:
    """The line of an audit item with this attribute."""
    item = line_of(changed(AUDIT, **{name.decode(): {"S": "HERE"}}))
    return item.replace(b'{"S":"HERE"}', value)


@KINDS
@pytest.mark.parametrize("levels", [1, 2, 31, 32, 33, 64])
def test_dynamodbs_own_limit_works(levels, kind):
    """Rule: "DynamoDB's own is 32 levels; those must work", with every level and digit kept."""
    assert to_row(MEETING_AUDIT, line_with(nested(levels, kind))).values["event_data"].replace(" ", "") == plain(levels, kind)


@KINDS
@pytest.mark.parametrize(
    "levels", [100, 200, 253, 254, 255, 256, 300, 500, 505, 510, 511, 512, 513, 600, 1_000, 1_023, 1_024, 1_025, 100_000]
)
def test_deeper_is_a_whole_row_or_invalid_json(levels, kind):
    """Rule: "Nesting deeper than the parser's limit -> `invalid_json`".

    A deep value is whole in its row, or its item is refused with that code.
    """
    line = line_with(nested(levels, kind))
    try:
        row = to_row(MEETING_AUDIT, line)
    except ReadRefused:
        assert refusal_of_line(MEETING_AUDIT, line) == only("invalid_json", None, "read")
    else:
        assert row.values["event_data"].replace(" ", "") == plain(levels, kind)


@KINDS
def test_there_is_one_limit(kind):
    """What is refused for its depth is refused at every greater depth: no depth between works by chance."""
    outcomes = []
    for levels in range(200, 600):
        try:
            to_row(MEETING_AUDIT, line_with(nested(levels, kind)))
            outcomes.append(True)
        except ReadRefused:
            outcomes.append(False)
    assert outcomes == sorted(outcomes, reverse=True)
    assert not outcomes[-1]


@pytest.mark.parametrize(
    "innermost", [b'{"SS":["a"]}', b'{"M":{}}', b'{"L":[]}', b'{"NULL":true}', b'{"S":"\\\\u0000"}', b'{"S":"\xf0\x9f\x98\x80"}']
)
def test_what_is_innermost_at_the_limit(innermost):
    """Around the limit a set, an empty container or a text at the bottom is whole or refused with `invalid_json`, too."""
    for levels in range(248, 260):
        line = line_with(nested(levels, "L", innermost))
        try:
            text = to_row(MEETING_AUDIT, line).values["event_data"]
        except ReadRefused:
            assert refusal_of_line(MEETING_AUDIT, line) == only("invalid_json", None, "read")
        else:
            assert text.replace(" ", "").count("[") >= levels
            json.loads(text)


@KINDS
@pytest.mark.parametrize(
    ("innermost", "code"), [(b'{"N":"x"}', "invalid_number"), (b'{"S":"\\u0000"}', "nul_character"), (b'{"S":1}', "not_an_item")]
)
def test_a_fault_beside_the_limit(kind, innermost, code):
    """A fault is named wherever a sound value would have been a row; what is too deep is `invalid_json`, with a fault in it or without."""
    for levels in range(248, 260):
        ((found, _),) = refusal_of_line(MEETING_AUDIT, line_with(nested(levels, kind, innermost))).errors
        try:
            to_row(MEETING_AUDIT, line_with(nested(levels, kind)))
        except ReadRefused:
            assert found == "invalid_json"
        else:
            assert found == code


def test_a_fault_at_32_levels_is_found():
    """A fault at DynamoDB's deepest level is named by its path."""
    path = "eventData" + "[0]" * 32
    for innermost, code, stage in (
        (b'{"N":"x"}', "invalid_number", "transform"),
        (b'{"S":"\\u0000"}', "nul_character", "transform"),
        (b'{"S":1}', "not_an_item", "read"),
    ):
        assert refusal_of_line(MEETING_AUDIT, line_with(nested(32, "L", innermost))) == only(code, path, stage)


@KINDS
@pytest.mark.parametrize("levels", [32, 255, 500, 100_000])
def test_depth_in_columns_that_are_not_jsonb(levels, kind):
    """A deep value where no JSONB is wanted ends in one of the rules' own outcomes, too: wrong type, a notice, or `invalid_json`."""
    refusal = refusal_of_line(MEETING_AUDIT, line_with(nested(levels, kind), b"eventType"))
    assert refusal in (only("wrong_type", "eventType"), only("invalid_json", None, "read"))
    line = line_with(nested(levels, kind), b"extra")
    try:
        assert to_row(MEETING_AUDIT, line).notices == [("unmapped_attribute", "extra")]
    except ReadRefused:
        assert refusal_of_line(MEETING_AUDIT, line) == only("invalid_json", None, "read")


def frames(count: int, call):
    """Calls it with so many frames of Python above it, as a caller deep in a pipeline does."""
    return call() if count == 0 else frames(count - 1, call)


@pytest.mark.parametrize(("levels", "deepest"), [(32, 850), (150, 400), (254, 400)])
def test_the_outcome_does_not_depend_on_the_caller(levels, deepest):
    """An item ends in the same place in every run, retry and replay: how deep the caller's own stack is makes no difference.

    The deepest here are what Python's limit of 1,000 frames leaves to a conversion that takes two a level.
    """
    line = line_with(nested(levels, "M"))
    outcomes = []

    def attempt() -> None:
        for depth in (0, deepest // 2, deepest):
            try:
                outcomes.append(frames(depth, lambda: to_row(MEETING_AUDIT, line)).values)
            except ReadRefused as refused:
                outcomes.append(str(refused.errors[0].code))

    assert sys.getrecursionlimit() == 1_000, "the test counts on Python's own limit"
    thread = threading.Thread(target=attempt)  # a stack that begins here, not below pytest's
    thread.start()
    thread.join()
    assert len(outcomes) == 3
    assert all(outcome == outcomes[0] for outcome in outcomes)


@BRIEF
@given(st.lists(st.sampled_from("LM"), min_size=1, max_size=32))
def test_any_mixture_of_32_levels(kinds):
    """Rule: "DynamoDB's own is 32 levels; those must work", lists and maps mixed."""
    value, expected = {"S": "x"}, "x"
    for kind in kinds:
        value, expected = ({"L": [value]}, [expected]) if kind == "L" else ({"M": {"k": value}}, {"k": expected})
    assert json.loads(row_of(MEETING_AUDIT, changed(AUDIT, eventData=value)).values["event_data"]) == expected


def test_a_wide_value_is_whole():
    """An item may hold thousands of members: none is lost, in their order."""
    value = {"L": [{"M": {"n": {"N": str(number)}}} for number in range(20_000)]}
    parsed = json.loads(row_of(MEETING_AUDIT, changed(AUDIT, eventData=value)).values["event_data"])
    assert parsed == [{"n": number} for number in range(20_000)]
    item = changed(SESSION, **{f"extra{number}": {"S": ""} for number in range(2_000)})
    assert len(row_of(VIDEO_SESSIONS, item).notices) == 2_000
