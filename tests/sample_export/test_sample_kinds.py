"""Every kind of fault and oddity occurs, with the codes that `docs/dead-letters.md` gives it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from sample_export import SampleExport, write_sample_exports
from sample_export.kinds import fault_kinds, odd_kinds
from tests.sample_export.written_export import data_lines, planted_kinds, truth_of

SESSIONS, NOTES, AUDIT = "medzen-video-sessions", "medzen-soap-notes", "medzen-meeting-audit"

# The dead-letter codes of the read and transform stages that each table's items can have.
COMMON_CODES = {
    "invalid_json", "not_an_item", "missing_required", "wrong_type", "invalid_uuid", "invalid_enum", "invalid_timestamp",
    "timestamp_out_of_range", "invalid_number", "nul_character",
}  # fmt: skip
NOTICE_CODES = {
    SESSIONS: {"timestamp_defaulted", "malformed_meeting_id", "empty_uuid_as_null", "unmapped_attribute"},
    NOTES: {"timestamp_defaulted", "unmapped_attribute"},
    AUDIT: {"unknown_event_type", "unmapped_attribute"},
}
# Attributes that must be there, each missing in some item.
REQUIRED = {
    SESSIONS: {"id", "appointmentId", "providerId", "patientId", "status"},
    NOTES: {"id", "sessionId", "appointmentId", "status"},
    AUDIT: {"id", "sessionId", "eventType", "timestamp"},
}


@pytest.fixture(scope="module")
def faulty_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faulty")


@pytest.fixture(scope="module")
def faulty(faulty_root: Path) -> dict[str, SampleExport]:
    exports = write_sample_exports(faulty_root, items=3_000, faulty=1.0, odd=0, seed=11)
    return {export.source_table: export for export in exports}


@pytest.fixture(scope="module")
def odd_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("odd")


@pytest.fixture(scope="module")
def odd(odd_root: Path) -> dict[str, SampleExport]:
    exports = write_sample_exports(odd_root, items=2_000, faulty=0, odd=1.0, seed=12)
    return {export.source_table: export for export in exports}


@pytest.mark.parametrize("table", [SESSIONS, NOTES, AUDIT])
def test_every_fault_occurs(faulty_root: Path, faulty: dict[str, SampleExport], table: str) -> None:
    """All codes, all required attributes missing, and every kind that the generator knows."""
    found = Counter((error["code"], error["attribute"]) for entry in truth_of(faulty[table]) for error in entry.get("errors", ()))
    assert {code for code, _ in found} == COMMON_CODES
    assert {attribute for code, attribute in found if code == "missing_required"} == REQUIRED[table]
    planted = set(planted_kinds(faulty_root, faulty[table]))
    assert planted >= set(fault_kinds(table))
    assert planted - set(fault_kinds(table)) == ({"primary_key_conflict.near", "primary_key_conflict.far"} if table == AUDIT else set())


@pytest.mark.parametrize("table", [SESSIONS, NOTES, AUDIT])
def test_kinds_of_faults_are_equally_frequent(faulty_root: Path, faulty: dict[str, SampleExport], table: str) -> None:
    """No kind is planted less than half as often as its share."""
    planted = Counter(planted_kinds(faulty_root, faulty[table]))
    fair = 3_000 / len(fault_kinds(table))
    assert [kind for kind in fault_kinds(table) if planted[kind] < fair / 2] == []


@pytest.mark.parametrize("table", [SESSIONS, NOTES, AUDIT])
def test_some_items_have_several_faults(faulty: dict[str, SampleExport], table: str) -> None:
    """There are dead letters with two, three and four errors, at different attributes; a read-stage refusal has one."""
    refused = [entry for entry in truth_of(faulty[table]) if entry["outcome"] == "dead_letter"]
    assert {2, 3, 4} <= {len(entry["errors"]) for entry in refused}
    for entry in refused:
        attributes = [error["attribute"] for error in entry["errors"]]
        assert len(set(attributes)) == len(attributes)
        if entry["stage"] == "read":
            assert len(attributes) == 1


@pytest.mark.parametrize("table", [SESSIONS, NOTES, AUDIT])
def test_every_oddity_occurs_and_stays_a_row(odd_root: Path, odd: dict[str, SampleExport], table: str) -> None:
    """All notice codes and every kind that the generator knows, and every odd item is still a row."""
    truth = truth_of(odd[table])
    assert {entry["outcome"] for entry in truth} == {"row"}
    assert {notice["code"] for entry in truth for notice in entry["notices"]} == NOTICE_CODES[table]
    assert set(planted_kinds(odd_root, odd[table])) == set(odd_kinds(table))


def test_few_faults_show_every_code(tmp_path: Path) -> None:
    """An export with few faults, 20 a table, has every code of every table and a conflict: kinds of one code do not come in a row."""
    for export in write_sample_exports(tmp_path, items=4_000, odd=0.1):
        truth = truth_of(export)
        assert {error["code"] for entry in truth for error in entry.get("errors", ())} == COMMON_CODES
        assert {notice["code"] for entry in truth for notice in entry.get("notices", ())} == NOTICE_CODES[export.source_table]
        assert (export.source_table == AUDIT) == any(entry["outcome"] == "conflict" for entry in truth)


@pytest.mark.parametrize(
    ("table", "bytes_in_some_line"),
    [
        (SESSIONS, rb'{"N":"1.7E12"}'),
        (SESSIONS, rb'{"N":"946684800000"}'),
        (SESSIONS, rb'{"N":"4102444800000"}'),
        (SESSIONS, rb"{\"\u0053\":"),
        (NOTES, b'{"N":"12345678901234567890123456789012345678"}'),
        (NOTES, b'{"N":"1E-130"}'),
        (NOTES, b'{"N":"9.9E125"}'),
        (NOTES, b'{"N":"-0"}'),
        (NOTES, rb"\\u0000"),
        (NOTES, rb"\ud83d"),
        (AUDIT, b'{"M":{"level1":{"M":{"level2":'),
        (AUDIT, b'"level30":{"N":"1.50"}'),
    ],
)
def test_unusual_spellings_are_in_the_lines(odd_root: Path, odd: dict[str, SampleExport], table: str, bytes_in_some_line: bytes) -> None:
    """What is unusual is spelled so in the data file itself, not only told in the truth."""
    wanted = bytes_in_some_line.replace(rb"\"", b'"')
    assert any(wanted in line for _, _, line in data_lines(odd_root, odd[table]))


@pytest.mark.parametrize("line_end", [b"}\r", b"}  \t"])
def test_white_space_at_the_end_of_a_line_occurs(odd_root: Path, odd: dict[str, SampleExport], line_end: bytes) -> None:
    """A carriage return or spaces and a tab after the object are white space to JSON."""
    assert any(line.endswith(line_end) for _, _, line in data_lines(odd_root, odd[SESSIONS]))
