"""What the fork server, fewer collections of garbage and fewer looks at steps bring: whole commands with and without each, in turn.

    .test-venv/bin/python benchmarks/process_start.py [--items 20000 700000] [--rounds 5] [--workers N]

`--items` are those of each of the three tables. A table below 100,000 items of usual size (20,000 notes are more) is loaded in the
command's own process, where the fork server counts for nothing, unless `--workers 2` is given.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.contestants import ours
from benchmarks.processes import Command, measure
from benchmarks.server import BenchmarkServer
from sample_export import write_sample_exports

# What a command runs in place of `pipeline.cli.main` alone.
_MAIN: Final = "import sys; from pipeline.cli import main; sys.exit(main())"
_BEAMS_OWN_WORKERS: Final = f"""
import sys
from pipeline.engines import forked_workers

def own():
    from apache_beam.transforms.environments import SubprocessSDKEnvironment
    command = "exec {sys.executable} -m apache_beam.runners.worker.sdk_worker_main 2>/dev/null"
    return SubprocessSDKEnvironment.from_command_string(command_string=command)

forked_workers.worker_environment, forked_workers.prepare = own, lambda modules=(): None
"""
_USUAL_GARBAGE: Final = "import gc; gc.set_threshold = gc.freeze = lambda *_: None"
_USUAL_LOOKS: Final = """
from pipeline.engines import forked_workers
forked_workers.look_at_steps_once = lambda: None
"""
VARIANTS: Final = {
    "as it is": _MAIN,
    "workers as Beam starts them": f"{_BEAMS_OWN_WORKERS}\n{_MAIN}",
    "garbage as Python collects it": f"{_USUAL_GARBAGE}\n{_MAIN}",
    "steps as Beam looks at them": f"{_USUAL_LOOKS}\n{_MAIN}",
}


def main() -> None:
    """For each number of items: all variants in every round, then the medians of their ratios to how it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[20_000, 700_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int)
    arguments = parser.parse_args()
    server = BenchmarkServer()
    try:
        for items in arguments.items:
            with tempfile.TemporaryDirectory(prefix="ddb2pg-bench-") as folder:
                _compare(Path(folder), items, arguments.rounds, arguments.workers, server)
    finally:
        server.stop()


def _compare(folder: Path, items: int, rounds: int, workers: int | None, server: BenchmarkServer) -> None:
    write_sample_exports(folder / "export", items=items, faulty=0, odd=0)
    options = ["migrate", "--export", str(folder / "export"), "--output", str(folder / "out")]
    options += [f"--direct_num_workers={workers}"] if workers else []
    usages: dict[str, list[tuple[float, float]]] = {name: [] for name in VARIANTS}
    for number in range(rounds):
        # Who comes first has the colder caches.
        for name in [*VARIANTS][:: -1 if number % 2 else 1]:
            server.fresh_database()
            usage = measure([Command([sys.executable, "-c", VARIANTS[name], *options], ours(server))], server)
            usages[name].append((usage.seconds, usage.cpu_seconds))
            print(f"{items:,} items a table, {name}: {usage.seconds:.2f} s, {usage.cpu_seconds:.2f} s of CPU", flush=True)
    print(f"three tables of {items:,} items, {os.cpu_count()} cores; medians of {rounds} rounds' ratios and differences to how it is:")
    for name in [*VARIANTS][1:]:
        pairs = [*zip(usages[name], usages["as it is"], strict=True)]
        for part, what in enumerate(("time", "CPU")):
            ratio = statistics.median(other[part] / mine[part] for other, mine in pairs)
            difference = statistics.median(other[part] - mine[part] for other, mine in pairs)
            print(f"  {name}: {what} x {ratio:.2f} ({difference:+.2f} s)")


if __name__ == "__main__":
    main()
