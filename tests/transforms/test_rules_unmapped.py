"""Attributes that no column takes."""

import pytest
from sound_items import AUDIT, NOTE, NULL, SESSION, SOUND, Refusal, changed, note, only, refusal_of, row_of

from transforms.table import Unmapped
from transforms.tables.medzen import MEETING_AUDIT, SOAP_NOTES, TABLES, VIDEO_SESSIONS

NAMES = [
    "extra",
    "",
    " ",
    "a.b",
    ".",
    "soapData.plan",
    'q"q',
    "n\nn",
    "\t",
    "\\",
    "患者",
    "😀",
    "ID",
    "Id",
    "starttime",
    "start_time",
    "__class__",
    "S",
    "Item",
    "x" * 60_000,
]
VALUES = [{"S": ""}, {"N": "1"}, {"B": ""}, {"BOOL": False}, {"M": {}}, {"L": []}, {"SS": ["a"]}, {"NS": ["1"]}, {"BS": ["AA=="]}]
BY_TABLE = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.source)


@BY_TABLE
@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:20]))
def test_an_attribute_with_no_column_is_noticed(table, name):
    """An item with an attribute that no column takes is a row, and has a notice.

    Rule: "An attribute at the top level ... that no column takes is loaded without it and counted under notice `unmapped_attribute` with
    its name".
    """
    row = row_of(table, changed(SOUND[table.source]) | {name: {"S": "x"}})
    assert row.values == row_of(table, SOUND[table.source]).values
    assert row.notices == [("unmapped_attribute", name)]


@BY_TABLE
@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:20]))
def test_an_attribute_with_no_column_is_rejected_when_asked(table, name):
    """Rule: "`--unmapped=reject` makes it a dead letter `unmapped_attribute`"."""
    item = changed(SOUND[table.source]) | {name: {"S": "x"}}
    assert refusal_of(table, item, Unmapped.REJECT) == only("unmapped_attribute", name)


@pytest.mark.parametrize("name", [*NAMES, "id", "status", "soapData", "chiefcomplaint"], ids=lambda name: ascii(name[:20]))
def test_an_attribute_inside_soap_data(name):
    """Rule: "Or inside `soapData` beside the five named": the same, by its path."""
    item = note(**{name: {"S": "x"}})
    row = row_of(SOAP_NOTES, item)
    assert row.values == row_of(SOAP_NOTES, NOTE).values
    assert row.notices == [("unmapped_attribute", f"soapData.{name}")]
    assert refusal_of(SOAP_NOTES, item, Unmapped.REJECT) == only("unmapped_attribute", f"soapData.{name}")


@pytest.mark.parametrize("name", ["chiefComplaint", "plan"])
def test_a_component_outside_soap_data_feeds_no_column(name):
    """A top-level attribute with the name of a component is another attribute: it never reaches the component's column."""
    row = row_of(SOAP_NOTES, changed(NOTE, **{name: {"S": "x"}}))
    assert row.values == row_of(SOAP_NOTES, NOTE).values
    assert row.notices == [("unmapped_attribute", name)]


def test_attributes_of_other_tables_are_unmapped():
    """What another table's column takes is unmapped here."""
    assert row_of(MEETING_AUDIT, changed(AUDIT, status={"S": "ACTIVE"})).notices == [("unmapped_attribute", "status")]
    assert row_of(VIDEO_SESSIONS, changed(SESSION, timestamp={"N": "1"})).notices == [("unmapped_attribute", "timestamp")]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: next(iter(value)))
def test_of_any_type(value):
    """An attribute that no column takes may be of any type."""
    assert row_of(VIDEO_SESSIONS, changed(SESSION, extra=value)).notices == [("unmapped_attribute", "extra")]


def test_one_notice_per_item_and_name():
    """Rule: "One notice per item and name": three attributes, three notices; the next item counts anew."""
    item = changed(note(x={"S": "1"}, y={"S": "2"}), x={"S": "3"})
    expected = [("unmapped_attribute", "soapData.x"), ("unmapped_attribute", "soapData.y"), ("unmapped_attribute", "x")]
    for _ in range(2):
        assert row_of(SOAP_NOTES, item).notices == expected
    assert refusal_of(SOAP_NOTES, item, Unmapped.REJECT) == Refusal("transform", expected)


def test_a_null_attribute_is_not_there():
    """Rule: "Missing = the attribute is absent, or is `{"NULL": true}`. Both are treated alike": no notice, no dead letter."""
    for unmapped in Unmapped:
        assert row_of(VIDEO_SESSIONS, changed(SESSION, extra=NULL), unmapped).notices == []
        assert row_of(SOAP_NOTES, note(extra=NULL), unmapped).notices == []


def test_what_it_holds_does_not_matter():
    """An attribute that no column takes does not reach Postgres: U+0000 and bad numbers in it harm nothing."""
    for value in ({"S": "\0"}, {"N": "x"}, {"NS": ["+1"]}, {"M": {"\0": {"N": " "}}}):
        assert row_of(VIDEO_SESSIONS, changed(SESSION, extra=value)).notices == [("unmapped_attribute", "extra")]


def test_the_members_of_event_data_are_not_unmapped():
    """`eventData` is taken whole: nothing inside it is unmapped."""
    assert row_of(MEETING_AUDIT, changed(AUDIT, eventData={"M": {"x": {"S": "y"}}}), Unmapped.REJECT).notices == []
    assert row_of(SOAP_NOTES, note(plan={"M": {"x": {"S": "y"}}}), Unmapped.REJECT).notices == []


def test_soap_data_that_is_not_a_map_has_no_members():
    """Rule: "`soapData` not a map -> `wrong_type`": one error, with `--unmapped=reject` too; others of the item are listed beside it."""
    for unmapped in Unmapped:
        assert refusal_of(SOAP_NOTES, changed(NOTE, soapData={"S": "x"}), unmapped) == only("wrong_type", "soapData")
    refusal = refusal_of(SOAP_NOTES, changed(NOTE, soapData={"L": []}, extra={"S": "x"}), Unmapped.REJECT)
    assert refusal == Refusal("transform", [("unmapped_attribute", "extra"), ("wrong_type", "soapData")])
