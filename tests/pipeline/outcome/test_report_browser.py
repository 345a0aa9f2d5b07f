"""The page in a real browser: what it asks for, how its list filters, sorts, pages and opens, by keyboard."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser import LAPTOP, PHONE, Browser
from tests.pipeline.outcome.reported import Reported, dead_letter, error, make_run, page_of

PAGE = 50
SENTENCES = ("must be a UUID of 8-4-4-4-12 hexadecimal digits", "is missing, and its column takes no NULL", "must have the type tag N")
CODES = ("invalid_uuid", "missing_required", "wrong_type")


def _made(folder: Path, count: int) -> Path:
    """`count` dead letters of three codes by turns, every tenth with two errors; the items of a page as PAGE."""
    return make_run(
        folder,
        (
            dead_letter(
                number,
                error(CODES[number % 3], f"attribute{number % 5}", SENTENCES[number % 3]),
                *([error("nul_character", "notes", "holds U+0000")] if number % 10 == 0 else []),
                item={"id": {"S": f"PATIENT-{number}"}},
            )
            for number in range(count)
        ),
        attributes=("id", "notes", *(f"attribute{number}" for number in range(5))),
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page_of(_made(tmp_path_factory.mktemp("made"), 330), None, show_values=False)


@pytest.fixture
def opened(chromium: Browser, made: Path) -> Browser:
    chromium.open(made)
    return chromium


def _items(browser: Browser) -> list[int]:
    return [int(text.replace(",", "")) for text in browser.texts("#entry-rows .item")]


def _squeezed(browser: Browser) -> list[str]:
    """Texts that have hardly any width to be read in."""
    found: list[str] = browser.script(
        "document.querySelectorAll('details').forEach(one => { one.open = true });"
        "return [...document.querySelectorAll('td, th, caption, dd, p, li')]"
        ".filter(one => one.textContent.trim().length > 8 && one.checkVisibility() && !one.closest('.hidden, thead'))"
        ".filter(one => one.clientWidth < 60).map(one => one.textContent)"
    )
    return found


def _choose(browser: Browser, selector: str, value: str) -> None:
    browser.script(
        "const one = document.querySelector(arguments[0]); one.value = arguments[1]; one.dispatchEvent(new Event('input'))", selector, value
    )


def _focus(browser: Browser, selector: str) -> None:
    browser.script("document.querySelector(arguments[0]).focus()", selector)


def _focused(browser: Browser) -> str:
    text: str = browser.script("return document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent")
    return text


def test_the_pages_of_real_runs_ask_for_nothing_and_complain_of_nothing(chromium: Browser, reported: Reported, tmp_path: Path) -> None:
    """With values and without, of a load and of a validation; each fits a laptop and a phone."""
    with_values = page_of(reported.migrated, tmp_path / "values.html", show_values=True)
    for page in (reported.migrated / "report.html", reported.validated / "report.html", with_values):
        for size in (LAPTOP, PHONE):
            chromium.open(page, size)
            chromium.script("document.querySelectorAll('button.open').forEach(one => one.click())")
            assert chromium.console == []
            assert chromium.requests == [page.as_uri()]
            assert chromium.script("return document.documentElement.scrollWidth <= innerWidth")
            assert len(chromium.texts(".detail")) > PAGE / 2
            assert _squeezed(chromium) == []


def test_the_policy_stops_what_the_page_does_not_do(opened: Browser) -> None:
    """A script that got in would reach nobody, and run nothing further."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        opened.script("const image = new Image(); image.src = arguments[0]; document.body.append(image)", address)
        opened.script(
            "const script = document.createElement('script'); script.textContent = 'window.ran = 1'; document.body.append(script)"
        )
        opened.script("fetch(arguments[0]).catch(() => { window.refused = true })", address)
        opened.until("return window.refused")
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert opened.script("return window.ran") is None
    assert any("Content Security Policy" in message for message in opened.console)


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        ({"#filter-code": "invalid_uuid"}, lambda number: number % 3 == 0),
        ({"#filter-code": "nul_character"}, lambda number: number % 10 == 0),
        ({"#filter-attribute": "attribute4"}, lambda number: number % 5 == 4),
        ({"#filter-text": "TYPE TAG"}, lambda number: number % 3 == 2),
        ({"#filter-code": "wrong_type", "#filter-attribute": "attribute1"}, lambda number: number % 3 == 2 and number % 5 == 1),
        # Of one error, not of several.
        ({"#filter-code": "nul_character", "#filter-attribute": "attribute0"}, lambda _: False),
        ({"#filter-table": "things"}, lambda _: True),
    ],
)
def test_the_list_is_filtered(opened: Browser, filters: dict[str, str], fits: Callable[[int], bool]) -> None:
    """By code, attribute, table and words of the message; the count is said."""
    for selector, value in filters.items():
        _choose(opened, selector, value)
    expected = [number for number in range(330) if fits(number)]
    assert _items(opened) == expected[:PAGE]
    assert opened.find("#count").text.startswith(f"{len(expected)} of 330 entries")
    opened.find("#reset").click()
    assert opened.find("#count").text == "330 of 330 entries; 1 to 50 are shown"


def test_the_text_filter_is_typed(opened: Browser) -> None:
    _focus(opened, "#filter-text")
    opened.press(*"u+0000")
    assert opened.find("#count").text.startswith("33 of 330")
    assert set(opened.texts("#entry-rows .column-message")) == {"holds U+0000"}


def test_the_list_is_sorted_by_keyboard(opened: Browser) -> None:
    """A heading is a button; the order is said."""
    _focus(opened, "[data-sort=message]")
    opened.press("ENTER")
    assert set(opened.texts("#entry-rows .column-message")) == {min(SENTENCES)}
    assert opened.find("th.column-message").get_attribute("aria-sort") == "ascending"
    assert opened.find("th.column-table").get_attribute("aria-sort") == "none"
    opened.press("ENTER")
    assert set(opened.texts("#entry-rows .column-message")) == {max(SENTENCES)}
    assert opened.find("th.column-message").get_attribute("aria-sort") == "descending"
    assert _items(opened) == sorted(_items(opened))
    _focus(opened, "[data-sort=place]")
    opened.press("ENTER", "ENTER")
    assert _items(opened) == list(range(329, 329 - PAGE, -1))


def test_the_list_is_paged(opened: Browser) -> None:
    """Only one page is in the document; the focus stays where it is."""
    _focus(opened, "#page-next")
    opened.press("ENTER")
    assert _items(opened) == list(range(50, 100))
    assert _focused(opened) == "Next"
    opened.find("#page-last").click()
    assert _items(opened) == list(range(300, 330))
    assert opened.find("#page-next").get_attribute("aria-disabled") == "true"
    opened.find("#page-next").click()
    assert _items(opened) == list(range(300, 330))
    _focus(opened, "#page-number")
    opened.script("document.activeElement.select()")
    opened.press("3", "ENTER")
    assert _items(opened) == list(range(100, 150))
    opened.find("#page-first").click()
    assert _items(opened) == list(range(50))


def test_an_entry_is_opened_and_closed_by_keyboard(opened: Browser) -> None:
    """Enter, Escape, arrows; all errors are there, and the item as its shape."""
    _focus(opened, "#entry-rows button.open")
    opened.press("ENTER")
    text = opened.find(".detail").text
    assert "All 2 errors" in text
    assert "holds U+0000" in text
    assert "remove it at the source" in text
    assert "S(9) upper-case word" in text
    assert "PATIENT-0" not in opened.driver.page_source
    assert opened.find("button.open").get_attribute("aria-expanded") == "true"
    opened.press("ARROW_DOWN", "ENTER")
    assert len(opened.texts(".detail")) == 2
    opened.press("ESCAPE")
    assert len(opened.texts(".detail")) == 1
    assert _focused(opened).endswith("one.json.gz 1")
    opened.press("ARROW_UP", "ENTER")
    assert opened.texts(".detail") == []


def test_a_bar_lists_what_it_counts(opened: Browser) -> None:
    """A link from a code, and from one of its attributes; the focus goes along."""
    opened.find('#dead_letters a[data-code=wrong_type][data-attribute=""]').click()
    assert _items(opened) == [number for number in range(330) if number % 3 == 2][:PAGE]
    opened.find("#dead_letters a[data-code=wrong_type][data-attribute=attribute3]").send_keys("\n")
    assert _items(opened) == [number for number in range(330) if number % 3 == 2 and number % 5 == 3]
    assert _focused(opened) == "Dead letters, one by one"
    assert opened.find("#filter-attribute").get_attribute("value") == "attribute3"


def test_filters_are_in_the_address(opened: Browser) -> None:
    """A link with them opens the list filtered; without any, nothing is left of them."""
    _choose(opened, "#filter-code", "wrong_type")
    _choose(opened, "#filter-attribute", "attribute3")
    address = opened.script("return location.href")
    opened.find("#reset").click()
    assert opened.script("return location.hash") == "#list"
    opened.driver.get("about:blank")
    opened.driver.get(address)
    opened.until("return !document.getElementById('entries')")
    assert _items(opened) == [number for number in range(330) if number % 3 == 2 and number % 5 == 3]
    assert opened.find("#filter-attribute").get_attribute("value") == "attribute3"
    opened.script("location.hash = '#list?code=none-of-them&text=u%2B0000'")
    opened.until("return document.getElementById('filter-text').value")
    assert opened.find("#count").text.startswith("33 of 330")


def test_a_page_with_values_keeps_nothing_in_the_address(chromium: Browser, tmp_path: Path) -> None:
    """Names of attributes may be data there, and addresses stay in the browser's history."""
    chromium.open(page_of(_made(tmp_path, 5), tmp_path / "values.html", show_values=True))
    _choose(chromium, "#filter-code", "wrong_type")
    assert chromium.find("#count").text.startswith("1 of 5")
    assert chromium.script("return location.hash") == ""


def test_filters_that_nothing_matches_say_so(opened: Browser) -> None:
    """And one press shows all again."""
    assert not opened.find("#no-match").is_displayed()
    _choose(opened, "#filter-text", "of no message")
    assert opened.find("#no-match").text.startswith("No entry matches these filters.")
    opened.find("#no-match-reset").click()
    assert not opened.find("#no-match").is_displayed()
    assert opened.find("#count").text.startswith("330 of 330")


def test_the_links_are_the_headings(chromium: Browser, reported: Reported) -> None:
    """Each leads to the part that has its words."""
    for run in (reported.migrated, reported.validated):
        chromium.open(run / "report.html")
        pairs = chromium.script(
            "return [...document.querySelectorAll('header nav a')].map(one => "
            "[one.textContent, document.querySelector(one.getAttribute('href')).querySelector('h2').textContent])"
        )
        assert len(pairs) > 4
        assert [link for link, _ in pairs] == [heading for _, heading in pairs]
        # In the order of the page.
        assert [heading for _, heading in pairs] == chromium.texts("main h2")


def test_with_values_the_item_is_shown(chromium: Browser, reported: Reported, tmp_path: Path) -> None:
    """As it is, and the page says what it is."""
    page = page_of(reported.migrated, tmp_path / "values.html", show_values=True)
    chromium.open(page)
    assert chromium.driver.title.startswith("PATIENT DATA")
    assert "Contains patient data" in chromium.find("[role=note]").text
    _choose(chromium, "#filter-code", "invalid_uuid")
    chromium.find("button.open").click()
    assert '"Item": {' in chromium.find(".detail pre").text


def test_an_old_browser_is_told_where_the_entries_are(chromium: Browser, made: Path) -> None:
    """One that cannot unpack them."""
    script = chromium.command("Page.addScriptToEvaluateOnNewDocument", source="delete window.DecompressionStream")
    try:
        chromium.open(made, wait=False)
        chromium.until("return !document.getElementById('list-failed').hidden")
        assert "a newer one can" in chromium.find("#list-failed").text
        assert "7 rows" in chromium.find("#tables").text
    finally:
        chromium.command("Page.removeScriptToEvaluateOnNewDocument", identifier=script["identifier"])


def test_a_hundred_thousand_are_one_page_of_rows(chromium: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is filtered, sorted or turned, the document stays small; of more than that, the page says where they are."""
    page = page_of(_made(tmp_path, 100_020), None, show_values=False)
    chromium.open(page)
    assert "Of 100,020, the first 100,000 are in this page" in chromium.find("#list .note").text
    assert str(page.parent / "dead_letters" / "things") in chromium.find("#list .note").text
    size = chromium.script("return document.querySelectorAll('*').length")
    assert size < 1_500
    _choose(chromium, "#filter-code", "wrong_type")
    assert chromium.find("#count").text.startswith("33,333 of 100,000")
    chromium.find("[data-sort=message]").click()
    chromium.find("#page-last").click()
    assert _items(chromium) == [number for number in range(100_000) if number % 3 == 2][-33:]
    assert chromium.script("return document.querySelectorAll('*').length") <= size
    paint = chromium.script("return performance.getEntriesByType('paint').map(one => `${one.name} ${Math.round(one.startTime)} ms`)")
    with capsys.disabled():
        print(f"\n100,000 entries: {page.stat().st_size / 1e6:.2f} MB, {paint}")
