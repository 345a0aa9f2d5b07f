"""A crash leaves no core file, which would hold values of items and the password, in any process that we start."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import apache_beam as beam
import pytest

from pipeline.inspection.inspect_exports import _begin_process
from pipeline.job import graph
from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.faults.jobs import wait_until
from tests.postgres_server import Database
from tests.processes import core_dumps_here, group_of, workers_of

_PATTERN = Path("/proc/sys/kernel/core_pattern")
# One row after the other, so that there is a load to crash.
_SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END$$;
CREATE TRIGGER slow BEFORE INSERT ON public.video_call_sessions FOR EACH ROW EXECUTE FUNCTION slow();
"""


@pytest.fixture
def core_files_allowed() -> Iterator[None]:
    """For what this process starts."""
    before, most = resource.getrlimit(resource.RLIMIT_CORE)
    if most == 0:
        pytest.skip("this process was started without the right to core files")
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, (before, most))


@pytest.mark.skipif(not _PATTERN.exists(), reason="core files are looked for where Linux writes them")
@pytest.mark.usefixtures("core_files_allowed")
def test_a_crash_leaves_no_core_file(tmp_path: Path, database: Database, run: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    export = tmp_path / "export"
    write_sample_exports(export, items=400, seed=5, tables=["medzen-video-sessions"])
    database.execute(_SLOW)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    options = ["--chunk_items=5", "--direct_num_workers=2", "--validate=none"]
    process = run.start_python("migrate", "--export", export, "--output", run.output, *options)
    wait_until(lambda: workers_of(process.pid) or process.poll() is not None, every=0.05)

    limits = [Path(f"/proc/{each}/limits").read_text() for each in group_of(process.pid)]
    os.kill(workers_of(process.pid)[0], signal.SIGABRT)
    stderr = process.communicate(timeout=300)[1]

    assert "a worker process died (killed, or out of memory: SIGABRT)" in stderr
    assert {line.split()[4] for text in limits for line in text.splitlines() if line.startswith("Max core file size")} == {"0"}
    if not _PATTERN.read_text().startswith(("|", "/")):
        assert list(folder.glob("*core*")) == []


def test_the_processes_of_inspect_leave_none() -> None:
    with ProcessPoolExecutor(1, get_context("spawn"), _begin_process) as pool:
        assert pool.submit(core_dumps_here).result() == "limit 0, dumpable 0"


def test_workers_of_other_runners_leave_none() -> None:
    """They are started by others: the first step that comes to them sees to it."""
    steps = [step for step in vars(graph).values() if isinstance(step, type) and issubclass(step, beam.DoFn)]
    assert len(steps) >= 5
    assert all(issubclass(step, graph._PrivateDoFn) for step in steps)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert pool.submit(_set_up).result() == "limit 0, dumpable 0"


def _set_up() -> str:
    graph._PrivateDoFn().setup()
    return core_dumps_here()
