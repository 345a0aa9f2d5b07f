"""The contenders' times as bars, and times beside sizes: `chart.py RESULTS.json CHART.svg`, in an environment that has matplotlib."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "ddb2pg"  # equal results, equal bytes

import matplotlib.pyplot as plt  # noqa: E402 - after the choice of how it draws

_LINES_HEIGHT = 9  # of the panel with lines, in bars


def main() -> None:
    """Draw what a results file holds: microseconds an item, so that contenders with fewer items stand beside the others."""
    content = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    titles: dict[str, str] = content["titles"]
    panels = [(tables, bars_of(content["runs"], titles, tables)) for tables in ("all", "sessions")]
    panels = [(tables, bars) for tables, bars in panels if bars]
    heights = [len(bars) for _, bars in panels] + [_LINES_HEIGHT]
    figure, axes = plt.subplots(len(heights), 1, figsize=(9, 1 + 0.45 * sum(heights)), squeeze=False, height_ratios=heights)
    for (tables, bars), axis in zip(panels, axes[:-1, 0], strict=True):
        draw(axis, "all three tables" if tables == "all" else "sessions alone", bars)
    draw_sizes(axes[-1, 0], lines_of(content["runs"], titles))
    machine = content["machine"]
    figure.suptitle(
        f"microseconds an item (items), {machine['cores']} cores with the server on them, PostgreSQL {content['server']['version']}"
    )
    figure.tight_layout()
    figure.savefig(sys.argv[2], metadata={"Date": None})


def bars_of(runs: list[dict[str, Any]], titles: dict[str, str], tables: str) -> list[tuple[str, list[float]]]:
    """Microseconds an item of each sound run, by title."""
    found: dict[str, list[float]] = {}
    for run in runs:
        if run["tables"] == tables and run["what"] in titles and run["fault"] is None:
            found.setdefault(f"{titles[run['what']]} ({run['items']:,})", []).append(run["seconds"] / run["items"] * 1e6)
    return sorted(found.items(), key=lambda bar: statistics.median(bar[1]))


def lines_of(runs: list[dict[str, Any]], titles: dict[str, str]) -> dict[str, list[tuple[int, float]]]:
    """Median seconds of all three tables beside numbers of items, by title, of those that loaded more than one size."""
    seconds: dict[str, dict[int, list[float]]] = {}
    for run in runs:
        what = "ddb2pg" if run["what"] == "load" else run["what"]
        if run["tables"] == "all" and what in titles and run["fault"] is None:
            seconds.setdefault(titles[what], {}).setdefault(run["items"], []).append(run["seconds"])
    lines = {title: sorted((items, statistics.median(values)) for items, values in sizes.items()) for title, sizes in seconds.items()}
    return {title: points for title, points in lines.items() if len(points) > 1}


def draw_sizes(axis: Any, lines: dict[str, list[tuple[int, float]]]) -> None:
    """A line for each, both scales by powers of ten."""
    for title, points in lines.items():
        axis.plot(*zip(*points, strict=True), marker="o", label=title, linewidth=2.5 if title.startswith("ddb2pg") else 1.2)
    axis.set(xscale="log", yscale="log", xlabel="items of all three tables", ylabel="seconds")
    axis.set_title("time beside size", loc="left")
    axis.grid(color="#dddddd")
    axis.spines[["top", "right"]].set_visible(False)
    if lines:
        axis.legend(frameon=False)


def draw(axis: Any, title: str, bars: list[tuple[str, list[float]]]) -> None:
    """A bar to each median, a line from least to most."""
    names = [name for name, _ in bars]
    medians = [statistics.median(values) for _, values in bars]
    spread = [[middle - min(values), max(values) - middle] for (_, values), middle in zip(bars, medians, strict=True)]
    colours = ["#0b6e4f" if name.startswith("ddb2pg") else "#9aa5b1" for name in names]
    drawn = axis.barh(names, medians, color=colours, xerr=list(zip(*spread, strict=True)), ecolor="#333333")
    axis.bar_label(drawn, fmt="%.1f", padding=4)
    axis.invert_yaxis()
    axis.set_title(title, loc="left")
    axis.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
