"""`docs/tables.md`, errors: which errors an item gets, how many, their names, and what they never contain."""

import itertools
import re

import pytest
from both_ways import compile_both_ways
from sound_items import (
    ABSENT,
    AUDIT,
    NOTE,
    NULL,
    SESSION,
    Refusal,
    changed,
    line_of,
    note,
    only,
    refusal_of,
    refusal_of_line,
    row_of,
    to_row,
)

from transforms.rejects import ItemRefused, Stage
from transforms.table import Unmapped
from transforms.tables.medzen import MEETING_AUDIT, SOAP_NOTES, TABLES, VIDEO_SESSIONS

SESSION_FAULTS = {
    "id": ({"S": "x"}, "invalid_uuid"),
    "appointmentId": (ABSENT, "missing_required"),
    "providerId": (NULL, "missing_required"),
    "patientId": ({"N": "1"}, "wrong_type"),
    "status": ({"S": "active"}, "invalid_enum"),
    "startTime": ({"N": "abc"}, "invalid_number"),
    "endTime": ({"N": "0"}, "timestamp_out_of_range"),
    "joinUrl": ({"S": "\0"}, "nul_character"),
    "meetingId": ({"BOOL": True}, "wrong_type"),
    "mediaRegion": ({"L": []}, "wrong_type"),
    "transcriptionEnabled": ({"S": "true"}, "wrong_type"),
    "transcriptId": ({"S": "\0"}, "invalid_uuid"),
    "transcriptLanguage": ({"S": "a\0"}, "nul_character"),
    "soapNoteId": ({"S": " "}, "invalid_uuid"),
    "finalizationStatus": ({"M": {}}, "wrong_type"),
    "createdAt": ({"N": "1700000000000.0001"}, "invalid_timestamp"),
    "updatedAt": ({"N": "17E8"}, "timestamp_out_of_range"),
}


def test_all_errors_are_listed():
    """Rule: "A dead letter lists **all** the errors found in its item, not just the first": seventeen faults, seventeen errors."""
    item = changed(SESSION, **{name: value for name, (value, _) in SESSION_FAULTS.items()})
    expected = sorted(((code, name) for name, (_, code) in SESSION_FAULTS.items()), key=str)
    assert refusal_of(VIDEO_SESSIONS, item) == Refusal("transform", expected)


@pytest.mark.parametrize("pair", list(itertools.combinations(SESSION_FAULTS, 2)), ids="-".join)
def test_every_pair_of_errors_is_listed(pair):
    """Rule: "A dead letter lists **all** the errors found in its item": none hides another."""
    item = changed(SESSION, **{name: SESSION_FAULTS[name][0] for name in pair})
    assert refusal_of(VIDEO_SESSIONS, item).errors == sorted(((SESSION_FAULTS[name][1], name) for name in pair), key=str)


def test_all_errors_of_a_note():
    """Rule: "A dead letter lists **all** the errors": inside `soapData` as at the top level, and unmapped ones with `--unmapped=reject`."""
    item = changed(
        note(
            chiefComplaint={"N": "1"},
            subjective={"M": {"a": {"N": "+1"}}},
            objective={"S": "\0"},
            plan={"L": [{"NS": ["x"]}]},
            extra={"S": ""},
        ),
        id={"S": ""},
        sessionId=ABSENT,
        status={"S": ""},
        aiModel={"N": "1"},
        other={"S": ""},
    )
    errors = [
        ("wrong_type", "soapData.chiefComplaint"),
        ("invalid_number", "soapData.subjective.a"),
        ("nul_character", "soapData.objective"),
        ("invalid_number", "soapData.plan[0]"),
        ("invalid_uuid", "id"),
        ("missing_required", "sessionId"),
        ("invalid_enum", "status"),
        ("wrong_type", "aiModel"),
    ]
    assert refusal_of(SOAP_NOTES, item) == Refusal("transform", sorted(errors, key=str))
    errors += [("unmapped_attribute", "soapData.extra"), ("unmapped_attribute", "other")]
    assert refusal_of(SOAP_NOTES, item, Unmapped.REJECT) == Refusal("transform", sorted(errors, key=str))


PRIORITIES = [
    ("one error though several values of it are at fault", {"L": [{"N": "x"}, {"N": "y"}]}, "invalid_number", "[0]"),
    ("the first in document order", {"M": {"z": {"N": "x"}, "a": {"N": "y"}}}, "invalid_number", ".z"),
    ("depth does not matter", {"M": {"z": {"L": [{"L": [{"S": "\0"}]}]}, "a": {"S": "\0"}}}, "nul_character", ".z[0][0]"),
    ("nul_character before invalid_number", {"L": [{"N": "x"}, {"S": "\0"}]}, "nul_character", "[1]"),
    ("not_an_item before nul_character", {"L": [{"S": "\0"}, {"S": 1}]}, "not_an_item", "[1]"),
    ("not_an_item before all", {"L": [{"N": "x"}, {"S": "\0"}, {"NULL": False}, {"X": 1}]}, "not_an_item", "[2]"),
    ("a key with U+0000 before what is below it", {"M": {"a\0": {"S": "\0"}}}, "nul_character", ""),
    ("a number with U+0000 is no number", {"N": "1\0"}, "invalid_number", ""),
    ("a number set with U+0000 holds no number", {"NS": ["1", "\0"]}, "invalid_number", ""),
]


@pytest.mark.parametrize(("claim", "value", "code", "path"), PRIORITIES, ids=[row[0] for row in PRIORITIES])
def test_one_attribute_yields_one_error(claim, value, code, path):  # noqa: ARG001 - the claim is the test's name
    """Several faults in one attribute are one error, by their order.

    Rule: "One attribute yields at most one error; the first that applies in the order `not_an_item`, `missing_required`, `wrong_type`,
    `nul_character`, then the column's own".
    """
    stage = "read" if code == "not_an_item" else "transform"
    assert refusal_of(MEETING_AUDIT, changed(AUDIT, eventData=value)) == only(code, f"eventData{path}", stage)


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("status", "ACTIVE\0", "invalid_enum"),
        ("status", "\0", "invalid_enum"),
        ("id", "\0", "invalid_uuid"),
        ("soapNoteId", "\0" * 36, "invalid_uuid"),
        ("joinUrl", "\0", "nul_character"),
    ],
)
def test_a_text_with_u0000_has_one_error(name, text, code):
    """Rule: "A `status` with U+0000 in it is `invalid_enum`, not also `nul_character`", and so for a UUID."""
    assert refusal_of(VIDEO_SESSIONS, changed(SESSION, **{name: {"S": text}})) == only(code, name)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"M": {"items": {"L": [{"N": "1"}] * 3 + [{"N": "x"}]}}}, "eventData.items[3]"),
        ({"M": {"": {"N": "x"}}}, "eventData."),
        ({"M": {"a.b": {"N": "x"}}}, "eventData.a.b"),
        ({"M": {'a"\n': {"N": "x"}}}, 'eventData.a"\n'),
        ({"M": {"患者": {"N": "x"}}}, "eventData.患者"),
        ({"L": [{"L": [{"N": "1"}, {"N": "x"}]}]}, "eventData[0][1]"),
        ({"M": {"doses": {"NS": ["1", "x"]}}}, "eventData.doses"),
    ],
)
def test_attributes_are_named_by_their_path(value, path):
    """Rule: "An attribute inside a map is named by its path with dots. An element of a list by its index: `eventData.items[3]`"."""
    assert refusal_of(MEETING_AUDIT, changed(AUDIT, eventData=value)) == only("invalid_number", path)


def test_a_refused_item_has_no_notices():
    """Rule: "A notice belongs to an item that became a row. An item that became a dead letter has none"."""
    noted = changed(SESSION, startTime=ABSENT, meetingId={"S": "x"}, transcriptId={"S": ""}, extra={"S": "x"})
    assert len(row_of(VIDEO_SESSIONS, noted).notices) == 4
    with pytest.raises(ItemRefused) as caught:
        to_row(VIDEO_SESSIONS, line_of(changed(noted, updatedAt={"N": "x"})))
    assert [str(error.code) for error in caught.value.errors] == ["invalid_number"]
    assert not getattr(caught.value, "notices", ())
    # ... and none of them is left for the next item.
    assert row_of(VIDEO_SESSIONS, SESSION).notices == []
    assert len(row_of(VIDEO_SESSIONS, noted).notices) == 4


def test_errors_name_their_column():
    """An error says which attribute and which column it is about; what no column takes has no column, and no error of ours an sqlstate."""
    line = line_of(changed(SESSION, startTime={"N": "x"}, patientId={"S": "x"}, extra={"S": "x"}))
    with pytest.raises(ItemRefused) as caught:
        compile_both_ways(VIDEO_SESSIONS, migration_time=0, unmapped=Unmapped.REJECT)(line)
    assert {(error.attribute, error.column) for error in caught.value.errors} == {
        ("startTime", "start_time"),
        ("patientId", "patient_id"),
        ("extra", None),
    }
    assert {error.sqlstate for error in caught.value.errors} == {None}
    with pytest.raises(ItemRefused) as caught:
        compile_both_ways(MEETING_AUDIT, migration_time=0)(line_of(changed(AUDIT, timestamp={"N": "x"}, createdAt={"N": "y"})))
    assert {(error.attribute, error.column) for error in caught.value.errors} == {("timestamp", "created_at"), ("createdAt", "created_at")}


# Values whose own letters no message may tell. U+0000, white space and the like go with them, to reach each refusal.
MARKERS = ["Zq7Secret", "zq7secret", "9187354620", "0x9187354620"]
SECRETS = [
    *({tag: f"{mark}{tail}"} for mark in MARKERS for tail in ("", "\0", "\n") for tag in ("S", "N", "B")),
    *(
        {"N": f"{sign}91873{zeros}54620{tail}"}
        for sign in ("", "-", "+", " ")
        for zeros in ("", "0" * 40)
        for tail in ("", ".00918735462", "E918735", "E3", "E-131")
    ),
    *({tag: ["Zq7Secret", content]} for tag in ("SS", "NS", "BS", "L") for content in ("9187354620", 9187354620, "\0")),
    {"M": {"a": {"S": "Zq7Secret\0"}}},
    {"M": {"a": {"N": "Zq7Secret"}}},
    {"M": {"a": {"N": 9187354620}}},
    {"L": [{"NS": ["9187354620x"]}]},
    {"BOOL": "Zq7Secret"},
    {"NULL": "Zq7Secret"},
    {"Zq7Secret": "9187354620"},
    {"S": "Zq7Secret", "N": "9187354620"},
    "Zq7Secret",
    9187354620,
    ["Zq7Secret"],
]
SECRET = re.compile("Zq7|91873|54620|918735", re.IGNORECASE)


def refusals(run, lines):
    """The refusals among the lines' outcomes."""
    for line in lines:
        try:
            run(line)
        except ItemRefused as refused:
            yield refused


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.source)
def test_no_message_holds_a_value_of_the_item(table):
    """No message of an error holds a value of the item, whatever the refusal, in whatever attribute.

    Neither does the exception's own text, nor what a traceback would show behind it.
    """
    sound = {"medzen-video-sessions": SESSION, "medzen-soap-notes": NOTE, "medzen-meeting-audit": AUDIT}[table.source]
    run = compile_both_ways(table, migration_time=0, unmapped=Unmapped.REJECT)
    seen = set()
    items = [changed(sound, **{name: secret}) for name in (*sound, "extra") for secret in SECRETS]
    items += [note(**{name: secret}) for name in ("chiefComplaint", "plan", "extra") for secret in SECRETS if table is SOAP_NOTES]
    lines = [line_of(item) for item in items]
    lines += [cut[:-9] for cut in lines[:50]] + [
        b'"Zq7Secret"',
        b'{"Zq7Secret":9187354620}',
        b'{"Item":"Zq7Secret"}',
        b'{"Item":{"id":Zq7Secret}}',
    ]
    for refused in refusals(run, lines):
        for error in refused.errors:
            assert error.message
            assert not SECRET.search(error.message), error
            seen.add(str(error.code))
        assert not SECRET.search(str(refused)), refused
        assert refused.__suppress_context__ or refused.__context__ is None, "a traceback would show what the parser says of the line"
    assert seen >= {
        "invalid_json",
        "not_an_item",
        "wrong_type",
        "nul_character",
        "invalid_number",
        "timestamp_out_of_range",
        "unmapped_attribute",
    }


def test_a_message_is_the_same_whatever_the_value():
    """Two items with the same fault and other values have the same error, so no error can hold a value or its length."""
    for name, first, second in (("id", "x", "y" * 50), ("status", "a", "\0b"), ("startTime", "a", "b" * 99), ("joinUrl", "\0", "x\0y")):
        tag = "N" if name == "startTime" else "S"
        errors = []
        for text in (first, second):
            with pytest.raises(ItemRefused) as caught:
                compile_both_ways(VIDEO_SESSIONS, migration_time=0)(line_of(changed(SESSION, **{name: {tag: text}})))
            errors.append(caught.value.errors)
        assert errors[0] == errors[1]


def test_stages_are_those_of_the_codes():
    """The table of codes: `invalid_json` and `not_an_item` at stage `read`, all others that an item alone can have at `transform`."""
    assert refusal_of_line(MEETING_AUDIT, b"[]").stage == "read"
    assert refusal_of(MEETING_AUDIT, {"id": 1}).stage == "read"
    assert refusal_of(MEETING_AUDIT, {}).stage == "transform"
    assert [str(stage) for stage in Stage] == ["read", "transform", "write"]
