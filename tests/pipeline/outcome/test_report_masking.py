"""No value of an item is in the page that a run writes, nor in `report.json`; with `--show_values` they are, and the page says so."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from pipeline.errors import Refused
from pipeline.records.gather import DeadLetters
from tests.command_line import CommandLine
from tests.pipeline.outcome.reported import Reported, dead_letter, entries_in, error, everything_in, make_run, page_of, strings_of

LEAST = 13
"""Shorter strings can be words of the page by chance."""


def _values(reported: Reported) -> set[str]:
    """Strings and numbers of all refused items."""
    found = set()
    for record in reported.dead_letters():
        if record["item_encoding"] == "utf-8" and record["item"].startswith('{"Item"'):
            try:
                found.update(strings_of(json.loads(record["item"])))
            except (ValueError, RecursionError):
                continue
    return {text for text in found if len(text) >= LEAST and text.isprintable() and '"' not in text and "\\" not in text}


def test_the_page_of_a_run_holds_no_value(reported: Reported) -> None:
    """Neither does `report.json`. Names of codes and tables may be in an item, too."""
    values = _values(reported)
    assert len(values) > 500
    texts = everything_in(reported.migrated / "report.html"), (reported.migrated / "report.json").read_text()
    assert {value for value in values if any(value in text for text in texts)} <= {"timestamp_out_of_range", "medzen-meeting"}


def test_a_validation_holds_no_value_either(reported: Reported) -> None:
    """Of keys, shapes."""
    entries = entries_in(reported.validated / "report.html")
    [*blocks] = entries["blocks"]
    shapes = {entries["strings"][number] for block in blocks for name, numbers in block["fields"] if name == "id" for number in numbers}
    assert shapes <= {None, "S(36) uuid", "text(36) uuid"}
    assert len(shapes) >= 2


def test_with_values_every_item_is_in_it(reported: Reported, tmp_path: Path) -> None:
    """As the files have it; for this user alone, and marked."""
    page = page_of(reported.migrated, tmp_path / "page.html", show_values=True)

    entries = entries_in(page)
    found = {(block["table"], item): text for block in entries["blocks"] for item, text in zip(block["item"], block["text"], strict=True)}
    expected = {(record["source_table"], record["item_number"]): record["item"] for record in reported.dead_letters()}
    assert len(found) > 200
    assert found == expected
    text = page.read_text(encoding="utf-8")
    assert "<title>PATIENT DATA" in text
    assert "Contains patient data" in text
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert "Contains patient data" not in (reported.migrated / "report.html").read_text(encoding="utf-8")


def test_items_beyond_the_limit_have_their_errors_only() -> None:
    """One that is too long leaves room for a short one after it."""
    reader = DeadLetters(["id"], show_values=True, text_left=100)
    records = [dead_letter(number, error("x"), item={"id": {"S": "x" * size}}) for number, size in enumerate((40, 40, 1, 40))]
    entries = [reader.entry(record, ()) for record in records]
    assert [entry.text is not None for entry in entries] == [True, False, True, False]


def test_the_command_makes_the_page_again(reported: Reported, run: CommandLine, tmp_path: Path) -> None:
    """The same page from the same folder, without a database; and a folder without a report is refused."""
    finished = run("report", reported.migrated, "--output", tmp_path / "again.html", DATABASE_URL="")
    assert finished.exit_code == 0, finished.output
    assert (tmp_path / "again.html").read_bytes() == (reported.migrated / "report.html").read_bytes()


def test_what_is_no_report_is_refused(run_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="a run that finished"):
        page_of(tmp_path, None, show_values=False)
    run = make_run(run_folder, [], schema_version=99)
    with pytest.raises(Refused, match="schema_version 99"):
        page_of(run, None, show_values=False)
    (run / "report.json").write_text("{")
    with pytest.raises(Refused, match="is no report"):
        page_of(run, None, show_values=False)
