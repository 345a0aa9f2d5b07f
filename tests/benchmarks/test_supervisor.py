"""What commands took is what their processes themselves say, however these came and went."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.processes import Command, CommandFailed, Supervised, supervise
from tests.benchmarks import known_cpu


def _python(script: str) -> Command:
    return Command([sys.executable, "-c", script])


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[Supervised, dict[str, float], float]:
    """What was counted, what each process says of itself, and the seconds until the last had ended."""
    folder, times = tmp_path_factory.mktemp("path"), tmp_path_factory.mktemp("times")
    (folder / "sitecustomize.py").write_text(known_cpu.AT_THE_END_OF_EVERY_PYTHON, encoding="utf-8")
    started = time.perf_counter()
    counted = supervise([Command([sys.executable, known_cpu.__file__], {"PYTHONPATH": str(folder), "TIMES": str(times)})])
    elapsed = time.perf_counter() - started
    return counted, {path.name: float(path.read_text(encoding="utf-8")) for path in times.iterdir()}, elapsed


def test_every_process_counts_once(known: tuple[Supervised, dict[str, float], float]) -> None:
    """The command, its child, the fork server and its worker, brief ones, a daemon; by both counts, where there are both."""
    counted, times, _ = known
    names = [name.partition("-")[0] for name in times]
    # Pythons: the command, its child, the fork server, and the process that cleans up after multiprocessing.
    assert {name: names.count(name) for name in names} == {"python": 4, "worker": 1, "brief": known_cpu.BRIEF_PROCESSES, "orphan": 1}

    told = sum(times.values())
    assert told > 2.6
    # A process says what it took shortly before its end, which costs some more.
    for count in (counted.waited_cpu_seconds, counted.cpu_seconds):
        assert told <= count < 1.08 * told


def test_time_is_up_when_the_command_ends(known: tuple[Supervised, dict[str, float], float]) -> None:
    """A daemon that lives longer is waited for, on nobody's time."""
    counted, _, elapsed = known
    assert elapsed - counted.seconds > known_cpu.ORPHAN


def _ignored_child(seconds: float) -> Command:
    """Nobody waits for it, and no parent is told of its end."""
    busy = f"import known_cpu; known_cpu.burn({seconds})"
    ignoring = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN)"
    until_it_ends = "r, w = os.pipe(); os.set_inheritable(w, True)"
    start = f"os.posix_spawn(sys.executable, [sys.executable, '-c', {busy!r}], os.environ); os.close(w); os.read(r, 1)"
    return Command([sys.executable, "-c", f"{ignoring}; {until_it_ends}; {start}"], {"PYTHONPATH": str(Path(__file__).parent)})


def test_a_control_group_counts_who_is_forgotten() -> None:
    """Processes whose parent ignores their end are in nobody's count but the group's."""
    counted = supervise([_ignored_child(0.5)])
    if counted.group_cpu_seconds is None:
        pytest.skip("no right to make a control group")
    assert counted.cpu_seconds == counted.group_cpu_seconds >= 0.5


def test_without_control_groups_those_are_counted_that_are_waited_for(tmp_path: Path) -> None:
    """A folder that is no tree of groups stays as it was."""
    counted = supervise([_python("import time\nwhile time.process_time() < 0.3: pass")], groups=tmp_path)
    assert counted.group_cpu_seconds is None
    assert counted.cpu_seconds == counted.waited_cpu_seconds >= 0.3
    assert not list(tmp_path.iterdir())


_A_DAEMON_THAT_STAYS = """
import os, time
print("about to leave one", flush=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open(NAME, "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
os.wait()
while not (os.path.exists(NAME) and os.path.getsize(NAME)):
    time.sleep(0.01)
"""


def test_a_process_that_stays_is_ended_and_told(tmp_path: Path) -> None:
    """What it would go on to take cannot be counted, and it would disturb the next run."""
    name = tmp_path / "process"
    with pytest.raises(CommandFailed, match="ended with \\[0\\] and left 1 processes, which were ended:\nabout to leave one"):
        supervise([_python(f"NAME = {str(name)!r}{_A_DAEMON_THAT_STAYS}")], patience=0.1)
    assert not Path("/proc", name.read_text(encoding="utf-8")).exists()


def test_nothing_stays_when_nobody_waits_any_more() -> None:
    """As when the benchmark is interrupted."""
    seen = []

    def interrupt(processes: Sequence[int]) -> None:
        seen.extend(processes)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        supervise([_python("import time; time.sleep(600)")] * 2, interrupt)
    assert len(seen) == 2
    assert not [process for process in seen if Path("/proc", str(process)).exists()]


def test_a_command_that_cannot_be_started_ends_the_others() -> None:
    """It says which and why, and does not wait for the others."""
    with pytest.raises(CommandFailed, match=r"(?s)could not be measured.*No such file or directory: 'no-such-command'"):
        supervise([_python("import time; time.sleep(600)"), Command(["no-such-command"])])
