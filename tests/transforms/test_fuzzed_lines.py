"""Lines made of sound items by chance: each is the row that the slow reference makes of it, or refused by both; nothing else is raised."""

import copy
import json
import random
from collections import Counter
from typing import Any

import pytest
from reference_conversion import parse, reference_row
from sound_items import MIGRATION_TIME, SOUND, T1, UUID_2, to_row

from transforms.reject import ItemRefused
from transforms.table import Table
from transforms.tables import TABLES

TEXTS = ["", "x", "\0", "a\0b", "\\", '"', "\u2028", "😀", "ß", "é", "ı", UUID_2, UUID_2.upper(), UUID_2[:-1], f" {UUID_2}", "\r\n", "NULL"]
TEXTS += ["DRAFT", "ACTIVE", "active", "call_joined", "COMPLETED", "\\N", "\\.", "\x1b[2J", "true", "1", "'; DROP TABLE x; --"]
NUMBERS = [T1, "0", "-0", "1E3", "1.7E12", "1717230000000.001", "1717230000000.0001", "946684800000", "946684799999.999", "4102444800000"]
NUMBERS += ["4102444800000.001", "1E126", "9.9E125", "1E-130", "1E-131", "01", "+1", ".5", "1.", "1e", "NaN", "Infinity", " 1", "1_0", "٣"]
NUMBERS += ["", "123456789012345678901234567890123456789", "0E400", "1e99999999999"]
PIECES = [b"", b'"', b"{", b"}", b"[", b"]", b":", b",", b"\\", b"\\u0000", b"\\ud800", b"\\ud83d\\ude00", b"\xef\xbb\xbf", b"\0", b"\xff"]
PIECES += [b"null", b"true", b"NaN", b"1", b" ", b"\t", b"\r", b'{"S":"x"}', b'"Item":', b'"id":{"S":"x"},', b'"NULL":true']


def any_value(chance: random.Random, depth: int = 0) -> Any:
    """An attribute value, mostly sound."""
    tag = chance.choice(["S", "N", "BOOL", "NULL", "B", "SS", "NS", "BS", "odd", "bare"] + ["M", "L"] * 2 * (depth < 3))
    if tag == "bare":
        return chance.choice(["", 1, None, True, [], {}, {"S": "x", "N": "1"}])
    content: Any
    match tag:
        case "S" | "B":
            content = chance.choice(TEXTS)
        case "N":
            content = chance.choice(NUMBERS)
        case "BOOL":
            content = chance.choice([True, False])
        case "NULL":
            content = chance.choice([True, True, False, None])
        case "SS" | "BS":
            content = chance.choices(TEXTS, k=chance.randint(0, 3))
        case "NS":
            content = chance.choices(NUMBERS, k=chance.randint(0, 3))
        case "M":
            content = {chance.choice(["a", "plan", "", "a\0", "é"]): any_value(chance, depth + 1) for _ in range(chance.randint(0, 3))}
        case "L":
            content = [any_value(chance, depth + 1) for _ in range(chance.randint(0, 3))]
        case "odd":
            tag, content = chance.choice(["S", "N", "X", "s", ""]), chance.choice(["", 1, None, True, [], {}, [1], 1.5])
    return {tag: content}


def mutated_item(chance: random.Random, item: dict[str, Any]) -> dict[str, Any]:
    """One to three attributes of it, or of its map, are others, gone, or new."""
    mutant = copy.deepcopy(item)
    inside = [mutant] + [value["M"] for value in mutant.values() if "M" in value]
    for _ in range(chance.randint(1, 3)):
        attributes = chance.choice(inside)
        name = chance.choice([*sorted(attributes), "other", ""])
        attributes.pop(name, None)
        if chance.random() < 0.8:
            attributes[name] = any_value(chance)
    return mutant


def mutated_line(chance: random.Random, item: dict[str, Any]) -> bytes:
    """Of a mutated item; every other one with bytes changed."""
    if chance.random() < 0.8:
        item = mutated_item(chance, item)
    line = json.dumps({"Item": item}, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    for _ in range(chance.choice([0, 0, 1, 2])):
        place = chance.randint(0, len(line))
        line = line[:place] + chance.choice(PIECES) + line[place + chance.choice([0, 0, 1, 2, 5]) :]
    return line


@pytest.mark.parametrize("lines", [7_000, pytest.param(340_000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])])
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.source)
def test_a_fuzzed_line_is_the_reference_s_row_or_refused_by_both(table: Table, lines: int) -> None:
    """The seed is fixed, so what fails fails again."""
    chance = random.Random(f"{table.source} {lines}")
    outcomes: Counter[str] = Counter()
    jsonb = {"subjective", "objective", "assessment", "plan", "event_data"}
    for _ in range(lines):
        line = mutated_line(chance, SOUND[table.source])
        expected = reference_row(table.source, line, MIGRATION_TIME)
        try:
            row = to_row(table, line)
        except ItemRefused:
            assert expected is None, line
            outcomes["refused"] += 1
            continue
        found = {name: parse(value.encode()) if name in jsonb and value is not None else value for name, value in row.values.items()}
        assert repr(found) == repr({name: expected[name] for name in found} if expected else None), line
        outcomes["rows"] += 1

    assert min(outcomes["rows"], outcomes["refused"]) > lines / 20, outcomes
    print(dict(outcomes))
