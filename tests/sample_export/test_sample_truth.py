"""The truth: a line per item, all columns, references that hold, and shares as they were asked for."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sample_export import SOURCE_TABLES, SampleExport, write_sample_exports
from tests.sample_export.written_export import data_lines, manifest_entries, truth_of

# Target columns, from the `CREATE TABLE` statements of the mapping.
COLUMNS = {
    "medzen-video-sessions": (
        "id appointment_id provider_id patient_id status start_time end_time join_url meeting_id media_region transcription_enabled "
        "transcript_id transcript_language soap_note_id finalization_status created_at updated_at"
    ),
    "medzen-soap-notes": (
        "id session_id appointment_id note_type status chief_complaint subjective objective assessment plan ai_model ai_generated_at "
        "created_at updated_at"
    ),
    "medzen-meeting-audit": "id session_id event_type event_data created_at",
}
EVENT_TYPES = {
    "CALL_INITIATED", "CALL_JOINED", "CALL_DISCONNECTED", "TRANSCRIPTION_STARTED", "TRANSCRIPTION_COMPLETED", "TRANSCRIPTION_FAILED",
    "SOAP_GENERATION_STARTED", "SOAP_GENERATION_COMPLETED", "SOAP_GENERATION_FAILED",
}  # fmt: skip
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def write(root: Path, **arguments: Any) -> dict[str, SampleExport]:
    return {export.source_table: export for export in write_sample_exports(root, **arguments)}


@pytest.fixture(scope="module")
def clean_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clean")


@pytest.fixture(scope="module")
def clean(clean_root: Path) -> dict[str, SampleExport]:
    return write(clean_root, items=2_000, faulty=0, odd=0, items_per_file=700)


@pytest.mark.parametrize(("faulty", "odd"), [(0.0, 0.0), (0.3, 0.3), (1.0, 0.5)])
def test_truth_has_a_line_per_item_in_order(tmp_path: Path, faulty: float, odd: float) -> None:
    """The truth's lines stand in the manifest's order of files, then in the order of items; every row has all columns, well spelled."""
    for table, export in write(tmp_path, items=400, faulty=faulty, odd=odd, items_per_file=150).items():
        truth = truth_of(export)
        places = [(name, number) for name, number, _ in data_lines(tmp_path, export)]
        assert [(entry["data_file"], entry["item_number"]) for entry in truth] == places
        for entry in truth:
            if entry["outcome"] == "dead_letter":
                assert entry.keys() == {"data_file", "item_number", "outcome", "stage", "errors"}
                assert entry["stage"] in {"read", "transform"}
                assert entry["errors"]
            else:
                assert entry["row"].keys() == set(COLUMNS[table].split())
                assert UUID.fullmatch(entry["row"]["id"])


def test_shares_are_exact(tmp_path: Path) -> None:
    """Of 1,000 items with 5 % faults exactly 50 are no plain row."""
    for export in write(tmp_path, items=1_000, faulty=0.05, odd=0.1, items_per_file=300).values():
        assert sum(entry["outcome"] != "row" for entry in truth_of(export)) == 50


def test_clean_export_has_only_plain_rows(clean: dict[str, SampleExport]) -> None:
    """Without faults and oddities every item is a row without a notice, and no timestamp has been made up."""
    for export in clean.values():
        for entry in truth_of(export):
            assert (entry["outcome"], entry["notices"]) == ("row", [])
            for column, value in entry["row"].items():
                if value is not None and column.endswith(("_at", "_time")):
                    assert INSTANT.fullmatch(value)
                    assert "2024-01-01" < value < "2027"


@pytest.mark.parametrize("faulty_odd", [0.0, 1.0])
def test_everything_faulty_leaves_nothing_clean(tmp_path: Path, faulty_odd: float) -> None:
    """With a share of 1 every item is a dead letter or in a conflict, odd ones too."""
    for export in write(tmp_path, items=500, faulty=1.0, odd=faulty_odd).values():
        assert {entry["outcome"] for entry in truth_of(export)} <= {"dead_letter", "conflict"}


def test_clean_lines_say_what_the_truth_says(clean_root: Path, clean: dict[str, SampleExport]) -> None:
    """Instants and jsonb of clean items, taken from the data file in the plainest way, are the truth's."""
    for table, columns in (
        ("medzen-video-sessions", {"startTime": "start_time", "endTime": "end_time", "createdAt": "created_at", "updatedAt": "updated_at"}),
        ("medzen-soap-notes", {"createdAt": "created_at", "updatedAt": "updated_at"}),
    ):
        for (_, _, line), entry in zip(data_lines(clean_root, clean[table]), truth_of(clean[table]), strict=True):
            item = json.loads(line)["Item"]
            assert item["id"]["S"] == entry["row"]["id"]
            for attribute, column in columns.items():
                moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(item[attribute]["N"]))
                assert datetime.fromisoformat(entry["row"][column]) == moment
            for component in ("subjective", "plan") if "soapData" in item else ():
                expected = json.loads(entry["row"][component]["jsonb"], parse_float=str, parse_int=str)
                assert plain(item["soapData"]["M"][component]) == expected


def plain(value: dict[str, Any]) -> Any:
    """An attribute value as JSON, numbers as their text."""
    ((tag, content),) = value.items()
    if tag == "M":
        return {name: plain(member) for name, member in content.items()}
    if tag == "L":
        return [plain(element) for element in content]
    return None if tag == "NULL" else content


def test_notes_and_events_refer_to_sessions(clean: dict[str, SampleExport]) -> None:
    """Every note and every event names a session of the same seed, a note its appointment too, and sessions name notes that exist."""
    sessions, notes, events = ([entry["row"] for entry in truth_of(clean[table])] for table in SOURCE_TABLES)
    appointments = {row["id"]: row["appointment_id"] for row in sessions}
    assert len(appointments) == len(sessions)
    assert all(appointments[row["session_id"]] == row["appointment_id"] for row in notes)
    assert all(row["session_id"] in appointments for row in events)
    assert {row["soap_note_id"] for row in sessions} - {None} <= {row["id"] for row in notes}
    completed = {row["id"] for row in sessions if row["status"] == "COMPLETED"}
    assert {row["session_id"] for row in notes} <= completed


def test_content_is_rich(clean_root: Path, clean: dict[str, SampleExport]) -> None:
    """All statuses and event types occur, all type tags in notes, a text of more than 100 KB, notes of some kilobytes, many scripts."""
    sessions, notes, events = ([entry["row"] for entry in truth_of(clean[table])] for table in SOURCE_TABLES)
    assert {row["status"] for row in sessions} == {"INITIATED", "ACTIVE", "COMPLETED", "FAILED"}
    assert {row["status"] for row in notes} == {"DRAFT", "REVIEWED", "SIGNED", "ARCHIVED"}
    assert {row["event_type"] for row in events} == EVENT_TYPES
    lines = [line for _, _, line in data_lines(clean_root, clean["medzen-soap-notes"])]
    everything = b"\n".join(lines).decode()
    for tag in ("S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"):
        assert f'{{"{tag}":' in everything
    for text in ("\\r\\n", "\\t", '\\"', "C:\\\\", "\\\\u0000", "👩🏽‍⚕️", "المريض", "患者", "\u2028", '{"M":{}}', '{"L":[]}'):
        assert text in everything, text
    sizes = sorted(map(len, lines))
    assert 2_000 < sizes[len(sizes) // 2] < 20_000
    assert 100_000 < sizes[-1] < 400_000


def test_attributes_come_in_varying_order(clean_root: Path, clean: dict[str, SampleExport]) -> None:
    """DynamoDB keeps no order of attributes, so neither do sample items."""
    for export in clean.values():
        firsts = {next(iter(json.loads(line)["Item"])) for _, _, line in data_lines(clean_root, export)}
        assert len(firsts) > 3


def test_keys_are_unique_but_for_planted_conflicts(tmp_path: Path) -> None:
    """Ids differ in every table, except inside a conflict group: 2 to 4 events with one id and different timestamps."""
    for table, export in write(tmp_path, items=3_000, faulty=0.5, odd=0.1, items_per_file=100).items():
        ids = [entry["row"]["id"] for entry in truth_of(export) if entry["outcome"] == "row"]
        groups: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
        for (name, _, line), entry in zip(data_lines(tmp_path, export), truth_of(export), strict=True):
            if entry["outcome"] == "conflict":
                groups[entry["group"]].append((entry["row"]["id"], name, json.loads(line)["Item"]["timestamp"]["N"]))
        for members in groups.values():
            assert len(members) in {2, 3, 4}
            assert len({event_id for event_id, _, _ in members}) == 1
            assert len({timestamp for _, _, timestamp in members}) == len(members)
        ids += [members[0][0] for members in groups.values()]
        assert len(set(ids)) == len(ids)
        assert bool(groups) == (table == "medzen-meeting-audit")
        if groups:
            files = {len({name for _, name, _ in members}) for members in groups.values()}
            assert {1, 4} <= files, "groups inside one file, and across as many as they have members"


def test_blank_line_is_never_the_last(tmp_path: Path) -> None:
    """Blank lines at the end of a file are no items, so a planted one always has an item after it."""
    for export in write(tmp_path, items=900, faulty=1.0, items_per_file=3).values():
        last: dict[str, bytes] = {name: line for name, _, line in data_lines(tmp_path, export)}
        assert len(manifest_entries(export)) == 301
        assert all(last.values())
        assert any(not line for _, _, line in data_lines(tmp_path, export))
