"""Fixtures: visits in a plain loop, and the plainest target."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pipeline.target.made_loads import PLAIN
from tests.plain_windows import use_plain_visits
from tests.postgres_server import Database


@pytest.fixture(scope="module")
def plain_visits() -> Iterator[None]:
    """For files that start no Beam job."""
    with pytest.MonkeyPatch.context() as patch:
        use_plain_visits(patch)
        yield


@pytest.fixture
def thing(bare: Database) -> Database:
    bare.execute(PLAIN)
    return bare
