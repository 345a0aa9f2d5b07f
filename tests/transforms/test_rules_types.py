"""`docs/tables.md`, types: type tags, UUIDs, statuses, U+0000, text."""

import uuid

import pytest
from sound_items import AUDIT, NOTE, SESSION, SOUND, UUID_1, changed, note, only, refusal_of, row_of

from transforms.tables.medzen import MEETING_AUDIT, SOAP_NOTES, VIDEO_SESSIONS

VALUES = {
    "S": {"S": "x"},
    "N": {"N": "1"},
    "B": {"B": "eA=="},
    "BOOL": {"BOOL": True},
    "M": {"M": {}},
    "L": {"L": []},
    "SS": {"SS": ["x"]},
    "NS": {"NS": ["1"]},
    "BS": {"BS": ["eA=="]},
}
TAGS = [
    *((VIDEO_SESSIONS, name, next(iter(value))) for name, value in SESSION.items()),
    *((SOAP_NOTES, name, next(iter(value))) for name, value in NOTE.items()),
    *((MEETING_AUDIT, name, next(iter(value))) for name, value in AUDIT.items() if name != "eventData"),
]
BY_TABLE = pytest.mark.parametrize(("table", "name", "tag"), TAGS, ids=lambda value: getattr(value, "source", value))


@BY_TABLE
def test_every_other_tag_is_refused(table, name, tag):
    """Rule: "An attribute whose type tag is not the one that the schema names -> `wrong_type`. No coercion by default"."""
    for other, value in VALUES.items():
        if other != tag:
            assert refusal_of(table, changed(SOUND[table.source], **{name: value})) == only("wrong_type", name), other


def test_the_examples_of_wrong_types():
    """Rule: "A number in an `S`, a string in a `BOOL`, an ISO date in a timestamp...", even where the content would fit."""
    assert refusal_of(VIDEO_SESSIONS, changed(SESSION, status={"N": "1"})) == only("wrong_type", "status")
    for text in ("true", "false", ""):
        assert refusal_of(VIDEO_SESSIONS, changed(SESSION, transcriptionEnabled={"S": text})) == only("wrong_type", "transcriptionEnabled")
    for text in ("2024-06-01T10:00:00Z", "1717230000000", ""):
        assert refusal_of(VIDEO_SESSIONS, changed(SESSION, startTime={"S": text})) == only("wrong_type", "startTime")
    assert refusal_of(VIDEO_SESSIONS, changed(SESSION, id={"B": UUID_1})) == only("wrong_type", "id")


def test_a_chief_complaint_that_is_not_a_text_is_refused():
    """Rule: "`chiefComplaint` is text: another tag -> `wrong_type`"."""
    for tag, value in VALUES.items():
        if tag != "S":
            assert refusal_of(SOAP_NOTES, note(chiefComplaint=value)) == only("wrong_type", "soapData.chiefComplaint")


@pytest.mark.parametrize(
    "text", [UUID_1, UUID_1.replace("1", "a"), UUID_1.replace("1", "F"), "aBcDeF00-" + "0" * 4 + "-FFFF-ffff-" + "0" * 12]
)
def test_uuids_of_either_case(text):
    """Rule: "UUID: 8-4-4-4-12 hexadecimal digits with hyphens, either case": any version, and the value is the same."""
    assert row_of(VIDEO_SESSIONS, changed(SESSION, id={"S": text})).values["id"] == uuid.UUID(text)


NOT_UUIDS = [
    "x",
    "-" * 36,
    UUID_1[:-1],
    UUID_1 + "0",
    UUID_1.replace("-", ""),
    "{" + UUID_1 + "}",
    "{" + UUID_1[1:-1] + "}",
    "urn:uuid:" + UUID_1,
    UUID_1[:-1] + "g",
    "0x" + UUID_1[2:],
    "+" + UUID_1[1:],
    UUID_1[:4] + "_" + UUID_1[5:],
    "1111111-12222-4333-8444-555555555555",
    "111111112-222-4333-8444-555555555555",
    "11111111-2222-4333-84445-55555555555",
    "11111111-22224-333-8444-555555555555",
    "11111111-2222-4333-8444-5555-5555555",
    "1111-1111-2222-4333-8444-55555555555",
    UUID_1.replace("-", " "),
    UUID_1.replace("-", "\u2010"),
    UUID_1.replace("-", "\u2212"),
    UUID_1.replace("-", "_"),
    UUID_1[:-1] + "\0",
    UUID_1 + "\0",
    "\ufeff" + UUID_1,
    "\ufeff" + UUID_1[1:],
]
WHITE_SPACE = [chr(code) for code in range(0x3100) if chr(code).isspace()] + ["\u180e", "\u200b", "\u2060", "\ufeff"]
OTHER_DIGITS = "\u0661\u06f1\u0967\uff11\uff21\uff46\u00b9\u2460\u2081\U0001d7d9"


@pytest.mark.parametrize("text", NOT_UUIDS, ids=ascii)
def test_anything_else_is_no_uuid(text):
    """Rule: "Anything else, white space included -> `invalid_uuid`"; "no hyphens in other places"."""
    assert refusal_of(VIDEO_SESSIONS, changed(SESSION, patientId={"S": text})) == only("invalid_uuid", "patientId")
    assert refusal_of(VIDEO_SESSIONS, changed(SESSION, transcriptId={"S": text})) == only("invalid_uuid", "transcriptId")


@pytest.mark.parametrize("space", WHITE_SPACE, ids=ascii)
def test_no_white_space_in_a_uuid(space):
    """Rule: "UUIDs are ASCII: no white space in place of hyphens", nor around, nor for a digit or a pair of them, of whatever kind."""
    for text in (
        UUID_1.replace("-", space),
        UUID_1.replace("-", space, 1),
        space + UUID_1,
        UUID_1 + space,
        space + UUID_1[1:],
        UUID_1[:-1] + space,
        space * 2 + UUID_1[2:],
        UUID_1[:-2] + space * 2,
        UUID_1[:2] + space * 2 + UUID_1[4:],
        UUID_1[:8] + space + UUID_1[8:],
        space,
        space * 36,
    ):
        assert refusal_of(VIDEO_SESSIONS, changed(SESSION, id={"S": text})) == only("invalid_uuid", "id"), ascii(text)


@pytest.mark.parametrize("digit", OTHER_DIGITS, ids=ascii)
def test_no_other_digits_of_unicode(digit):
    """Rule: "No other digits of Unicode": int() would take many of them."""
    for text in (digit + UUID_1[1:], UUID_1[:-1] + digit, UUID_1.replace("1", digit)):
        assert refusal_of(VIDEO_SESSIONS, changed(SESSION, id={"S": text})) == only("invalid_uuid", "id")


STATUSES = [
    *((VIDEO_SESSIONS, status) for status in ("INITIATED", "ACTIVE", "COMPLETED", "FAILED")),
    *((SOAP_NOTES, status) for status in ("DRAFT", "REVIEWED", "SIGNED", "ARCHIVED")),
]


@pytest.mark.parametrize(("table", "status"), STATUSES, ids=lambda value: getattr(value, "source", value))
def test_a_status_is_exactly_a_listed_one(table, status):
    """Rule: "`status` must be one of the listed values, exactly, case included; anything else, an empty string too -> `invalid_enum`"."""
    sound = SOUND[table.source]
    assert row_of(table, changed(sound, status={"S": status})).values["status"] == status
    others = (status.lower(), status.title(), " " + status, status + " ", status + "\n", status[:-1], status + "S", status + "\0", "", "\0")
    for other in (*others, "CANCELLED", status[:-1] + "\u0415", status + "\u200b"):
        assert refusal_of(table, changed(sound, status={"S": other})) == only("invalid_enum", "status"), ascii(other)


def test_a_status_of_the_other_table_is_refused():
    """Rule: "`status` must be one of the listed values": of its own table."""
    assert refusal_of(VIDEO_SESSIONS, changed(SESSION, status={"S": "DRAFT"})) == only("invalid_enum", "status")
    assert refusal_of(SOAP_NOTES, changed(NOTE, status={"S": "ACTIVE"})) == only("invalid_enum", "status")


@pytest.mark.parametrize("text", ["\0", "a\0", "\0a", "a\0b", "\\\0", "\0" * 36])
def test_u0000_in_text_is_refused(text):
    """Rule: "U+0000 anywhere in a string ... that would reach Postgres -> `nul_character`", in each text column."""
    for name in ("joinUrl", "meetingId", "mediaRegion", "transcriptLanguage", "finalizationStatus"):
        assert refusal_of(VIDEO_SESSIONS, changed(SESSION, **{name: {"S": text}})) == only("nul_character", name)
    assert refusal_of(SOAP_NOTES, changed(NOTE, aiModel={"S": text})) == only("nul_character", "aiModel")
    assert refusal_of(SOAP_NOTES, note(chiefComplaint={"S": text})) == only("nul_character", "soapData.chiefComplaint")
    assert refusal_of(MEETING_AUDIT, changed(AUDIT, eventType={"S": text})) == only("nul_character", "eventType")


TEXTS = {
    "scripts": "Ünïcödé 患者 Ελλάς рецепт مرحبا שלום हिन्दी ไทย",
    "four bytes": "👩🏽‍⚕️𝒳\U0010ffff",
    "quotes": "\"double\" 'single' `back` $$dollar$$",
    "white space": " \t\r\n\v\f\u00a0\u2028\u2029\ufeff ",
    "backslashes": "\\ \\\\ \\n \\. \\N \\x41",
    "literal u0000": "\\u0000 \\\\u0000",
    "controls": "".join(map(chr, range(1, 32))) + "\x7f\x80\x9f",
    "combining": "e\u0301 \u00e9 \u1e9b\u0323 \ufb01",
    "noncharacters": "\ufffe\uffff\ufdd0",
    "long": "ß" * 200_000,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_text_is_stored_byte_for_byte(text):
    """Rule: "Text is otherwise stored byte for byte, whatever the script, quotes, tabs, newlines, backslashes, 4-byte characters"."""
    assert row_of(VIDEO_SESSIONS, changed(SESSION, joinUrl={"S": text})).values["join_url"] == text
    row = row_of(SOAP_NOTES, changed(note(chiefComplaint={"S": text}), aiModel={"S": text}))
    assert (row.values["chief_complaint"], row.values["ai_model"]) == (text, text)
