"""The three tables as data, written from the mapping and its rules (`docs/tables.md`) alone, and what their sound items say.

Kept apart from `transforms/`, as the truth must not come from what it judges. Faults and oddities derive from these descriptions.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from random import Random
from typing import Any, NamedTuple

from sample_export.content import EVENT_DATA, World, soap_components
from sample_export.values import CHIEF_COMPLAINTS, LANGUAGES, REGIONS, long_text, random_uuid, words


class Kind(Enum):
    """What a column takes, and the tag of the attribute values that fit."""

    UUID = "uuid", "S"
    TEXT = "text", "S"
    MEETING_ID = "text that should be a uuid", "S"
    STATUS = "one of the listed texts", "S"
    EVENT_TYPE = "text in upper case", "S"
    BOOLEAN = "boolean", "BOOL"
    TIMESTAMP = "milliseconds", "N"
    LATER_OF = "milliseconds, of which a column takes the later", "N"
    JSONB = "document", "M"


TIMES = (Kind.TIMESTAMP, Kind.LATER_OF)

# What a row holds where an attribute is missing, beside plain values. REQUIRED: it is no row.
REQUIRED = "required"
MIGRATION_TIME = "migration_time"


class Field(NamedTuple):
    """An attribute and its column; `soapData.plan` is a member of the map `soapData`."""

    attribute: str
    column: str
    kind: Kind
    missing: Any
    tag: str


@dataclass(frozen=True)
class Table:
    """`constants` are columns that no attribute feeds. Where there is a `sort_key`, several items may share an id.

    `sound` makes what item number n says, by attribute: texts, booleans, times in milliseconds, documents as plain Python, and None
    for NULL.
    """

    source: str
    fields: tuple[Field, ...]
    sound: Callable[[World, Random, int], dict[str, Any]]
    constants: dict[str, str]
    sort_key: str | None

    def fields_of(self, *kinds: Kind) -> list[Field]:
        return [field for field in self.fields if field.kind in kinds]

    @cached_property
    def times(self) -> list[Field]:
        return self.fields_of(*TIMES)

    @cached_property
    def documents(self) -> list[Field]:
        return self.fields_of(Kind.JSONB)

    @cached_property
    def scalars(self) -> list[tuple[str, str, Any]]:
        """Attribute, column and what is in the row where it is missing, of what is neither a time nor a document."""
        scalars = [field for field in self.fields if field not in (*self.times, *self.documents)]
        return [(field.attribute, field.column, field.missing) for field in scalars]

    @cached_property
    def maps(self) -> list[str]:
        """Attributes whose members have the columns."""
        return sorted({field.attribute.partition(".")[0] for field in self.fields if "." in field.attribute})


def _fields(*groups: tuple[Kind, Any, str]) -> tuple[Field, ...]:
    """From a kind, what is in the row where it is missing, and attributes. A column is named as its attribute, or after a colon."""
    found = []
    for kind, missing, attributes in groups:
        for attribute, _, column in (name.partition(":") for name in attributes.split()):
            snake_case = re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", attribute.rpartition(".")[2])
            found.append(Field(attribute, column or snake_case, kind, missing, kind.value[1]))
    return tuple(found)


# -- sound items ---------------------------------------------------------------------------------------------------------------------------

# One note of so many carries a whole transcript of more than 100 KB.
_LONG_TEXT_EVERY, _LONG_TEXT_AT = 1_000, 617

_NOTE_STATUSES = words("DRAFT REVIEWED SIGNED ARCHIVED")
_FINALIZATION = words("FINALIZED FINALIZED FINALIZED PENDING NOT_REQUIRED")
_MODELS = [
    *words("claude-opus-4-5-20251101-v1:0 claude-3-sonnet claude-3-5-sonnet-20240620 anthropic.claude-3-haiku-20240307-v1:0"),
    *("gpt-4 (legacy)", "modèle-interne β2"),
]

# Eight events in a row tell the life of one call, completed or failed, so the same session is referred to eight times.
_LIFE = words(
    "CALL_INITIATED CALL_JOINED CALL_JOINED TRANSCRIPTION_STARTED CALL_DISCONNECTED TRANSCRIPTION_COMPLETED "
    "SOAP_GENERATION_STARTED SOAP_GENERATION_COMPLETED"
)
_FAILED_LIFE = words(
    "CALL_INITIATED CALL_JOINED CALL_DISCONNECTED CALL_JOINED TRANSCRIPTION_STARTED TRANSCRIPTION_FAILED "
    "SOAP_GENERATION_STARTED SOAP_GENERATION_FAILED"
)


def _sound_session(world: World, random: Random, number: int) -> dict[str, Any]:
    """With all four timestamps, as a missing one is worth a notice; other options come and go."""
    call = world.session(number)
    bits = random.getrandbits(48)
    end = call.start_ms + call.duration_ms
    item: dict[str, Any] = {
        "id": call.id,
        "appointmentId": call.appointment_id,
        "providerId": call.provider_id,
        "patientId": call.patient_id,
        "status": call.status,
        "startTime": call.start_ms,
        "endTime": end,
        "createdAt": call.start_ms - 1 - (bits & 0x3FFFFF),
        "updatedAt": end + (bits >> 22 & 0xFFFF),
    }
    chance = random.random()
    if chance < 0.02:
        item["meetingId"] = item["joinUrl"] = None
    elif chance > 0.05:
        meeting = random_uuid(random)
        item["meetingId"] = meeting = meeting.upper() if chance > 0.8 else meeting
        item["mediaRegion"] = region = REGIONS[int(chance * 997) % len(REGIONS)]
        item["joinUrl"] = f"https://app.medzen.example/call/{meeting}?region={region}&t={int(chance * 1e9)}#join"
    chance = random.random()
    if call.status == "COMPLETED":
        item["finalizationStatus"] = _FINALIZATION[int(chance * 7919) % len(_FINALIZATION)]
        item["transcriptionEnabled"] = True if chance < 0.85 else False if chance < 0.95 else None
        if chance < 0.85:
            item["transcriptId"] = random_uuid(random)
            item["transcriptLanguage"] = LANGUAGES[int(chance * 9973) % len(LANGUAGES)]
            item["soapNoteId"] = world.note_id(number)
        elif chance < 0.95:
            item["transcriptId"] = None
    elif call.status == "FAILED":
        item["finalizationStatus"] = "FAILED"
    elif chance < 0.5:
        item["transcriptId"] = item["soapNoteId"] = item["finalizationStatus"] = None
    return item


def _sound_note(world: World, random: Random, number: int) -> dict[str, Any]:
    """About the session of that number or, where that was not completed, a later one."""
    session = world.completed_session(number)
    chance = random.random()
    generated = session.start_ms + session.duration_ms + int(chance * 60_000)
    created = generated + 1 + int(random.random() * 5_000)
    components = soap_components(world.pools, random)
    if number % _LONG_TEXT_EVERY == _LONG_TEXT_AT:
        components["subjective"]["transcript"] = long_text(random, 110_000)
    item = {
        "id": world.note_id(number),
        "sessionId": session.id,
        "appointmentId": session.appointment_id,
        "status": _NOTE_STATUSES[int(chance * 4)],
        "soapData.chiefComplaint": CHIEF_COMPLAINTS[int(chance * 7919) % len(CHIEF_COMPLAINTS)],
        **{f"soapData.{name}": component for name, component in components.items()},
        "aiModel": _MODELS[int(chance * 9973) % len(_MODELS)],
        "aiGeneratedAt": generated,
        "createdAt": created,
        "updatedAt": created + int(random.random() * 86_400_000),
    }
    if chance < 0.08:
        # Written by hand: no model was asked.
        item["aiModel"] = None
        del item["aiGeneratedAt"]
    return item


def _sound_event(world: World, random: Random, number: int) -> dict[str, Any]:
    """Step `number % 8` in the life of session `number // 8`."""
    session = world.session_of_events(number // 8)
    event_type = (_FAILED_LIFE if session.status == "FAILED" else _LIFE)[number % 8]
    chance = random.random()
    moment = session.start_ms + session.duration_ms * (number % 8) // 7 + int(chance * 900)
    item = {"id": random_uuid(random), "sessionId": session.id, "eventType": event_type, "timestamp": moment}
    if random.random() > 0.03:
        item["eventData"] = EVENT_DATA[event_type](session, random, random.random())
    if chance > 0.06:
        # Mostly written a little after the event; clocks differ, so now and then before it.
        item["createdAt"] = moment + int(chance * 120) - 15
    elif chance > 0.04:
        item["createdAt"] = None
    return item


# -- the tables ----------------------------------------------------------------------------------------------------------------------------

_SESSIONS = Table(
    "medzen-video-sessions",
    _fields(
        (Kind.UUID, REQUIRED, "id appointmentId providerId patientId"),
        (Kind.STATUS, REQUIRED, "status"),
        (Kind.TIMESTAMP, MIGRATION_TIME, "startTime endTime createdAt updatedAt"),
        (Kind.TEXT, None, "joinUrl mediaRegion transcriptLanguage finalizationStatus"),
        (Kind.MEETING_ID, None, "meetingId"),
        (Kind.BOOLEAN, False, "transcriptionEnabled"),
        (Kind.UUID, None, "transcriptId soapNoteId"),
    ),
    _sound_session,
    constants={},
    sort_key=None,
)
_NOTES = Table(
    "medzen-soap-notes",
    _fields(
        (Kind.UUID, REQUIRED, "id sessionId appointmentId"),
        (Kind.STATUS, REQUIRED, "status"),
        (Kind.TEXT, None, "soapData.chiefComplaint aiModel"),
        (Kind.JSONB, {}, "soapData.subjective soapData.objective soapData.assessment soapData.plan"),
        (Kind.TIMESTAMP, None, "aiGeneratedAt"),
        (Kind.TIMESTAMP, MIGRATION_TIME, "createdAt updatedAt"),
    ),
    _sound_note,
    constants={"note_type": "SOAP"},
    sort_key=None,
)
_AUDIT = Table(
    "medzen-meeting-audit",
    _fields(
        (Kind.UUID, REQUIRED, "id sessionId"),
        (Kind.EVENT_TYPE, REQUIRED, "eventType"),
        (Kind.JSONB, None, "eventData"),
        (Kind.LATER_OF, REQUIRED, "timestamp:created_at createdAt"),
    ),
    _sound_event,
    constants={},
    sort_key="timestamp",
)

TABLES = {table.source: table for table in (_SESSIONS, _NOTES, _AUDIT)}
SOURCE_TABLES = tuple(TABLES)
