"""The mapping (`docs/tables.md`) as someone writes it by hand, for sound items: shared by the contenders that make rows in Python.

Scripts of this folder run in virtual environments of their own, beside nothing of ddb2pg. They are called with a database URL and, for
each table, `SOURCE_TABLE=FOLDER_OF_DATA_FILES`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

STARTED = datetime.now(UTC)
ToJsonb = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Job:
    """One table to load."""

    source: str
    data_files: Sequence[Path]
    target: str
    row: Callable[[Mapping[str, Any], ToJsonb], dict[str, Any]]
    """An item, and what makes JSON of a typed value, to the row's columns by name, in the target's order."""


def arguments() -> tuple[str, list[Job]]:
    """The database URL and the tables of the command line."""
    jobs = []
    for argument in sys.argv[2:]:
        source, _, folder = argument.partition("=")
        jobs.append(Job(source, sorted(Path(folder).glob("*.json.gz")), *TABLES[source]))
    return sys.argv[1], jobs


def plain(value: Mapping[str, Any], number: Callable[[str], Any]) -> Any:
    """A typed value as it is meant; `number` keeps every digit."""
    [(tag, content)] = value.items()
    match tag:
        case "M":
            return {name: plain(member, number) for name, member in content.items()}
        case "L":
            return [plain(element, number) for element in content]
        case "N":
            return number(content)
        case "NS":
            return [number(member) for member in content]
        case "NULL":
            return None
        case _:
            return content


def session_row(item: Mapping[str, Any], _to_jsonb: ToJsonb) -> dict[str, Any]:
    """A row of `video_call_sessions`."""
    return {
        "id": item["id"]["S"],
        "appointment_id": item["appointmentId"]["S"],
        "provider_id": item["providerId"]["S"],
        "patient_id": item["patientId"]["S"],
        "status": item["status"]["S"],
        "start_time": _time(item, "startTime") or STARTED,
        "end_time": _time(item, "endTime") or STARTED,
        "join_url": _text(item, "joinUrl"),
        "meeting_id": _text(item, "meetingId"),
        "media_region": _text(item, "mediaRegion"),
        "transcription_enabled": item.get("transcriptionEnabled", {}).get("BOOL", False),
        "transcript_id": _text(item, "transcriptId"),
        "transcript_language": _text(item, "transcriptLanguage"),
        "soap_note_id": _text(item, "soapNoteId"),
        "finalization_status": _text(item, "finalizationStatus"),
        "created_at": _time(item, "createdAt") or STARTED,
        "updated_at": _time(item, "updatedAt") or STARTED,
    }


def note_row(item: Mapping[str, Any], to_jsonb: ToJsonb) -> dict[str, Any]:
    """A row of `clinical_notes`."""
    soap = item.get("soapData", {}).get("M", {})
    return {
        "id": item["id"]["S"],
        "session_id": item["sessionId"]["S"],
        "appointment_id": item["appointmentId"]["S"],
        "note_type": "SOAP",
        "status": item["status"]["S"],
        "chief_complaint": _text(soap, "chiefComplaint"),
        "subjective": _component(soap, "subjective", to_jsonb),
        "objective": _component(soap, "objective", to_jsonb),
        "assessment": _component(soap, "assessment", to_jsonb),
        "plan": _component(soap, "plan", to_jsonb),
        "ai_model": _text(item, "aiModel"),
        "ai_generated_at": _time(item, "aiGeneratedAt"),
        "created_at": _time(item, "createdAt") or STARTED,
        "updated_at": _time(item, "updatedAt") or STARTED,
    }


def event_row(item: Mapping[str, Any], to_jsonb: ToJsonb) -> dict[str, Any]:
    """A row of `video_call_audit_log`."""
    times = [moment for moment in (_time(item, "timestamp"), _time(item, "createdAt")) if moment is not None]
    data = item.get("eventData", {"NULL": True})
    return {
        "id": item["id"]["S"],
        "session_id": item["sessionId"]["S"],
        "event_type": item["eventType"]["S"].upper(),
        "event_data": None if "NULL" in data else to_jsonb(data),
        "created_at": max(times),
    }


def _text(item: Mapping[str, Any], name: str) -> str | None:
    return item[name].get("S") if name in item else None


def _time(item: Mapping[str, Any], name: str) -> datetime | None:
    # A double holds milliseconds of our century exactly to the microsecond.
    return datetime.fromtimestamp(int(item[name]["N"]) / 1000, UTC) if "N" in item.get(name, {}) else None


def _component(soap: Mapping[str, Any], name: str, to_jsonb: ToJsonb) -> Any:
    value = soap.get(name, {"NULL": True})
    return to_jsonb({"M": {}} if "NULL" in value else value)


TABLES: Mapping[str, tuple[str, Callable[[Mapping[str, Any], ToJsonb], dict[str, Any]]]] = {
    "medzen-video-sessions": ("video_call_sessions", session_row),
    "medzen-soap-notes": ("clinical_notes", note_row),
    "medzen-meeting-audit": ("video_call_audit_log", event_row),
}
