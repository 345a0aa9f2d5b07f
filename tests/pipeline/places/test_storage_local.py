"""What is special about folders of this machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.places.place import StorageFailed
from pipeline.places.storage import Storage


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    """Of the files in it nobody knows: to pass it over would be to lose them in silence."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.json").touch()
    (tmp_path / "data").chmod(0)
    tmp_path.chmod(0o755)

    said = _as_nobody(lambda: list(Storage().files_below(str(tmp_path / "data"))))

    assert f"{tmp_path / 'data'}: the folder cannot be read" in said


def _as_nobody(work: Callable[[], object]) -> str:
    """What another user is told; root may read everything."""
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        if os.geteuid() == 0:
            os.seteuid(65534)
        try:
            work()
            said = "nothing"
        except StorageFailed as failed:
            said = str(failed)
        os.write(write_end, said.encode())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as answer:
        said = answer.read()
    os.wait()
    return said


@pytest.mark.parametrize(("uri", "better"), [("file:///somewhere/x", "give /somewhere/x"), ("S3://bucket/key", "give s3://bucket/key")])
def test_an_uri_that_is_nearly_right_is_told_how_it_is_right(uri: str, better: str) -> None:
    """In place of looking for a library that nobody needs."""
    with pytest.raises(StorageFailed, match=better):
        list(Storage().files_below(uri))
