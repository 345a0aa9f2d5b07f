"""The page as a file: what may run in it, what is in it, and that a package holds its parts."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from setuptools import Distribution
from setuptools.command.build_py import build_py

import pipeline.outcome
from pipeline.outcome.charts import BAR, laid_out, seconds_in_words
from pipeline.outcome.outcome import Verdict
from pipeline.outcome.page import ADVICE, check_lists, page_content
from pipeline.places.storage import OutputFolder
from pipeline.records.gather import gather_records
from pipeline.target.compare import MismatchKind
from tests.pipeline.outcome.reported import TABLES, Reported, dead_letter, error, make_run, page_of
from tests.pipeline.planted import report_of
from transforms.rejects import ErrorCode

TEMPLATE = Path(pipeline.outcome.__file__).parent / "template"


class _Elements(HTMLParser):
    """Every element with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def _page(run: Path) -> str:
    return page_of(run, None, show_values=False).read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["migrated", "validated"])
def test_only_the_script_and_the_style_of_the_page_are_allowed(reported: Reported, kind: str) -> None:
    """By their hashes; no address is in it, and no style or handler at an element."""
    text = (getattr(reported, kind) / "report.html").read_text(encoding="utf-8")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy

    def hash_of(element: str) -> str:
        [content] = re.findall(rf"<{element}>(.*?)</{element}>", text, flags=re.DOTALL)
        return f"&#39;sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}&#39;"

    assert policy[1] == (
        f"default-src &#39;none&#39;; style-src {hash_of('style')}; script-src {hash_of('script')}; "
        "base-uri &#39;none&#39;; form-action &#39;none&#39;"
    )
    attributes = {name for _, attributes in _Elements(text).found for name in attributes}
    assert not {name for name in attributes if name.startswith("on") or name in {"src", "style", "action", "srcdoc"}}
    links = {attributes["href"] for _, attributes in _Elements(text).found if "href" in attributes}
    assert all(link and link.startswith("#") for link in links)
    assert "http://" not in text
    assert "https://" not in text


def test_no_part_of_the_template_can_end_the_script() -> None:
    for path in TEMPLATE.glob("*.js"):
        assert "</" not in path.read_text(encoding="utf-8"), path
        assert "innerHTML" not in path.read_text(encoding="utf-8"), path


def test_names_from_outside_are_text(run_folder: Path) -> None:
    """Those of the static parts, too; what would reorder text is shown as its code."""
    evil = "<img src=x onerror=alert(1)>"
    run = make_run(
        run_folder,
        [dead_letter(number, error(evil, "</script><b>")) for number in range(20)],
        attributes=["</script><b>"],
        settings={"output": evil, "line": "a\u2028b\u202ec\x07"},
        checks={evil: [{"name": evil, "verdict": evil, "detail": evil, "table": evil}]},
    )
    text = _page(run)
    tags = {tag for tag, _ in _Elements(text).found}
    assert not tags & {"img"}
    assert sum(tag == "script" for tag, _ in _Elements(text).found) == 2
    assert text.count("&lt;img src=x onerror=alert(1)&gt;") >= 5
    assert r"a\u2028b\u202ec\x07" in text
    assert not re.search("[\u2028\u202e\x07]", text)


def test_any_list_of_checks_is_shown() -> None:
    """Of the run, whatever it is about, and of a table."""
    report: dict[str, Any] = {
        "command": "migrate",
        "is_dry": False,
        "checks": {
            "preflight": [{"name": "a", "verdict": "fact", "detail": "x", "table": None}],
            "requests": [
                {"name": "anon cannot read", "verdict": "pass", "detail": "", "table": None},
                {"name": "all can read", "verdict": "fail", "detail": "answered 500; and more", "table": None},
            ],
            "empty": [],
        },
        "tables": [{"source_table": "s", "checks": [{"name": "count", "verdict": "fail", "detail": "3 missing", "table": None}]}],
    }
    lists = {found.heading: found for found in check_lists(report)}
    assert list(lists) == ["Preflight", "Requests", "Row comparison"]
    assert [check.name for check in lists["Preflight"].facts] == ["a"]
    sound, failed = lists["Requests"].rows
    assert (sound.verdict, sound.state, sound.detail) == ("pass", "good", "")
    assert (failed.verdict, failed.state, failed.detail) == ("fail", "bad", "answered 500; and more")
    [check] = lists["Row comparison"].rows
    assert (check.verdict, check.state, check.detail, check.table) == ("fail", "bad", "3 missing", "s")


def test_a_report_of_a_command_that_is_not_known_is_shown(run_folder: Path) -> None:
    """With the least that can be said of it."""
    run = make_run(run_folder, [], command="unheard of")
    assert "finished, with something to review" in _page(run)


def test_a_run_of_windows_alone_has_a_page(run_folder: Path) -> None:
    """As of `follow`: there is no table of items, and no link to one. Nor is there, of a run without any table."""
    run = make_run(run_folder, [])
    report = json.loads((run / "report.json").read_bytes())
    [table] = report["tables"]
    times = {"changes_from": "2026-11-23T01:00:00+00:00", "changes_to": "2026-11-23T02:00:00+00:00"}
    for tables, parts in (([{**table, "window": 4, "outdated": 0, **times}], ["windows", "run"]), ([], ["run"])):
        (run / "report.json").write_text(json.dumps({**report, "tables": tables}), encoding="utf-8")
        found = _Elements(_page(run)).found
        assert [attributes["id"] for tag, attributes in found if tag == "section"] == parts
        links = [attributes["href"] for tag, attributes in found if tag == "a" and "class" not in attributes]
        assert links == [f"#{part}" for part in parts]


def test_there_is_advice_for_every_code() -> None:
    assert {*ErrorCode} <= ADVICE.keys()
    assert {*MismatchKind} - {MismatchKind.REPAIRED} <= ADVICE.keys()


def test_a_part_of_a_bar_is_as_long_as_it_is_large() -> None:
    """And a small one is seen all the same, at the cost of the largest."""
    assert laid_out([999_999, 1, 0], 1_000_000) == [(0, BAR - 6), (BAR - 6, 6), (BAR, 0)]
    assert laid_out([1, 1], 4) == [(0, 250), (250, 250)]
    assert laid_out([0], 0) == [(0, 0)]


@pytest.mark.parametrize(("seconds", "words"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (252, "4 min 12 s"), (7_500, "2 h 5 min")])
def test_durations_are_words(seconds: float, words: str) -> None:
    assert seconds_in_words(seconds) == words


def test_verdicts_of_preflight_are_known_to_the_page(reported: Reported) -> None:
    """A warning is shown, a fact can be opened."""
    content = page_content(report_of(reported.migrated), gather_records(OutputFolder(str(reported.migrated)), {}), str(reported.migrated))
    preflight, gates = content.checks
    assert {check.verdict for check in preflight.facts} == {Verdict.FACT}
    assert {check.verdict for check in preflight.rows} <= {Verdict.WARNING}
    assert [(check.state, check.table) for check in gates.rows] == [("good", table) for table in TABLES]


def test_a_package_holds_the_parts_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """As setup.py says it."""
    monkeypatch.chdir(Path(__file__).parents[3])
    said: dict[str, Any] = {}
    monkeypatch.setattr("setuptools.setup", said.update)
    exec(compile(Path("setup.py").read_text(encoding="utf-8"), str(Path("setup.py").absolute()), "exec"), {"__file__": "setup.py"})  # noqa: S102
    command = build_py(Distribution({name: said[name] for name in ("packages", "package_data")}))
    command.ensure_finalized()
    held = {Path(folder, name) for _, folder, _, names in command.data_files for name in names}
    parts = {path.relative_to(Path.cwd()) for path in [*TEMPLATE.iterdir(), *TEMPLATE.parent.glob("*.json")]}
    assert len(parts) > 10
    assert parts <= held
