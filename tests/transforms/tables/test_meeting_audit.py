"""medzen-meeting-audit -> video_call_audit_log: the rules of `docs/tables.md`."""

import json
import uuid

import pytest
from binary_row import AUDIT_TARGET
from sound_items import ABSENT, AUDIT, NULL, T1, T2, UUID_2, Refusal, changed, only, refusal_of, row_of

from transforms.tables.medzen import MEETING_AUDIT

MISSING = pytest.mark.parametrize("missing", [ABSENT, NULL], ids=["absent", "NULL"])
SOUND_ROW = row_of(MEETING_AUDIT, AUDIT)
EVENT_TYPES = [
    "CALL_INITIATED",
    "CALL_JOINED",
    "CALL_DISCONNECTED",
    "TRANSCRIPTION_STARTED",
    "TRANSCRIPTION_COMPLETED",
    "TRANSCRIPTION_FAILED",
    "SOAP_GENERATION_STARTED",
    "SOAP_GENERATION_COMPLETED",
    "SOAP_GENERATION_FAILED",
]


def test_source_and_target():
    """Table 3 is medzen-meeting-audit, keyed by `id` and `timestamp`, to video_call_audit_log."""
    assert (MEETING_AUDIT.source, MEETING_AUDIT.target, MEETING_AUDIT.key) == (
        "medzen-meeting-audit",
        "video_call_audit_log",
        ("id", "timestamp"),
    )


def test_columns_and_types():
    """The columns are those of the mapping's CREATE TABLE, each once, with its type; only `event_data` can be NULL."""
    assert {column.name: column.pg_type.name for column in MEETING_AUDIT.columns} == AUDIT_TARGET
    assert len(MEETING_AUDIT.column_names) == len(AUDIT_TARGET)
    assert {column.name for column in MEETING_AUDIT.columns if column.is_nullable} == {"event_data"}


def test_each_attribute_feeds_its_column_and_no_other():
    """Each line of the mapping's table: changing the attribute changes its column and leaves the others as they were."""
    for attribute, column in (("id", "id"), ("sessionId", "session_id")):
        row = row_of(MEETING_AUDIT, changed(AUDIT, **{attribute: {"S": UUID_2}}))
        assert row.values == SOUND_ROW.values | {column: uuid.UUID(UUID_2)}
    row = row_of(MEETING_AUDIT, changed(AUDIT, eventType={"S": "CALL_INITIATED"}))
    assert row.values == SOUND_ROW.values | {"event_type": "CALL_INITIATED"}
    row = row_of(MEETING_AUDIT, changed(AUDIT, eventData={"L": []}))
    assert row.values == SOUND_ROW.values | {"event_data": "[]"}


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_the_nine_event_types(event_type):
    """Rule: "`eventType` is upper-cased": the nine listed are known in any case, and have no notice."""
    for text in (event_type, event_type.lower(), event_type.title(), event_type.swapcase()):
        row = row_of(MEETING_AUDIT, changed(AUDIT, eventType={"S": text}))
        assert (row.values["event_type"], row.notices) == (event_type, [])


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("recording_started", "RECORDING_STARTED"),
        ("CALL_JOINED ", "CALL_JOINED "),
        (" call_joined", " CALL_JOINED"),
        ("CALL-JOINED", "CALL-JOINED"),
        (" ", " "),
        ("\n", "\n"),
        ("straße", "STRAßE"),
        ("call_\u0131n\u0131t\u0131ated", "CALL_\u0131N\u0131T\u0131ATED"),
        ("\u017foap_generation_failed", "\u017fOAP_GENERATION_FAILED"),
        ("\ufb01x", "\ufb01X"),
        ("δοκιμή é", "δοκιμή é"),
        ("😀a", "😀A"),
        ("\\u0000", "\\U0000"),
    ],
    ids=ascii,
)
def test_an_unknown_event_type_is_stored_and_noticed(text, stored):
    """Rule: "A type outside the nine listed is stored and gets notice `unknown_event_type`".

    "ASCII rules are enough": other letters stay.
    """
    row = row_of(MEETING_AUDIT, changed(AUDIT, eventType={"S": text}))
    assert row.values["event_type"] == stored
    assert row.notices == [("unknown_event_type", "eventType")]


def test_an_empty_event_type_is_refused():
    """Rule: "It must be a non-empty string"; "an `eventType` that is an empty string -> `invalid_enum`"."""
    assert refusal_of(MEETING_AUDIT, changed(AUDIT, eventType={"S": ""})) == only("invalid_enum", "eventType")


@MISSING
def test_missing_event_data_is_null(missing):
    """Rule: "`eventData` missing -> SQL NULL": not JSON's null, and not `{}`."""
    row = row_of(MEETING_AUDIT, changed(AUDIT, eventData=missing))
    assert row.values == SOUND_ROW.values | {"event_data": None}
    assert row.notices == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"S": "x"}, "x"),
        ({"S": ""}, ""),
        ({"BOOL": False}, False),
        ({"N": "0"}, 0),
        ({"M": {}}, {}),
        ({"L": []}, []),
        ({"SS": ["b", "a"]}, ["b", "a"]),
        ({"B": "AA=="}, "AA=="),
    ],
    ids=repr,
)
def test_event_data_of_any_type(value, expected):
    """Rule: "Present with any type -> JSONB as it is"."""
    row = row_of(MEETING_AUDIT, changed(AUDIT, eventData=value))
    assert json.loads(row.values["event_data"]) == expected
    assert row.notices == []


@pytest.mark.parametrize(
    ("timestamp", "created_at", "expected"),
    [
        (T1, T2, int(T2) * 1000),
        (T2, T1, int(T2) * 1000),
        (T1, T1, int(T1) * 1000),
        ("1.7E12", "1700000000000.001", 1_700_000_000_000_001),
        ("1700000000000.001", "1.7E12", 1_700_000_000_000_001),
        ("999999999999", "1000000000000", 1_000_000_000_000_000),
        ("1000000000000", "999999999999", 1_000_000_000_000_000),
        ("946684800000", "946684800000", 946_684_800_000_000),
        ("946684800001", "946684800000", 946_684_800_001_000),
        ("4102444800000", "946684800000", 4_102_444_800_000_000),
        ("17E11", "1600000000000.9", 1_700_000_000_000_000),
    ],
)
def test_the_later_timestamp_is_taken(timestamp, created_at, expected):
    """Rule: "`created_at` = the later of `timestamp` and `createdAt`": by value, however each is spelled, and without a notice."""
    row = row_of(MEETING_AUDIT, changed(AUDIT, timestamp={"N": timestamp}, createdAt={"N": created_at}))
    assert row.values == SOUND_ROW.values | {"created_at": expected}
    assert row.notices == []


@MISSING
def test_one_timestamp_missing(missing):
    """Rule: "One missing -> the other, no notice"."""
    for name, kept in (("timestamp", T2), ("createdAt", T1)):
        row = row_of(MEETING_AUDIT, changed(AUDIT, **{name: missing}))
        assert row.values == SOUND_ROW.values | {"created_at": int(kept) * 1000}
        assert row.notices == []


@MISSING
@pytest.mark.parametrize("other", [ABSENT, NULL], ids=["absent", "NULL"])
def test_both_timestamps_missing(missing, other):
    """Rule: "Both missing -> `missing_required`", one error, that names `timestamp`; it is never `migration_time`."""
    assert refusal_of(MEETING_AUDIT, changed(AUDIT, timestamp=missing, createdAt=other)) == only("missing_required", "timestamp")


BAD = [
    ({"N": "1700000000"}, "timestamp_out_of_range"),
    ({"N": "1700000000000.0001"}, "invalid_timestamp"),
    ({"N": "+1"}, "invalid_number"),
    ({"S": T1}, "wrong_type"),
    ({"L": []}, "wrong_type"),
]


@pytest.mark.parametrize(("value", "code"), BAD, ids=[code for _, code in BAD])
@pytest.mark.parametrize("name", ["timestamp", "createdAt"])
def test_a_bad_timestamp_is_not_forgiven(name, value, code):
    """Rule: "A present but bad one of the two -> dead letter, not a fall-back to the other", whether the other is there or not."""
    other = "createdAt" if name == "timestamp" else "timestamp"
    for rest in ({}, {other: ABSENT}, {other: NULL}):
        assert refusal_of(MEETING_AUDIT, changed(AUDIT, **{name: value}, **rest)) == only(code, name)


def test_two_bad_timestamps_are_two_errors():
    """Rule: "A dead letter lists **all** the errors": one for each of the two."""
    for first, first_code in BAD:
        for second, second_code in BAD:
            errors = sorted([(first_code, "timestamp"), (second_code, "createdAt")])
            assert refusal_of(MEETING_AUDIT, changed(AUDIT, timestamp=first, createdAt=second)) == Refusal("transform", errors)


def test_no_deduplication():
    """Rule: "No de-duplication: each record migrated exactly as stored": items that share an `id` are each made a row, equal ones too."""
    first = row_of(MEETING_AUDIT, AUDIT)
    second = row_of(MEETING_AUDIT, changed(AUDIT, timestamp={"N": "1717299999999"}))
    assert first.values["id"] == second.values["id"]
    assert first.values["created_at"] != second.values["created_at"]
    assert row_of(MEETING_AUDIT, AUDIT) == first
