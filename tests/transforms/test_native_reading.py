"""The compiled way's own reading of JSON: of every spelling of a line it makes what the way in Python makes, or leaves the line to that."""

import itertools
import json
import random
from typing import Any

import pytest
from both_ways import compile_both_ways
from sound_items import AUDIT, NOTE, SESSION, SOUND, changed, line_of, note

from transforms.compile import ToRow
from transforms.rejects import ItemRefused
from transforms.tables.medzen import MEETING_AUDIT, SOAP_NOTES, TABLES, VIDEO_SESSIONS

TO_ROW = {table.source: compile_both_ways(table, migration_time=0) for table in TABLES}
SHORT = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
CHARACTERS = ["a", " ", "/", '"', "\\", "\b", "\f", "\n", "\r", "\t", "\x01", "\x1f", "\x7f", "\x80", "é", "\u07ff", "\u0800", "\ud7ff"]
CHARACTERS += ["\ue000", "\uffff", "\U00010000", "😀", "\U0010ffff"]


def written(value: Any, chance: random.Random) -> str:
    """JSON of a value, each character and each space in one of its spellings by chance."""

    def space() -> str:
        return chance.choice(["", "", "", " ", "\t", "\r", "\n", " \r\n\t "])

    match value:
        case str():
            return f'"{"".join(character(one, chance) for one in value)}"'
        case dict():
            members = [f"{space()}{written(name, chance)}{space()}:{space()}{written(one, chance)}{space()}" for name, one in value.items()]
            return f"{{{','.join(members) or space()}}}"
        case list():
            return f"[{','.join(f'{space()}{written(one, chance)}{space()}' for one in value) or space()}]"
    return json.dumps(value)


def character(one: str, chance: random.Random) -> str:
    units = one.encode("utf-16-be")
    codes = [int.from_bytes(units[place : place + 2]) for place in range(0, len(units), 2)]
    spellings = ["".join(f"\\u{code:04x}" for code in codes), "".join(f"\\u{code:04X}" for code in codes)]
    spellings += [SHORT[one]] * 3 if one in SHORT else []
    # Nearly always as itself, so that most names and tags are plain.
    if one >= " " and one not in '"\\':
        spellings += [one] * 60
    return chance.choice(spellings)


def text(chance: random.Random) -> str:
    return "".join(chance.choices(CHARACTERS, k=chance.choice([0, 1, 3, 8, 20])))


def document(chance: random.Random, depth: int = 0) -> dict[str, Any]:
    tag = chance.choice(["S", "S", "N", "BOOL", "NULL", "SS", "NS", "B"] + ["M", "L"] * (depth < 3))
    match tag:
        case "S" | "B":
            return {tag: text(chance)}
        case "N":
            return {tag: chance.choice(["0", "-1.50", "1E-3", "12345678901234567890"])}
        case "M":
            return {tag: {text(chance): document(chance, depth + 1) for _ in range(chance.randint(0, 4))}}
        case "L":
            return {tag: [document(chance, depth + 1) for _ in range(chance.randint(0, 4))]}
        case "SS" | "NS":
            return {tag: [text(chance) if tag == "SS" else "7" for _ in range(chance.randint(0, 3))]}
    return {tag: True}


def test_however_a_line_is_written() -> None:
    """Spaces, escapes and the order of attributes mean nothing. The seed is fixed, so what fails fails again."""
    chance = random.Random(8)
    rows = 0
    for _ in range(300):
        items = {
            VIDEO_SESSIONS.source: changed(SESSION, joinUrl={"S": text(chance)}, meetingId={"S": text(chance)}),
            SOAP_NOTES.source: note(chiefComplaint={"S": text(chance)}, plan=document(chance), objective=document(chance)),
            MEETING_AUDIT.source: changed(AUDIT, eventData=document(chance)),
        }
        for source, item in items.items():
            shuffled = dict(chance.sample(sorted(item.items()), len(item)))
            try:
                TO_ROW[source](written({"Item": shuffled}, chance).encode("utf-8", "surrogatepass"))
            except ItemRefused:
                continue
            rows += 1
    assert rows > 800


def outcome(to_row: ToRow, line: bytes) -> bool:
    """Whether the line is a row; both ways are compared in any case."""
    try:
        to_row(line)
    except ItemRefused:
        return False
    return True


def test_every_sequence_of_utf_8_at_its_bounds() -> None:
    """Overlong forms, surrogates, what lies beyond U+10FFFF and what is cut short is refused, all else a row."""
    line = line_of(note(chiefComplaint={"S": "<here>"}, plan={"S": "<here>"}))
    seconds, others = [b"", *map(bytes, zip(b"\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0"))], [b"", b"\x7f", b"\x80", b"\xbf", b"\xc0"]
    rows = 0
    for lead in range(0x80, 0x100):
        for tail in itertools.product(seconds, others, others):
            sequence = bytes([lead]) + b"".join(tail)
            is_row = outcome(TO_ROW[SOAP_NOTES.source], line.replace(b"<here>", sequence))
            assert is_row == is_utf_8(sequence), sequence
            rows += is_row
    assert rows > 1_000


def is_utf_8(sequence: bytes) -> bool:
    try:
        sequence.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.source)
def test_every_line_with_a_byte_changed(table: Any) -> None:
    """In each place, each byte that JSON cares for."""
    line = line_of(SOUND[table.source]).strip()
    for place in range(len(line)):
        for byte in b'"\\{}[]:,0x\x00\xff ':
            outcome(TO_ROW[table.source], line[:place] + bytes([byte]) + line[place + 1 :])


@pytest.mark.parametrize("control", range(0x20))
def test_control_characters_must_be_escaped(control: int) -> None:
    """Wherever they stand in a text, the eight bytes that are looked at together included; escaped, all but U+0000 are kept."""
    line = line_of(note(chiefComplaint={"S": "<here>"}, plan={"S": "<here>"}))
    for place in range(20):
        text = b"a" * place + bytes([control]) + b"a" * (19 - place)
        assert not outcome(TO_ROW[SOAP_NOTES.source], line.replace(b"<here>", text))
        escaped = text.replace(bytes([control]), b"\\u%04x" % control)
        assert outcome(TO_ROW[SOAP_NOTES.source], line.replace(b"<here>", escaped)) == (control > 0)


@pytest.mark.parametrize("control", range(0x20))
def test_control_characters_at_the_very_end_of_a_line(control: int) -> None:
    """Where fewer than eight bytes are left."""
    last = changed({name: value for name, value in SESSION.items() if name != "joinUrl"}, joinUrl={"S": "<here>"})
    line = line_of(last).strip()
    assert line.endswith(b'<here>"}}}')
    assert not outcome(TO_ROW[VIDEO_SESSIONS.source], line.replace(b"<here>", bytes([control])))


ESCAPES = {
    r"\ud83d\ude00": True,
    r"\uD83D\uDE00": True,
    r"\udbff\udfff": True,
    r"\ud800\udc00": True,
    r"\ud83d": False,
    r"\udbff": False,
    r"\ude00": False,
    r"\udfff": False,
    r"\ud83dx": False,
    r"\ud83d\u0041": False,
    r"\ud83d\ud83d": False,
    r"\ud83d\udbff": False,
    r"\ud83d\ue000": False,
    r"\ud83d\n": False,
    r"\ud7ff": True,
    r"\ue000": True,
    r"\uffff": True,
    r"\u0000": False,
    r"\u00g0": False,
    r"\u 041": False,
    r"\u+041": False,
    r"\u004": False,
    r"\x41": False,
    r"\v": False,
    r"\'": False,
    r"\/": True,
}


@pytest.mark.parametrize(("escape", "is_row"), ESCAPES.items())
def test_escapes(escape: str, is_row: bool) -> None:
    """Of text and of documents: what JSON knows, whole pairs of surrogates, and not U+0000."""
    for member in ("chiefComplaint", "plan"):
        line = line_of(note(**{member: {"S": "<here>"}})).decode()
        for text in (escape, f"before {escape} behind"):
            assert outcome(TO_ROW[SOAP_NOTES.source], line.replace("<here>", text).encode()) == is_row


TWICE = [
    '{"M":{"a":{"S":"1"},"a":{"S":"2"}}}',
    '{"M":{"a":{"S":"1"},"\\u0061":{"S":"2"}}}',
    '{"M":{"a":{"N":"x"},"a":{"S":"2"}}}',
    '{"M":{"a":{"S":"1"},"b":{"S":"3"},"a":{"N":"x"}}}',
    '{"S":"1","S":"2"}',
    '{"N":"x","S":"2"}',
    '{"NULL":true,"S":"2"}',
    '{"NULL":true,"NULL":true}',
    '{"NULL":false}',
    '{"S":"1"},"plan":{"S":"2"}',
    '{"S":"1"},"pl\\u0061n":{"S":"2"}',
    '{"S":"1"},"other":{"S":"2"},"other":{"NULL":true}',
    '{"S":"1"},"other":[}',
    '{"S":"1"},"other":{"S":"a\\u00zz"}',
    '{"S":"1"},"other":"',
    '{"S":"1"},"other":1',
    '{"S":"1"},"other":{"S":1e5}',
]


@pytest.mark.parametrize("plan", TWICE)
def test_names_that_come_twice_and_attributes_that_nobody_looks_into(plan: str) -> None:
    """Both ways say the same; what is no JSON is refused wherever it stands."""
    line = line_of(note(plan={"S": "<plan>"})).replace(b'{"S":"<plan>"}', plan.encode())
    outcome(TO_ROW[SOAP_NOTES.source], line)
    outcome(TO_ROW[SOAP_NOTES.source], line.replace(b'{"Item":', b'{"Item":{},"Item":'))


@pytest.mark.parametrize("members", [1, 255, 256, 257, 3_000])
def test_maps_of_many_members(members: int) -> None:
    """And the same with the first name once more at the end."""
    names = [f'"{number}":{{"N":"{number}"}}' for number in range(members)]
    for inner in (names, [*names, names[0]]):
        line = line_of(note(plan={"S": "<plan>"})).replace(b'{"S":"<plan>"}', f'{{"M":{{{",".join(inner)}}}}}'.encode())
        assert outcome(TO_ROW[SOAP_NOTES.source], line) == (inner is names)


def test_the_document_round_the_item() -> None:
    """One member, of this name, and nothing behind it but space."""
    item = json.dumps(NOTE)
    for line in (
        f'{{"Item":{item}}} \r\n\t',
        f'{{"Item":{item}}}x',
        f'{{"Item":{item}}}{{}}',
        f'{{"Item":{item},"Item":{item}}}',
        f'{{"Item":{item},"Other":1}}',
        f'{{"Other":1,"Item":{item}}}',
        f'{{"item":{item}}}',
        f'{{"\\u0049tem":{item}}}',
        f'\ufeff{{"Item":{item}}}',
        f"[{item}]",
        '{"Item":{}}',
        '{"Item":{ }}',
        '{"Item":{,}}',
        f'{{"Item":{item[:-1]},}}}}',
        "{}",
        "",
    ):
        outcome(TO_ROW[SOAP_NOTES.source], line.encode())
