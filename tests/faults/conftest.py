"""Fixtures of the faults: one export for many of them, and what is concluded from one."""

from __future__ import annotations

from pathlib import Path

import pytest

from sample_export import write_sample_exports
from tests.faults.conclusion import Conclude

AUDIT = "medzen-meeting-audit"


@pytest.fixture(scope="session")
def audit_export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One table, faulty and unusual, with keys that conflict; --chunk_items=10 makes 45 chunks of it."""
    root = tmp_path_factory.mktemp("faults") / "export"
    write_sample_exports(root, items=450, seed=91, faulty=0.08, odd=0.1, items_per_file=150, tables=[AUDIT])
    return root


@pytest.fixture
def conclude(request: pytest.FixtureRequest) -> Conclude:
    return Conclude(request)
