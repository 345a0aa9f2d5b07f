"""The package that is published: what the wheel and the source distribution hold, and that the wheel works elsewhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_BUILD = """
import sys
from setuptools import build_meta
print(build_meta.build_wheel(sys.argv[1]) if sys.argv[2] == "wheel" else build_meta.build_sdist(sys.argv[1]), file=sys.stderr)
"""


def _build(kind: str, checkout: Path, folder: Path) -> Path:
    """As pip does, with the setuptools that are installed."""
    command = [sys.executable, "-c", _BUILD, str(folder), kind]
    # The compiled module is the same without optimisation, which takes most of the time.
    environment = os.environ | {"CFLAGS": "-O0"}
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return folder / done.stderr.splitlines()[-1]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that git knows, in a folder of their own: building writes into it."""
    folder = tmp_path_factory.mktemp("checkout")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "benchmarks/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build("wheel", checkout, tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_the_packages_and_what_they_read(wheel: Path, checkout: Path) -> None:
    """Every file of the packages that is no source of the compiled module, and nothing beside them."""
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    packages = ("ddb2pg", "pipeline", "sample_export", "transforms")
    expected = {
        path.relative_to(checkout).as_posix()
        for package in packages
        for path in (checkout / package).rglob("*")
        if path.is_file() and path.suffix not in (".c", ".so", ".pyc")
    }

    compiled = {name for name in names if name.endswith(".so")}
    assert names - compiled == expected
    assert all(name.startswith("transforms/native/sound_rows") for name in compiled)
    assert len(compiled) <= 1


def test_the_wheel_works_in_another_folder(wheel: Path, tmp_path: Path) -> None:
    """A command that needs the packages, the compiled module, and the files beside them."""
    unpacked = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(unpacked)  # noqa: S202 - it was just built
    program = (
        "import sys, pipeline, transforms.native.plan as plan\n"
        "from pipeline.sql import read_sql\n"
        "assert pipeline.__file__.startswith(sys.argv[1]), pipeline.__file__\n"
        "assert plan.IS_BUILT\n"
        "assert 'CREATE SCHEMA' in read_sql('ledger.sql')\n"
    )
    # Before this checkout, which an editable installation would put there.
    for arguments in (["-c", program, str(unpacked)], ["-m", "pipeline", "sample-export", "--items=20", "sample"]):
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(unpacked)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "sample" / "truth").is_dir()


def test_the_source_distribution_builds_and_explains_itself(checkout: Path, tmp_path: Path) -> None:
    """It has what setup.py reads, the sources of the compiled module, and the documents that the README points to."""
    sdist = _build("sdist", checkout, tmp_path)
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}

    sources = {path.relative_to(checkout).as_posix() for path in (checkout / "transforms" / "native").glob("*.[ch]")}
    documents = {path.relative_to(checkout).as_posix() for path in (checkout / "docs").glob("*.md")}
    assert sources | documents | {"setup.py", "README.md", "LICENSE", "CHANGELOG.md", "examples/orders.py"} <= names
    assert not any(name.startswith("tests/") for name in names)


# -- the image -----------------------------------------------------------------------------------------------------------------------------


def _steps(dockerfile: Path) -> list[tuple[str, str]]:
    """Instruction and arguments, without comments; continued lines are one."""
    text = re.sub(r"(?m)^#.*\n", "", dockerfile.read_text(encoding="utf-8"))
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(instruction, rest) for instruction, _, rest in (line.partition(" ") for line in lines if line.strip())]


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    return _steps(ROOT / "deploy" / "docker" / "Dockerfile")


def test_the_image_is_built_of_what_it_copies(steps: list[tuple[str, str]], checkout: Path, wheel: Path, tmp_path: Path) -> None:
    """From those files alone setup.py works, and they are all that the wheel has."""
    for instruction, rest in steps:
        if instruction == "COPY" and not rest.startswith("--from"):
            *names, target = rest.split()
            for name in names:
                if (checkout / name).is_dir():
                    shutil.copytree(checkout / name, tmp_path / target)
                else:
                    shutil.copy(checkout / name, tmp_path)
    subprocess.run([sys.executable, "setup.py", "-q", "egg_info"], cwd=tmp_path, check=True, capture_output=True)
    listed = (tmp_path / "ddb2pg.egg-info" / "SOURCES.txt").read_text().split("\n")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name and not name.endswith(".so")}
    assert held <= {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert {"transforms/native/sound_rows.c", "pipeline/sql/ledger.sql"} <= {*listed, *held}


def test_the_image_has_the_pinned_versions(steps: list[tuple[str, str]], tmp_path: Path) -> None:
    """The command that takes them from the lock, as a shell runs it."""
    [install] = [rest for instruction, rest in steps if instruction == "RUN" and "constraints.txt" in rest]
    shutil.copy(ROOT / "requirements.lock", tmp_path)
    cut = install.partition(" && ")[0].replace("/tmp/", "")  # noqa: S108 - in the image
    subprocess.run(["sh", "-c", cut], cwd=tmp_path, check=True)
    pins = (tmp_path / "constraints.txt").read_text().splitlines()
    assert {pin.partition("==")[0] for pin in pins} >= {"apache-beam", "boto3", "orjson", "psycopg2-binary", "pyarrow", "rich"}
    assert len(pins) == (ROOT / "requirements.lock").read_text().count("==")
    assert "--constraint /tmp/constraints.txt" in install


def test_the_image_runs_the_command_and_not_as_root(steps: list[tuple[str, str]], wheel: Path) -> None:
    last = dict(steps)
    assert not last["USER"].startswith(("0", "root"))
    [program] = json.loads(last["ENTRYPOINT"])
    with zipfile.ZipFile(wheel) as archive:
        [scripts] = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert f"\n{program} = " in archive.read(scripts).decode()
