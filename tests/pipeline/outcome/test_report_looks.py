"""How the page looks and reads: contrast, names and roles by axe, light and dark, narrow, on paper; and that hostile names stay text."""

from __future__ import annotations

import base64
import io
import itertools
import json
from pathlib import Path

import axe_core_python
import pypdf
import pytest

from tests.browser import LAPTOP, PHONE, Browser
from tests.pipeline.outcome.reported import Reported, dead_letter, error, make_run, page_of
from tests.pipeline.planted import report_of
from transforms.sources import path_of

AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
EVIL = (
    "</script><script>window.pwned = 1</script>",
    "<img src=x onerror='window.pwned = 2'>",
    '"><svg onload=window.pwned=3>',
    "line\u2028and\u2029para",
    "\u202eabc\u2066def\u2069",
    "nul\x01bell\x07esc\x1b[31m",
    "{{ 7 * 7 }} {% raw %}",
    "javascript:window.pwned=4",
    "=cmd|'/c calc'!A1",
    "__proto__",
    "constructor",
)


def _violations(browser: Browser) -> list[str]:
    browser.script(AXE)
    found = browser.driver.execute_async_script("const done = arguments[0]; axe.run(document).then(results => done(results.violations))")
    return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]


# Every two of kind, colours and size once.
@pytest.mark.parametrize(
    ("kind", "dark", "size"),
    [("migrated", False, LAPTOP), ("migrated", True, PHONE), ("validated", True, LAPTOP), ("validated", False, PHONE)],
    ids=["migrated-light-laptop", "migrated-dark-phone", "validated-dark-laptop", "validated-light-phone"],
)
def test_axe_finds_nothing(chromium: Browser, reported: Reported, kind: str, size: tuple[int, int], dark: bool) -> None:
    """With entries open, and everything that can be opened."""
    chromium.open(getattr(reported, kind) / "report.html", size, dark=dark)
    chromium.script("document.querySelectorAll('button.open').forEach((one, at) => at < 5 && one.click())")
    chromium.script("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert _violations(chromium) == []
    ground = chromium.script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground.removeprefix("rgb(").removesuffix(")").split(","))) < 200) == dark


def test_a_page_with_values_reads_as_well(chromium: Browser, reported: Reported, tmp_path: Path) -> None:
    chromium.open(page_of(reported.migrated, tmp_path / "values.html", show_values=True))
    chromium.script("document.querySelectorAll('button.open').forEach((one, at) => at < 5 && one.click())")
    assert _violations(chromium) == []


@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_windows_fit_and_read_well(chromium: Browser, run_folder: Path, size: tuple[int, int]) -> None:
    """Their table is wider than a phone, and is moved in itself; paper has all of it."""
    run = make_run(run_folder, [dead_letter(1, error("wrong_type", "id"))])
    report = json.loads((run / "report.json").read_bytes())
    [table] = report["tables"]
    names = ("inserted", "updated", "unchanged", "deleted", "absent")
    parts = [{"name": name, "words": name, "count": 10, "kind": "good"} for name in names]
    parts.append({"name": "conflicts", "words": "conflicts", "count": 3, "kind": "review"})
    for number in (1, 2):
        times = {"changes_from": f"2026-11-23T0{number}:00:00+00:00", "changes_to": f"2026-11-23T0{number + 1}:00:00+00:00"}
        window = {"window": number, "outdated": 7, "counted": "record", "total": 53, "seen": 53, "parts": parts}
        report["tables"].append({**table, **window, **times})
    (run / "report.json").write_text(json.dumps(report), encoding="utf-8")
    chromium.open(page_of(run, None, show_values=False), size)
    assert _violations(chromium) == []
    assert chromium.script("return document.documentElement.scrollWidth <= innerWidth")
    assert chromium.texts("#windows .bar rect:not(.ground)") == ["", ""]
    assert chromium.texts("#windows .facts dd")[2:] == ["6", "7"]
    text = " ".join(_printed(chromium))
    assert "2 2026-11-23" in text
    assert "All 106 20 20 20 20 20 6" in text


def test_landmarks_and_charts_have_words(chromium: Browser, reported: Reported) -> None:
    """A screen reader finds the parts, and hears every bar of the equation."""
    chromium.open(reported.migrated / "report.html")
    assert chromium.script("return ['header', 'main', 'footer', 'nav', '[role=search]'].every(one => document.querySelector(one))")
    assert chromium.find("#count").get_attribute("aria-live") == "polite"
    words = chromium.script("return [...document.querySelectorAll('svg[role=img]')].map(one => one.getAttribute('aria-label'))")
    for table in report_of(reported.migrated)["tables"]:
        totals = table["totals"]
        assert f"Of 1,500 items: {totals['rows']:,} rows, {totals['dead_letters']:,} dead letters" in words
    assert sum("Items per second" in text for text in words) == 3
    levels = [int(tag[1]) for tag in chromium.script("return [...document.querySelectorAll('h1,h2,h3,h4')].map(one => one.tagName)")]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_everything_that_takes_the_focus_shows_it(chromium: Browser, reported: Reported) -> None:
    """Along the first hundred stops of the Tab key."""
    chromium.open(reported.migrated / "report.html")
    outlines = []
    for _ in range(100):
        chromium.press("TAB")
        outlines.append(
            chromium.script("const one = getComputedStyle(document.activeElement); return [one.outlineStyle, one.outlineWidth]")
        )
    assert all(style != "none" and width != "0px" for style, width in outlines), outlines


def _printed(browser: Browser) -> list[str]:
    pdf = pypdf.PdfReader(io.BytesIO(base64.b64decode(browser.driver.print_page())))
    return [" ".join(page.extract_text().split()) for page in pdf.pages]


def test_paper_has_the_verdict_and_the_equation(chromium: Browser, reported: Reported) -> None:
    """On its first page, from the dark as well; what can only be clicked is left out."""
    chromium.open(reported.migrated / "report.html", dark=True)
    first, *others = _printed(chromium)
    assert "Every item is accounted for" in first
    for table in report_of(reported.migrated)["tables"]:
        assert f"= {table['totals']['rows']:,} rows" in first
        assert f"+ {table['totals']['dead_letters']:,} dead letters" in first
    text = " ".join([first, *others])
    assert "Message contains" not in text
    assert "server_version" in text, "facts are opened for paper"
    assert "PATIENT DATA" not in text


def test_every_sheet_with_values_says_so(chromium: Browser, reported: Reported, tmp_path: Path) -> None:
    chromium.open(page_of(reported.migrated, tmp_path / "values.html", show_values=True))
    sheets = _printed(chromium)
    assert len(sheets) > 2
    assert all("CONTAINS PATIENT DATA" in sheet for sheet in sheets)


@pytest.mark.parametrize("show_values", [False, True], ids=["masked", "values"])
def test_hostile_names_and_items_stay_text(chromium: Browser, run_folder: Path, show_values: bool) -> None:
    """In every place where text from outside is shown: nothing runs, nothing becomes markup, nothing reorders what is around it."""
    evil_items = [{evil: {"S": evil}, "id": {"S": evil}} for evil in EVIL]
    records = [
        dead_letter(
            12 * number + again,
            error(evil, evil, f"message {evil}", column=evil, sqlstate=evil),
            error("wrong_type", f"id.{evil}"),
            item=evil_items[number],
            data_file=evil,
            stage=evil,
            target_table=evil,
        )
        for number, evil in enumerate(EVIL)
        for again in range(12)
    ]
    records.append(dead_letter(999, error("invalid_json"), item_encoding="utf-8") | {"item": "".join(EVIL)})
    run = make_run(run_folder, records, attributes=["id", *(path_of([name]) for name in EVIL)])
    page = page_of(run, None, show_values=show_values)
    chromium.open(page)
    for number in range(3):
        chromium.script("document.querySelectorAll('button.open').forEach(one => one.click())")
        text = chromium.script("return document.body.textContent")
        assert not {sign for sign in text if sign in "\u2028\u2029\u202e\u2066\u2069\x01\x07\x1b"}
        tags = chromium.script("return [...document.querySelectorAll('#list *')].map(one => one.tagName)")
        assert not {"SCRIPT", "IMG", "SVG", "IFRAME"} & set(tags)
        assert chromium.script("return document.querySelectorAll('img, iframe, object, [onerror], [onload]').length") == 0
        assert chromium.script("return document.scripts.length") == 1
        assert ("message " in text) or number
        chromium.find("#page-next").click()
    assert chromium.script("return window.pwned") is None
    assert chromium.console == []
    assert chromium.requests == [page.as_uri()]
    everything = json.dumps(chromium.texts("#filter-code option"))
    assert "<img src=x onerror='window.pwned = 2'>" in everything
    assert r"\\u{202e}abc" in everything
    assert "__proto__ (12)" in everything
    assert "constructor (12)" in everything
    chromium.script("const one = document.querySelector('#filter-code'); one.value = '__proto__'; one.dispatchEvent(new Event('input'))")
    assert chromium.find("#count").text.startswith("12 of 133")
