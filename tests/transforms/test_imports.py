"""`transforms` is pure: no Beam, no database, no clock, no I/O, no logging, and nothing of `pipeline`."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "transforms").rglob("*.py"))
IMPURE = {
    *("apache_beam", "psycopg2", "psycopg", "boto3", "botocore", "pyarrow", "pipeline", "isal"),
    *(
        "logging",
        "warnings",
        "time",
        "zoneinfo",
        "random",
        "secrets",
        "os",
        "io",
        "sys",
        "pathlib",
        "shutil",
        "tempfile",
        "subprocess",
    ),
    *("socket", "threading", "multiprocessing", "asyncio", "importlib", "ctypes", "sqlite3", "pickle", "gzip", "urllib", "http"),
}
IMPURE_CALLS = {"open", "print", "input", "eval", "exec", "__import__", "compile", "float", "id", "hash", "globals"}
# What some modules may all the same: a definition may name a time zone, and a column may be of floats.
ALLOWED = {"rules/times.py": {"zoneinfo"}, "rules/numbers.py": {"float"}, "types.py": {"float"}}
# A calendar is pure; asking it for the time is not.
IMPURE_METHODS = {"now", "utcnow", "today"}


def imported(tree: ast.AST) -> set[str]:
    """The first part of the name of every module that is imported, anywhere in the code."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names.add((node.module or "").partition(".")[0])
    return names


def allowed(path: Path) -> set[str]:
    return ALLOWED.get(path.relative_to(ROOT / "transforms").as_posix(), set())


def test_there_are_modules():
    """The tests below look at the whole package."""
    assert len(MODULES) >= 9


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_impure_import(path):
    """A module of `transforms` imports none of what reads the world.

    The row depends on the line, the definition and migration_time alone.
    """
    assert not imported(ast.parse(path.read_text("utf-8"))) & (IMPURE - allowed(path))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_impure_call(path):
    """No file is opened, nothing printed, and no float is made: "never through a float"."""
    called = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not called & (IMPURE_CALLS - allowed(path))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_clock(path):
    """`datetime` reckons with dates here; nothing asks what time it is."""
    used = {node.attr for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Attribute)}
    assert not used & IMPURE_METHODS


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_float_literal(path):
    """No float stands in the code: "Integer or decimal arithmetic only", "never through a float"."""
    constants = [node.value for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Constant)]
    assert not [value for value in constants if isinstance(value, float)]


def test_importing_it_loads_nothing_heavy():
    """Importing the package loads neither Beam nor a database driver nor `pipeline`, directly or through another module."""
    program = "import sys, transforms.tables, transforms.table; print(*{name.partition('.')[0] for name in sys.modules})"
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"apache_beam", "psycopg2", "boto3", "pyarrow", "pipeline", "numpy"} & set(found.stdout.split())
