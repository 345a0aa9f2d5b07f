r"""Small, wide and large items beside each other: exports of as many bytes, each loaded by `ddb2pg migrate` and by psql.

    .test-venv/bin/python benchmarks/shapes.py [--megabytes 1000] [--rounds 3] [--shapes small wide large]

Small items have 8 attributes, wide ones 300, large ones a document and a text of 150 KB each. psql copies ready text of the same rows, in
one session. If items of one shape cost far more a byte than psql's rows of that shape, there is a cliff. Wants a quiet Linux machine.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rich.console import Console
from rich.table import Table

from benchmarks.contestants import ours
from benchmarks.data import psql_command
from benchmarks.places import add_places, results_file
from benchmarks.processes import Command, Usage, measure
from benchmarks.results import Results, machine, median
from benchmarks.server import BenchmarkServer
from tests.handmade_export import write_export

_MEGABYTE: Final = 1_000_000
_FILES: Final = 16
_STARTS, _ENDS = ("pa", "the", "sy", "mor", "lan", "tri"), ("tient", "rapy", "ndrome", "ning", "cet", "age")
_WORDS: Final = [f"{start}{end}" for start in _STARTS for end in _ENDS]
_WIDE: Final = 300


@dataclass(frozen=True, slots=True)
class Shape:
    """What items of one shape are made of; `columns` are PostgreSQL's types beside `id`."""

    columns: Mapping[str, str]
    attribute: Callable[[random.Random, str], Any]
    """DynamoDB's typed value for a column of this type."""


def _small(chance: random.Random, kind: str) -> Any:
    match kind:
        case "bigint":
            return {"N": str(chance.randrange(10**9))}
        case "boolean":
            return {"BOOL": chance.random() < 0.5}
        case _:
            return {"S": _text(chance, 24)}


def _large(chance: random.Random, kind: str) -> Any:
    if kind == "text":
        return {"S": _text(chance, 150_000)}
    entries = [
        {"M": {"at": {"N": str(number)}, "said": {"S": _text(chance, 100)}, "by": {"S": _text(chance, 12)}}} for number in range(1_000)
    ]
    return {"M": {"entries": {"L": entries}, "closed": {"BOOL": True}}}


def _text(chance: random.Random, length: int) -> str:
    return " ".join(chance.choices(_WORDS, k=length // 6 + 1))[:length].strip()


_OF_SMALL: Final = {
    "name": "text",
    "city": "text",
    "plan": "text",
    "visits": "bigint",
    "score": "bigint",
    "open": "boolean",
    "note": "text",
}
SHAPES: Final = {
    "small": Shape(_OF_SMALL, _small),
    "wide": Shape({f"c{number}": ("text", "bigint", "boolean")[number % 3] for number in range(_WIDE - 1)}, _small),
    "large": Shape({"body": "jsonb", "words": "text"}, _large),
}


def main() -> None:
    """Each shape in turn, some rounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1_000, help="of JSON of each shape (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shapes", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    add_places(parser)
    arguments = parser.parse_args()
    server = BenchmarkServer()
    output = Path(tempfile.mkdtemp(prefix="ddb2pg-bench-"))
    results = Results(surroundings={"machine": machine(), "server": server.told_settings(), "megabytes": arguments.megabytes})
    try:
        for name in arguments.shapes:
            _run(name, arguments, server, output, results)
    finally:
        server.stop()
        shutil.rmtree(output, ignore_errors=True)
    results.write(results_file(arguments, results, "shapes"))
    _print(results)


def _run(name: str, arguments: argparse.Namespace, server: BenchmarkServer, output: Path, results: Results) -> None:
    folder = arguments.cache / "shapes" / f"{name}-{arguments.megabytes}"
    items = _make(name, folder, arguments.megabytes * _MEGABYTE)
    [export] = [found for found in (folder / name / "AWSDynamoDB").iterdir() if found.is_dir()]
    for number in range(1, arguments.rounds + 1):
        database = server.fresh_database()
        database.execute((folder / "target.sql").read_text())
        server.settle()
        migrate = [sys.executable, "-m", "pipeline", "migrate", "--tables", str(folder / "tables.toml"), "--export", str(export)]
        usage = measure([Command([*migrate, "--output", str(output)], ours(server))], server)
        rows = database.value(f"SELECT count(*) FROM {name}")
        results.add("load", name, items, number, usage, None if rows == items else "WRONG COUNT")
        results.add("psql", name, items, number, _load_by_psql(name, folder, server))


def _load_by_psql(name: str, folder: Path, server: BenchmarkServer) -> Usage:
    """The same rows; those that were just loaded are written out, and loaded into a new database."""
    ready = folder / "ready.text"
    measure([psql_command(server, [f"\\copy {name} TO '{ready}'"])], server)
    server.fresh_database().execute((folder / "target.sql").read_text())
    server.settle()
    return measure([psql_command(server, [f"\\copy {name} FROM '{ready}'"])], server)


# -- exports -------------------------------------------------------------------------------------------------------------------------------


def _make(name: str, folder: Path, size: int) -> int:
    """An export of about `size` bytes of JSON, with its definition and target; returns its items. Kept in the cache."""
    made = folder / "items"
    if not made.exists():
        print(f"making {size / _MEGABYTE:,.0f} MB of {name} items", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        shape = SHAPES[name]
        files = list(_files(shape, size))
        write_export(folder, name, files, billedSizeBytes=size)  # from it ddb2pg takes how many workers the load is worth
        columns = "".join(f", {column} {kind}" for column, kind in shape.columns.items())
        (folder / "target.sql").write_text(f"CREATE TABLE {name} (id text PRIMARY KEY{columns});\n")
        (folder / "tables.toml").write_text(_definition(name, shape))
        made.write_text(str(sum(map(len, files))))
    return int(made.read_text())


def _files(shape: Shape, size: int) -> Iterator[list[bytes]]:
    for number in range(_FILES):
        chance, lines, written = random.Random(number), list[bytes](), 0
        while written < size / _FILES:
            item = {"id": {"S": f"{number:02}-{len(lines):08}"}}
            item |= {column: shape.attribute(chance, kind) for column, kind in shape.columns.items()}
            lines.append(json.dumps({"Item": item}, separators=(",", ":")).encode())
            written += len(lines[-1])
        yield lines


def _definition(name: str, shape: Shape) -> str:
    types = {"text": "Text", "bigint": "BigInt", "boolean": "Boolean", "jsonb": "Jsonb"}
    columns = [_column(column, types[kind]) for column, kind in shape.columns.items()]
    head = ["[[tables]]", f'source = "{name}"', f'target = "{name}"', 'key = ["id"]']
    return "\n".join([*head, _column("id", "Text"), 'missing = "REFUSED"', *columns, ""])


def _column(name: str, rule: str) -> str:
    return f'\n[[tables.columns]]\nsource = "{name}"\nname = "{name}"\nrule = "{rule}"'


def _print(results: Results) -> None:
    table = Table(title="Loads of items of other shapes", title_justify="left")
    for column in ("shape", "items", "ddb2pg, s", "psql text, s", "times", "MB/s", "CPU ms/MB", "server CPU ms/MB", "peak memory, MB"):
        table.add_column(column, justify="left" if column == "shape" else "right")
    size = results.surroundings["megabytes"]
    for name in SHAPES:
        loads, seconds, by_psql = results.of("load", name), results.seconds("load", name), results.seconds("psql", name)
        if not loads or seconds is None or by_psql is None:
            continue
        cpu = median(run.cpu_seconds for run in loads) or 0
        server_cpu = median(run.server_cpu_seconds for run in loads) or 0
        peak = max(run.peak_memory[0] for run in loads)
        figures = f"{loads[0].items:,} {seconds:.1f} {by_psql:.1f} {seconds / by_psql:.2f} {size / seconds:.1f}".split()
        more = f"{cpu / size * 1e3:.1f} {server_cpu / size * 1e3:.1f} {peak / 1e6:.0f}".split()
        table.add_row(name, *figures, *more)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
