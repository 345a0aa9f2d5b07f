r"""How fast ddb2pg is, beside psql with ready rows and beside what one would use otherwise; and what it alone does.

    .test-venv/bin/python benchmarks/run.py

All contenders load the same items into the same server in turn, several rounds, and their rows are compared: read the ratios, not the
seconds. Wants a quiet Linux machine, a package index for the contenders' environments, and 15 GB of disk (with 8 million items 30 GB).
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rich.console import Console

from benchmarks.alone import run_alone
from benchmarks.contestants import CONTENDERS
from benchmarks.environments import environment_python, installed_versions
from benchmarks.in_turn import run_in_turn, run_sizes
from benchmarks.places import add_places, numbers, results_file
from benchmarks.results import Results, machine
from benchmarks.server import BenchmarkServer
from benchmarks.tables import print_tables

TABLES = ("all", "sessions")
PARTS = ("contenders", "alone", "sizes")


def main() -> None:
    """Everything, one after the other."""
    arguments = _arguments()
    server = BenchmarkServer()
    output = Path(tempfile.mkdtemp(prefix="ddb2pg-bench-"))
    results = Results(
        surroundings={
            "machine": machine(),
            "server": server.told_settings(),
            "items": arguments.items,
            "titles": {contender.name: contender.title for contender in CONTENDERS.values()},
            "packages": {"ddb2pg": installed_versions()},
        }
    )
    try:
        if "contenders" in arguments.parts:
            chosen = [CONTENDERS[name] for name in arguments.contenders]
            run_in_turn(chosen, arguments.items, arguments.rounds, server, arguments.cache, output, results, arguments.tables)
        if "sizes" in arguments.parts:
            run_sizes(arguments.sizes, server, arguments.cache, output, results)
        if "alone" in arguments.parts:
            run_alone(arguments.items, arguments.sizes, arguments.rounds, server, arguments.cache, output, results)
    finally:
        server.stop()
        shutil.rmtree(output, ignore_errors=True)
    written = results_file(arguments, results, "speed")
    results.write(written)
    print_tables(Console(width=180), results, arguments.items)
    print(f"\nresults  {written}")
    if arguments.chart and {"contenders", "sizes"} & set(arguments.parts):
        chart = written.with_suffix(".svg")
        script = Path(__file__).resolve().parent / "chart.py"
        subprocess.run([environment_python(arguments.cache, ["matplotlib"]), script, written, chart], check=True)
        print(f"chart    {chart}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=2_000_000, help="of all tables together (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument(
        "--contenders", type=_names, default=list(CONTENDERS), metavar="A,B", help=f"some of {', '.join(CONTENDERS)} (default: all)"
    )
    parser.add_argument(
        "--sizes",
        type=numbers,
        default=[1_000, 60_000, 200_000, 8_000_000],
        metavar="N,N",
        help="of further loads, of ddb2pg, psql and DuckDB (default: 1000,60000,200000,8000000)",
    )
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES, help="what contenders load (default: both)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="(default: all)")
    add_places(parser)
    parser.add_argument("--no_chart", action="store_false", dest="chart", help="it needs matplotlib, which is installed for it")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    names = text.split(",")
    unknown = sorted(set(names) - set(CONTENDERS))
    if unknown:
        message = f"there is no contender {', '.join(unknown)}; there are {', '.join(CONTENDERS)}"
        raise argparse.ArgumentTypeError(message)
    return names


if __name__ == "__main__":
    main()
