"""medzen-video-sessions -> video_call_sessions (`data_mapping.md`, Table 1)."""

from transforms.convert import Boolean, OneOf, Text, Timestamp, Uuid, is_uuid
from transforms.reject import NoticeCode
from transforms.table import Column, Missing, Otherwise, Table

STATUS = OneOf(("INITIATED", "ACTIVE", "COMPLETED", "FAILED"))
# Chime's meeting ids are UUIDs; others are kept for investigation (`data_mapping.md`, "Known Limitations").
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
        Column("status", "status", STATUS, Missing.REFUSED),
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
