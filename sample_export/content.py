"""What sample items speak of: people and calls, and the documents about them in all of DynamoDB's types.

Documents are plain Python, which `values.pair` turns into an attribute value and its JSON.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from random import Random
from struct import Struct
from typing import Any, NamedTuple

from sample_export.values import (
    LANGUAGES,
    NAMES,
    REGIONS,
    SENTENCES,
    Pair,
    number,
    number_set,
    paragraph,
    random_uuid,
    shared,
    tagged,
    to_uuid,
    words,
)

# 2024-02-01 .. 2026-10-28, so that everything a call leads to lies in 2024 to late 2026.
_FIRST_START_MS = 1_706_745_600_000
_LAST_START_MS = 1_793_145_600_000

# Numbers for provider, patient, status, duration and start, out of the bytes of a digest.
_SESSION_FACTS = Struct(">HHHHQ").unpack_from

# Of 16 sessions.
_STATUSES = ("COMPLETED",) * 12 + ("FAILED",) * 2 + ("ACTIVE", "INITIATED")


class Session(NamedTuple):
    """What other tables may know of a call. Times in milliseconds since the epoch."""

    id: str
    appointment_id: str
    provider_id: str
    patient_id: str
    status: str
    start_ms: int
    duration_ms: int


class World:
    """All that follows from a seed and the number of sessions: session 17 of seed 1 is the same whoever asks."""

    def __init__(self, seed: int, sessions: int) -> None:
        self.seed = seed
        self.sessions = max(sessions, 1)
        self._key = blake2b(str(seed).encode(), digest_size=32).digest()
        # Eight events in a row ask for the same.
        self.session_of_events = lru_cache(maxsize=8)(self.session)
        random = Random(self._key)
        self._providers = [random_uuid(random) for _ in range(300)]
        self._patients = [random_uuid(random) for _ in range(4_000)]
        self.pools = {name: [shared(block(random)) for _ in range(_POOL_SIZE)] for name, block in _BLOCKS.items()}

    def session(self, number: int) -> Session:
        digest = blake2b(number.to_bytes(8, "big"), digest_size=48, key=self._key).digest()
        digits = digest[:32].hex()
        provider, patient, status, duration, start = _SESSION_FACTS(digest, 32)
        return Session(
            to_uuid(digits),
            to_uuid(digits[32:]),
            self._providers[provider % len(self._providers)],
            self._patients[patient % len(self._patients)],
            _STATUSES[status % len(_STATUSES)],
            _FIRST_START_MS + start % (_LAST_START_MS - _FIRST_START_MS),
            240_000 + duration * 47,
        )

    def completed_session(self, number: int) -> Session:
        """The call with this number, or the next one that was completed: only those have notes."""
        session = self.session(number)
        for step in range(1, 100):
            if session.status == "COMPLETED":
                break
            session = self.session((number + step) % self.sessions)
        return session

    def note_id(self, number: int) -> str:
        """The id of the note with this number; the note of a completed session has the session's number."""
        return to_uuid(blake2b(b"note %d" % number, digest_size=16, key=self._key).hexdigest())


@lru_cache(maxsize=4)
def world(seed: int, sessions: int) -> World:
    return World(seed, sessions)


# -- notes ---------------------------------------------------------------------------------------------------------------------------------

# Blocks that a practice writes again and again are made once a seed, so many of each; vitals, free text and counts are fresh.
_POOL_SIZE = 64

_SYSTEMS = words("cardiovascular respiratory gastrointestinal neurological musculoskeletal skin psychiatric")
_SYMPTOMS = words("cough fever fatigue nausea headache dyspnoea vertige dolor 疲労 صداع кашель")
_MEDICINES = words("Amoxicillin Metformin Losartan Ibuprofène パラセタモール Ventolin® أموكسيسيلين")
_DIAGNOSES = {"J06.9": "Acute upper respiratory infection", "E11.9": "Type 2 diabetes", "I10": "Hypertension", "M54.5": "腰痛"}
_LABS = {"Hb": "g/dL", "HbA1c": "%", "Na+": "mmol/L", "CRP": "mg/L", "Kreatinin": "µmol/L"}


def _some(random: Random, choices: list[str], least: int, most: int) -> list[str]:
    return random.sample(choices, random.randint(least, most))


def _yes_or_no(random: Random) -> bool:
    return random.random() < 0.5


def _base64(random: Random, size: int) -> str:
    return base64.b64encode(random.randbytes(size)).decode()


def _system(random: Random) -> dict[str, Any]:
    notes = random.choice((None, paragraph(random, 1)))
    return {"normal": _yes_or_no(random), "notes": notes, "symptoms": _some(random, _SYMPTOMS, 0, 2)}


def _medication(random: Random, name: str) -> dict[str, Any]:
    dose = number(random.choice(("500", "0.5", "2.25", "12.50", "1E-3")))
    unit, times = random.choice(("mg", "µg", "IU/mL")), random.randint(1, 4)
    return {"name": name, "dose": dose, "unit": unit, "timesPerDay": times, "asNeeded": _yes_or_no(random), "until": None}


def _lab(random: Random, name: str) -> dict[str, Any]:
    value, flag = number(f"{random.uniform(0.1, 200):.3f}"), random.choice((None, "H", "L"))
    return {"name": name, "value": value, "unit": _LABS[name], "range": [number("0.5"), number("17.25")], "flag": flag}


_BLOCKS: dict[str, Callable[[Random], Any]] = {
    "reviewOfSystems": lambda random: {system: _system(random) for system in _some(random, _SYSTEMS, 4, 4)},
    "medications": lambda random: [_medication(random, name) for name in _some(random, _MEDICINES, 1, 3)],
    "allergies": lambda random: [
        {"substance": name, "severe": _yes_or_no(random)} for name in _some(random, words("pénicilline ピーナッツ latex"), 0, 2)
    ],
    "examination": lambda random: {
        "general": paragraph(random, 2),
        "findings": [
            {"site": site, "finding": paragraph(random, 1), "grade": random.randrange(5)} for site in _some(random, _SYSTEMS, 2, 2)
        ],
        "gestures": {},
    },
    "labs": lambda random: [_lab(random, name) for name in _some(random, list(_LABS), 1, 4)],
    "diagnoses": lambda random: [
        {"code": code, "description": _DIAGNOSES[code], "probability": number(f"{random.random():.17f}")}
        for code in _some(random, list(_DIAGNOSES), 1, 3)
    ],
    "orders": lambda random: [
        {"kind": kind, "urgent": _yes_or_no(random), "cost": number(f"{random.uniform(1, 900):.2f}")}
        for kind in _some(random, ["X-ray", "blood count", "ECG", "échographie"], 0, 2)
    ],
    "education": lambda random: tagged("SS", _some(random, ["hydration", "repos", "塩分制限", "تمارين", "smoking cessation"], 1, 3)),
    "samples": lambda random: {
        "rr": number_set("12", f"{random.randrange(50)}.5", f"-{random.randint(1, 50)}"),
        "waveform": tagged("B", _base64(random, 60)),
        "thumbnails": tagged("BS", [_base64(random, 9), "AA=="]),
    },
}


def soap_components(pools: dict[str, list[Pair]], random: Random) -> dict[str, dict[str, Any]]:
    """The four components of a note, each a map of its own."""

    def pooled(name: str) -> Pair:
        return pools[name][int(random.random() * _POOL_SIZE)]

    history, vital, second, certainty, later = [random.random() for _ in range(5)]
    subjective = {
        "historyOfPresentIllness": paragraph(random, 3 + int(history * 4)),
        "onset": {"value": 1 + int(history * 30), "unit": "days"},
        "painScale": int(history * 11),
        "reviewOfSystems": pooled("reviewOfSystems"),
        "medications": pooled("medications"),
        "allergies": pooled("allergies"),
        "socialHistory": {
            "smoker": history < 0.2,
            "alcoholUnitsPerWeek": number(f"{history * 14:.1f}"),
            "occupation": None if history > 0.7 else "enseignante",
        },
    }
    vitals = {
        "temperatureC": number(f"{36 + vital * 3:.1f}"),
        "heartRate": 55 + int(second * 60),
        "bloodPressure": {"systolic": 100 + int(vital * 60), "diastolic": 60 + int(second * 40)},
        "spo2": number(f"{0.9 + second / 10:.3f}"),
        "weightKg": number(f"{45 + vital * 60:.2f}"),
        "bmi": number(repr(18 + second * 15)),
    }
    samples = {"samples": pooled("samples")} if vital < 0.3 else {}
    assessment = {
        "summary": paragraph(random, 2),
        "diagnoses": pooled("diagnoses"),
        "confidence": number(f"{certainty:.6f}"),
        "redFlags": [] if certainty < 0.8 else ["chest pain at rest", None],
        "reviewedBy": NAMES[int(certainty * 997) % len(NAMES)],
        "custom": {},
    }
    mode, advice = "video" if later < 0.7 else "à domicile", paragraph(random, 1)
    follow_up = {"inDays": 3 + int(later * 60), "mode": mode, "location": None, "instructions": advice}
    return {
        "subjective": subjective,
        "objective": {"vitals": vitals, "examination": pooled("examination"), "labs": pooled("labs"), **samples},
        "assessment": assessment,
        "plan": {"meds": pooled("medications"), "orders": pooled("orders"), "education": pooled("education"), "followUp": follow_up},
    }


# -- events --------------------------------------------------------------------------------------------------------------------------------

# The same in many events.
_SOURCE = shared({"service": "medzen-meeting", "version": "2.14.0-β", "retries": 0})
_CAPABILITIES = (shared(tagged("SS", ["audio", "video"])), shared(tagged("SS", ["audio", "content", "video"])))
_DEVICES = (
    shared({"os": "iOS", "version": number("17.2"), "camera": True, "extras": []}),
    shared({"os": "Android", "version": 14, "camera": False, "extras": [None, "écouteurs 🎧"]}),
    shared({"os": "Windows", "version": number("10.0"), "camera": True, "extras": {}}),
)
_ERRORS = (
    shared({"name": "ThrottlingException", "retryable": True, "status": 429}),
    shared({"name": "TimeoutError", "retryable": True, "message": 'waited "30 s"\n\tat call (C:\\app\\x.js:1)'}),
    shared({"name": "BadRequest", "retryable": False, "causes": [{"code": "E-17", "cause": None}]}),
)
_ATTEMPTS = shared([1, 2, {"afterMs": number("1.5E3"), "ok": False}])


def _failure(session: Session, random: Random, chance: float) -> dict[str, Any]:
    error = _ERRORS[int(chance * len(_ERRORS))]
    return {"error": error, "attempts": _ATTEMPTS, "requestId": random_uuid(random), "elapsedMs": session.duration_ms % 1000}


# `eventData` by `eventType`: from a call, a source of chance and a number in 0..1.
EVENT_DATA: dict[str, Callable[[Session, Random, float], dict[str, Any]]] = {
    "CALL_INITIATED": lambda session, random, _: {
        "appointmentId": session.appointment_id,
        "initiatedBy": session.provider_id,
        "mediaRegion": random.choice(REGIONS),
        "source": _SOURCE,
    },
    "CALL_JOINED": lambda session, random, chance: {
        "attendeeId": random_uuid(random),
        "participant": {
            "id": session.patient_id if chance < 0.5 else session.provider_id,
            "role": "patient" if chance < 0.5 else "provider",
            "name": NAMES[int(chance * 997) % len(NAMES)],
            "device": _DEVICES[int(chance * 7919) % len(_DEVICES)],
        },
        "capabilities": _CAPABILITIES[int(chance * 2)],
        "latencyMs": number(f"{chance * 300:.3f}"),
    },
    "CALL_DISCONNECTED": lambda session, _, chance: {
        "reason": "left" if chance < 0.9 else "connection lost",
        "durationSeconds": number(f"{session.duration_ms / 1000}"),
        "network": [
            {"packetLoss": number(f"{chance / 50:.5f}"), "jitterMs": number(f"{chance * 40:.2f}")},
            {"packetLoss": 0, "jitterMs": None},
        ],
        "graceful": chance < 0.9,
    },
    "TRANSCRIPTION_STARTED": lambda session, random, _: {
        "language": random.choice(LANGUAGES),
        "engine": "transcribe-medical",
        "sessionId": session.id,
    },
    "TRANSCRIPTION_COMPLETED": lambda session, random, chance: {
        "transcriptId": random_uuid(random),
        "words": session.duration_ms // 400,
        "confidence": number(f"{0.8 + chance / 5:.16f}"),
        "sample": SENTENCES[int(chance * len(SENTENCES))],
    },
    "TRANSCRIPTION_FAILED": _failure,
    "SOAP_GENERATION_STARTED": lambda session, _, chance: {
        "model": "claude-3-sonnet",
        "temperature": number(f"{chance:.2f}"),
        "session": session.id,
    },
    "SOAP_GENERATION_COMPLETED": lambda session, random, chance: {
        "model": "claude-opus-4-5-20251101-v1:0",
        "tokens": {"input": session.duration_ms // 100, "output": 400 + int(chance * 900)},
        "costUsd": number(f"{chance / 10:.8f}"),
        "warnings": [] if chance < 0.9 else [random.choice(SENTENCES)],
    },
    "SOAP_GENERATION_FAILED": _failure,
}
