"""By what a change finds its row: `Keys`, old images, or nothing, which is said when the definition is compiled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from transforms.changes import FindsBy, compile_changes, how_changes_find_rows
from transforms.lines import View
from transforms.rules import Char, Citext, Domain, Double, Jsonb, Text, Timestamp, UuidV5, Varchar
from transforms.sources import ELEMENT, ITEM, LOWER, Computed, Joined, LaterOf, Parent, Part
from transforms.table import Child, Column, Missing, Otherwise, Table
from transforms.tables.medzen import MEETING_AUDIT, SOAP_NOTES, VIDEO_SESSIONS
from transforms.where import AllOf, AnyOf, BeginsWith, Equals, Exists, In, Not

NAMESPACE = "6ba7b811-9dad-11d1-80b4-00c04fd430c8"
ORDER = "C#{customer}#O#{order}"


def table(*columns: Column, key: tuple[str, ...] = ("PK", "SK"), children: tuple[Child, ...] = ()) -> Table:
    return Table("source", "orders", key, (Column("other", "other", Text()), *columns), children=children)


def column(source: Any, name: str, rule: Any = None, **more: Any) -> Column:
    return Column(source, name, rule or Text(), more.pop("missing", Missing.REFUSED), **more)


def test_the_tables_of_medzen() -> None:
    """Two events of one id and other times are two items, and share a key in the target."""
    assert how_changes_find_rows(VIDEO_SESSIONS, ("id",)).by is FindsBy.KEYS
    assert how_changes_find_rows(SOAP_NOTES, ("id",)).by is FindsBy.KEYS
    finding = how_changes_find_rows(MEETING_AUDIT, ("id",))
    assert finding.by is FindsBy.OLD_IMAGES
    assert "its key (id) does not keep timestamp of DynamoDB's key (id, timestamp)" in finding.sentence
    assert "ExportViewType NEW_AND_OLD_IMAGES" in finding.sentence
    with pytest.raises(ValueError, match="only old images do"):
        compile_changes(MEETING_AUDIT, key=("id",), view=View.NEW_IMAGE, migration_time=0)
    compile_changes(MEETING_AUDIT, key=("id",), view=View.NEW_AND_OLD_IMAGES, migration_time=0)


PATHS = (column("PK", "pk"), column("SK", "sk"))


@pytest.mark.parametrize(
    ("columns", "key"),
    [
        (PATHS, ("pk", "sk")),
        (PATHS, ("sk", "pk")),
        ((*PATHS, column(None, "kind", missing=Otherwise("order"))), ("kind", "pk", "sk")),
        ((column(Joined(("PK", "SK")), "id"),), ("id",)),
        ((column(Joined(("PK", "SK")), "id", UuidV5(NAMESPACE)),), ("id",)),
        ((column(Computed(dict, ("PK", "SK")), "id"),), ("id",)),
        (
            (column(Part("PK", ORDER, "customer"), "c"), column(Part("PK", ORDER, "order"), "o"), column("SK", "sk", Varchar(9))),
            ("c", "o", "sk"),
        ),
    ],
)
def test_a_key_of_the_whole_of_dynamodbs_is_found_in_every_view(columns: tuple[Column, ...], key: tuple[str, ...]) -> None:
    assert how_changes_find_rows(table(*columns), key) == (FindsBy.KEYS, "", ())


@pytest.mark.parametrize(
    ("where", "by"),
    [
        (Equals("SK", "PROFILE"), FindsBy.KEYS),
        (In("SK", ("PROFILE",)), FindsBy.KEYS),
        (AllOf(Exists("x"), AllOf(Equals("SK", "PROFILE"))), FindsBy.KEYS),
        (None, FindsBy.OLD_IMAGES),
        (In("SK", ("PROFILE", "OTHER")), FindsBy.OLD_IMAGES),
        (BeginsWith("SK", "PROFILE"), FindsBy.OLD_IMAGES),
        (AnyOf(Equals("SK", "PROFILE"), Exists("x")), FindsBy.OLD_IMAGES),
        (Not(Equals("SK", "PROFILE")), FindsBy.OLD_IMAGES),
        (Equals("SK.x", "PROFILE"), FindsBy.OLD_IMAGES),
        (Equals("x", "PROFILE"), FindsBy.OLD_IMAGES),
    ],
)
def test_what_the_condition_pins_need_not_be_in_the_key(where: Any, by: FindsBy) -> None:
    """A customer's profile, beside its orders, in one DynamoDB table."""
    assert how_changes_find_rows(replace(table(*PATHS), where=where), ("pk",)).by is by


@pytest.mark.parametrize(
    ("columns", "key", "why"),
    [
        (PATHS, ("pk",), "does not keep SK"),
        ((column(None, "one", missing=Otherwise("1")),), ("one",), "does not keep PK, SK"),
        ((column(Part("PK", ORDER, "order"), "o"), column("SK", "sk")), ("o", "sk"), "does not keep PK"),
        ((column("PK", "pk", Citext()), column("SK", "sk")), ("pk", "sk"), "does not keep PK"),
        ((column("PK", "pk", Domain("d", Citext())), column("SK", "sk")), ("pk", "sk"), "does not keep PK"),
        ((column("PK", "pk", Char(9)), column("SK", "sk", Double())), ("pk", "sk"), "does not keep PK, SK"),
        ((column("PK", "pk", clean=LOWER), column("SK", "sk")), ("pk", "sk"), "does not keep PK"),
        ((*PATHS, column("other", "o")), ("pk", "sk", "o"), "o of its key is not made of DynamoDB's key (PK, SK) alone"),
        ((column(Joined(("PK", "SK", "other")), "id"),), ("id",), "id of its key is not made of"),
        ((*PATHS, column("PK.x", "o")), ("pk", "sk", "o"), "o of its key is not made of"),
        ((column(ITEM, "doc", Jsonb()),), ("doc",), "doc of its key is not made of"),
        ((column(LaterOf("PK", "SK"), "at", Timestamp()),), ("at",), "does not keep PK, SK"),
        ((column("other", "x"), column("third", "y")), ("x", "y"), "x, y of its key are not made of"),
    ],
)
def test_else_old_images_are_needed(columns: tuple[Column, ...], key: tuple[str, ...], why: str) -> None:
    """Another item may have the same key, or the item had another one before."""
    finding = how_changes_find_rows(table(*columns), key)
    assert finding.by is FindsBy.OLD_IMAGES
    assert finding.sentence.startswith("orders: ")
    assert why in finding.sentence


@pytest.mark.parametrize(
    ("columns", "key", "words"),
    [
        (PATHS, (), "orders: has no primary key"),
        (PATHS, ("pk", "row"), "row of its primary key is filled by no column"),
        (
            (*PATHS, column("SK", "at", Timestamp(), missing=Missing.MIGRATION_TIME)),
            ("pk", "at"),
            "at of its primary key is the time of the load",
        ),
    ],
)
def test_a_row_that_cannot_be_found_is_refused(columns: tuple[Column, ...], key: tuple[str, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        how_changes_find_rows(table(*columns), key)
    with pytest.raises(ValueError, match=words):
        compile_changes(table(*columns), key=key, view=View.NEW_AND_OLD_IMAGES, migration_time=0)


def child(*columns: Column) -> Child:
    return Child("lines", "order_line", (column(ELEMENT, "v"), *columns))


def test_children_are_found_by_the_columns_that_hold_the_parents_key() -> None:
    of_parent = (
        column(Parent("SK"), "order_sk"),
        column(None, "kind", missing=Otherwise("o")),
        column(Parent("PK"), "order_pk", missing=Missing.NULL),
    )
    whole = table(*PATHS, column(None, "kind", missing=Otherwise("o")), children=(child(*of_parent), child(*of_parent[::-1])))

    assert how_changes_find_rows(whole, ("pk", "sk", "kind")).child_keys == (("order_pk", "order_sk", "kind"),) * 2


@pytest.mark.parametrize("source", [Part("PK", "C#{customer}", "customer"), Joined(("PK", "SK")), Computed(dict, ("PK", "SK"))])
def test_children_are_found_by_what_is_made_of_the_parents_key(source: Any) -> None:
    of_parent = (column(source, "id"), column("SK", "sk"))
    of_child = child(column(Parent("SK"), "order_sk"), column(Parent(source), "order_id"))

    assert how_changes_find_rows(table(*of_parent, children=(of_child,)), ("id", "sk")).child_keys == (("order_id", "order_sk"),)


@pytest.mark.parametrize(
    ("of_child", "lacking"),
    [
        ((column(Parent("PK"), "pk"),), "sk"),
        ((column(Parent("PK"), "pk"), column("SK", "sk")), "sk"),
        ((column(Parent("PK"), "pk"), column(Parent("SK"), "sk", Varchar(9))), "sk"),
        ((column(Parent("PK"), "pk"), column(Parent("SK"), "sk", clean=LOWER)), "sk"),
        ((), "pk, sk"),
    ],
)
def test_children_that_cannot_be_found_are_refused(of_child: tuple[Column, ...], lacking: str) -> None:
    """All of a changed item's are replaced, so it must be known which they are."""
    with pytest.raises(ValueError, match=f"order_line: has no column that holds {lacking} of orders's primary key"):
        how_changes_find_rows(table(*PATHS, children=(child(*of_child),)), ("pk", "sk"))


def test_a_constant_of_the_key_is_the_same_in_its_children() -> None:
    of_child = (*(column(Parent(name), name) for name in ("PK", "SK")), column(None, "kind", missing=Otherwise("x")))
    of_parent = table(*PATHS, column(None, "kind", missing=Otherwise("o")), children=(child(*of_child),))
    with pytest.raises(ValueError, match="holds kind of"):
        how_changes_find_rows(of_parent, ("pk", "sk", "kind"))


def test_a_default_in_the_key_is_the_same_in_its_children() -> None:
    """Of an item without the attribute the row has what the parent's rule says, and its child rows what theirs does."""

    def whole(in_child: str) -> Table:
        of_child = (*(column(Parent(name), name) for name in ("PK", "SK")), column(Parent("kind"), "kind", missing=Otherwise(in_child)))
        return table(*PATHS, column("kind", "kind", missing=Otherwise("o")), children=(child(*of_child),))

    assert how_changes_find_rows(whole("o"), ("pk", "sk", "kind")).child_keys == (("PK", "SK", "kind"),)
    with pytest.raises(ValueError, match="holds kind of"):
        how_changes_find_rows(whole("x"), ("pk", "sk", "kind"))
