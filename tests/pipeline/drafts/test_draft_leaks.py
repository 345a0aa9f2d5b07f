"""No value of an item is in a draft, but what is named in docs/draft.md: literals of kinds and of composite strings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.command_line import CommandLine
from tests.handmade_export import write_export
from tests.pipeline.drafts.made_items import line_of, shop, values_of

# What a single-table design's program writes into its items, in at least ten of them.
LITERALS = {"CUSTOMER", "ORDER"}


def _planted(number: int) -> dict[str, Any]:
    """A mark in every type of value, in names inside of maps, in texts that are few, and in what is wrong."""
    mark = f"marker{number % 4}"
    return {
        "id": {"S": f"marker-{number}"},
        "few": {"S": mark},
        "one": {"S": "marker-same"},
        "number": {"N": "4815162342"},
        "wrong": {"N": "marker-not-a-number"} if number % 90 == 0 else {"N": "48151623"},
        "decimal": {"N": f"-0.4815162342{number}"},
        "binary": {"B": "bWFya2Vy"},
        "set": {"SS": [mark]},
        "numbers": {"NS": ["4815162342"]},
        "time": {"S": "1848-15-16T23:42:00Z"},
        "map": {"M": {f"marker{number}": {"N": "marker-in-a-map"}, "4815162342": {"S": mark}, "always": {"S": mark}}},
        "list": {"L": [{"S": mark}, {"M": {"marker": {"N": "4815162342"}}}]},
        "composite": {"S": f"USER#marker#{number}"},
        "url": {"S": f"https://marker.example/#{number}"},
        **({"type": {"S": "marker-few"}} if number < 5 else {}),
    }


@pytest.mark.parametrize("arguments", [[], ["--supabase"]])
def test_no_value_is_anywhere(arguments: list[str], tmp_path: Path) -> None:
    lines = [line_of(_planted(number)) for number in range(400)]
    export = write_export(
        tmp_path / "e", "Planted", [[*lines, b'{"Item":{"id":{"S":"marker', b'{"Item":{"id":{"S":"marker"},"x":"marker"}}']]
    )
    everything = _drafted(tmp_path, export, arguments)
    assert "marker" not in everything
    assert not [digits for digits in ("48151623", "1848", "23:42", "bWFya2Vy") if digits in everything]


def test_of_a_single_table_design_only_literals_are_told(tmp_path: Path) -> None:
    items = shop()
    export = write_export(tmp_path / "e", "Shop", [[line_of(item) for item in items]])
    everything = _drafted(tmp_path, export, [])
    values = {text for item in items for text in values_of(item) if len(text) > 2 and not text.isdecimal()}
    assert {value for value in values if value in everything} == LITERALS


def _drafted(tmp_path: Path, export: Path, arguments: list[str]) -> str:
    """All that a draft says anywhere."""
    folder = tmp_path / "out"
    folder.mkdir()
    run = CommandLine("postgresql://nobody@127.0.0.1:1/none", tmp_path)
    finished = run("draft", "--export", export, "--output", folder / "drafted.py", *arguments, AWS_EC2_METADATA_DISABLED="true")
    assert finished.exit_code == 0, finished.output
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == 2
    return finished.output + "".join(path.read_text() for path in files)
