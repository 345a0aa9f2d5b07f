"""The examples of how `follow` is started again and again: they are what systemd and GitHub read, and their commands are ours."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from pipeline.commands.parser import make_parser, with_underscores
from pipeline.options import FollowOptions, make_options

DEPLOY = Path(__file__).parents[3] / "deploy"
SERVICE, TIMER = (DEPLOY / "systemd" / f"ddb2pg-follow.{kind}" for kind in ("service", "timer"))
WORKFLOW = DEPLOY / "github" / "ddb2pg-follow.yml"


def _parsed(line: str) -> FollowOptions:
    """Of a command line of ours, after the name of the program."""
    parser = make_parser()
    arguments, unknown = parser.parse_known_args(with_underscores(shlex.split(line)))
    assert arguments.command.name == "follow"
    assert unknown == []
    return make_options(FollowOptions, arguments, unknown)


def _settings(unit: Path) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", unit.read_text(), flags=re.MULTILINE))


def test_the_service_runs_one_cycle_and_too_early_is_no_failure() -> None:
    settings = _settings(SERVICE)
    options = _parsed(settings["ExecStart"].partition(" ")[2])
    assert options.once
    assert settings["SuccessExitStatus"] == "TEMPFAIL"
    assert settings["Type"] == "oneshot"
    assert SERVICE.stem == TIMER.stem


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    """But for the program, which is not installed there: so another one stands for it."""
    for unit in (SERVICE, TIMER):
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/ddb2pg/.venv/bin/ddb2pg", "/bin/true"))
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))], capture_output=True, text=True, check=False
    )
    assert verified.returncode == 0, verified.stderr
    assert "ddb2pg" not in verified.stderr


def test_the_workflow_runs_one_cycle_and_too_early_is_no_failure(tmp_path: Path) -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text())
    # YAML 1.1, which this library reads, takes the key for a truth value.
    assert workflow[True]["schedule"][0]["cron"].split()[1:] == ["*"] * 4
    (script,) = [step["run"] for step in workflow["jobs"]["follow"]["steps"] if step.get("name") == "follow"]
    (line,) = re.findall(r"ddb2pg (follow .*?) \|\|", script)
    options = _parsed(line)
    assert options.once
    assert options.output_given.is_in_s3
    program = tmp_path / "ddb2pg"
    for code, left in ((0, 0), (75, 0), (3, 3), (2, 2), (1, 1)):
        program.write_text(f"#!/bin/sh\nexit {code}\n")
        program.chmod(0o700)
        # As GitHub runs it.
        ended = subprocess.run(["bash", "-e", "-c", script], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False)
        assert ended.returncode == left


def test_the_least_length_of_a_window_is_one_that_dynamodb_exports() -> None:
    assert _parsed("follow --to s3://b/p --every=1440").every == 1440
    for minutes in ("14", "1441", "x"):
        with pytest.raises(SystemExit):
            _parsed(f"follow --to s3://b/p --every={minutes}")
