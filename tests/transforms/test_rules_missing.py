"""`docs/tables.md`: missing, NULL, empty."""

import pytest
from sound_items import ABSENT, AUDIT, NOTE, NULL, SESSION, SOUND, changed, note, only, refusal_of, row_of

from transforms.tables.medzen import MEETING_AUDIT, SOAP_NOTES, TABLES, VIDEO_SESSIONS

MISSING = pytest.mark.parametrize("missing", [ABSENT, NULL], ids=["absent", "NULL"])

REQUIRED = [
    *((VIDEO_SESSIONS, name) for name in ("id", "appointmentId", "providerId", "patientId", "status")),
    *((SOAP_NOTES, name) for name in ("id", "sessionId", "appointmentId", "status")),
    *((MEETING_AUDIT, name) for name in ("id", "sessionId", "eventType")),
]
REQUIRED_UUIDS = [(table, name) for table, name in REQUIRED if name.lower().endswith("id")]
NULLABLE = [
    ("joinUrl", "join_url"),
    ("meetingId", "meeting_id"),
    ("mediaRegion", "media_region"),
    ("transcriptId", "transcript_id"),
    ("transcriptLanguage", "transcript_language"),
    ("soapNoteId", "soap_note_id"),
    ("finalizationStatus", "finalization_status"),
]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.source)
def test_every_column_of_a_sound_item_differs_from_null(table):
    """The sound items that these tests change fill every column, without a notice: what a test sees is its own change."""
    row = row_of(table, SOUND[table.source])
    assert None not in row.values.values()
    assert row.notices == []


@MISSING
@pytest.mark.parametrize(("table", "name"), REQUIRED, ids=lambda value: getattr(value, "source", value))
def test_missing_in_a_required_column_is_refused(table, name, missing):
    """Rule: "Missing = the attribute is absent, or is `{"NULL": true}`"; "in a `NOT NULL` column without a rule -> `missing_required`"."""
    assert refusal_of(table, changed(SOUND[table.source], **{name: missing})) == only("missing_required", name)


@MISSING
@pytest.mark.parametrize(("name", "column"), NULLABLE)
def test_missing_in_a_nullable_column_is_null_without_a_notice(name, column, missing):
    """Rule: "Missing in a nullable column without a rule -> SQL NULL, no notice"."""
    row = row_of(VIDEO_SESSIONS, changed(SESSION, **{name: missing}))
    assert row.values == row_of(VIDEO_SESSIONS, SESSION).values | {column: None}
    assert row.notices == []


@MISSING
def test_a_missing_ai_model_and_event_data_are_null(missing):
    """Rule: "Missing in a nullable column without a rule -> SQL NULL, no notice", in the other two tables."""
    row = row_of(SOAP_NOTES, changed(NOTE, aiModel=missing))
    assert (row.values["ai_model"], row.notices) == (None, [])
    row = row_of(MEETING_AUDIT, changed(AUDIT, eventData=missing))
    assert (row.values["event_data"], row.notices) == (None, [])


@pytest.mark.parametrize("name", ["joinUrl", "mediaRegion", "transcriptLanguage", "finalizationStatus"])
def test_an_empty_text_stays_empty(name):
    """Rule: "An empty string `{"S": ""}` in a text column stays an empty string": not NULL, and no notice."""
    column = dict(NULLABLE)[name]
    row = row_of(VIDEO_SESSIONS, changed(SESSION, **{name: {"S": ""}}))
    assert row.values[column] == ""
    assert row.notices == []


def test_an_empty_text_stays_empty_in_a_note():
    """Rule: "An empty string `{"S": ""}` in a text column stays an empty string": `aiModel` and `chiefComplaint` too."""
    row = row_of(SOAP_NOTES, changed(note(chiefComplaint={"S": ""}), aiModel={"S": ""}))
    assert (row.values["chief_complaint"], row.values["ai_model"], row.notices) == ("", "", [])


@pytest.mark.parametrize("name", ["transcriptId", "soapNoteId"])
def test_an_empty_nullable_uuid_is_null_with_a_notice(name):
    """Rule: "In a nullable UUID column it becomes NULL with notice `empty_uuid_as_null`"."""
    row = row_of(VIDEO_SESSIONS, changed(SESSION, **{name: {"S": ""}}))
    assert row.values[dict(NULLABLE)[name]] is None
    assert row.notices == [("empty_uuid_as_null", name)]


@pytest.mark.parametrize(("table", "name"), REQUIRED_UUIDS, ids=lambda value: getattr(value, "source", value))
def test_an_empty_required_uuid_is_refused(table, name):
    """Rule: "In a required UUID column it is a dead letter `invalid_uuid`"."""
    assert refusal_of(table, changed(SOUND[table.source], **{name: {"S": ""}})) == only("invalid_uuid", name)


@pytest.mark.parametrize("nothing", [{"NULL": False}, {"NULL": "true"}, {"NULL": 1}, {"NULL": 1.0}, {"NULL": None}, {}, None], ids=repr)
@pytest.mark.parametrize("name", ["id", "startTime", "transcriptionEnabled", "transcriptId", "joinUrl"])
def test_only_null_true_is_missing(name, nothing):
    """Rule: "`NULL` is `true`; else `not_an_item`": neither false, nor 1 (equal to True in Python), nor JSON's null counts as missing."""
    assert refusal_of(VIDEO_SESSIONS, changed(SESSION, **{name: nothing})) == only("not_an_item", name, "read")
