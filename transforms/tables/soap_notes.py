"""medzen-soap-notes -> clinical_notes (`data_mapping.md`, Table 2)."""

from transforms.convert import Jsonb, OneOf, Text, Timestamp, Uuid
from transforms.table import EMPTY_OBJECT, Column, Missing, Otherwise, Table

STATUS = OneOf(("DRAFT", "REVIEWED", "SIGNED", "ARCHIVED"))

SOAP_NOTES = Table(
    source="medzen-soap-notes",
    target="clinical_notes",
    key=("id",),
    columns=(
        Column("id", "id", Uuid(), Missing.REFUSED),
        Column("sessionId", "session_id", Uuid(), Missing.REFUSED),
        Column("appointmentId", "appointment_id", Uuid(), Missing.REFUSED),
        Column(None, "note_type", Text(), Otherwise("SOAP")),
        Column("status", "status", STATUS, Missing.REFUSED),
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
