"""The page in one file. It may not load anything, nor run anything but its own script, whatever the data hold.

Three things see to that: every text goes through the template's escaping or the script's text nodes; the list's entries are base64 in a
block that is no script; and the Content-Security-Policy allows the one script and the one style by their hashes, and nothing else.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipeline.console import printable
from pipeline.outcome.page import loads, tables
from pipeline.outcome.page.advice import ADVICE
from pipeline.outcome.page.content import page_content
from pipeline.records.gather import Gathered

_FOLDER: Final = Path(__file__).parent / "template"
_SCRIPTS: Final = ("text.js", "entries.js", "selection.js", "detail.js", "list.js", "main.js")
_ENTRIES_AT_ONCE: Final = 50


def render_page(report: Mapping[str, Any], gathered: Gathered, run_folder: str) -> bytes:
    """The whole file; `report` is as `report.json` has it, `run_folder` a path or a URI."""
    style, script = _style(), _script()
    data = orjson.dumps({**gathered.entries, "advice": ADVICE, "has_values": gathered.has_values, "page_size": _ENTRIES_AT_ONCE})
    text = (
        _environment()
        .get_template("page.html")
        .render(
            page=page_content(report, gathered, run_folder),
            policy=f"default-src 'none'; style-src {_hash_of(style)}; script-src {_hash_of(script)}; base-uri 'none'; form-action 'none'",
            # Files of this package, which hold no data.
            style=Markup(style),  # noqa: S704
            script=Markup(script),  # noqa: S704
            entries=base64.b64encode(gzip.compress(data, 6, mtime=0)).decode(),
            bar_width=tables.BAR,
            curve_width=loads.WIDTH,
            curve_height=loads.HEIGHT,
        )
    )
    return text.encode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__, "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # What would reorder the text around it, or break a line, is shown as its code.
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    environment.filters["number"] = lambda number: f"{number:,}"
    return environment


@cache
def _style() -> str:
    return f"\n{(_FOLDER / 'page.css').read_text(encoding='utf-8')}{(_FOLDER / 'print.css').read_text(encoding='utf-8')}"


@cache
def _script() -> str:
    content = "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    return f'\n"use strict";\n(() => {{\n{content}}})();\n'


def _hash_of(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
