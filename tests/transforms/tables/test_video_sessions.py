"""medzen-video-sessions -> video_call_sessions: the rules of `docs/tables.md`."""

import itertools
import uuid

import pytest
from binary_row import SESSIONS_TARGET
from sound_items import ABSENT, MIGRATION_TIME, NULL, SESSION, changed, row_of

from transforms.tables.medzen import VIDEO_SESSIONS

FIELDS = {
    "id": "id",
    "appointmentId": "appointment_id",
    "providerId": "provider_id",
    "patientId": "patient_id",
    "status": "status",
    "startTime": "start_time",
    "endTime": "end_time",
    "joinUrl": "join_url",
    "meetingId": "meeting_id",
    "mediaRegion": "media_region",
    "transcriptionEnabled": "transcription_enabled",
    "transcriptId": "transcript_id",
    "transcriptLanguage": "transcript_language",
    "soapNoteId": "soap_note_id",
    "finalizationStatus": "finalization_status",
    "createdAt": "created_at",
    "updatedAt": "updated_at",
}
TIMES = ("startTime", "endTime", "createdAt", "updatedAt")
OTHERS = {
    "uuid": ({"S": "99999999-9999-4999-8999-999999999999"}, uuid.UUID("99999999-9999-4999-8999-999999999999")),
    "text": ({"S": "other"}, "other"),
    "boolean": ({"BOOL": False}, False),
    "timestamp with time zone": ({"N": "1600000000000.5"}, 1_600_000_000_000_500),
}


def test_source_and_target():
    """Table 1 is medzen-video-sessions, keyed by `id`, to video_call_sessions."""
    assert (VIDEO_SESSIONS.source, VIDEO_SESSIONS.target, VIDEO_SESSIONS.key) == ("medzen-video-sessions", "video_call_sessions", ("id",))


def test_columns_and_types():
    """The columns are those of the mapping's CREATE TABLE, each once, with its type."""
    assert {column.name: column.pg_type.name for column in VIDEO_SESSIONS.columns} == SESSIONS_TARGET
    assert len(VIDEO_SESSIONS.column_names) == len(SESSIONS_TARGET)


def test_nullability():
    """The five columns that are NOT NULL in the mapping never get NULL; those that have a rule for a missing value do not either."""
    nullable = {column.name for column in VIDEO_SESSIONS.columns if column.is_nullable}
    assert nullable == {
        "join_url",
        "meeting_id",
        "media_region",
        "transcript_id",
        "transcript_language",
        "soap_note_id",
        "finalization_status",
    }


@pytest.mark.parametrize(("attribute", "column"), FIELDS.items())
def test_each_attribute_feeds_its_column_and_no_other(attribute, column):
    """Each line of the mapping's table: changing the attribute changes its column and leaves the others as they were."""
    value, expected = ({"S": "FAILED"}, "FAILED") if attribute == "status" else OTHERS[SESSIONS_TARGET[column]]
    row = row_of(VIDEO_SESSIONS, changed(SESSION, **{attribute: value}))
    assert row.values == row_of(VIDEO_SESSIONS, SESSION).values | {column: expected}


@pytest.mark.parametrize("missing", [ABSENT, NULL], ids=["absent", "NULL"])
@pytest.mark.parametrize("names", [names for count in range(1, 5) for names in itertools.combinations(TIMES, count)], ids="-".join)
def test_a_missing_timestamp_becomes_migration_time(names, missing):
    """A missing timestamp of a session is migration_time, with a notice.

    Rule: "Each of `startTime`, `endTime`, `createdAt`, `updatedAt` that is missing becomes `migration_time`, notice `timestamp_defaulted`
    with the attribute's name".
    """
    row = row_of(VIDEO_SESSIONS, changed(SESSION, **dict.fromkeys(names, missing)))
    assert row.values == row_of(VIDEO_SESSIONS, SESSION).values | {FIELDS[name]: MIGRATION_TIME for name in names}
    assert row.notices == sorted(("timestamp_defaulted", name) for name in names)


@pytest.mark.parametrize("missing", [ABSENT, NULL], ids=["absent", "NULL"])
def test_transcription_is_off_unless_it_is_said_to_be_on(missing):
    """Rule: "`transcriptionEnabled` missing -> `false` (the column's default), no notice"."""
    row = row_of(VIDEO_SESSIONS, changed(SESSION, transcriptionEnabled=missing))
    assert row.values["transcription_enabled"] is False
    assert row.notices == []


def test_transcription_is_kept():
    """Rule: "Direct (boolean)"."""
    for value in (True, False):
        row = row_of(VIDEO_SESSIONS, changed(SESSION, transcriptionEnabled={"BOOL": value}))
        assert row.values["transcription_enabled"] is value


MALFORMED = [
    "",
    "x",
    " ",
    "meeting 7",
    SESSION["id"]["S"] + " ",
    SESSION["id"]["S"] + "\n",
    SESSION["id"]["S"].replace("-", ""),
    "\uff11" * 36,
    "患者",
    "x" * 100_000,
]


@pytest.mark.parametrize("text", MALFORMED, ids=lambda text: ascii(text[:20]))
def test_a_malformed_meeting_id_is_kept_and_noticed(text):
    """Rule: "`meetingId` that is not a UUID -> stored as it is, notice `malformed_meeting_id`".

    It is kept for investigation.
    """
    row = row_of(VIDEO_SESSIONS, changed(SESSION, meetingId={"S": text}))
    assert row.values["meeting_id"] == text
    assert row.notices == [("malformed_meeting_id", "meetingId")]


def test_a_meeting_id_keeps_its_case():
    """A meeting id is text: "Direct (string)", even where it is a UUID in upper case, and that is no reason for a notice."""
    for text in ("ABCDEF00-1111-2222-3333-444444444444", "abcdef00-1111-2222-3333-444444444444"):
        row = row_of(VIDEO_SESSIONS, changed(SESSION, meetingId={"S": text}))
        assert (row.values["meeting_id"], row.notices) == (text, [])


def test_all_notices_at_once():
    """One item can have every notice of its table, each with its attribute."""
    item = changed(SESSION, startTime=NULL, meetingId={"S": "x"}, transcriptId={"S": ""}, soapNoteId={"S": ""}, extra={"S": ""})
    assert row_of(VIDEO_SESSIONS, item).notices == [
        ("empty_uuid_as_null", "soapNoteId"),
        ("empty_uuid_as_null", "transcriptId"),
        ("malformed_meeting_id", "meetingId"),
        ("timestamp_defaulted", "startTime"),
        ("unmapped_attribute", "extra"),
    ]
