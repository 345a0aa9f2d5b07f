"""What the nine types of audit events say about themselves: `eventData` by `eventType`."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from sample_export.attribute_values import FALSE, NULL, TRUE, Pair, mapping, number, sequence, text, text_set, whole
from sample_export.texts import LANGUAGES, NAMES, REGIONS, SENTENCES
from sample_export.world import Session, random_uuid

_SOURCE = mapping({"service": text("medzen-meeting"), "version": text("2.14.0-β"), "retries": whole(0)})
_DEVICES = (
    mapping({"os": text("iOS"), "version": number("17.2"), "camera": TRUE, "extras": sequence([])}),
    mapping({"os": text("Android"), "version": number("14"), "camera": FALSE, "extras": sequence([NULL, text("écouteurs 🎧")])}),
    mapping({"os": text("Windows"), "version": number("10.0"), "camera": TRUE, "extras": mapping({})}),
)
_CAPABILITIES = (text_set(["audio", "video"]), text_set(["audio", "content", "video"]))
_ERRORS = (
    mapping({"name": text("ThrottlingException"), "retryable": TRUE, "status": whole(429)}),
    mapping({"name": text("TimeoutError"), "retryable": TRUE, "message": text('waited "30 s"\n\tat call (C:\\app\\x.js:1)')}),
    mapping({"name": text("BadRequest"), "retryable": FALSE, "causes": sequence([mapping({"code": text("E-17"), "cause": NULL})])}),
)


def _initiated(session: Session, random: Random) -> Pair:
    return mapping(
        {
            "appointmentId": text(session.appointment_id),
            "initiatedBy": text(session.provider_id),
            "mediaRegion": text(random.choice(REGIONS)),
            "source": _SOURCE,
        }
    )


def _joined(session: Session, random: Random) -> Pair:
    chance = random.random()
    return mapping(
        {
            "attendeeId": text(random_uuid(random)),
            "participant": mapping(
                {
                    "id": text(session.patient_id if chance < 0.5 else session.provider_id),
                    "role": text("patient" if chance < 0.5 else "provider"),
                    "name": text(NAMES[int(chance * 997) % len(NAMES)]),
                    "device": _DEVICES[int(chance * 7919) % len(_DEVICES)],
                }
            ),
            "capabilities": _CAPABILITIES[int(chance * 2)],
            "latencyMs": number(f"{chance * 300:.3f}"),
        }
    )


def _disconnected(session: Session, random: Random) -> Pair:
    chance = random.random()
    return mapping(
        {
            "reason": text("left" if chance < 0.9 else "connection lost"),
            "durationSeconds": number(f"{session.duration_ms / 1000}"),
            "network": sequence(
                [
                    mapping({"packetLoss": number(f"{chance / 50:.5f}"), "jitterMs": number(f"{chance * 40:.2f}")}),
                    mapping({"packetLoss": number("0"), "jitterMs": NULL}),
                ]
            ),
            "graceful": TRUE if chance < 0.9 else FALSE,
        }
    )


def _transcription_started(session: Session, random: Random) -> Pair:
    return mapping({"language": text(random.choice(LANGUAGES)), "engine": text("transcribe-medical"), "sessionId": text(session.id)})


def _transcription_completed(session: Session, random: Random) -> Pair:
    chance = random.random()
    return mapping(
        {
            "transcriptId": text(random_uuid(random)),
            "words": whole(int(session.duration_ms / 400)),
            "confidence": number(f"{0.8 + chance / 5:.16f}"),
            "sample": text(SENTENCES[int(chance * len(SENTENCES))]),
        }
    )


def _failed(session: Session, random: Random) -> Pair:
    chance = random.random()
    return mapping(
        {
            "error": _ERRORS[int(chance * len(_ERRORS))],
            "attempts": sequence([whole(1), whole(2), mapping({"afterMs": number("1.5E3"), "ok": FALSE})]),
            "requestId": text(random_uuid(random)),
            "elapsedMs": whole(session.duration_ms % 1000),
        }
    )


def _soap_started(session: Session, random: Random) -> Pair:
    return mapping({"model": text("claude-3-sonnet"), "temperature": number(f"{random.random():.2f}"), "session": text(session.id)})


def _soap_completed(session: Session, random: Random) -> Pair:
    chance = random.random()
    return mapping(
        {
            "model": text("claude-opus-4-5-20251101-v1:0"),
            "tokens": mapping({"input": whole(int(session.duration_ms / 100)), "output": whole(400 + int(chance * 900))}),
            "costUsd": number(f"{chance / 10:.8f}"),
            "warnings": sequence([] if chance < 0.9 else [text(SENTENCES[int(chance * len(SENTENCES))])]),
        }
    )


EVENT_DATA: dict[str, Callable[[Session, Random], Pair]] = {
    "CALL_INITIATED": _initiated,
    "CALL_JOINED": _joined,
    "CALL_DISCONNECTED": _disconnected,
    "TRANSCRIPTION_STARTED": _transcription_started,
    "TRANSCRIPTION_COMPLETED": _transcription_completed,
    "TRANSCRIPTION_FAILED": _failed,
    "SOAP_GENERATION_STARTED": _soap_started,
    "SOAP_GENERATION_COMPLETED": _soap_completed,
    "SOAP_GENERATION_FAILED": _failed,
}
