"""medzen-soap-notes -> clinical_notes: the rules of `docs/tables.md`."""

import json
import uuid

import pytest
from binary_row import NOTES_TARGET
from sound_items import ABSENT, MIGRATION_TIME, NOTE, NULL, changed, note, only, refusal_of, row_of

from transforms.tables.medzen import SOAP_NOTES

MISSING = pytest.mark.parametrize("missing", [ABSENT, NULL], ids=["absent", "NULL"])
COMPONENTS = ("subjective", "objective", "assessment", "plan")
FIELDS = {
    "id": "id",
    "sessionId": "session_id",
    "appointmentId": "appointment_id",
    "status": "status",
    "aiModel": "ai_model",
    "aiGeneratedAt": "ai_generated_at",
    "createdAt": "created_at",
    "updatedAt": "updated_at",
}
OTHERS = {
    "uuid": ({"S": "99999999-9999-4999-8999-999999999999"}, uuid.UUID("99999999-9999-4999-8999-999999999999")),
    "text": ({"S": "ARCHIVED"}, "ARCHIVED"),
    "timestamp with time zone": ({"N": "1600000000000.5"}, 1_600_000_000_000_500),
}
SOUND_ROW = row_of(SOAP_NOTES, NOTE)


def test_source_and_target():
    """Table 2 is medzen-soap-notes, keyed by `id`, to clinical_notes."""
    assert (SOAP_NOTES.source, SOAP_NOTES.target, SOAP_NOTES.key) == ("medzen-soap-notes", "clinical_notes", ("id",))


def test_columns_and_types():
    """The columns are those of the mapping's CREATE TABLE, each once, with its type."""
    assert {column.name: column.pg_type.name for column in SOAP_NOTES.columns} == NOTES_TARGET
    assert len(SOAP_NOTES.column_names) == len(NOTES_TARGET)


def test_nullability():
    """Only the complaint, the model and its time can be NULL: the components become `{}`, the timestamps migration_time."""
    assert {column.name for column in SOAP_NOTES.columns if column.is_nullable} == {"chief_complaint", "ai_model", "ai_generated_at"}


@pytest.mark.parametrize(("attribute", "column"), FIELDS.items())
def test_each_attribute_feeds_its_column_and_no_other(attribute, column):
    """Each line of the mapping's table: changing the attribute changes its column and leaves the others as they were."""
    value, expected = OTHERS[NOTES_TARGET[column]]
    row = row_of(SOAP_NOTES, changed(NOTE, **{attribute: value}))
    assert row.values == SOUND_ROW.values | {column: expected}


@pytest.mark.parametrize("name", COMPONENTS)
def test_each_component_feeds_its_column_and_no_other(name):
    """Rule: "Extract as JSONB", "preserve full structure in JSONB (no flattening)"."""
    row = row_of(SOAP_NOTES, note(**{name: {"M": {"a": {"M": {"b": {"L": [{"N": "1.50"}, NULL]}}}}}}))
    assert row.values[name].replace(" ", "") == '{"a":{"b":[1.50,null]}}'
    assert row.values == SOUND_ROW.values | {name: row.values[name]}


def test_the_complaint_is_extracted():
    """Rule: "soapData.chiefComplaint -> chief_complaint: extract string"."""
    row = row_of(SOAP_NOTES, note(chiefComplaint={"S": "Fièvre\n39°"}))
    assert row.values == SOUND_ROW.values | {"chief_complaint": "Fièvre\n39°"}


@MISSING
def test_missing_soap_data(missing):
    """Rule: "`soapData` missing -> `chief_complaint` NULL and the four components `{}`", without a notice."""
    row = row_of(SOAP_NOTES, changed(NOTE, soapData=missing))
    assert row.values == SOUND_ROW.values | {"chief_complaint": None} | dict.fromkeys(COMPONENTS, "{}")
    assert row.notices == []


@pytest.mark.parametrize(
    "value", [{"S": "{}"}, {"N": "1"}, {"B": ""}, {"BOOL": True}, {"L": []}, {"SS": ["a"]}, {"NS": ["1"]}, {"BS": ["AA=="]}], ids=repr
)
def test_soap_data_that_is_not_a_map(value):
    """Rule: "`soapData` not a map -> `wrong_type`"."""
    assert refusal_of(SOAP_NOTES, changed(NOTE, soapData=value)) == only("wrong_type", "soapData")


def test_empty_soap_data():
    """An empty map misses all five members: the complaint is NULL, the components `{}`."""
    row = row_of(SOAP_NOTES, changed(NOTE, soapData={"M": {}}))
    assert row.values == SOUND_ROW.values | {"chief_complaint": None} | dict.fromkeys(COMPONENTS, "{}")
    assert row.notices == []


@MISSING
@pytest.mark.parametrize("name", COMPONENTS)
def test_a_missing_component_is_an_empty_object(name, missing):
    """Rule: a component that is missing or NULL becomes `{}`."""
    row = row_of(SOAP_NOTES, note(**{name: missing}))
    assert row.values == SOUND_ROW.values | {name: "{}"}
    assert row.notices == []


@MISSING
def test_a_missing_complaint_is_null(missing):
    """Rule: "`chiefComplaint` is text: ... missing -> NULL", and no notice."""
    row = row_of(SOAP_NOTES, note(chiefComplaint=missing))
    assert row.values == SOUND_ROW.values | {"chief_complaint": None}
    assert row.notices == []


def test_the_note_type_is_soap():
    """Rule: "`note_type` is always `'SOAP'`", even where an item has an attribute that sounds like it."""
    assert SOUND_ROW.values["note_type"] == "SOAP"
    for name in ("noteType", "note_type"):
        row = row_of(SOAP_NOTES, changed(NOTE, **{name: {"S": "PROGRESS"}}))
        assert row.values["note_type"] == "SOAP"
        assert row.notices == [("unmapped_attribute", name)]


@pytest.mark.parametrize("text", ["claude-3-sonnet", "claude-opus-4-5-20251101-v1:0", "Claude 3 SONNET ", "", " "], ids=repr)
def test_the_model_is_kept_exactly(text):
    """Rule: `aiModel` is kept exactly, also the name of an old model."""
    row = row_of(SOAP_NOTES, changed(NOTE, aiModel={"S": text}))
    assert (row.values["ai_model"], row.notices) == (text, [])


@MISSING
@pytest.mark.parametrize("name", ["createdAt", "updatedAt"])
def test_missing_times_of_the_record(name, missing):
    """Rule: "`createdAt`/`updatedAt` missing -> the column's DEFAULT NOW(), that is `migration_time`, notice `timestamp_defaulted`"."""
    row = row_of(SOAP_NOTES, changed(NOTE, **{name: missing}))
    assert row.values == SOUND_ROW.values | {FIELDS[name]: MIGRATION_TIME}
    assert row.notices == [("timestamp_defaulted", name)]


@MISSING
def test_a_missing_time_of_generation_is_null(missing):
    """Rule: "`aiGeneratedAt` missing -> NULL", without a notice."""
    row = row_of(SOAP_NOTES, changed(NOTE, aiGeneratedAt=missing))
    assert row.values == SOUND_ROW.values | {"ai_generated_at": None}
    assert row.notices == []


def test_a_large_note_is_whole():
    """A note of DynamoDB's 400 KB is stored whole."""
    paragraphs = [f"{number}: " + 'ß🩺\\u0000"' * 500 for number in range(50)]
    row = row_of(SOAP_NOTES, note(subjective={"M": {"text": {"L": [{"S": text} for text in paragraphs]}}}))
    assert json.loads(row.values["subjective"]) == {"text": paragraphs}
