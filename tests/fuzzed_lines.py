"""Lines made of sound items by chance: values, names and bytes that a parser or a conversion may stumble over, in any place."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

UUID_2 = "5f0c6a1e-0d1b-4a53-9d5e-0a4b6c7d8e9f"
TEXTS = ["", "x", "\0", "a\0b", "\\", '"', "\u2028", "😀", "ß", "é", "ı", UUID_2, UUID_2.upper(), UUID_2[:-1], f" {UUID_2}", "\r\n", "NULL"]
TEXTS += ["DRAFT", "ACTIVE", "active", "call_joined", "COMPLETED", "\\N", "\\.", "\x1b[2J", "true", "1", "'; DROP TABLE x; --"]
NUMBERS = ["1717230000000", "0", "-0", "1E3", "1.7E12", "1717230000000.001", "1717230000000.0001", "946684800000", "946684799999.999"]
NUMBERS += ["4102444800000", "4102444800000.001", "1E126", "9.9E125", "1E-130", "1E-131", "01", "+1", ".5", "1.", "1e", "NaN", "Infinity"]
NUMBERS += [" 1", "1_0", "٣", "", "123456789012345678901234567890123456789", "0E400", "1e99999999999"]
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
