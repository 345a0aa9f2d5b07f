"""References to a database: looked up where they are used, and they hold no secret."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from pipeline.errors import Refused
from pipeline.target.database_url import DatabaseReference, keep_given_url, safe_words

URL = "postgresql://someone:t0psecret@somewhere/db"


def test_a_variable_and_a_file_are_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file may end with a newline."""
    monkeypatch.setenv("SOME_URL", URL)
    (tmp_path / "url").write_text(f"{URL}\n")

    assert DatabaseReference("env:SOME_URL").url() == URL
    assert DatabaseReference(f"file:{tmp_path}/url").url() == URL


@pytest.mark.parametrize("text", ["env:NOT_SET_ANYWHERE", "file:/not/there", URL, "", "env"])
def test_what_cannot_be_looked_up_is_refused(text: str) -> None:
    """A URL in the place of a reference is refused without being quoted."""
    with pytest.raises(Refused) as caught:
        DatabaseReference(text).url()

    assert "t0psecret" not in str(caught.value)


def test_a_reference_travels_without_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its text nor its pickle holds the password."""
    monkeypatch.delenv("DDB2PG_DATABASE_URL", raising=False)
    reference = keep_given_url(URL)

    assert b"t0psecret" not in pickle.dumps(reference)
    assert "t0psecret" not in repr(reference)
    assert pickle.loads(pickle.dumps(reference)).url() == URL  # noqa: S301 - our own bytes


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("pgbouncer=true&connection_limit=1", "the parameters pgbouncer, connection_limit, which"),
        ("sslmode=require&schema=public", "the parameter schema, which"),
        ("pgbouncer=t0psecret", "the parameter pgbouncer, which"),
    ],
)
def test_parameters_of_other_programs_are_named(query: str, words: str) -> None:
    """Dashboards give them; the rest of the URL is sound, and no value of it is told."""
    said = safe_words(Exception("whatever libpq says: t0psecret"), f"{URL}?{query}")

    assert words in said
    assert "t0psecret" not in said


@pytest.mark.parametrize("password", ["a?pgbouncer=1", "a@b?pgbouncer=true", "a/b", "a#b"])
def test_a_password_that_is_not_encoded_is_no_parameter(password: str) -> None:
    """Nothing of it is told as the name of one."""
    said = safe_words(Exception("whatever"), f"postgresql://someone:{password}@somewhere/db?pgbouncer=true")

    assert "percent-encoded" in said
    assert "pgbouncer" not in said
