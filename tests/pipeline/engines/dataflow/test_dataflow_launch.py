"""A launcher that nobody waits for, as the command line is called there."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest

from pipeline.cli import main
from sample_export import write_sample_exports
from tests.dataflow_service import DataflowService
from tests.pipeline.engines.dataflow.conftest import SECRET
from tests.postgres_server import Database

LAUNCHER = Path(__file__).parents[4] / "deploy" / "dataflow" / "flex-template" / "launch.py"


@pytest.fixture
def arguments(tmp_path: Path, database: Database, service: DataflowService, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """As a template's launcher gives them."""
    monkeypatch.setenv("OF_THE_TEST", database.url)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    write_sample_exports(tmp_path / "export", items=50, seed=24, faulty=0, odd=0, tables=["medzen-video-sessions"])
    secret = f"--database_secret=gcp-secretmanager:{SECRET}"
    places = [f"--export={tmp_path / 'export'}", f"--output={tmp_path / 'out'}", "--shared_folders", secret]
    return [*places, *service.options(tmp_path / "bucket"), f"--template_location={tmp_path / 'job.json'}", "--job_name=of-the-template"]


def test_the_launcher_writes_the_job_and_ends(
    arguments: list[str], tmp_path: Path, service: DataflowService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Dataflow starts it then, under the name that the template was run with. Nothing is loaded yet."""
    monkeypatch.setattr(sys, "argv", [str(LAUNCHER), *arguments])

    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(LAUNCHER), run_name="__main__")

    assert ended.value.code == 0
    assert json.loads((tmp_path / "job.json").read_text())["name"] == "of-the-template"
    assert f"written to {tmp_path / 'job.json'}, and begins when this launch has ended" in capsys.readouterr().out
    assert service.jobs == []


def test_a_launcher_without_a_job_says_why(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Dataflow takes that for a failure, so it is one."""
    assert main(["migrate", *arguments[:3], "--database_secret=env:OF_THE_TEST"]) == 0

    assert main(["migrate", *arguments]) == 2
    assert "No job is left to be sent: every table is loaded" in capsys.readouterr().err
    assert not (tmp_path / "job.json").exists()


def test_what_cannot_be_without_waiting_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", *arguments, "--validate=full"]) == 2
    assert "--validate=full is a job that must be waited for" in capsys.readouterr().err

    assert main(["migrate", *arguments[:3], "--database_secret=env:OF_THE_TEST", "--no_wait"]) == 2
    assert "--no_wait is for --runner=DataflowRunner" in capsys.readouterr().err
