"""Sound items of `medzen-video-sessions`, each with its row of `video_call_sessions`."""

from __future__ import annotations

from random import Random
from typing import Any

from sample_export.attribute_values import AttributeValue, iso
from sample_export.draft import Draft
from sample_export.texts import LANGUAGES, REGIONS
from sample_export.world import Session, World, to_uuid

TEXTS = (
    ("joinUrl", "join_url"),
    ("meetingId", "meeting_id"),
    ("mediaRegion", "media_region"),
    ("transcriptLanguage", "transcript_language"),
    ("finalizationStatus", "finalization_status"),
)
TIMES = (("startTime", "start_time"), ("endTime", "end_time"), ("createdAt", "created_at"), ("updatedAt", "updated_at"))

_NULL: AttributeValue = {"NULL": True}
_FINALIZATION = ("FINALIZED", "FINALIZED", "FINALIZED", "PENDING", "NOT_REQUIRED")


def sound_session(world: World, random: Random, number: int) -> Draft:
    """Session `number` with all four timestamps, as a missing one is worth a notice; other options come and go."""
    session = world.session(number)
    attributes: dict[str, AttributeValue] = {
        "id": {"S": session.id},
        "appointmentId": {"S": session.appointment_id},
        "providerId": {"S": session.provider_id},
        "patientId": {"S": session.patient_id},
        "status": {"S": session.status},
    }
    row: dict[str, Any] = {
        "id": session.id,
        "appointment_id": session.appointment_id,
        "provider_id": session.provider_id,
        "patient_id": session.patient_id,
        "status": session.status,
        "start_time": None,
        "end_time": None,
        "join_url": None,
        "meeting_id": None,
        "media_region": None,
        "transcription_enabled": False,
        "transcript_id": None,
        "transcript_language": None,
        "soap_note_id": None,
        "finalization_status": None,
        "created_at": None,
        "updated_at": None,
    }
    _add_times(attributes, row, session, random)
    _add_meeting(attributes, row, random)
    if session.status == "COMPLETED":
        _add_results(attributes, row, world.note_id(number), random)
    elif session.status == "FAILED":
        attributes["finalizationStatus"] = {"S": "FAILED"}
        row["finalization_status"] = "FAILED"
    elif random.random() < 0.5:
        attributes["transcriptId"] = attributes["soapNoteId"] = attributes["finalizationStatus"] = _NULL
    return Draft(attributes, row)


def _add_times(attributes: dict[str, AttributeValue], row: dict[str, Any], session: Session, random: Random) -> None:
    bits = random.getrandbits(48)
    created = session.start_ms - 1 - (bits & 0x3FFFFF)
    end = session.start_ms + session.duration_ms
    updated = end + (bits >> 22 & 0xFFFF)
    for (attribute, column), moment in zip(TIMES, (session.start_ms, end, created, updated), strict=True):
        attributes[attribute] = {"N": str(moment)}
        row[column] = iso(moment * 1000)


def _add_meeting(attributes: dict[str, AttributeValue], row: dict[str, Any], random: Random) -> None:
    chance = random.random()
    if chance < 0.02:
        attributes["meetingId"] = attributes["joinUrl"] = _NULL
        return
    if chance < 0.05:
        return
    meeting = to_uuid(f"{random.getrandbits(128):032x}")
    if chance > 0.8:
        meeting = meeting.upper()
    region = REGIONS[int(chance * 997) % len(REGIONS)]
    url = f"https://app.medzen.example/call/{meeting}?region={region}&t={int(chance * 1e9)}#join"
    attributes["joinUrl"], row["join_url"] = {"S": url}, url
    attributes["meetingId"], row["meeting_id"] = {"S": meeting}, meeting
    attributes["mediaRegion"], row["media_region"] = {"S": region}, region


def _add_results(attributes: dict[str, AttributeValue], row: dict[str, Any], note_id: str, random: Random) -> None:
    chance = random.random()
    if chance < 0.85:
        transcript = to_uuid(f"{random.getrandbits(128):032x}")
        language = LANGUAGES[int(chance * 9973) % len(LANGUAGES)]
        attributes["transcriptionEnabled"], row["transcription_enabled"] = {"BOOL": True}, True
        attributes["transcriptId"], row["transcript_id"] = {"S": transcript}, transcript
        attributes["transcriptLanguage"], row["transcript_language"] = {"S": language}, language
        attributes["soapNoteId"], row["soap_note_id"] = {"S": note_id}, note_id
    elif chance < 0.95:
        attributes["transcriptionEnabled"] = {"BOOL": False}
        attributes["transcriptId"] = _NULL
    else:
        attributes["transcriptionEnabled"] = _NULL
    finalization = _FINALIZATION[int(chance * 7919) % len(_FINALIZATION)]
    attributes["finalizationStatus"], row["finalization_status"] = {"S": finalization}, finalization
