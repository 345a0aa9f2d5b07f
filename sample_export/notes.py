"""Sound items of `medzen-soap-notes`, each with its row of `clinical_notes`."""

from __future__ import annotations

from functools import lru_cache
from random import Random
from typing import Any

from sample_export.attribute_values import AttributeValue, iso, mapping, text
from sample_export.draft import Draft
from sample_export.soap import Soap
from sample_export.texts import CHIEF_COMPLAINTS, long_text
from sample_export.world import World

COMPONENTS = ("subjective", "objective", "assessment", "plan")
STATUSES = ("DRAFT", "REVIEWED", "SIGNED", "ARCHIVED")

# One note of so many carries a whole transcript of more than 100 KB.
LONG_TEXT_EVERY = 1_000
LONG_TEXT_AT = 617

_MODELS = (
    "claude-opus-4-5-20251101-v1:0",
    "claude-3-sonnet",
    "claude-3-5-sonnet-20240620",
    "anthropic.claude-3-haiku-20240307-v1:0",
    "gpt-4 (legacy)",
    "modèle-interne β2",
)


@lru_cache(maxsize=4)
def _soap(seed: int) -> Soap:
    return Soap(Random(f"soap {seed}"))


def sound_note(world: World, random: Random, number: int) -> Draft:
    """Note `number`, about the session of that number or, where that was not completed, a later one."""
    session = world.completed_session(number)
    note_id = world.note_id(number)
    chance = random.random()
    status = STATUSES[int(chance * 4)]
    model = _MODELS[int(chance * 9973) % len(_MODELS)]
    complaint = CHIEF_COMPLAINTS[int(chance * 7919) % len(CHIEF_COMPLAINTS)]
    generated = session.start_ms + session.duration_ms + int(chance * 60_000)
    created = generated + 1 + int(random.random() * 5_000)
    updated = created + int(random.random() * 86_400_000)
    soap_data: dict[str, AttributeValue] = {"chiefComplaint": {"S": complaint}}
    attributes: dict[str, AttributeValue] = {
        "id": {"S": note_id},
        "sessionId": {"S": session.id},
        "appointmentId": {"S": session.appointment_id},
        "soapData": {"M": soap_data},
        "status": {"S": status},
        "aiModel": {"S": model},
        "aiGeneratedAt": {"N": str(generated)},
        "createdAt": {"N": str(created)},
        "updatedAt": {"N": str(updated)},
    }
    row: dict[str, Any] = {
        "id": note_id,
        "session_id": session.id,
        "appointment_id": session.appointment_id,
        "note_type": "SOAP",
        "status": status,
        "chief_complaint": complaint,
        **dict.fromkeys(COMPONENTS),
        "ai_model": model,
        "ai_generated_at": iso(generated * 1000),
        "created_at": iso(created * 1000),
        "updated_at": iso(updated * 1000),
    }
    documents = _add_components(soap_data, _soap(world.seed), random, number)
    if chance < 0.08:
        # Written by hand: no model was asked.
        attributes["aiModel"], row["ai_model"] = {"NULL": True}, None
        del attributes["aiGeneratedAt"]
        row["ai_generated_at"] = None
    return Draft(attributes, row, documents)


def _add_components(soap_data: dict[str, AttributeValue], soap: Soap, random: Random, number: int) -> dict[str, Any]:
    documents = {}
    for name in COMPONENTS:
        members = getattr(soap, name)(random)
        if name == "subjective" and number % LONG_TEXT_EVERY == LONG_TEXT_AT:
            members["transcript"] = text(long_text(random, 110_000))
        soap_data[name], documents[name] = mapping(members)
    return documents
