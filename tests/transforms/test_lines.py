"""`transforms/lines.py`: what a line says about one key, and that another kind of export is one more reader."""

import pytest
from both_ways import compile_in_python
from sound_items import AUDIT, line_of

from transforms.compile import compile_key, compile_table
from transforms.lines import Put, item_of_line, read_change_line, read_full_export_line, reverse_change_line
from transforms.rejects import ErrorCode, ReadRefused
from transforms.tables.medzen import MEETING_AUDIT


def test_a_line_becomes_its_item():
    """`read_full_export_line` gives the attributes as they are, not yet looked at."""
    assert read_full_export_line(line_of(AUDIT)) == Put(AUDIT)
    assert read_full_export_line(b'{"Item":{"a":5}}') == Put({"a": 5})
    assert read_full_export_line(b'{"Item":{}}') == Put({})


@pytest.mark.parametrize(
    ("line", "code"), [(b"", "invalid_json"), (b"[]", "invalid_json"), (b"{}", "not_an_item"), (b'{"Item":[]}', "not_an_item")]
)
def test_a_line_that_is_no_item(line, code):
    """`read_full_export_line` raises `ReadRefused` with one error that names no attribute and no column."""
    with pytest.raises(ReadRefused) as caught:
        read_full_export_line(line)
    (error,) = caught.value.errors
    assert (str(error.code), error.attribute, error.column, error.sqlstate) == (code, None, None, None)


def read_prefixed(line: bytes) -> Put:
    """Lines of another format: a word, then the line of a full export."""
    word, _, rest = line.partition(b" ")
    if word != b"put":
        raise ReadRefused.because(ErrorCode.INVALID_JSON, "the line is not one of this format")
    return read_full_export_line(rest)


@pytest.mark.parametrize("compiler", [compile_table, compile_in_python])
def test_another_format_is_one_more_reader(compiler):
    """The same rows and refusals come of it; a line of a full export is none of its lines, so the compiled module is not asked."""
    line = line_of(AUDIT)
    to_row = compiler(MEETING_AUDIT, migration_time=0, read=read_prefixed)
    assert to_row(b"put " + line) == compile_table(MEETING_AUDIT, migration_time=0)(line)
    with pytest.raises(ReadRefused):
        to_row(line)
    to_key = compile_key(MEETING_AUDIT, ["id"], read_prefixed)
    assert to_key(b"put " + line) == compile_key(MEETING_AUDIT, ["id"])(line)
    assert to_key(line) is None


@pytest.mark.parametrize(
    ("line", "item"),
    [
        (b'{"Item":{"a":{"S":"x"}}}', {"a": {"S": "x"}}),
        (b'{"Metadata":7,"Keys":{},"OldImage":{"a":1},"NewImage":{"a":2}}', {"a": 2}),
        (b'{"Keys":{},"OldImage":{"a":1}}', {"a": 1}),
        (b'{"Keys":{},"OldImage":{"a":1},"NewImage":7}', {"a": 1}),
        *((line, None) for line in (b"", b"[]", b"{}", b'{"Keys":{"a":1}}', b'{"Item":{},"x":1}', b'{"NewImage":{}}', b'{"Item":7}')),
        (b'{"Keys":{},"NewImage":{"a":1,"a":2}}', None),
        (b'{"Keys":{},"Keys":{},"NewImage":{"a":1}}', None),
    ],
)
def test_the_item_that_a_line_of_any_export_is_about(line, item):
    """Which is what is shown of a dead letter."""
    assert item_of_line(line) == item


@pytest.mark.parametrize(
    "line",
    [
        b'{"Metadata":{"WriteTimestampMicros":{"N":"5"}},"Keys":{"a":{"S":"k"}},"OldImage":{"a":{"S":"k"},"b":{"S":"NewImage"}},'
        b'"NewImage":{"a":{"S":"k"},"b":{"S":"}\\",\\"OldImage\\":{"}}}',
        b' { "NewImage" : {"a": {"S": "k"}} , "Keys":{"a":{"S":"k"}},"Metadata":{"WriteTimestampMicros":{"N":"5"}} } ',
        b'{"Metadata":{"WriteTimestampMicros":{"N":"5"}},"Keys":{"a":{"S":"k"}},"Old\\u0049mage":{"a":{"S":"k"},"n":{"N":"1.50"}}}',
    ],
)
def test_a_change_reversed_has_its_images_swapped(line):
    """As they are written, whatever is in them; and reversed again it is the change."""
    change = read_change_line(line, ("a",))
    assert change.old != change.new
    reversed_line = reverse_change_line(line)
    assert read_change_line(reversed_line, ("a",)) == change._replace(old=change.new, new=change.old)
    assert read_change_line(reverse_change_line(reversed_line), ("a",)) == change
