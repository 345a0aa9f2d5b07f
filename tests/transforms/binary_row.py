"""Decodes an encoded row, from PostgreSQL's documentation of the binary COPY format and of its types, not from `transforms/types.py`.

https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format": each field is a 32-bit length in network byte order, -1 for NULL,
then that many bytes. The bytes are the type's `send` form: uuid 16 bytes, bool 1, text its UTF-8, timestamptz a 64-bit count of
microseconds from 2000-01-01 UTC, jsonb the version byte 1 and its text.
"""

import uuid
from datetime import UTC, datetime
from typing import Any

NULL_LENGTH = -1
MICROSECONDS_1970_TO_2000 = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000

SESSIONS_TARGET = {
    "id": "uuid",
    "appointment_id": "uuid",
    "provider_id": "uuid",
    "patient_id": "uuid",
    "status": "text",
    "start_time": "timestamp with time zone",
    "end_time": "timestamp with time zone",
    "join_url": "text",
    "meeting_id": "text",
    "media_region": "text",
    "transcription_enabled": "boolean",
    "transcript_id": "uuid",
    "transcript_language": "text",
    "soap_note_id": "uuid",
    "finalization_status": "text",
    "created_at": "timestamp with time zone",
    "updated_at": "timestamp with time zone",
}
NOTES_TARGET = {
    "id": "uuid",
    "session_id": "uuid",
    "appointment_id": "uuid",
    "note_type": "text",
    "status": "text",
    "chief_complaint": "text",
    "subjective": "jsonb",
    "objective": "jsonb",
    "assessment": "jsonb",
    "plan": "jsonb",
    "ai_model": "text",
    "ai_generated_at": "timestamp with time zone",
    "created_at": "timestamp with time zone",
    "updated_at": "timestamp with time zone",
}
AUDIT_TARGET = {
    "id": "uuid",
    "session_id": "uuid",
    "event_type": "text",
    "event_data": "jsonb",
    "created_at": "timestamp with time zone",
}
# The columns and types of the `CREATE TABLE` statements of the mapping, copied by hand.
TARGETS = {"video_call_sessions": SESSIONS_TARGET, "clinical_notes": NOTES_TARGET, "video_call_audit_log": AUDIT_TARGET}


def decode_row(encoded: bytes, sql_types: list[str]) -> list[Any]:
    """The values of an encoded row: uuid -> UUID, timestamptz -> microseconds since 1970, jsonb -> its text, NULL -> None."""
    values, position = [], 0
    for sql_type in sql_types:
        length = int.from_bytes(encoded[position : position + 4], "big", signed=True)
        assert len(encoded[position : position + 4]) == 4, "the row ends inside a length"
        position += 4
        if length == NULL_LENGTH:
            values.append(None)
            continue
        assert length >= 0, f"no such length: {length}"
        field = encoded[position : position + length]
        assert len(field) == length, "the row ends inside a field"
        position += length
        values.append(decode_field(field, sql_type))
    assert position == len(encoded), "bytes are left over after the last field"
    return values


def decode_field(field: bytes, sql_type: str) -> Any:
    """The value of one field without its length."""
    match sql_type:
        case "uuid":
            assert len(field) == 16
            return uuid.UUID(bytes=field)
        case "boolean":
            assert field in (b"\0", b"\1")
            return field == b"\1"
        case "text":
            return field.decode("utf-8", "strict")
        case "timestamp with time zone":
            assert len(field) == 8
            return int.from_bytes(field, "big", signed=True) + MICROSECONDS_1970_TO_2000
        case "jsonb":
            assert field[:1] == b"\1"
            return field[1:].decode("utf-8", "strict")
    message = f"no column of the mapping has the type {sql_type}"
    raise AssertionError(message)
