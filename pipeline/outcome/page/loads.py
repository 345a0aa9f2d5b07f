"""How each table was loaded: how long, how fast over time, and by whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.outcome.page.words import duration, moment, seconds_in_words

WIDTH: Final = 600
HEIGHT: Final = 96


@dataclass(frozen=True, slots=True)
class Curve:
    """Items a second over the time of a run, as a polygon `WIDTH` by `HEIGHT`."""

    points: str
    fastest: str
    began: str
    took: str
    alternative: str


@dataclass(frozen=True, slots=True)
class Worker:
    """What one process did; `share` in percent of the one that did most."""

    name: str
    chunks: int
    items: int
    share: float


@dataclass(frozen=True, slots=True)
class LoadView:
    """One table."""

    table: str
    facts: tuple[tuple[str, str], ...]
    run: str
    """Of which run the curve and the workers are; nothing, if it is the reported one."""
    curve: Curve | None
    workers: tuple[Worker, ...]
    earlier: tuple[str, ...]


def load_views(run_id: str, tables: Sequence[Mapping[str, Any]]) -> Iterator[LoadView]:
    """Of those tables of which the ledger knows runs."""
    for table in tables:
        runs = table.get("runs")
        if runs:
            yield _load_view(run_id, table, runs)


def _load_view(run_id: str, table: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> LoadView:
    newest, *earlier = runs
    return LoadView(
        table=table["source_table"],
        facts=tuple(_facts(table, newest)),
        run="" if newest["run_id"] == run_id else newest["run_id"],
        curve=_curve(newest),
        workers=tuple(_workers(newest)),
        earlier=tuple(f"{run['run_id']}: {run['items']:,} items in {run['chunks']:,} chunks" for run in earlier),
    )


def _facts(table: Mapping[str, Any], newest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    seconds, loaded = table["seconds"], table["loaded_now"]
    yield "Took", seconds_in_words(seconds)
    if loaded:
        yield "Loaded by this run", f"{loaded:,} items"
        yield "Rate", f"{loaded / seconds:,.0f} items/s" if seconds else "not known"
    else:
        yield "Loaded by this run", "nothing: all of it was loaded before" if not table.get("problems") else "nothing"
    yield "Chunks", f"{newest['chunks']:,} in {duration(newest['first_commit'], newest['last_commit'])}"
    yield "Rows in the target", f"{table['target_rows']:,}"
    yield "Export", table["export_id"]


def _curve(run: Mapping[str, Any]) -> Curve | None:
    pace = run["pace"]
    if pace is None or not any(pace["items"]):
        return None
    rates = [items / pace["bucket_seconds"] for items in pace["items"]]
    top, step = max(rates), WIDTH / len(rates)
    points = [f"0,{HEIGHT}"]
    for number, rate in enumerate(rates):
        height = round(HEIGHT - HEIGHT * rate / top, 1)
        points += [f"{number * step:.1f},{height}", f"{(number + 1) * step:.1f},{height}"]
    took = duration(run["first_commit"], run["last_commit"])
    fastest = f"{top:,.0f} items/s"
    alternative = f"Items per second over {took}: at most {fastest}, at least {min(rates):,.0f}, {len(rates)} equal spans of time"
    return Curve(" ".join([*points, f"{WIDTH},{HEIGHT}"]), fastest, moment(run["first_commit"]), took, alternative)


def _workers(run: Mapping[str, Any]) -> Iterator[Worker]:
    most = max((worker["items"] for worker in run["workers"]), default=0)
    for worker in run["workers"]:
        share = round(100 * worker["items"] / most, 2) if most else 0.0
        yield Worker(worker["worker"] or "not known (an older ddb2pg)", worker["chunks"], worker["items"], share)
