"""The three tables of MedZen, in the order in which they are moved (`docs/tables.md`)."""

from transforms.rejects import NoticeCode
from transforms.rules import Boolean, Jsonb, OneOf, Text, Timestamp, UpperCased, Uuid
from transforms.rules.text import is_uuid
from transforms.sources import LaterOf
from transforms.table import EMPTY_OBJECT, Column, Missing, Otherwise, Table

SESSION_STATUS = OneOf(("INITIATED", "ACTIVE", "COMPLETED", "FAILED"))
# Chime's meeting ids are UUIDs; others are kept for investigation (`docs/tables.md`).
MEETING_ID = Text(expected=is_uuid, otherwise=NoticeCode.MALFORMED_MEETING_ID)

VIDEO_SESSIONS = Table(
    source="medzen-video-sessions",
    target="video_call_sessions",
    key=("id",),
    columns=(
        Column("id", "id", Uuid(), Missing.REFUSED),
        Column("appointmentId", "appointment_id", Uuid(), Missing.REFUSED),
        Column("providerId", "provider_id", Uuid(), Missing.REFUSED),
        Column("patientId", "patient_id", Uuid(), Missing.REFUSED),
        Column("status", "status", SESSION_STATUS, Missing.REFUSED),
        Column("startTime", "start_time", Timestamp(), Missing.MIGRATION_TIME),
        Column("endTime", "end_time", Timestamp(), Missing.MIGRATION_TIME),
        Column("joinUrl", "join_url", Text()),
        Column("meetingId", "meeting_id", MEETING_ID),
        Column("mediaRegion", "media_region", Text()),
        Column("transcriptionEnabled", "transcription_enabled", Boolean(), Otherwise(False)),
        Column("transcriptId", "transcript_id", Uuid(empty_as_null=True)),
        Column("transcriptLanguage", "transcript_language", Text()),
        Column("soapNoteId", "soap_note_id", Uuid(empty_as_null=True)),
        Column("finalizationStatus", "finalization_status", Text()),
        Column("createdAt", "created_at", Timestamp(), Missing.MIGRATION_TIME),
        Column("updatedAt", "updated_at", Timestamp(), Missing.MIGRATION_TIME),
    ),
)

NOTE_STATUS = OneOf(("DRAFT", "REVIEWED", "SIGNED", "ARCHIVED"))

SOAP_NOTES = Table(
    source="medzen-soap-notes",
    target="clinical_notes",
    key=("id",),
    columns=(
        Column("id", "id", Uuid(), Missing.REFUSED),
        Column("sessionId", "session_id", Uuid(), Missing.REFUSED),
        Column("appointmentId", "appointment_id", Uuid(), Missing.REFUSED),
        Column(None, "note_type", Text(), Otherwise("SOAP")),
        Column("status", "status", NOTE_STATUS, Missing.REFUSED),
        Column("soapData.chiefComplaint", "chief_complaint", Text()),
        Column("soapData.subjective", "subjective", Jsonb(), EMPTY_OBJECT),
        Column("soapData.objective", "objective", Jsonb(), EMPTY_OBJECT),
        Column("soapData.assessment", "assessment", Jsonb(), EMPTY_OBJECT),
        Column("soapData.plan", "plan", Jsonb(), EMPTY_OBJECT),
        Column("aiModel", "ai_model", Text()),
        Column("aiGeneratedAt", "ai_generated_at", Timestamp()),
        Column("createdAt", "created_at", Timestamp(), Missing.MIGRATION_TIME),
        Column("updatedAt", "updated_at", Timestamp(), Missing.MIGRATION_TIME),
    ),
)

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
    # The target's primary key is `id` alone: items that share one conflict (`docs/dead-letters.md`).
    key=("id", "timestamp"),
    columns=(
        Column("id", "id", Uuid(), Missing.REFUSED),
        Column("sessionId", "session_id", Uuid(), Missing.REFUSED),
        Column("eventType", "event_type", EVENT_TYPE, Missing.REFUSED),
        Column("eventData", "event_data", Jsonb()),
        Column(LaterOf("timestamp", "createdAt"), "created_at", Timestamp(), Missing.REFUSED),
    ),
)

TABLES = (VIDEO_SESSIONS, SOAP_NOTES, MEETING_AUDIT)
