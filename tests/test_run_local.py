"""The script of the first minute, from a folder with a space and an umlaut in its name; what it installs is installed already."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sample_export import write_sample_exports
from tests.postgres_server import Server

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "run_local.sh"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As a clone after its first run: the environment is the one of these tests."""
    clone = tmp_path / "mein Klön"
    (clone / ".venv").mkdir(parents=True)
    (clone / ".venv" / "bin").symlink_to(Path(sys.prefix) / "bin")
    for name in ("run_local.sh", "setup.py", "transforms"):
        (clone / name).symlink_to(ROOT / name)
    parts = [SCRIPT.with_name("setup.py"), *sorted((ROOT / "transforms" / "native").glob("*.[ch]"))]
    (clone / ".venv" / "installed").write_bytes(b"".join(part.read_bytes() for part in parts))
    return clone


def _run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """From elsewhere, in the C locale, with a home that has nothing in it."""
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    return subprocess.run(
        ["bash", str(folder / "run_local.sh"), *arguments],
        cwd=home,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_an_export_is_migrated_from_any_folder(folder: Path, server: Server, tmp_path: Path) -> None:
    """Options go to migrate, its exit code comes back, and the end says the verdict and what to type next."""
    write_sample_exports(tmp_path / "my export", items=60, seed=3, faulty=0.1)
    run = _run(folder, "--export", str(tmp_path / "my export"), "--direct_num_workers=1", DATABASE_URL=server.new_database().url)
    assert run.returncode == 3, run.stdout + run.stderr
    next_command, verdict, stop = run.stdout.splitlines()[-3:]
    [run_folder] = (folder / "ddb2pg-output").iterdir()
    assert next_command.endswith(f"dead-letters summary '{run_folder}'")
    assert verdict.startswith("Every item is accounted for. Of 180 items in the manifest: ")
    assert stop == "./run_local.sh --stop stops PostgreSQL."
    assert "installing" not in run.stdout


def test_help_and_a_refusal_say_what_to_type(folder: Path) -> None:
    shown = _run(folder, "--help")
    assert shown.returncode == 0
    assert "./run_local.sh --stop" in shown.stdout
    refused = _run(folder, "--export", "nowhere", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert refused.returncode == 2
    assert "nothing was written" in refused.stderr


def test_the_installation_says_how_far_it_is() -> None:
    """One line for each package that pip finds, without its version."""
    function = re.search(r"(?ms)^show_progress\(\) \{.*?^\}", SCRIPT.read_text(encoding="utf-8"))
    assert function
    said = (
        "Obtaining file:///a\n  Installing build dependencies: started\nCollecting apache-beam[aws]<3,>=2.76\n  Using cached x\n"
        "Collecting isal>=1.6\nBuilding wheels for collected packages: ddb2pg\n  Building editable for ddb2pg (pyproject.toml): started\n"
        "  Building editable for ddb2pg (pyproject.toml): finished with status 'done'\nInstalling collected packages: a, b\n"
    )
    shown = subprocess.run(["bash", "-c", f"{function[0]}\nshow_progress"], input=said, capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines() == [
        "   1 of about 50: apache-beam",
        "   2 of about 50: isal",
        "  building ddb2pg, with its C module if there is a compiler ...",
        "  unpacking them ...",
    ]
