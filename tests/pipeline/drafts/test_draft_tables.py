"""From items to tables: keys, columns, single-table designs, and what only repeats others."""

from __future__ import annotations

import pickle
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from pipeline.drafts.infer import KnownKey, TableName, infer
from pipeline.drafts.render import to_python, to_sql
from pipeline.drafts.survey import MOST_KINDS, ByPrefixes, Survey
from tests.pipeline.drafts.drafted import NOT_ASKED, column_of, propose, row_counts, survey_of, table_of
from tests.pipeline.drafts.made_items import Item, line_of, shop


def plain(count: int = 50, **more: object) -> list[Item]:
    return [{"id": {"S": f"item {number}"}, "size": {"N": str(number % 7)}, **more} for number in range(count)]  # type: ignore[dict-item]


# -- keys ----------------------------------------------------------------------------------------------------------------------------------


def test_a_key_is_guessed_by_what_does_not_repeat() -> None:
    proposal = propose(plain())
    assert proposal.tables[0].key == ("id",)
    assert proposal.tables[0].key_columns == ("id",)
    assert proposal.remarks[0] == "that the key is id is a guess, as nobody was asked: it is in all 50 items, and no value comes twice"


def test_an_id_that_repeats_is_a_key_with_what_sorts_it() -> None:
    items = [{"id": {"S": f"item {number // 2}"}, "at": {"N": str(1_735_134_334_000 + number)}} for number in range(40)]
    assert propose(items).tables[0].key == ("id", "at")


def test_a_guess_that_the_sample_made_and_all_items_refute_is_none() -> None:
    """The plan comes from a part of the items."""
    items = plain(20)
    survey = survey_of(items)
    survey.add_line(line_of(items[0]))
    assert survey.keys[("id",)].repeated == 1
    assert infer(survey, "Items", TableName("public", None), NOT_ASKED).tables[0].key_columns == ()


def test_without_a_key_rows_are_numbered() -> None:
    items = [{"word": {"S": f"word {number % 3}"}} for number in range(30)]
    proposal = propose(items)
    assert proposal.tables[0].key_columns == ()
    assert "row_number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY" in to_sql([proposal])
    assert "migrate refuses such a table" in to_sql([proposal])


def test_a_kind_without_the_key_has_it_too() -> None:
    """Its items are dead letters; without a key `migrate` would refuse the whole definition."""
    damaged: list[Item] = [{"colour": {"S": "red"}}, {"colour": {"S": "blue"}}]
    of_the_others = propose([*shop(), *damaged]).tables[-1]
    assert (of_the_others.items, of_the_others.key, of_the_others.key_columns) == (2, ("PK", "SK"), ("pk", "sk"))
    assert [column.is_required for column in of_the_others.columns[:2]] == [True, True]
    assert column_of(of_the_others, "pk").remarks == ("in none of these items, so all of them are dead letters",)


def test_a_key_that_is_known_stands_above_all_guesses() -> None:
    proposal = propose(plain(), known=KnownKey(("size",), "DescribeTable says so"))
    assert proposal.tables[0].key == ("size",)
    assert proposal.remarks[0] == "the key is size: DescribeTable says so"


def test_a_key_that_no_item_has_is_another_tables() -> None:
    assert propose(plain(), known=KnownKey(("pk",), "DescribeTable says so")).tables[0].key == ("id",)


# -- columns -------------------------------------------------------------------------------------------------------------------------------


def test_presence_says_what_takes_null() -> None:
    items = [{**item, "note": {"NULL": True} if number % 2 else {"S": f"text {number}"}} for number, item in enumerate(plain())]
    [table] = propose(items).tables
    assert column_of(table, "size").is_required
    note = column_of(table, "note")
    assert not note.is_required
    assert note.remarks == ("in 25 of 50 items (25 as NULL)",)


def test_names_that_fold_alike_get_numbers() -> None:
    items = plain(userId={"S": "a"}, user_id={"S": "b"}, UserID={"S": "c"}, rest={"S": "d"})
    names = [column.name for column in propose(items).tables[0].columns]
    assert sorted(names) == ["id", "rest", "rest_2", "size", "user_id", "user_id_2", "user_id_3"]
    assert column_of(propose(items).tables[0], "rest_2").source == "REST"


def test_what_few_items_have_goes_to_the_rest() -> None:
    items = plain(2_000)
    items[7]["legacy"] = {"S": "x"}
    [table] = propose(items).tables
    assert column_of(table, "legacy").is_left_out
    assert '# Column("legacy", "legacy", Text()),' in to_python([propose(items)])


def test_names_that_look_like_data_have_no_column() -> None:
    items = plain()
    items[3]["4815162342"] = {"S": "x"}
    proposal = propose(items)
    assert "4815162342" not in to_python([proposal])
    assert proposal.tables[0].remarks == ("1 other attribute name, too long, too rare or with the look of data: in the rest",)


def test_amplifys_attributes_and_times_to_live_are_recognised() -> None:
    items = plain(
        _version={"N": "3"},
        _lastChangedAt={"N": "1735134334581"},
        _deleted={"BOOL": True},
        _ttl={"N": "1735134334"},
        __typename={"S": "Post"},
    )
    [table] = propose(items).tables
    assert all("AWS Amplify" in column_of(table, name).remarks[-1] for name in ("version", "last_changed_at", "deleted", "ttl", "typename"))
    assert column_of(table, "last_changed_at").rule.call == "Timestamp()"
    [other] = propose(plain(expiresAt={"N": "1735134334"})).tables
    assert "time to live" in column_of(other, "expires_at").remarks[-1]


# -- single-table designs ------------------------------------------------------------------------------------------------------------------


def test_kinds_of_items_are_told_apart_by_an_attribute() -> None:
    proposal = propose(shop(), "Shop")
    assert [(table.name, table.items) for table in proposal.tables] == [("order", 300), ("customer", 60)]
    assert table_of(proposal, "order").where == 'Equals("entity", "ORDER")'
    assert {column.name for column in table_of(proposal, "customer").columns} >= {"email", "points", "birth_date"}
    assert "email" not in {column.name for column in table_of(proposal, "order").columns}


def test_kinds_of_items_are_told_apart_by_their_keys() -> None:
    items = [{name: value for name, value in item.items() if name != "entity"} for item in shop()]
    proposal = propose(items, "Shop", target="shop")
    assert table_of(proposal, "shop_order").where == 'AllOf(BeginsWith("PK", "CUSTOMER#"), BeginsWith("SK", "ORDER#"))'
    assert table_of(proposal, "shop_customer").where == 'AllOf(BeginsWith("PK", "CUSTOMER#"), Equals("SK", "PROFILE"))'


def test_no_item_meets_the_conditions_of_two_kinds() -> None:
    """Not where one kind's sort key begins with anything: `5` beside `ORDER#1`. Each item is in one table, and none is in two."""
    orders = [item for item in shop() if item["SK"]["S"] != "PROFILE"]
    readings = [
        {
            "PK": {"S": f"CUSTOMER#{number}"},
            "SK": {"S": str(number)},
            "level": {"N": "5"},
            "unit": {"S": "cm"},
            "sensor": {"S": f"s {number}"},
        }
        for number in range(40)
    ]
    items = [*({name: value for name, value in item.items() if name != "entity"} for item in orders), *readings]
    proposal = propose(items, "Shop")
    assert [table.where for table in proposal.tables] == [
        'AllOf(BeginsWith("PK", "CUSTOMER#"), BeginsWith("SK", "ORDER#"))',
        'AllOf(BeginsWith("PK", "CUSTOMER#"), Not(AllOf(BeginsWith("PK", "CUSTOMER#"), BeginsWith("SK", "ORDER#"))))',
    ]
    assert sorted(row_counts(proposal, items)) == [40, 300]


def test_a_kind_of_few_items_is_in_a_table_of_all_others() -> None:
    """Its name may be anybody's."""
    items = [*shop(), *({"PK": {"S": f"MARKER#{number}"}, "SK": {"S": "X"}, "entity": {"S": "MARKER"}} for number in range(3))]
    proposal = propose(items, "Shop")
    others = table_of(proposal, "shop_others")
    assert (others.items, others.where) == (3, 'Not(In("entity", ("ORDER", "CUSTOMER",)))')
    assert "MARKER" not in to_python([proposal])


def test_a_type_that_changes_nothing_is_a_column() -> None:
    items = [{**item, "type": {"S": ("IN", "OUT")[number % 2]}} for number, item in enumerate(plain())]
    [table] = propose(items).tables
    assert column_of(table, "type").remarks == ("2 different values in 50 items",)


def test_parts_of_keys_get_columns_where_nothing_else_says_them() -> None:
    order = table_of(propose(shop(), "Shop"), "order")
    assert column_of(order, "order").source == 'Part("SK", "ORDER#{order}#{part_2}", "order")'
    assert column_of(order, "order").rule.call == "Date()"
    assert "made of CUSTOMER#{customerId}" in column_of(order, "pk").remarks
    assert not any(column.source.startswith('Part("PK"') for column in order.columns)


def test_the_key_of_an_index_that_only_repeats_has_no_column() -> None:
    customer = table_of(propose(shop(), "Shop"), "customer")
    left_out = column_of(customer, "gsi1_pk")
    assert left_out.is_left_out
    assert left_out.remarks[0] == "made of EMAIL#{email}"


def test_an_index_key_that_says_more_keeps_its_column() -> None:
    items = shop()
    items[3]["GSI1PK"] = {"S": "EMAIL#another@example.org"}
    customer = table_of(propose(items, "Shop"), "customer")
    assert not column_of(customer, "gsi1_pk").is_left_out


def test_one_users_name_in_all_keys_is_no_literal() -> None:
    items = [{"pk": {"S": f"USER#alice#{number}"}, "size": {"N": "1"}} for number in range(50)]
    assert "alice" not in to_python([propose(items)])


# -- several processes ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cuts", [(0, 1, 360), (0, 30, 100, 359, 360)])
def test_files_put_together_in_any_order_propose_the_same(cuts: tuple[int, ...]) -> None:
    items = shop()
    Random(3).shuffle(items)
    whole = survey_of(items)
    expected = propose(items, "Shop")
    parts = []
    for begin, end in pairwise(cuts):
        part = Survey(whole.plan)
        for item in items[begin:end]:
            part.add_line(line_of(item))
        parts.append(pickle.loads(pickle.dumps(part)))  # noqa: S301 - our own bytes
    for order in (parts, parts[::-1]):
        merged = Survey(whole.plan)
        for part in order:
            merged.merge(part)
        assert infer(merged, "Shop", TableName("public", None), NOT_ASKED) == expected


def test_of_very_many_kinds_those_that_are_kept_do_not_depend_on_the_order() -> None:
    items = [{"PK": {"S": f"K{'x' * (number % 40)}#{number}"}, "SK": {"S": "A"}} for number in range(400)]
    plan = survey_of(shop()).plan
    plan = replace(plan, discriminator=ByPrefixes(("PK",)))
    found = []
    for ordered in (items, items[::-1]):
        survey = Survey(plan)
        for item in ordered:
            survey.add_line(line_of(item))
        found.append({name: kind.statistics.items for name, kind in survey.kinds.items()})
    assert found[0] == found[1]
    assert len(found[0]) == MOST_KINDS + 1
    assert sum(found[0].values()) == 400
