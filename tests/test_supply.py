"""What is installed is what was pinned, and nothing that is read is run."""

from __future__ import annotations

import ast
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import setuptools
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*ROOT.glob("pipeline/**/*.py"), *ROOT.glob("transforms/**/*.py")])

# -- requirements.lock ---------------------------------------------------------------------------------------------------------------------


def _pins() -> dict[str, tuple[str, list[str]]]:
    """Name -> version and hashes."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    pins = {}
    for line in lines:
        found = re.fullmatch(r"([\w.-]+(?:\[[\w,-]+\])?)==(\S+)((?:\s+--hash=sha256:[0-9a-f]{64})+)\s*", line)
        assert found, f"no pin with hashes: {line[:80]}"
        pins[canonicalize_name(found[1].partition("[")[0])] = found[2], re.findall(r"[0-9a-f]{64}", found[3])
    return pins


@pytest.fixture
def required(monkeypatch: pytest.MonkeyPatch) -> list[Requirement]:
    """What setup.py wants on a worker of Dataflow, which is more than any other wants."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", lambda **arguments: given.update(arguments))
    runpy.run_path(str(ROOT / "setup.py"))
    return [Requirement(text) for text in (*given["install_requires"], *given["extras_require"]["gcp"])]


def test_the_lock_fits_setup_py(required: list[Requirement]) -> None:
    """Every requirement is pinned to a version that it allows."""
    pins = _pins()
    assert len(pins) > len(required) > 5
    unmet = [
        str(one) for one in required if canonicalize_name(one.name) not in pins or pins[canonicalize_name(one.name)][0] not in one.specifier
    ]
    assert unmet == [], "make requirements.lock anew, as docs/security.md says"


def test_the_lock_names_no_index() -> None:
    """Where packages come from is for who installs to say."""
    assert not re.search(r"://|--(extra-)?index|--find-links", (ROOT / "requirements.lock").read_text(encoding="utf-8"))


# -- nothing that is read is run -----------------------------------------------------------------------------------------------------------

# Each could run what it is given. Beam pickles what travels with the job by itself; what it unpickles are our own objects.
_CALLS = {"eval", "exec", "compile", "__import__", "exec_module", "run_path", "run_module", "system", "popen", "read_pickle"}
_MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "yaml", "xml", "joblib", "code", "runpy"}

_ALLOWED = {
    # `--tables FILE`: the user's own code, named on the command line.
    ("pipeline/definitions/find.py", "exec_module"),
}


def _running(path: Path) -> Iterator[str]:
    """Names of what runs something, or unpickles."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr if isinstance(node.func, ast.Attribute) else ""
            is_regex = isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name) and node.func.value.id == "re"
            if name in _CALLS and not is_regex:
                yield name
            if any(keyword.arg == "shell" for keyword in node.keywords):
                yield "shell"
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in _MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in _MODULES:
            yield node.module or ""


def test_nothing_that_is_read_is_run() -> None:
    """No eval, pickle, marshal or YAML loader in the package, but for two places that run our own or the user's own code."""
    assert {(path.relative_to(ROOT).as_posix(), name) for path in SOURCES for name in _running(path)} == _ALLOWED


@pytest.mark.parametrize(
    "code",
    [
        "eval(x)",
        "import pickle",
        "from marshal import loads",
        "import yaml",
        "builtins.exec(x)",
        "subprocess.run(x, shell=True)",
        "os.system(x)",
    ],
)
def test_what_would_be_run_is_seen(code: str, tmp_path: Path) -> None:
    """The rule above is one."""
    (tmp_path / "code.py").write_text(code)

    assert list(_running(tmp_path / "code.py"))
