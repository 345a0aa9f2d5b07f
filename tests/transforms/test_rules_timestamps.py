"""`docs/tables.md`, timestamps: spelling, exactness, bounds."""

from fractions import Fraction

import pytest
from both_ways import compile_both_ways
from hypothesis import example, given
from hypothesis import strategies as st
from sound_items import AUDIT, NOTE, SESSION, changed, line_of, only, refusal_of, row_of
from strategies import MODERATE, json_numbers

from transforms.rejects import TransformRefused
from transforms.tables.medzen import MEETING_AUDIT, SOAP_NOTES, VIDEO_SESSIONS

MILLISECONDS_2000 = 946_684_800_000
MILLISECONDS_2100 = 4_102_444_800_000


def start_time(text: str) -> int:
    """Microseconds since 1970 of a session's start."""
    return row_of(VIDEO_SESSIONS, changed(SESSION, startTime={"N": text})).values["start_time"]


def refused(text: str) -> str:
    """The code of the one error that a session with this start has."""
    refusal = refusal_of(VIDEO_SESSIONS, changed(SESSION, startTime={"N": text}))
    ((code, attribute),) = refusal.errors
    assert (refusal.stage, attribute) == ("transform", "startTime")
    return code


SPELLINGS = {
    "1700000000000": 1_700_000_000_000_000,
    "1.7E12": 1_700_000_000_000_000,
    "1.7e12": 1_700_000_000_000_000,
    "1.7E+12": 1_700_000_000_000_000,
    "1.7E+0012": 1_700_000_000_000_000,
    "17E11": 1_700_000_000_000_000,
    "0.0017E15": 1_700_000_000_000_000,
    "17000000000000000E-4": 1_700_000_000_000_000,
    "1700000000000.0": 1_700_000_000_000_000,
    "1700000000000.5": 1_700_000_000_000_500,
    "1700000000000.125": 1_700_000_000_000_125,
    "1700000000000.001": 1_700_000_000_000_001,
    "1700000000000.999": 1_700_000_000_000_999,
    "1700000000000.1250000000000000000000000": 1_700_000_000_000_125,
    "1700000000000." + "0" * 5_000: 1_700_000_000_000_000,
    "1700000000000.1" + "0" * 400_000: 1_700_000_000_000_100,
    "17" + "0" * 5_011 + "E-5000": 1_700_000_000_000_000,
    "0." + "0" * 100 + "17E113": 1_700_000_000_000_000,
    "999999999999": 999_999_999_999_000,
    "1000000000000": 1_000_000_000_000_000,
}


@pytest.mark.parametrize(("text", "microseconds"), SPELLINGS.items(), ids=lambda value: str(value)[:32])
def test_any_numeric_spelling(text, microseconds):
    """Rule: "In any numeric spelling DynamoDB allows (`1700000000000`, `1.7E12`, a fraction). Stored exactly to the microsecond"."""
    assert start_time(text) == microseconds


@pytest.mark.parametrize(
    "text",
    [
        "1700000000000.0001",
        "1700000000000.1255",
        "1700000000000.0005",
        "1700000000000.9999",
        "1700000000000.00000000000000000000000000001",
        "1700000000000." + "0" * 400_000 + "1",
        "17000000000000001E-4",
    ],
    ids=lambda text: text[:40],
)
def test_finer_than_a_microsecond_is_refused(text):
    """Rule: "A finer fraction -> `invalid_timestamp`": neither rounded nor cut, however small the rest is."""
    assert refused(text) == "invalid_timestamp"


def test_the_bounds_are_valid():
    """Rule: "2000-01-01T00:00:00Z and 2100-01-01T00:00:00Z themselves are valid timestamps", however they are spelled."""
    for bound in (MILLISECONDS_2000, MILLISECONDS_2100):
        for text in (str(bound), f"{bound}.000", f"{bound // 100}E2", f"{bound}0E-1"):
            assert start_time(text) == bound * 1000
    assert start_time(f"{MILLISECONDS_2000}.001") == MILLISECONDS_2000 * 1000 + 1
    assert start_time(str(MILLISECONDS_2000 + 1)) == (MILLISECONDS_2000 + 1) * 1000
    assert start_time(f"{MILLISECONDS_2100 - 1}.999") == MILLISECONDS_2100 * 1000 - 1
    assert start_time(str(MILLISECONDS_2100 - 1)) == (MILLISECONDS_2100 - 1) * 1000


OUT_OF_RANGE = [
    str(MILLISECONDS_2000 - 1),
    f"{MILLISECONDS_2000 - 1}.999",
    str(MILLISECONDS_2100 + 1),
    f"{MILLISECONDS_2100}.001",
    "0",
    "-0",
    "-0.0",
    "0.0",
    "0E-999999999",
    "0E0",
    "-1",
    "-1700000000000",
    "1700000000",
    "1700000000000000",
    "9999999999999",
    "1E125",
    "9.9E125",
    "-9.9E125",
    "1" + "0" * 125,
]


@pytest.mark.parametrize("text", OUT_OF_RANGE, ids=lambda text: text[:32])
def test_outside_the_bounds_is_refused(text):
    """Rule: "Outside 2000-01-01 .. 2100-01-01 UTC -> `timestamp_out_of_range`".

    One millisecond and one microsecond outside, and far outside.
    """
    assert refused(text) == "timestamp_out_of_range"


NOT_NUMBERS = [
    "",
    "+1700000000000",
    "0946684800000",
    "01700000000000",
    "001",
    "-01",
    ".5",
    "5.",
    "1700000000000.",
    "-",
    "--1",
    "1e",
    "1E+",
    "E12",
    "1.7E1.2",
    "abc",
    "0x18BCFE56800",
    "1_700_000_000_000",
    "1,700,000,000,000",
    "1700000000000L",
    "NaN",
    "Infinity",
    "-Infinity",
    "inf",
    "sNaN",
    "null",
    "true",
    " 1700000000000",
    "1700000000000 ",
    "1700000000000\n",
    "\t1700000000000",
    "1700 000000000",
    "1700000000000\0",
    "17000000000\u0660\u0660",
    "\uff11\uff17" + "\uff10" * 11,
    "\u0661\u0667" + "\u0660" * 11,
    "\u00b9700000000000",
    "17000000000\u00b2\u00b2",
    "\u22121",
    "2024-06-01T10:00:00Z",
    "1E126",
    "1E-131",
    "1E99999999999999999999",
    "1E-99999999999999999999",
    "-1E99999999999999999999",
    "1" + "0" * 126,
    "9" * 5_000,
    "9" * 400_000,
]


@pytest.mark.parametrize("text", NOT_NUMBERS, ids=lambda text: ascii(text[:24]))
def test_a_timestamp_that_is_no_number_is_refused(text):
    """Rule: "The text of an `N` must be a JSON number ... and inside DynamoDB's range; else `invalid_number`, in a timestamp too"."""
    assert refused(text) == "invalid_number"


@pytest.mark.parametrize(
    ("name", "column"), [("startTime", "start_time"), ("endTime", "end_time"), ("createdAt", "created_at"), ("updatedAt", "updated_at")]
)
def test_the_same_rules_for_each_timestamp_of_a_session(name, column):
    """Each timestamp attribute goes to its own column, by the same rules."""
    assert row_of(VIDEO_SESSIONS, changed(SESSION, **{name: {"N": "1.7E12"}})).values[column] == 1_700_000_000_000_000
    for text, code in (("17E8", "timestamp_out_of_range"), ("1700000000000.00001", "invalid_timestamp"), ("1e", "invalid_number")):
        assert refusal_of(VIDEO_SESSIONS, changed(SESSION, **{name: {"N": text}})) == only(code, name)


@pytest.mark.parametrize(
    ("name", "column"), [("aiGeneratedAt", "ai_generated_at"), ("createdAt", "created_at"), ("updatedAt", "updated_at")]
)
def test_the_same_rules_for_each_timestamp_of_a_note(name, column):
    """Each timestamp attribute goes to its own column, by the same rules."""
    assert row_of(SOAP_NOTES, changed(NOTE, **{name: {"N": "1.7E12"}})).values[column] == 1_700_000_000_000_000
    for text, code in (("17E8", "timestamp_out_of_range"), ("1700000000000.00001", "invalid_timestamp"), ("1e", "invalid_number")):
        assert refusal_of(SOAP_NOTES, changed(NOTE, **{name: {"N": text}})) == only(code, name)


@pytest.mark.parametrize("name", ["timestamp", "createdAt"])
def test_the_same_rules_for_each_timestamp_of_an_audit_item(name):
    """The two timestamps of an audit item keep to the same rules, whichever is the later."""
    for text, code in (("17E8", "timestamp_out_of_range"), ("1700000000000.00001", "invalid_timestamp"), ("1e", "invalid_number")):
        assert refusal_of(MEETING_AUDIT, changed(AUDIT, **{name: {"N": text}})) == only(code, name)


@pytest.mark.parametrize(
    ("text", "seconds", "microseconds"),
    [
        ("1700000000", True, False),
        ("946684800", True, False),
        ("4102444800", True, False),
        ("1.7E9", True, False),
        ("1700000000.5", True, False),
        ("1700000000000000", False, True),
        ("946684800000000", False, True),
        ("4102444800000000", False, True),
        ("0", False, False),
        ("-1700000000", False, False),
        ("946684799", False, False),
        ("4102444801", False, False),
        ("946684799999999", False, False),
        ("1700000000000000000", False, False),
        ("1E125", False, False),
    ],
)
def test_the_message_names_the_plausible_unit(text, seconds, microseconds):
    """Rule: "The message says so when the value would be plausible as seconds or microseconds", and only then."""
    to_row = compile_both_ways(VIDEO_SESSIONS, migration_time=0)
    with pytest.raises(TransformRefused) as caught:
        to_row(line_of(changed(SESSION, startTime={"N": text})))
    (error,) = caught.value.errors
    plausible = error.message.partition("plausible")[2]
    assert ("microsecond" in plausible) is microseconds
    assert ("second" in plausible.replace("microsecond", "").replace("millisecond", "")) is seconds


def oracle(text: str) -> set[str | int]:
    """What may become of a timestamp, by exact arithmetic: its microseconds, or a code; either code where both apply."""
    microseconds = Fraction(text) * 1000
    codes = set()
    if microseconds.denominator != 1:
        codes.add("invalid_timestamp")
    if not MILLISECONDS_2000 <= microseconds / 1000 <= MILLISECONDS_2100:
        codes.add("timestamp_out_of_range")
    return codes or {int(microseconds)}


@st.composite
def timestamp_texts(draw: st.DrawFn) -> str:
    """Spellings of numbers in and near the valid range."""
    whole = draw(
        st.integers(MILLISECONDS_2000 - 3, MILLISECONDS_2000 + 3)
        | st.integers(MILLISECONDS_2100 - 3, MILLISECONDS_2100 + 3)
        | st.integers(0, 5 * 10**12)
    )
    digits = f"{whole}{draw(st.text('0123456789', max_size=6) | st.sampled_from(['000', '001', '999', '5', '0' * 40 + '1']))}"
    fraction = len(digits) - len(str(whole))
    point = draw(st.integers(1, len(digits)))
    exponent = len(digits) - fraction - point
    mantissa = str(int(digits[:point])) + (f".{digits[point:]}" if point < len(digits) else "")
    if exponent == 0 and draw(st.booleans()):
        return mantissa
    return f"{mantissa}{draw(st.sampled_from('eE'))}{'+' if exponent >= 0 and draw(st.booleans()) else ''}{exponent}"


@MODERATE
@given(timestamp_texts() | json_numbers(max_exponent=130))
@example("1700000000000.0005")
@example("9007199254740993")
def test_timestamps_agree_with_exact_fractions(text):
    """Rule: "Integer or decimal arithmetic only: no float on the way": every spelling agrees with `fractions.Fraction`."""
    expected = oracle(text)
    try:
        found = start_time(text)
    except TransformRefused as refusal:
        (found,) = (str(error.code) for error in refusal.errors)
        if found == "invalid_number":
            value = abs(Fraction(text))
            assert value != 0
            assert not Fraction(10) ** -130 <= value < Fraction(10) ** 126
            return
    assert found in expected
