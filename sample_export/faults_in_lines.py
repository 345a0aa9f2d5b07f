"""Lines that are not one JSON object: what the read stage refuses as `invalid_json`, without an attribute."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from sample_export.draft import Draft
from sample_export.faults_in_columns import Planter

# Far beyond DynamoDB's own 32 levels and any parser's limit.
_LEVELS = 2_000


def _in_a_string(inserted: bytes) -> Callable[[bytes, Random], bytes]:
    """Insert bytes at the beginning of some S."""

    def change(line: bytes, random: Random) -> bytes:
        parts = line.split(b'"S":"')
        at = random.randrange(1, len(parts)) if len(parts) > 1 else 0
        parts[at] = inserted + parts[at]
        return b'"S":"'.join(parts)

    return change


def _one_more_attribute(member: bytes) -> Callable[[bytes, Random], bytes]:
    return lambda line, _: b"%b,%b}}" % (line[:-2], member)


_CHANGES: dict[str, Callable[[bytes, Random], bytes]] = {
    "byte_order_mark": lambda line, _: b"\xef\xbb\xbf" + line,
    "two_objects": lambda line, _: line + line,
    "two_objects_apart": lambda line, _: line + b" {}",
    "text_after": lambda line, _: line + b" x",
    "bare_list": lambda line, _: b"[%b]" % line,
    "bare_string": lambda _l, _r: b'"Item"',
    "bare_number": lambda _l, _r: b"17",
    "bare_null": lambda _l, _r: b"null",
    "nan": _one_more_attribute(b'"score":{"N":NaN}'),
    "infinity": _one_more_attribute(b'"score":{"N":-Infinity}'),
    "unpaired_high_surrogate": _in_a_string(b"\\ud800"),
    "unpaired_low_surrogate": _in_a_string(b"\\udc00x"),
    "reversed_surrogates": _in_a_string(b"\\ude00\\ud83d"),
    "latin_1": _in_a_string(b"caf\xe9 "),
    "overlong_utf_8": _in_a_string(b"\xc0\x80"),
    "surrogate_in_utf_8": _in_a_string(b"\xed\xa0\x80"),
    "raw_tab": _in_a_string(b"\t"),
    "raw_nul": _in_a_string(b"\x00"),
    "unknown_escape": _in_a_string(b"\\x41"),
    "cut_line": lambda line, random: line[: random.randrange(1, len(line))],
    "trailing_comma": lambda line, _: line[:-1] + b",}",
    "single_quotes": lambda line, _: line.replace(b'"', b"'"),
    "nested_too_deep": _one_more_attribute(b'"deep":' + b'{"L":[' * _LEVELS + b"]}" * _LEVELS),
    "blank_line": lambda _l, _r: b"",
}


def line_faults() -> dict[str, Planter]:
    """The faults of lines, by name; every table can have them all."""
    return {f"invalid_json.{name}": _planter(change) for name, change in _CHANGES.items()}


def _planter(change: Callable[[bytes, Random], bytes]) -> Planter:
    def plant(draft: Draft, random: Random) -> bool:
        line = change(draft.to_line(), random)
        # Blank lines at the end of a file are not items.
        if (not line and draft.is_last) or not draft.claim("line"):
            return False
        draft.line = line
        draft.read_error = ("invalid_json", None)
        return True

    return plant
