"""Where planters can plant: the attributes of each table, what their columns take, and whether they may be missing.

Written from `data_mapping.md` and kept apart from `transforms/`, as the truth must not come from what it judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random

from sample_export.attribute_values import AttributeValue
from sample_export.draft import Draft
from sample_export.settings import AUDIT, NOTES, SESSIONS


class Kind(Enum):
    """What a column takes."""

    UUID = "uuid"
    TEXT = "text"
    ENUM = "enum"
    EVENT_TYPE = "event type"
    TIMESTAMP = "timestamp"
    BOOLEAN = "boolean"
    JSONB = "jsonb"


@dataclass(frozen=True, slots=True)
class Field:
    """An attribute and its column; `soapData.plan` is a member of the map `soapData`."""

    attribute: str
    column: str
    kind: Kind
    required: bool = False

    @property
    def name(self) -> str:
        """The attribute's name in the map that holds it."""
        return self.attribute.rpartition(".")[2]

    def holder(self, draft: Draft) -> dict[str, AttributeValue]:
        """The map that the attribute stands in."""
        if self.attribute.startswith("soapData."):
            members: dict[str, AttributeValue] = draft.attributes["soapData"]["M"]
            return members
        return draft.attributes

    def put(self, draft: Draft, value: AttributeValue) -> None:
        """Give the attribute this value; the row stays as it is."""
        self.holder(draft)[self.name] = value

    def remove(self, draft: Draft) -> None:
        """Take the attribute out of the item."""
        self.holder(draft).pop(self.name, None)


FIELDS: dict[str, tuple[Field, ...]] = {
    SESSIONS: (
        Field("id", "id", Kind.UUID, required=True),
        Field("appointmentId", "appointment_id", Kind.UUID, required=True),
        Field("providerId", "provider_id", Kind.UUID, required=True),
        Field("patientId", "patient_id", Kind.UUID, required=True),
        Field("status", "status", Kind.ENUM, required=True),
        Field("startTime", "start_time", Kind.TIMESTAMP),
        Field("endTime", "end_time", Kind.TIMESTAMP),
        Field("joinUrl", "join_url", Kind.TEXT),
        Field("meetingId", "meeting_id", Kind.TEXT),
        Field("mediaRegion", "media_region", Kind.TEXT),
        Field("transcriptionEnabled", "transcription_enabled", Kind.BOOLEAN),
        Field("transcriptId", "transcript_id", Kind.UUID),
        Field("transcriptLanguage", "transcript_language", Kind.TEXT),
        Field("soapNoteId", "soap_note_id", Kind.UUID),
        Field("finalizationStatus", "finalization_status", Kind.TEXT),
        Field("createdAt", "created_at", Kind.TIMESTAMP),
        Field("updatedAt", "updated_at", Kind.TIMESTAMP),
    ),
    NOTES: (
        Field("id", "id", Kind.UUID, required=True),
        Field("sessionId", "session_id", Kind.UUID, required=True),
        Field("appointmentId", "appointment_id", Kind.UUID, required=True),
        Field("status", "status", Kind.ENUM, required=True),
        Field("soapData.chiefComplaint", "chief_complaint", Kind.TEXT),
        Field("soapData.subjective", "subjective", Kind.JSONB),
        Field("soapData.objective", "objective", Kind.JSONB),
        Field("soapData.assessment", "assessment", Kind.JSONB),
        Field("soapData.plan", "plan", Kind.JSONB),
        Field("aiModel", "ai_model", Kind.TEXT),
        Field("aiGeneratedAt", "ai_generated_at", Kind.TIMESTAMP),
        Field("createdAt", "created_at", Kind.TIMESTAMP),
        Field("updatedAt", "updated_at", Kind.TIMESTAMP),
    ),
    AUDIT: (
        Field("id", "id", Kind.UUID, required=True),
        Field("sessionId", "session_id", Kind.UUID, required=True),
        Field("eventType", "event_type", Kind.EVENT_TYPE, required=True),
        Field("eventData", "event_data", Kind.JSONB),
        Field("timestamp", "created_at", Kind.TIMESTAMP),
        Field("createdAt", "created_at", Kind.TIMESTAMP),
    ),
}


def fields_of(table: str, *kinds: Kind) -> list[Field]:
    """The fields of a table whose columns take one of `kinds`."""
    return [field for field in FIELDS[table] if field.kind in kinds]


def claim_one(draft: Draft, random: Random, fields: Sequence[Field]) -> Field | None:
    """One of `fields` that no planter has claimed, now claimed; None where there is none left."""
    free = [field for field in fields if field.attribute not in draft.claimed]
    if not free:
        return None
    chosen = random.choice(free)
    draft.claim(chosen.attribute)
    return chosen
