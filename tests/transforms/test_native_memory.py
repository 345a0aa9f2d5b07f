"""The compiled way under the address and undefined-behaviour sanitizers: nothing is read or written beside what is its own."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What is counted for `inspect` and `draft`.
COUNTED = ["../pipeline/inspection/test_inspection_compiled.py", "../pipeline/drafts/test_draft_compiled.py"]
BRIEFLY = [
    *COUNTED,
    "test_native.py",
    "test_native_left.py",
    "test_native_lines.py",
    "test_native_sources.py",
    "test_rules_jsonb.py",
    "test_rules_by_chance.py",
    "test_changes.py",
]
# Of the same code as those that stay, with many more items, or other seeds: most of the time. What begins with these names is left out.
LEFT_OUT_BRIEFLY = (
    "test_changes.py::test_child_rows_are_made_and_refused_as_in_a_full_export",
    "test_changes.py::test_a_mutated_item_is_refused_as_in_a_full_export",
    "test_changes.py::test_whatever_boto3_writes_is_a_change",
    *(f"test_changes.py::test_lines_by_chance_are_the_same_both_ways[{seed}" for seed in (1, 2, 3)),
    "test_native.py::test_nearly_all_items_of_an_export_do",
    "test_native_sources.py::test_nearly_all_items_of_an_export_stay_quick",
)


def library(name: str) -> str:
    """The compiler's own, which must come before all others."""
    return subprocess.run(["cc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    "files",
    [
        pytest.param(BRIEFLY, marks=pytest.mark.timeout(1800)),
        pytest.param([".", *COUNTED], marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
    ],
    ids=["briefly", "all"],
)
def test_the_sanitizers_find_nothing(tmp_path: Path, files: list[str]) -> None:
    """In the tests of the conversion, with a module that they look into."""
    for room in ("transforms", "tests", "pipeline", "sample_export"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    native = tmp_path / "transforms" / "native"
    module = native / f"sound_rows{sysconfig.get_config_var('EXT_SUFFIX')}"
    flags = [
        "-O1",
        "-g",
        "-fPIC",
        "-shared",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=undefined",
        "-Wall",
        "-Wextra",
        "-Werror",
    ]
    # Python's own headers and ways to define a module are none of ours.
    flags += ["-Wno-unused-parameter", "-Wno-missing-field-initializers", f"-isystem{sysconfig.get_path('include')}"]
    subprocess.run(["cc", *flags, *map(str, native.glob("*.c")), "-o", str(module)], check=True)

    environment = {
        **os.environ,
        "LD_PRELOAD": f"{library('libasan.so')} {library('libubsan.so')}",
        # Python leaves at its end what is everybody's.
        "ASAN_OPTIONS": "detect_leaks=0",
        # Each object in a piece of memory of its own, that the sanitizer knows.
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(tmp_path),
    }
    tests = [str(tmp_path / "tests" / "transforms" / file) for file in files]
    # Not this test itself, nor the one of what setup.py told the module.
    unwanted = ["test_native_memory.py", "test_native.py::test_it_tells_the_files_it_was_built_of"]
    unwanted += LEFT_OUT_BRIEFLY if files == BRIEFLY else ()
    deselected = [f"--deselect=tests/transforms/{test}" for test in unwanted]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", *deselected, *tests]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
