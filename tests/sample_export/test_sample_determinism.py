"""The arguments, and nothing else, decide every byte."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import sample_export
from sample_export import SOURCE_TABLES, write_sample_exports
from tests.sample_export.written_export import bytes_below

ARGUMENTS = {"items": 900, "faulty": 0.2, "odd": 0.2, "seed": 3, "items_per_file": 250}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    root = tmp_path_factory.mktemp("first")
    write_sample_exports(root, **ARGUMENTS)  # type: ignore[arg-type]
    return bytes_below(root)


@pytest.mark.parametrize("processes", [1, 2, 5])
def test_equal_arguments_write_equal_bytes(tmp_path: Path, written: dict[str, bytes], processes: int) -> None:
    """A second call writes the same files, with one process or several."""
    write_sample_exports(tmp_path, **ARGUMENTS, processes=processes)  # type: ignore[arg-type]
    assert bytes_below(tmp_path) == written


@pytest.mark.parametrize("other", [{"seed": 4}, {"items": 901}, {"faulty": 0.21}, {"odd": 0.19}, {"items_per_file": 249}])
def test_other_arguments_give_another_export(tmp_path: Path, written: dict[str, bytes], other: dict[str, float]) -> None:
    """Each argument that decides bytes changes the ExportId and the data files' names."""
    write_sample_exports(tmp_path, **(ARGUMENTS | other))  # type: ignore[arg-type]
    assert not {name for name in bytes_below(tmp_path) if "AWSDynamoDB" in name} & written.keys()


def test_a_table_does_not_depend_on_the_others(tmp_path: Path, written: dict[str, bytes]) -> None:
    """One table asked for alone is the same as among all."""
    write_sample_exports(tmp_path, **ARGUMENTS, tables=SOURCE_TABLES[2:])  # type: ignore[arg-type]
    assert bytes_below(tmp_path).items() <= written.items()


def test_generator_knows_neither_our_conversion_nor_the_clock() -> None:
    """No module of the package imports `transforms` or a module that tells the time, and none asks for now."""
    sources = list(Path(sample_export.__file__).parent.rglob("*.py"))
    assert len(sources) > 5
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.partition(".")[0] in {"transforms", "time", "secrets"}], source
            if isinstance(node, ast.Attribute):
                assert node.attr not in {"now", "utcnow", "today", "urandom", "SystemRandom", "uuid4", "uuid1"}, source
