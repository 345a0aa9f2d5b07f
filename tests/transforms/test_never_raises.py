"""`compile_table`: "the function raises `ReadRefused` and `TransformRefused`, and nothing else on any input"."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sound_items import SOUND, line_of, to_row
from strategies import BRIEF, json_documents, mutated_items, mutated_lines, odd_values

from transforms.rejects import ItemRefused
from transforms.table import Unmapped
from transforms.tables.medzen import TABLES

BY_TABLE = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.source)
# What the dead-letter table allows of the two stages that an item alone can fail.
CODES = {
    "read": {"invalid_json", "not_an_item"},
    "transform": {
        "missing_required",
        "wrong_type",
        "invalid_uuid",
        "invalid_enum",
        "invalid_timestamp",
        "timestamp_out_of_range",
        "invalid_number",
        "nul_character",
        "unmapped_attribute",
    },
}
NOTICES = {"timestamp_defaulted", "malformed_meeting_id", "unknown_event_type", "empty_uuid_as_null", "unmapped_attribute"}


def check(table, line):
    """Rule: "Every item of an export ends in exactly one place: a row or a dead letter".

    A whole row, or errors of the stage's own codes.
    """
    for unmapped in Unmapped:
        try:
            row = to_row(table, line, unmapped)
        except ItemRefused as refused:
            check_refusal(refused)
        else:
            assert {code for code, _ in row.notices} <= NOTICES
            assert len(row.notices) == len(set(row.notices))


def check_refusal(refused):
    """The errors are of the stage's own codes, at least one, one for the read stage, one an attribute."""
    codes = [str(error.code) for error in refused.errors]
    assert codes
    assert set(codes) <= CODES[str(refused.stage)]
    assert str(refused.stage) == "transform" or len(codes) == 1
    assert all(error.message and error.sqlstate is None for error in refused.errors)
    named = [error.attribute for error in refused.errors]
    assert len(named) == len(set(named))


@BY_TABLE
@BRIEF
@given(line=st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes(table, line):
    """Arbitrary bytes end as a row or a refusal, and so far always as a refusal of stage `read`."""
    check(table, line)


@BY_TABLE
@BRIEF
@given(document=json_documents, inside=st.sampled_from(["line", "item", "id"]))
def test_any_json(table, document, inside):
    """Arbitrary JSON as the line, as the item, or as an attribute value ends as a row or a refusal."""
    if inside == "id":
        document = SOUND[table.source] | {"id": document}
    check(table, json.dumps(document if inside == "line" else {"Item": document}).encode())


@BY_TABLE
@BRIEF
@given(data=st.data())
def test_any_mutation_of_a_sound_item(table, data):
    """A sound item with attributes taken away, replaced or added ends as a row or a refusal."""
    check(table, line_of(data.draw(mutated_items(SOUND[table.source]))))


@BY_TABLE
@BRIEF
@given(data=st.data())
def test_any_mutation_of_a_sound_line(table, data):
    """A sound line with bytes cut, doubled or changed ends as a row or a refusal."""
    check(table, data.draw(mutated_lines(SOUND[table.source])))


@BY_TABLE
@BRIEF
@given(value=odd_values, name=st.sampled_from(["plan", "subjective", "chiefComplaint", "billing", ""]))
def test_any_value_inside_soap_data(table, value, name):
    """Any value inside `soapData` ends as a row or a refusal, in the tables that do not know it, too."""
    check(table, line_of(SOUND[table.source] | {"soapData": {"M": {name: value}}}))


@BY_TABLE
def test_every_cut_of_a_sound_line(table):
    """A line cut at any byte is refused: no part of an item is taken for an item."""
    line = line_of(SOUND[table.source]).strip()
    for end in range(len(line)):
        with pytest.raises(ItemRefused):
            to_row(table, line[:end])
