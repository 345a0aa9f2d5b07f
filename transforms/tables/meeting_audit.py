"""medzen-meeting-audit -> video_call_audit_log (`data_mapping.md`, Table 3)."""

from transforms.convert import Jsonb, Timestamp, UpperCased, Uuid
from transforms.reject import NoticeCode
from transforms.table import Column, LaterOf, Missing, Table

EVENT_TYPE = UpperCased(
    known=(
        "CALL_INITIATED",
        "CALL_JOINED",
        "CALL_DISCONNECTED",
        "TRANSCRIPTION_STARTED",
        "TRANSCRIPTION_COMPLETED",
        "TRANSCRIPTION_FAILED",
        "SOAP_GENERATION_STARTED",
        "SOAP_GENERATION_COMPLETED",
        "SOAP_GENERATION_FAILED",
    ),
    otherwise=NoticeCode.UNKNOWN_EVENT_TYPE,
)

MEETING_AUDIT = Table(
    source="medzen-meeting-audit",
    target="video_call_audit_log",
    # The target's primary key is `id` alone: items that share one conflict (`rulings.md`, "medzen-meeting-audit").
    key=("id", "timestamp"),
    columns=(
        Column("id", "id", Uuid(), Missing.REFUSED),
        Column("sessionId", "session_id", Uuid(), Missing.REFUSED),
        Column("eventType", "event_type", EVENT_TYPE, Missing.REFUSED),
        Column("eventData", "event_data", Jsonb()),
        Column(LaterOf("timestamp", "createdAt"), "created_at", Timestamp(), Missing.REFUSED),
    ),
)
