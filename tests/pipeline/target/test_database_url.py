"""References to a database: looked up where they are used, and they hold no secret."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from pipeline.errors import Refused
from pipeline.target.database_url import DatabaseReference, keep_given_url

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
