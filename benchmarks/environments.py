"""Virtual environments of the contenders, made once in the cache folder, by package name."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path


def environment_python(cache: Path, packages: Sequence[str]) -> Path:
    """The Python of an environment that has the packages, made if need be."""
    key = hashlib.sha256(repr((platform.python_version(), sorted(packages))).encode()).hexdigest()[:12]
    folder = cache / "environments" / key
    python = folder / "bin" / "python"
    whole = folder / "installed"
    if not whole.exists():
        print(f"installing {', '.join(packages)}")
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages], check=True)
        whole.touch()
    return python


def installed_versions(python: Path | None = None) -> Mapping[str, str]:
    """Of all packages of an environment, or of this one."""
    if python is None:
        return {package.name: package.version for package in distributions()}
    question = "import json; from importlib.metadata import distributions; print(json.dumps({p.name: p.version for p in distributions()}))"
    found: Mapping[str, str] = json.loads(subprocess.run([python, "-c", question], check=True, capture_output=True).stdout)
    return found
