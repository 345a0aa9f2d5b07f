"""Garbage is looked for wherever a load makes some."""

from __future__ import annotations

import gc
import sys
from functools import partial
from pathlib import Path

import apache_beam as beam
import pytest

from pipeline.engines.engine import run_pipeline
from pipeline.engines.garbage import importing_beam


def test_collections_stop_for_imports_and_go_on_after_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when an import fails or is interrupted."""
    monkeypatch.delitem(sys.modules, "apache_beam")

    def be_interrupted() -> None:
        with importing_beam():
            assert not gc.isenabled()
            raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt):
            be_interrupted()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


def test_what_is_imported_already_freezes_nothing_more() -> None:
    """What an earlier table's job left behind may go."""
    before = gc.get_freeze_count()
    with importing_beam():
        assert gc.isenabled()
    assert gc.get_freeze_count() == before


def test_a_worker_collects_its_own_garbage(tmp_path: Path) -> None:
    """The process that it was forked from does not."""

    def define(root: beam.Pipeline) -> None:
        note = partial(_note, told=tmp_path / "told")
        _ = root | beam.Create([1], reshuffle=False) | beam.Reshuffle() | beam.Map(note)

    run_pipeline(define, [], 2, "ddb2pg-garbage")

    enabled, imported = (tmp_path / "told").read_text().split()
    assert (enabled, int(imported) > 100_000) == ("True", True)


def _note(_element: int, told: Path) -> None:
    told.write_text(f"{gc.isenabled()} {gc.get_freeze_count()}")
