"""Sound items of the three tables, and the short way from an item to what became of it."""

import json
from typing import Any, NamedTuple

import pytest
from binary_row import TARGETS, decode_row
from both_ways import compile_both_ways

from transforms.rejects import ItemRefused
from transforms.table import Table, Unmapped
from transforms.tables.medzen import MEETING_AUDIT, SOAP_NOTES, TABLES, VIDEO_SESSIONS

MIGRATION_TIME = 1_764_000_123_456_789  # microseconds; no item of the tests has it
ABSENT = object()
NULL = {"NULL": True}

UUID_1 = "11111111-2222-4333-8444-555555555555"
UUID_2 = "5f0c6a1e-0d1b-4a53-9d5e-0a4b6c7d8e9f"
T1, T2 = "1717230000000", "1717233600000"

SESSION = {
    "id": {"S": UUID_1},
    "appointmentId": {"S": "aaaaaaaa-0001-4000-8000-000000000001"},
    "providerId": {"S": "aaaaaaaa-0002-4000-8000-000000000002"},
    "patientId": {"S": "aaaaaaaa-0003-4000-8000-000000000003"},
    "status": {"S": "COMPLETED"},
    "startTime": {"N": T1},
    "endTime": {"N": T2},
    "joinUrl": {"S": "https://meet.example/x"},
    "meetingId": {"S": "aaaaaaaa-0004-4000-8000-000000000004"},
    "mediaRegion": {"S": "eu-central-1"},
    "transcriptionEnabled": {"BOOL": True},
    "transcriptId": {"S": "aaaaaaaa-0005-4000-8000-000000000005"},
    "transcriptLanguage": {"S": "en-US"},
    "soapNoteId": {"S": "aaaaaaaa-0006-4000-8000-000000000006"},
    "finalizationStatus": {"S": "DONE"},
    "createdAt": {"N": T1},
    "updatedAt": {"N": T2},
}
NOTE = {
    "id": {"S": UUID_1},
    "sessionId": {"S": "bbbbbbbb-0001-4000-8000-000000000001"},
    "appointmentId": {"S": "bbbbbbbb-0002-4000-8000-000000000002"},
    "soapData": {
        "M": {
            "chiefComplaint": {"S": "cough"},
            "subjective": {"M": {"history": {"S": "two days"}}},
            "objective": {"M": {"temperature": {"N": "37.20"}}},
            "assessment": {"M": {"code": {"S": "J20.9"}}},
            "plan": {"M": {"steps": {"L": [{"S": "rest"}]}}},
        }
    },
    "status": {"S": "SIGNED"},
    "aiModel": {"S": "claude-opus-4-5-20251101-v1:0"},
    "aiGeneratedAt": {"N": T1},
    "createdAt": {"N": T1},
    "updatedAt": {"N": T2},
}
AUDIT = {
    "id": {"S": UUID_1},
    "timestamp": {"N": T1},
    "sessionId": {"S": "cccccccc-0001-4000-8000-000000000001"},
    "eventType": {"S": "CALL_JOINED"},
    "eventData": {"M": {"attendee": {"S": "p-1"}}},
    "createdAt": {"N": T2},
}
SOUND = {VIDEO_SESSIONS.source: SESSION, SOAP_NOTES.source: NOTE, MEETING_AUDIT.source: AUDIT}


class Row(NamedTuple):
    """A row, decoded, and its notices as sorted (code, attribute)."""

    values: dict[str, Any]
    notices: list[tuple[str, str]]


class Refusal(NamedTuple):
    """A refusal: its stage and its errors as sorted (code, attribute)."""

    stage: str
    errors: list[tuple[str, str | None]]


def changed(item: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The item with other values for some attributes; `ABSENT` removes one."""
    return {name: value for name, value in (item | changes).items() if value is not ABSENT}


def note(**components: Any) -> dict[str, Any]:
    """A sound note with other members of `soapData`."""
    return changed(NOTE, soapData={"M": changed(NOTE["soapData"]["M"], **components)})


def line_of(item: Any) -> bytes:
    """The line of an export that holds the item."""
    return json.dumps({"Item": item}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


_COMPILED = {
    (table.source, unmapped): compile_both_ways(table, migration_time=MIGRATION_TIME, unmapped=unmapped)
    for table in TABLES
    for unmapped in Unmapped
}


def to_row(table: Table, line: bytes, unmapped: Unmapped = Unmapped.NOTICE) -> Row:
    """What `transforms` makes of a line, decoded by the mapping's own column types."""
    encoded, notices = _COMPILED[table.source, unmapped](line)
    target = TARGETS[table.target]
    values = decode_row(encoded, [target[name] for name in table.column_names])
    return Row(dict(zip(table.column_names, values, strict=True)), sorted((str(notice.code), notice.attribute) for notice in notices))


def row_of(table: Table, item: Any, unmapped: Unmapped = Unmapped.NOTICE) -> Row:
    """The row of an item that must become one."""
    return to_row(table, line_of(item), unmapped)


def refusal_of_line(table: Table, line: bytes, unmapped: Unmapped = Unmapped.NOTICE) -> Refusal:
    """The refusal of a line that must not become a row."""
    with pytest.raises(ItemRefused) as caught:
        to_row(table, line, unmapped)
    refused = caught.value
    return Refusal(str(refused.stage), sorted(((str(error.code), error.attribute) for error in refused.errors), key=str))


def refusal_of(table: Table, item: Any, unmapped: Unmapped = Unmapped.NOTICE) -> Refusal:
    """The refusal of an item that must not become a row."""
    return refusal_of_line(table, line_of(item), unmapped)


def only(code: str, attribute: str | None, stage: str = "transform") -> Refusal:
    """The refusal with this one error."""
    return Refusal(stage, [(code, attribute)])
