"""Legal but unusual values of plain columns: empty, upper case, malformed but kept, unknown, and texts that break loaders."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from sample_export.draft import Draft
from sample_export.faults_in_columns import Planter
from sample_export.fields import Field, Kind, claim_one, fields_of
from sample_export.settings import AUDIT, SESSIONS
from sample_export.texts import TROUBLESOME

_MEETING_IDS = ("meeting-4711", "  ", "00000000-0000-0000-0000-00000000000g", "{5b0c1c2e}", "会議１２３", "2024/03/01 #5")

_UNKNOWN_EVENTS = ("RECORDING_STARTED", "CALL_JOINED_", "HEARTBEAT", "CHAT MESSAGE", "X")


def odd_columns(table: str) -> dict[str, Planter]:
    """Unusual values of plain columns for `table`, by name."""
    uuids = fields_of(table, Kind.UUID)
    texts = [field for field in fields_of(table, Kind.TEXT) if field.attribute != "meetingId"]
    found: dict[str, Planter] = {
        "uuid.upper_case": _respelled(uuids, lambda uuid, _: uuid.upper()),
        "uuid.mixed_case": _respelled(uuids, lambda uuid, _: f"{uuid[:18].upper()}{uuid[18:]}"),
    }
    if texts:
        found["text.empty"] = _text(texts, lambda _: "")
        found["text.troublesome"] = _text(texts, lambda random: random.choice(TROUBLESOME))
        found["text.backslash_u0000"] = _text(texts, lambda _: "C:\\u0000\\u0000")
        found["text.missing"] = _no_text(texts)
    if table == SESSIONS:
        optional = [field for field in uuids if not field.required]
        meeting = fields_of(table, Kind.TEXT)
        meeting = [field for field in meeting if field.attribute == "meetingId"]
        found["empty_uuid_as_null"] = _empty_uuid(optional)
        found["malformed_meeting_id"] = _noticed(meeting, "malformed_meeting_id", lambda random: random.choice(_MEETING_IDS))
        found["malformed_meeting_id.empty"] = _noticed(meeting, "malformed_meeting_id", lambda _: "")
    if table == AUDIT:
        events = fields_of(table, Kind.EVENT_TYPE)
        found["event_type.lower_case"] = _respelled(events, lambda name, _: name.lower())
        found["event_type.mixed_case"] = _respelled(events, lambda name, _: name.title())
        found["unknown_event_type"] = _noticed(events, "unknown_event_type", lambda random: random.choice(_UNKNOWN_EVENTS))
        found["unknown_event_type.lower_case"] = _unknown_lower_case(events)
    return found


def _respelled(fields: list[Field], spell: Callable[[str, Random], str]) -> Planter:
    """Another spelling in the item of what stays the same in the row."""

    def plant(draft: Draft, random: Random) -> bool:
        present = [field for field in fields if draft.row[field.column]]
        field = claim_one(draft, random, present)
        if field is None:
            return False
        field.put(draft, {"S": spell(draft.row[field.column], random)})
        return True

    return plant


def _text(fields: list[Field], value: Callable[[Random], str]) -> Planter:
    def plant(draft: Draft, random: Random) -> bool:
        field = claim_one(draft, random, fields)
        if field is None:
            return False
        text = value(random)
        field.put(draft, {"S": text})
        draft.row[field.column] = text
        return True

    return plant


def _no_text(fields: list[Field]) -> Planter:
    def plant(draft: Draft, random: Random) -> bool:
        field = claim_one(draft, random, fields)
        if field is None:
            return False
        field.remove(draft)
        if random.random() < 0.5:
            field.put(draft, {"NULL": True})
        draft.row[field.column] = None
        return True

    return plant


def _empty_uuid(fields: list[Field]) -> Planter:
    def plant(draft: Draft, random: Random) -> bool:
        field = claim_one(draft, random, fields)
        if field is None:
            return False
        field.put(draft, {"S": ""})
        draft.row[field.column] = None
        draft.notices.append(("empty_uuid_as_null", field.attribute))
        return True

    return plant


def _noticed(fields: list[Field], code: str, value: Callable[[Random], str]) -> Planter:
    plant_text = _text(fields, value)

    def plant(draft: Draft, random: Random) -> bool:
        if not plant_text(draft, random):
            return False
        draft.notices.append((code, fields[0].attribute))
        return True

    return plant


def _unknown_lower_case(fields: list[Field]) -> Planter:
    """The upper-case form is stored and not known either."""
    plant_unknown = _noticed(fields, "unknown_event_type", lambda random: random.choice(_UNKNOWN_EVENTS))

    def plant(draft: Draft, random: Random) -> bool:
        if not plant_unknown(draft, random):
            return False
        fields[0].put(draft, {"S": draft.row[fields[0].column].lower()})
        return True

    return plant
