"""Where benchmarks keep things: a cache for exports and environments, a folder for figures."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks.results import Results

_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ddb2pg-benchmarks"
_RESULTS = Path(__file__).resolve().parent / "results"


def numbers(text: str) -> list[int]:
    """The type of an option `N,N`."""
    return [int(number) for number in text.split(",")]


def add_places(parser: argparse.ArgumentParser) -> None:
    """The two options."""
    parser.add_argument("--cache", type=Path, default=_CACHE, help="folder for exports and environments (default: in the user's cache)")
    parser.add_argument("--results", type=Path, default=_RESULTS, help="folder for the figures (default: benchmarks/results)")


def results_file(arguments: argparse.Namespace, results: Results, subject: str) -> Path:
    """A new file, named by subject and time."""
    arguments.results.mkdir(parents=True, exist_ok=True)
    at = results.surroundings["machine"]["at"].replace("+00:00", "Z").replace(":", "").replace("-", "")
    path: Path = arguments.results / f"{subject}-{at}.json"
    return path
