"""The mapping once more, slow and plain, from the rules in `docs/tables.md` and nothing of `transforms`: the row of a line, if any.

A refusal is `None` here, whatever its codes; other tests have those.
"""

import json
import re
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, InvalidOperation
from typing import Any
from uuid import UUID

MISSING = object()
EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


class Refused(Exception):
    pass


# -- JSON ----------------------------------------------------------------------------------------------------------------------------------


def _no_constant(_: str) -> Any:
    raise Refused


class MemberTwice:
    """An object that has a member twice is none."""


def _object(pairs: list[tuple[str, Any]]) -> Any:
    return dict(pairs) if len({name for name, _ in pairs}) == len(pairs) else MemberTwice()


def parse(line: bytes) -> Any:
    """One JSON document of sound Unicode; numbers as `Decimal`, which keeps their digits."""
    try:
        document = json.loads(
            line.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant, parse_int=Decimal, parse_float=Decimal
        )
        # A lone surrogate passes the parser, but is no text.
        json.dumps(document, ensure_ascii=False, default=str).encode("utf-8")
    except (ValueError, RecursionError):
        raise Refused from None
    return document


JSON_TYPES = {"S": str, "N": str, "B": str, "BOOL": bool, "NULL": bool, "M": dict, "L": list, "SS": list, "NS": list, "BS": list}


def tag_of(value: Any) -> str:
    """The one tag of an attribute value whose own level is sound."""
    if not isinstance(value, dict) or len(value) != 1:
        raise Refused
    [(tag, content)] = value.items()
    if tag not in JSON_TYPES or type(content) is not JSON_TYPES[tag] or (tag == "NULL" and content is not True):
        raise Refused
    if tag in ("SS", "NS", "BS") and not all(isinstance(member, str) for member in content):
        raise Refused
    return tag


def find(attributes: dict[str, Any], name: str) -> Any:
    value = attributes.get(name, MISSING)
    return MISSING if value == {"NULL": True} else value


def content_of(value: Any, tag: str) -> Any:
    if tag_of(value) != tag:
        raise Refused
    return value[tag]


# -- columns -------------------------------------------------------------------------------------------------------------------------------

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_FIRST, _LAST = 946_684_800_000_000, 4_102_444_800_000_000  # 2000-01-01 and 2100-01-01, in microseconds


def number(text: str) -> Decimal:
    if _NUMBER.fullmatch(text) is None:
        raise Refused
    try:
        found = Decimal(text)
    except InvalidOperation:
        # An exponent of more digits than Decimal has.
        raise Refused from None
    if found and not -130 <= found.adjusted() < 126:
        raise Refused
    return found


def text(value: Any) -> Any:
    if value is MISSING:
        return None
    found = content_of(value, "S")
    if "\0" in found:
        raise Refused
    return found


def uuid(value: Any) -> Any:
    found = text(value)
    if not found:
        return None
    if _UUID.fullmatch(found) is None:
        raise Refused
    return UUID(found)


def required(found: Any) -> Any:
    if found is None:
        raise Refused
    return found


def required_uuid(value: Any) -> Any:
    return required(uuid(value))


def one_of(*words: str) -> Any:
    def column(value: Any) -> Any:
        found = required(text(value))
        if found not in words:
            raise Refused
        return found

    return column


def timestamp(value: Any, default: int | None) -> int | None:
    if value is MISSING:
        return default
    microseconds = number(content_of(value, "N")).scaleb(3, EXACT)
    if microseconds != microseconds.to_integral_value(context=EXACT) or not _FIRST <= microseconds <= _LAST:
        raise Refused
    return int(microseconds)


def jsonb(value: Any) -> Any:
    """What the jsonb must be equal to, parsed as `parse` does."""
    tag = tag_of(value)
    content = value[tag]
    match tag:
        case "N":
            return number(content)
        case "NULL":
            return None
        case "M":
            if any("\0" in name for name in content):
                raise Refused
            return {name: jsonb(member) for name, member in content.items()}
        case "L":
            return [jsonb(member) for member in content]
        case "NS":
            return [number(member) for member in content]
    for member in content if isinstance(content, list) else [content]:
        if isinstance(member, str) and "\0" in member:
            raise Refused
    return content


# -- tables --------------------------------------------------------------------------------------------------------------------------------


def session(item: dict[str, Any], migration_time: int) -> dict[str, Any]:
    status = one_of("INITIATED", "ACTIVE", "COMPLETED", "FAILED")
    enabled = find(item, "transcriptionEnabled")
    return {
        "id": required_uuid(find(item, "id")),
        "appointment_id": required_uuid(find(item, "appointmentId")),
        "provider_id": required_uuid(find(item, "providerId")),
        "patient_id": required_uuid(find(item, "patientId")),
        "status": status(find(item, "status")),
        "start_time": timestamp(find(item, "startTime"), migration_time),
        "end_time": timestamp(find(item, "endTime"), migration_time),
        "join_url": text(find(item, "joinUrl")),
        "meeting_id": text(find(item, "meetingId")),
        "media_region": text(find(item, "mediaRegion")),
        "transcription_enabled": False if enabled is MISSING else content_of(enabled, "BOOL"),
        "transcript_id": uuid(find(item, "transcriptId")),
        "transcript_language": text(find(item, "transcriptLanguage")),
        "soap_note_id": uuid(find(item, "soapNoteId")),
        "finalization_status": text(find(item, "finalizationStatus")),
        "created_at": timestamp(find(item, "createdAt"), migration_time),
        "updated_at": timestamp(find(item, "updatedAt"), migration_time),
    }


def note(item: dict[str, Any], migration_time: int) -> dict[str, Any]:
    status = one_of("DRAFT", "REVIEWED", "SIGNED", "ARCHIVED")
    soap = find(item, "soapData")
    soap = {} if soap is MISSING else content_of(soap, "M")
    for value in soap.values():
        tag_of(value)

    def component(name: str) -> Any:
        value = find(soap, name)
        return {} if value is MISSING else jsonb(value)

    return {
        "id": required_uuid(find(item, "id")),
        "session_id": required_uuid(find(item, "sessionId")),
        "appointment_id": required_uuid(find(item, "appointmentId")),
        "note_type": "SOAP",
        "status": status(find(item, "status")),
        "chief_complaint": text(find(soap, "chiefComplaint")),
        "subjective": component("subjective"),
        "objective": component("objective"),
        "assessment": component("assessment"),
        "plan": component("plan"),
        "ai_model": text(find(item, "aiModel")),
        "ai_generated_at": timestamp(find(item, "aiGeneratedAt"), None),
        "created_at": timestamp(find(item, "createdAt"), migration_time),
        "updated_at": timestamp(find(item, "updatedAt"), migration_time),
    }


def audit(item: dict[str, Any], _: int) -> dict[str, Any]:
    kind = required(text(find(item, "eventType")))
    if not kind:
        raise Refused
    times = [timestamp(find(item, name), None) for name in ("timestamp", "createdAt")]
    data = find(item, "eventData")
    return {
        "id": required_uuid(find(item, "id")),
        "session_id": required_uuid(find(item, "sessionId")),
        "event_type": "".join(letter.upper() if letter.isascii() else letter for letter in kind),
        "event_data": None if data is MISSING else jsonb(data),
        "created_at": max(required(next((time for time in times if time is not None), None)), *(time or 0 for time in times)),
    }


ROWS = {"medzen-video-sessions": session, "medzen-soap-notes": note, "medzen-meeting-audit": audit}


def reference_row(source: str, line: bytes, migration_time: int) -> dict[str, Any] | None:
    """Column -> value: UUIDs, microseconds since 1970, and jsonb as `parse` gives it. `None` where the item must be a dead letter."""
    try:
        document = parse(line)
        if not isinstance(document, dict) or document.keys() != {"Item"} or not isinstance(document["Item"], dict):
            return None
        for value in document["Item"].values():
            tag_of(value)
        return ROWS[source](document["Item"], migration_time)
    except Refused:
        return None
