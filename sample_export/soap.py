"""What stands in a SOAP note: the four components with vitals, examinations, diagnoses, medicines, in all of DynamoDB's types.

Blocks that a practice writes again and again come from pools that are made once; vitals, free text and counts are fresh.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from random import Random

from sample_export.attribute_values import (
    FALSE,
    NULL,
    TRUE,
    Pair,
    binary,
    binary_set,
    mapping,
    number,
    number_set,
    sequence,
    text,
    text_set,
    whole,
)
from sample_export.texts import NAMES, SYMPTOMS, paragraph

POOL_SIZE = 64

_SYSTEMS = ("cardiovascular", "respiratory", "gastrointestinal", "neurological", "musculoskeletal", "skin", "psychiatric")
_MEDICINES = ("Amoxicillin", "Metformin", "Losartan", "Ibuprofène", "パラセタモール", "Ventolin®", "أموكسيسيلين")
_DIAGNOSES = (("J06.9", "Acute upper respiratory infection"), ("E11.9", "Type 2 diabetes"), ("I10", "Hypertension"), ("M54.5", "腰痛"))
_LABS = (("Hb", "g/dL"), ("HbA1c", "%"), ("Na+", "mmol/L"), ("CRP", "mg/L"), ("Kreatinin", "µmol/L"))


class Soap:
    """Writes components of notes; the pools come from `random`, which is a seed's own."""

    def __init__(self, random: Random) -> None:
        self._reviews = _pool(random, _review)
        self._medications = _pool(random, _medications)
        self._allergies = _pool(random, _allergies)
        self._examinations = _pool(random, _examination)
        self._labs = _pool(random, _labs)
        self._diagnoses = _pool(random, _diagnoses)
        self._orders = _pool(random, _orders)
        self._educations = _pool(random, _education)
        self._samples = _pool(random, _samples)

    def subjective(self, random: Random) -> dict[str, Pair]:
        """Complaints, history and habits."""
        chance = random.random()
        return {
            "historyOfPresentIllness": text(paragraph(random, 3 + int(chance * 4))),
            "onset": mapping({"value": whole(1 + int(chance * 30)), "unit": text("days")}),
            "painScale": whole(int(chance * 11)),
            "reviewOfSystems": _of(self._reviews, random),
            "medications": _of(self._medications, random),
            "allergies": _of(self._allergies, random),
            "socialHistory": mapping(
                {
                    "smoker": TRUE if chance < 0.2 else FALSE,
                    "alcoholUnitsPerWeek": number(f"{chance * 14:.1f}"),
                    "occupation": NULL if chance > 0.7 else text("enseignante"),
                }
            ),
        }

    def objective(self, random: Random) -> dict[str, Pair]:
        """Vitals, examination, laboratory."""
        chance = random.random()
        second = random.random()
        components = {
            "vitals": mapping(
                {
                    "temperatureC": number(f"{36 + chance * 3:.1f}"),
                    "heartRate": whole(55 + int(second * 60)),
                    "bloodPressure": mapping({"systolic": whole(100 + int(chance * 60)), "diastolic": whole(60 + int(second * 40))}),
                    "spo2": number(f"{0.9 + second / 10:.3f}"),
                    "weightKg": number(f"{45 + chance * 60:.2f}"),
                    "bmi": number(repr(18 + second * 15)),
                }
            ),
            "examination": _of(self._examinations, random),
            "labs": _of(self._labs, random),
        }
        if chance < 0.3:
            components["samples"] = _of(self._samples, random)
        return components

    def assessment(self, random: Random) -> dict[str, Pair]:
        """Diagnoses with their certainty."""
        chance = random.random()
        return {
            "summary": text(paragraph(random, 2)),
            "diagnoses": _of(self._diagnoses, random),
            "confidence": number(f"{chance:.6f}"),
            "redFlags": sequence([]) if chance < 0.8 else sequence([text("chest pain at rest"), NULL]),
            "reviewedBy": text(NAMES[int(chance * 997) % len(NAMES)]),
            "custom": mapping({}),
        }

    def plan(self, random: Random) -> dict[str, Pair]:
        """Medicines, orders, what comes next."""
        chance = random.random()
        return {
            "meds": _of(self._medications, random),
            "orders": _of(self._orders, random),
            "education": _of(self._educations, random),
            "followUp": mapping(
                {
                    "inDays": whole(3 + int(chance * 60)),
                    "mode": text("video" if chance < 0.7 else "à domicile"),
                    "location": NULL,
                    "instructions": text(paragraph(random, 1)),
                }
            ),
        }


def _pool(random: Random, block: Callable[[Random], Pair]) -> list[Pair]:
    return [block(random) for _ in range(POOL_SIZE)]


def _of(pool: list[Pair], random: Random) -> Pair:
    return pool[int(random.random() * POOL_SIZE)]


def _review(random: Random) -> Pair:
    systems = random.sample(_SYSTEMS, 4)
    return mapping(
        {
            system: mapping(
                {
                    "normal": random.choice((TRUE, FALSE)),
                    "notes": random.choice((NULL, text(paragraph(random, 1)))),
                    "symptoms": sequence(text(symptom) for symptom in random.sample(SYMPTOMS, random.randrange(3))),
                }
            )
            for system in systems
        }
    )


def _medications(random: Random) -> Pair:
    return sequence(
        mapping(
            {
                "name": text(name),
                "dose": number(random.choice(("500", "0.5", "2.25", "12.50", "1E-3"))),
                "unit": text(random.choice(("mg", "µg", "IU/mL"))),
                "timesPerDay": whole(random.randrange(1, 5)),
                "asNeeded": random.choice((TRUE, FALSE)),
                "until": NULL,
            }
        )
        for name in random.sample(_MEDICINES, random.randrange(1, 4))
    )


def _allergies(random: Random) -> Pair:
    found = [{"substance": text(name), "severe": random.choice((TRUE, FALSE))} for name in ("pénicilline", "ピーナッツ", "latex")]
    return sequence(mapping(allergy) for allergy in random.sample(found, random.randrange(3)))


def _examination(random: Random) -> Pair:
    return mapping(
        {
            "general": text(paragraph(random, 2)),
            "findings": sequence(
                mapping({"site": text(site), "finding": text(paragraph(random, 1)), "grade": whole(random.randrange(5))})
                for site in random.sample(_SYSTEMS, 2)
            ),
            "gestures": mapping({}),
        }
    )


def _labs(random: Random) -> Pair:
    return sequence(
        mapping(
            {
                "name": text(name),
                "value": number(f"{random.uniform(0.1, 200):.3f}"),
                "unit": text(unit),
                "range": sequence([number("0.5"), number("17.25")]),
                "flag": random.choice((NULL, text("H"), text("L"))),
            }
        )
        for name, unit in random.sample(_LABS, random.randrange(1, 5))
    )


def _diagnoses(random: Random) -> Pair:
    chosen = random.sample(_DIAGNOSES, random.randrange(1, 4))
    return sequence(
        mapping({"code": text(code), "description": text(name), "probability": number(f"{random.random():.17f}")}) for code, name in chosen
    )


def _orders(random: Random) -> Pair:
    return sequence(
        mapping({"kind": text(kind), "urgent": random.choice((TRUE, FALSE)), "cost": number(f"{random.uniform(1, 900):.2f}")})
        for kind in random.sample(("X-ray", "blood count", "ECG", "échographie"), random.randrange(3))
    )


def _education(random: Random) -> Pair:
    return text_set(random.sample(["hydration", "repos", "塩分制限", "تمارين", "smoking cessation"], random.randrange(1, 4)))


def _samples(random: Random) -> Pair:
    first = random.randrange(1, 50)
    return mapping(
        {
            "rr": number_set([str(first), f"{first}.5", f"-{first}"]),
            "waveform": binary(base64.b64encode(random.randbytes(60)).decode()),
            "thumbnails": binary_set([base64.b64encode(random.randbytes(9)).decode(), "AA=="]),
        }
    )
