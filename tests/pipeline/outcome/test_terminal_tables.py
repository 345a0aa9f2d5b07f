"""The tables at the end of a run on terminals of several widths, in pipes, and where the locale has ASCII only."""

from __future__ import annotations

import io

import pytest

from pipeline.console import PlainConsole
from pipeline.outcome.outcome import Outcome, Part, PartKind, Run
from pipeline.outcome.terminal import print_run


def _outcome(table: str, rows: int, dead_letters: int, notices: int = 0) -> Outcome:
    total = rows + dead_letters
    parts = (Part("rows", "rows", rows, PartKind.GOOD), Part("dead_letters", "dead letters", dead_letters, PartKind.REVIEW))
    tallies = {"totals": {"notices": notices}}
    return Outcome(table, f"public.{table}", "01", "item", total, "in the manifest", total, "read", parts, tallies=tallies)


RUN = Run("migrate", (_outcome("medzen-video-sessions", 19_900, 100, 219), _outcome("medzen-a-rather-long-name-of-a-table", 1, 0)))


def _printed(run: Run, width: int, *, terminal: bool) -> str:
    written = io.StringIO()
    console = PlainConsole(force_terminal=terminal, color_system=None, width=width, file=written)
    print_run(console, run)
    return written.getvalue()


@pytest.fixture(autouse=True)
def _utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.setenv("LANG", "en_GB.UTF-8")


@pytest.mark.parametrize("width", [20, 40, 60, 80])
def test_no_name_is_cut_or_folded_on_a_narrow_terminal(width: int) -> None:
    """Where the table does not fit there are lines, which the terminal wraps as it wraps others; what is 0 is left out."""
    shown = _printed(RUN, width, terminal=True)
    unwrapped = shown.replace("\n", " ")
    if width < 80:
        assert "medzen-a-rather-long-name-of-a-table" in shown.replace("\n", "")
        assert not set(shown) & set("│|┃")
    if width == 60:
        assert "medzen-video-sessions: 20,000 items: 19,900 rows, 100 dead letters, 219 notices" in unwrapped
        assert "medzen-a-rather-long-name-of-a-table: 1 item: 1 row" in unwrapped


def test_a_wide_terminal_has_a_table() -> None:
    """Drawn with lines."""
    shown = _printed(RUN, 100, terminal=True)
    assert "│ medzen-a-rather-long-name-of-a-table │" in shown
    assert max(map(len, shown.splitlines())) < 100


@pytest.mark.parametrize("names", [{"LANG": "C"}, {"LANG": "", "LC_CTYPE": "C.UTF-8"}, {"LANG": "en_GB.UTF-8", "LC_ALL": "POSIX"}])
def test_the_c_locale_has_ascii(names: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where Python has set LC_CTYPE itself."""
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    shown = _printed(RUN, 100, terminal=True)
    assert shown.isascii()
    assert "| medzen-a-rather-long-name-of-a-table |" in shown


def test_a_pipe_has_ascii_tables_and_names_as_they_are() -> None:
    """Of a fixed width, whatever the terminal's; what is read by programs later need not know boxes."""
    shown = _printed(Run("migrate", (_outcome("bücher", 5, 1), RUN.outcomes[1])), 30, terminal=False)
    assert "| bücher  " in shown
    assert not set(shown) & set("│┃━")
