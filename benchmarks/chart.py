"""The contenders' times as bars: `chart.py RESULTS.json CHART.svg`, in an environment that has matplotlib."""

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


def main() -> None:
    """Draw what a results file holds: microseconds an item, so that contenders with fewer items stand beside the others."""
    content = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    titles: dict[str, str] = content["titles"]
    panels = [(tables, bars_of(content["runs"], titles, tables)) for tables in ("all", "sessions")]
    panels = [(tables, bars) for tables, bars in panels if bars]
    figure, axes = plt.subplots(
        len(panels),
        1,
        figsize=(9, 1 + 0.45 * sum(len(bars) for _, bars in panels)),
        squeeze=False,
        height_ratios=[len(bars) for _, bars in panels],
    )
    for (tables, bars), axis in zip(panels, axes[:, 0], strict=True):
        draw(axis, "all three tables" if tables == "all" else "sessions alone", bars)
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
