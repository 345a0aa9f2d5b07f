"""The rules that keep the rooms apart."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*ROOT.glob("pipeline/**/*.py"), *ROOT.glob("transforms/**/*.py")])


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def _importers(package: str) -> set[str]:
    return {str(path.relative_to(ROOT)) for path in SOURCES if any(name.split(".")[0] == package for name in _imports(path))}


def test_transforms_never_import_the_pipeline() -> None:
    """Imports run pipeline -> transforms -> libraries, never back."""
    assert not {path for path in _importers("pipeline") if path.startswith("transforms")}


def test_transforms_are_pure() -> None:
    """No Beam, no database, no clock, no I/O, no logging among them."""
    forbidden = {"apache_beam", "psycopg2", "logging", "time", "os", "io", "pathlib", "socket", "subprocess", "boto3", "random"}
    found = {(path.name, name) for path in ROOT.glob("transforms/**/*.py") for name in _imports(path) if name.split(".")[0] in forbidden}
    assert not found


def test_psycopg2_is_imported_by_the_target_and_the_ledger_only() -> None:
    """The rest of the job speaks to PostgreSQL through those rooms."""
    importers = _importers("psycopg2")
    assert importers
    assert all(path.startswith(("pipeline/target/", "pipeline/ledger/")) for path in importers)


def test_sample_exports_know_nothing_of_the_conversion() -> None:
    """The truth is an oracle only while it is written without our code."""
    imported = {name.split(".")[0] for path in ROOT.glob("sample_export/*.py") for name in _imports(path)}
    assert not imported & {"pipeline", "transforms"}
