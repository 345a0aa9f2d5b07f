"""The rules that keep the rooms apart: docs/architecture.md draws them, and this holds them."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOMS = (
    *("errors", "core_dumps", "logs", "sql", "console", "places", "source", "target", "embedded", "ledger", "inspection", "records"),
    *(
        "definitions",
        "drafts",
        "engines",
        "options",
        "outcome",
        "preflight",
        "job",
        "replay",
        "rollback",
        "windows",
        "stream",
        "cutover",
        "postcheck",
        "commands",
        "cli",
    ),
)
"""Of `pipeline`, from the lowest to the highest: a room imports from itself and from lower ones. A file at the top is a room, too."""
MOST_FILES = 12
"""Of a room; more are no longer one subject."""


@cache
def sources(package: str) -> tuple[Path, ...]:
    return tuple(sorted(ROOT.glob(f"{package}/**/*.py")))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def imports_of(path: Path) -> frozenset[str]:
    """Modules, ours and others'; for `from package import name` also `package.name`, which may be one."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
            modules.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(modules)


def importers(package: str) -> set[str]:
    paths = (*sources("pipeline"), *sources("transforms"))
    return {str(path.relative_to(ROOT)) for path in paths if any(name.split(".")[0] == package for name in imports_of(path))}


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def arrows() -> Iterator[tuple[str, str]]:
    """From one of our modules to another, also where a function imports it late."""
    modules = {module_of(path) for path in (*sources("pipeline"), *sources("transforms"))}
    for path in (*sources("pipeline"), *sources("transforms")):
        yield from ((module_of(path), name) for name in imports_of(path) if name in modules and name != module_of(path))


def test_every_room_has_its_floor() -> None:
    rooms = {room_of(module_of(path)) for path in sources("pipeline")} - {"", "__main__"}
    assert rooms == set(ROOMS)


def test_imports_run_downwards() -> None:
    """No room imports from a higher one, not even late."""
    up = [
        (importer, imported)
        for importer, imported in arrows()
        if importer.startswith("pipeline.")
        and imported.startswith("pipeline.")
        and room_of(importer) != "__main__"
        and ROOMS.index(room_of(imported)) > ROOMS.index(room_of(importer))
    ]
    assert not up


def test_no_file_is_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for importer, imported in arrows():
        graph.setdefault(importer, set()).add(imported)
    TopologicalSorter(graph).prepare()


def test_a_room_has_few_files() -> None:
    counts = {folder: len([*folder.glob("*.py")]) - 1 for folder in {path.parent for path in sources("pipeline")} - {ROOT / "pipeline"}}
    assert not {folder.name: count for folder, count in counts.items() if count > MOST_FILES}


def test_transforms_never_import_the_pipeline() -> None:
    """Imports run pipeline -> transforms -> libraries, never back."""
    assert not {path for path in importers("pipeline") if path.startswith("transforms")}


def test_transforms_are_pure() -> None:
    """No Beam, no database, no clock, no I/O, no logging among them; but the compiled module looks for its sources."""
    forbidden = {"apache_beam", "psycopg2", "logging", "time", "os", "io", "socket", "subprocess", "boto3", "random"}
    impure = {(path.name, name) for path in sources("transforms") for name in imports_of(path) if name.split(".")[0] in forbidden}
    assert not impure
    assert not [path.name for path in sources("transforms") if re.search(r"\b(now|today|utcnow)\(", path.read_text(encoding="utf-8"))]


def test_beam_is_imported_in_few_files() -> None:
    """Where it runs, the graph, and the places that only Beam knows."""
    assert len(importers("apache_beam")) <= 7
    assert {path.split("/")[1] for path in importers("apache_beam")} <= {"engines", "job", "places", "definitions"}


def test_no_command_imports_what_takes_long_before_it_needs_it() -> None:
    """Each of these adds a fifth of a second or more to `--help`, too."""
    code = """
import sys, pipeline.cli
print(*{'boto3', 'botocore', 'apache_beam', 'jinja2', 'pyarrow', 'requests'} & sys.modules.keys())
print(*{name for name in sys.modules if name.startswith('pipeline.commands.')} - {'pipeline.commands.parser'})
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_psycopg2_is_imported_by_the_target_and_the_ledger_only() -> None:
    """The rest of the job speaks to PostgreSQL through those rooms."""
    assert importers("psycopg2")
    assert all(path.startswith(("pipeline/target/", "pipeline/ledger/")) for path in importers("psycopg2"))


def test_sample_exports_know_nothing_of_the_conversion() -> None:
    """The truth is an oracle only while it is written without our code."""
    imported = {name.split(".")[0] for path in sources("sample_export") for name in imports_of(path)}
    assert not imported & {"pipeline", "transforms"}


def rooms_and_sizes() -> Iterator[str]:
    """For whoever runs the tests: each room with its files and lines."""
    total = [0, 0]
    for package, rooms in (("transforms", ("",)), ("pipeline", ROOMS)):
        for room in rooms:
            paths = [path for path in sources(package) if not room or room_of(module_of(path)) == room]
            lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)
            total = [total[0] + len(paths), total[1] + lines]
            yield f"| {package}{'/' if room else ''}{room} | {len(paths)} | {lines:,} |"
    yield f"| all | {total[0]} | {total[1]:,} |"


def test_the_files_that_begin_first_are_there() -> None:
    """A slow file that was moved would otherwise begin last, unseen, and leave the other processes waiting for it."""
    from tests.conftest import SLOW_FILES

    there = [file.as_posix() for file in (ROOT / "tests").rglob("test_*.py")]
    assert [name for name in SLOW_FILES if not any(file.endswith(f"/{name}") for file in there)] == []
