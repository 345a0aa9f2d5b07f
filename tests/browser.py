"""A real Chromium for the report's page, without a window and without a network."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, Self

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

LAPTOP = (1280, 800)
PHONE = (360, 740)

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


class Browser:
    """One Chromium, gone at the end; what a page asks of the network and says on the console is kept."""

    def __enter__(self) -> Self:
        self._profile = Path(tempfile.mkdtemp(prefix="ddb2pg-chromium-"))
        options = Options()
        options.binary_location = _program("chromium")
        for flag in (*_FLAGS, f"--user-data-dir={self._profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(_program("chromedriver")))
        self.driver.set_script_timeout(180)  # seconds; axe looks at every element, on a machine that may be busy
        self.driver.get("about:blank")  # the page of a new tab asks for much
        return self

    def __exit__(self, *_: object) -> None:
        self.driver.quit()
        shutil.rmtree(self._profile, ignore_errors=True)

    def open(self, page: Path, size: tuple[int, int] = LAPTOP, *, dark: bool = False, wait: bool = True) -> None:
        """A page from the disk; its list, if it has one, is there."""
        self.driver.get_log("performance")
        self.driver.get_log("browser")
        width, height = size
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[feature])
        self.driver.get(page.as_uri())
        if wait:
            self.until("return !document.getElementById('entries')")

    def command(self, name: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(name, parameters)

    def script(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def until(self, script: str) -> None:
        """Wait until a script says yes."""
        WebDriverWait(self.driver, 300, poll_frequency=0.02).until(lambda driver: driver.execute_script(script))

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        """The texts of all elements, seen or not."""
        found: list[str] = self.script("return [...document.querySelectorAll(arguments[0])].map(one => one.textContent)", selector)
        return found

    def press(self, *keys: str) -> None:
        """Keys, for whatever has the focus."""
        actions = webdriver.ActionChains(self.driver)
        for key in keys:
            actions.send_keys(getattr(Keys, key, key))
        actions.perform()

    @property
    def console(self) -> list[str]:
        """What was said on the console since the page was opened."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    @property
    def requests(self) -> list[str]:
        """The addresses that were asked for since the page was opened."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"]


def _program(name: str) -> str:
    found = shutil.which(name)
    assert found, f"{name} is not installed: apt-get install chromium chromium-driver, as ./run_tests.sh does where it is root"
    return found
