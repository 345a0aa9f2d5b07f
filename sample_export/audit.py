"""Sound items of `medzen-meeting-audit`, each with its row of `video_call_audit_log`.

Eight events in a row tell the life of one call, so the same session is referred to eight times.
"""

from __future__ import annotations

from random import Random
from typing import Any

from sample_export.attribute_values import AttributeValue, iso
from sample_export.draft import Draft
from sample_export.event_data import EVENT_DATA
from sample_export.world import Session, World, random_uuid

_LIVES = {
    False: (
        "CALL_INITIATED",
        "CALL_JOINED",
        "CALL_JOINED",
        "TRANSCRIPTION_STARTED",
        "CALL_DISCONNECTED",
        "TRANSCRIPTION_COMPLETED",
        "SOAP_GENERATION_STARTED",
        "SOAP_GENERATION_COMPLETED",
    ),
    True: (
        "CALL_INITIATED",
        "CALL_JOINED",
        "CALL_DISCONNECTED",
        "CALL_JOINED",
        "TRANSCRIPTION_STARTED",
        "TRANSCRIPTION_FAILED",
        "SOAP_GENERATION_STARTED",
        "SOAP_GENERATION_FAILED",
    ),
}


def sound_event(world: World, random: Random, number: int) -> Draft:
    """Event `number`: step `number % 8` in the life of session `number // 8`."""
    session = world.session(number // 8)
    event_type = _LIVES[session.status == "FAILED"][number % 8]
    event_id = random_uuid(random)
    chance = random.random()
    moment = session.start_ms + session.duration_ms * (number % 8) // 7 + int(chance * 900)
    attributes: dict[str, AttributeValue] = {
        "id": {"S": event_id},
        "sessionId": {"S": session.id},
        "eventType": {"S": event_type},
        "timestamp": {"N": str(moment)},
    }
    row: dict[str, Any] = {
        "id": event_id,
        "session_id": session.id,
        "event_type": event_type,
        "event_data": None,
        "created_at": None,
    }
    documents = _add_event_data(attributes, session, event_type, random)
    times = {"timestamp": moment * 1000}
    if chance > 0.06:
        # Mostly written a little after the event; clocks differ, so now and then before it.
        created = moment + int(chance * 120) - 15
        attributes["createdAt"] = {"N": str(created)}
        times["createdAt"] = created * 1000
    elif chance > 0.04:
        attributes["createdAt"] = {"NULL": True}
    row["created_at"] = iso(max(times.values()))
    return Draft(attributes, row, documents, times)


def _add_event_data(attributes: dict[str, AttributeValue], session: Session, event_type: str, random: Random) -> dict[str, Any]:
    if random.random() < 0.03:
        return {}
    attributes["eventData"], plain = EVENT_DATA[event_type](session, random)
    return {"event_data": plain}
