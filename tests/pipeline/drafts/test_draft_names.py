"""Names in snake case, each once, as PostgreSQL takes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.drafts.names import RESERVED, quoted, snake_case, unlike
from tests.postgres_server import Database
from tests.strategies import BRIEF


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("createdAt", "created_at"),
        ("CreatedAt", "created_at"),
        ("created_at", "created_at"),
        ("ID", "id"),
        ("userID", "user_id"),
        ("URLPath", "url_path"),
        ("__typename", "typename"),
        ("_lastChangedAt", "last_changed_at"),
        ("Event#SubjectID#TimeStamp", "event_subject_id_time_stamp"),
        ("account-region", "account_region"),
        ("données", "donnees"),
        ("🏷️", "attribute"),
        ("2fa", "n2fa"),
        ("ctid", "ctid_"),
        ("order", "order"),
    ],
)
def test_snake_case(name: str, expected: str) -> None:
    assert snake_case(name, "attribute") == expected


def test_a_name_that_is_taken_gets_a_number() -> None:
    assert unlike("id", ["id", "id_2"]) == "id_3"
    assert unlike("n" * 63, ["n" * 63]) == "n" * 61 + "_2"


def test_long_names_are_cut_and_stay_apart() -> None:
    first, second = (snake_case("n" * 70 + end, "x") for end in ("a", "b"))
    assert len(first) == len(second) == 63
    assert first != second


@BRIEF
@given(st.text(min_size=1))
def test_any_name_becomes_one_that_needs_no_quotes_but_for_reserved_words(name: str) -> None:
    found = snake_case(name, "attribute")
    assert quoted(found) == (f'"{found}"' if found in RESERVED else found)


def test_the_reserved_words_are_postgresqls(database: Database) -> None:
    """Those that cannot be a column's name, or a table's, without quotes; and those that only may not be some."""
    words = {word for (word,) in database.query("SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')")}
    assert words <= RESERVED
