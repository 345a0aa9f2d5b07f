"""`ddb2pg inspect` of windows: their time, view and kinds of records. `ddb2pg draft` wants a full export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import CommandLine
from tests.handmade_export import write_export
from tests.histories import BEGIN, SECOND, History, Item, Operation, write_history, write_window

HOUR = 3_600
KEYS: list[Item] = [{"id": {"S": f"planted-{number}"}} for number in range(9)]
# Two items are deleted, three changed, one comes; the others stay as they are.
HISTORY = History(
    [
        *(Operation((BEGIN - 1) * SECOND, key, {**key, "name": {"S": "secret"}}) for key in KEYS[:8]),
        *(Operation((BEGIN + 1) * SECOND, key, None) for key in KEYS[:2]),
        *(Operation((BEGIN + 1) * SECOND, key, {**key, "name": {"S": "secret too"}}) for key in KEYS[5:]),
    ],
    [BEGIN, BEGIN + HOUR],
)
KINDS = {
    "NEW_AND_OLD_IMAGES": {"inserted": 1, "updated": 3, "deleted": 2},
    "NEW_IMAGE": {"written": 4, "deleted": 2},
}


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """There is no database at all."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    return CommandLine("postgresql://nobody@127.0.0.1:1/none", tmp_path)


@pytest.mark.parametrize("view", KINDS)
@pytest.mark.parametrize("depth", [[], ["--full"]])
def test_a_window_beside_its_full_export(ask: CommandLine, tmp_path: Path, view: str, depth: list[str]) -> None:
    write_history(tmp_path / "e", "things", HISTORY, view=view)
    finished = ask("inspect", "--json", "--export", tmp_path / "e", *depth)
    assert finished.exit_code == 0, finished.output
    shown: dict[str, Any] = json.loads(finished.stdout)
    assert [export["items"] for export in shown["exports"]] == [8]
    [window] = shown["windows"]
    assert (window["from_time"], window["to_time"], window["view"]) == ("2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", view)
    assert (window["records"], window["lines"], window["kinds"]) == (6, 6, KINDS[view])
    assert window["are_data_files_verified"] == bool(depth)
    assert "secret" not in finished.output
    assert "planted" not in finished.output


def test_a_window_as_a_person_reads_it(ask: CommandLine, tmp_path: Path) -> None:
    folder = write_window(tmp_path / "e", "things", HISTORY, *HISTORY.windows[0])
    finished = ask("inspect", "--export", folder, "--full")
    assert finished.exit_code == 0, finished.output
    assert "from 2026-01-01T00:00:00Z to 2026-01-01T01:00:00Z, NEW_AND_OLD_IMAGES" in finished.output
    for kind, count in KINDS["NEW_AND_OLD_IMAGES"].items():
        assert f"{count} {kind}" in finished.output


def test_lines_that_are_no_changes_are_to_be_looked_at(ask: CommandLine, tmp_path: Path) -> None:
    window = {"exportTime": None, "exportType": "INCREMENTAL_EXPORT", "outputView": "NEW_IMAGE", "version": "2023-08-01"}
    times = {"exportFromTime": "2026-01-01T00:00:00.000Z", "exportToTime": "2026-01-01T01:00:00.000Z"}
    write_export(tmp_path / "e", "t", [[b'{"Item":{"id":{"S":"1"}}}', b"{"]], is_shared=True, **window, **times)
    finished = ask("inspect", "--json", "--export", tmp_path / "e")
    shown = json.loads(finished.stdout)
    assert shown["verdict"]["state"] == "review"
    assert shown["windows"][0]["kinds"] == {"unreadable": 2}


def test_a_draft_of_windows_alone_is_refused_with_what_it_needs(ask: CommandLine, tmp_path: Path) -> None:
    folder = write_window(tmp_path / "e", "things", HISTORY, *HISTORY.windows[0])
    finished = ask("draft", "--export", tmp_path / "e", "--output", tmp_path / "things.py")
    assert finished.exit_code == 2, finished.output
    assert "a draft is made of a full export" in finished.output.replace("\n", " ")
    assert str(folder) in finished.output.replace("\n", "")
    assert not (tmp_path / "things.py").exists()
