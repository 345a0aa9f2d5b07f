"""What a person reads."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pipeline.inspection.inspected import line_of, printed, statistics_of


def _printed(*items: dict[str, Any], width: int | None = 100) -> str:
    return printed(statistics_of(map(line_of, items)), width=width)


def _row(output: str, name: str) -> str:
    """The lines of an attribute, up to the next one, each as its words."""
    lines = [" ".join(line.split()) for line in output.splitlines()]
    start = next(number for number, line in enumerate(lines) if line.split(" ")[0] == name)
    end = next(number for number, line in enumerate(lines[start:], start) if line.startswith("─"))
    return "\n".join(lines[start:end])


SESSIONS = [
    {
        "id": {"S": "9a3ed888-4b76-41a7-a0b2-1fdfc3f81d3b"},
        "createdAt": {"N": str(1_735_134_334_581 + number)},
        "soapData": {"M": {"plan": {"S": "x"}, "meds": {"L": [{"M": {"dose": {"N": "1.5"}}}]}}},
    }
    for number in range(20)
]


@pytest.mark.parametrize("width", [60, 80, 100, 200, None])
def test_no_line_is_wider_than_the_terminal(width: int | None) -> None:
    """A file has no width: there, 120 columns."""
    output = _printed(*SESSIONS, {"x" * 60: {"S": ""}}, width=width)

    longest = max(map(len, output.splitlines()))
    assert longest <= (width or 120)
    assert width or longest > 100
    for word in ("createdAt", "milliseconds", "soapData", ".meds[].dose", "2E+12"):
        assert word in output


def test_a_row_says_types_kinds_sizes_and_members() -> None:
    output = _printed(*SESSIONS)

    assert output.startswith("20 lines = 20 items + 0 unreadable; a line has ")
    assert _row(output, "id") == "id 100% S\n20 S: uuid; 36 characters"
    assert _row(output, "createdAt") == (
        "createdAt 100% N\n20 N: integers of up to 13 digits, 2E+12 to 2E+12\nN: looks like epoch milliseconds"
    )
    assert _row(output, "soapData") == (
        "soapData 100% M\n20 M: 2 members\n3 levels deep\n.meds 100% L\n.meds[] 20 elements: M\n.meds[].dose 100% N\n.plan 100% S"
    )


def test_shares_never_round_to_all_or_none() -> None:
    output = _printed({"a": {"N": "1"}, "b": {"S": "x"}}, *[{"a": {"S": "x"}}] * 2_999)

    assert _row(output, "a").startswith("a 100% S >99.9%, 1 N\n3,000 ")
    assert _row(output, "b").startswith("b <0.1% S\n1 ")


def test_mixed_units_of_time_are_told_with_their_shares() -> None:
    milliseconds, seconds, zero = ({"t": {"N": number}} for number in ("1735134334581", "1735134334", "0"))

    assert "looks like epoch milliseconds 75%, seconds 25%" in _printed(*[milliseconds] * 75, *[seconds] * 25)
    assert "looks like epoch milliseconds 98%" in _printed(*[milliseconds] * 98, *[zero] * 2)
    assert "looks like" not in _printed(*[milliseconds] * 89, *[zero] * 11)


def test_names_are_no_markup() -> None:
    """Nor are their emoji codes."""
    item = {"[bold]x[/bold]": {"S": ""}, "[/]": {"M": {"[red]": {"S": ""}, ":smile:": {"S": ""}}}}

    output = _printed(*[item] * 10)

    for name in ("[bold]x[/bold]", "[/]", ".[red]", ".:smile:"):
        assert f" {name} " in output


def test_unreadable_lines_are_told_by_kind() -> None:
    output = printed(statistics_of([b"", b"{}", b"{}", b'{"Keys":{},"Metadata":{}}', line_of({"a": {"S": "\0"}}), line_of({"b": 1})]))

    assert output.startswith("6 lines = 1 item + 5 unreadable; a line has 0 to ")
    for sentence in (
        "unreadable: 1 not one JSON object in UTF-8",
        'unreadable: 2 without the one member "Item"',
        "unreadable: 1 records of an incremental export",
        "unreadable: 1 with a malformed attribute value",
        "U+0000, which PostgreSQL does not store: in 1 item\n",
    ):
        assert sentence in output
    assert _row(output, "b") == "b 0%\n0 malformed in 1 more item"


def test_nothing_at_all_is_said_so() -> None:
    assert printed(statistics_of([])) == "0 lines = 0 items + 0 unreadable\n"


def test_names_that_are_not_shown_are_told_as_a_number() -> None:
    few = _printed({"id": {"S": ""}, "12345": {"S": ""}})
    many = _printed({"id": {"S": ""}, **{f"c{number}": {"S": ""} for number in range(300)}})

    assert "and 1 other attribute name, not shown for looking like data" in few
    assert "and more than 200 other attribute names: of so many, only" in " ".join(many.split())
    assert "and 2 other member names" in _printed({"a": {"M": {"x": {"S": ""}, "y": {"S": ""}}}})
