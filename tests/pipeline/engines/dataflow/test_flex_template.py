"""deploy/dataflow: the template's parameters against the options of `migrate`, and what the image must have."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands.parser import make_parser

DEPLOY = Path(__file__).parents[4] / "deploy" / "dataflow"
METADATA = json.loads((DEPLOY / "flex-template" / "metadata.json").read_text())
# What `migrate` takes and the template does not, and why.
LEFT_OUT = {
    "help": "has no job",
    "json": "nobody reads a launcher's standard output",
    "quiet": "what a launcher prints is read when something is wrong",
    "database": "a URL must not be in a job's options",
    "no_wait": "a launcher never waits",
    "conflicts": "a launcher takes full exports only, which have none",
    "shared_folders": "Dataflow's workers share no disk with anybody",
}
OF_BEAM = {"sdk_container_image", "number_of_worker_harness_threads"}
"""All others are flags of `gcloud dataflow flex-template run`."""


def options_of_migrate() -> dict[str, argparse.Action]:
    [subparsers] = [action for action in make_parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return {action.option_strings[-1].removeprefix("--"): action for action in subparsers.choices["migrate"]._actions}


def parameters() -> dict[str, dict[str, Any]]:
    return {parameter["name"]: parameter for parameter in METADATA["parameters"]}


def test_every_option_of_migrate_is_a_parameter_or_left_out_on_purpose() -> None:
    """A new option cannot be forgotten."""
    assert set(parameters()) == (set(options_of_migrate()) - set(LEFT_OUT)) | OF_BEAM


@pytest.mark.parametrize("parameter", METADATA["parameters"], ids=lambda parameter: parameter["name"])
def test_a_parameter_says_what_it_is(parameter: dict[str, Any]) -> None:
    """The keys that Google's console and service read."""
    assert set(parameter) == {"name", "label", "helpText", "isOptional", "regexes"}
    assert parameter["label"]
    assert parameter["helpText"].endswith(".")
    assert all(re.compile(regex) and regex.startswith("^") and regex.endswith("$") for regex in parameter["regexes"])


def test_choices_of_options_are_those_of_the_parameters() -> None:
    """But a gate that compares every row: it is a job to be waited for."""
    for name, option in options_of_migrate().items():
        if option.choices and name in parameters():
            allowed = {choice for choice in [*option.choices, "other"] if matches(name, choice)}
            assert allowed == set(option.choices) - {"full"}


@pytest.mark.parametrize(
    ("name", "sound", "unsound"),
    [
        ("export", ["s3://bucket/exports", "gs://bucket", "medzen-video-sessions=gs://bucket/x"], ["exports", "https://x", ""]),
        ("output", ["s3://bucket/out", "gs://bucket"], ["out", "s3://"]),
        (
            "database_secret",
            ["gcp-secretmanager:projects/p/secrets/s", "gcp-secretmanager:projects/p/secrets/s/versions/3"],
            ["postgresql://u:p@h/d"],
        ),
        ("max_dead_letters", ["10", "5%", "0.05"], ["-1", "many"]),
        ("most_splits", ["1", "100"], ["0", "101"]),
        ("chunk_items", ["5000"], ["0", "1.5"]),
        ("aws_region", ["eu-central-1", "us-gov-west-1"], ["Frankfurt"]),
        ("endpoint_url", ["https://storage.example.org"], ["https://user:password@host"]),
    ],
)
def test_regexes_let_in_what_the_options_take(name: str, sound: list[str], unsound: list[str]) -> None:
    assert all(matches(name, text) for text in sound)
    assert not any(matches(name, text) for text in unsound)


def matches(name: str, text: str) -> bool:
    return all(re.search(regex, text) for regex in parameters()[name]["regexes"])


def test_what_must_be_given_is_no_option_of_the_template() -> None:
    needed = {name for name, parameter in parameters().items() if not parameter["isOptional"]}

    assert needed == {"export", "output", "database_secret", "sdk_container_image"}


def test_the_image_is_of_the_beam_and_python_that_are_pinned() -> None:
    """Launcher and workers must be of one version, and nothing is installed that has no hash."""
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    lock = (DEPLOY.parents[1] / "requirements.lock").read_text()

    [version] = re.findall(r"^apache-beam(?:\[[a-z,]+\])?==(\S+)", lock, flags=re.MULTILINE)
    assert f"apache/beam_python3.11_sdk:{version}" in dockerfile
    installs = re.findall(r"pip install (.*)", dockerfile)
    assert all("--require-hashes" in install or "--no-deps" in install for install in installs)
    copied = {name for line in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, flags=re.MULTILINE) for name in line.split()}
    assert all((DEPLOY.parents[1] / name).exists() for name in copied)
