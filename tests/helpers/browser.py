# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium, driven by Selenium; for tests marked ``browser``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["Browser", "chromium"]

# It runs as root in containers, has no display, and asks nobody on its own account.
_ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--window-size=1300,1000"),
)


class Browser:
    """What the tests ask of a browser.

    Attributes
    ----------
    driver : selenium.webdriver.Chrome
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, path: Path, *, scheme: str = "light", width: int = 1300) -> None:
        """Open a file with a colour scheme and a width of the window; forget earlier requests."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.get("about:blank")
        self.requests(), self.messages()
        self.driver.get(path.as_uri())

    def ask(self, script: str, *arguments: object) -> Any:
        """Run a script in the page and return what it returns."""
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> list[Any]:
        """Return the elements that a selector of CSS names."""
        return list(self.driver.find_elements("css selector", selector))

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, wherever the focus is."""
        from selenium.webdriver import ActionChains, Keys

        pressed = [getattr(Keys, key.upper()) for key in keys]
        ActionChains(self.driver, duration=0).send_keys(*pressed).perform()

    def point_at(self, element: Any, dx: int = 0, dy: int = 0) -> None:
        """Move the pointer to the middle of an element, or beside it."""
        from selenium.webdriver import ActionChains

        self.ask("arguments[0].scrollIntoView({block: 'center'})", element)
        chain = ActionChains(self.driver, duration=0)
        chain.move_to_element(element).move_by_offset(dx, dy).perform()

    def requests(self) -> list[str]:
        """Return the addresses that were asked for since the last call."""
        logged = [
            json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")
        ]
        return [
            one["params"]["request"]["url"]
            for one in logged
            if one["method"] == "Network.requestWillBeSent"
        ]

    def messages(self) -> list[str]:
        """Return what was written to the console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """Start Chromium with an empty profile, and end it."""
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    paths = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in paths:
        raise FileNotFoundError(
            "chromium and chromedriver must be in PATH (Debian: chromium chromium-driver); "
            f"got {paths}"
        )
    options = ChromeOptions()
    options.binary_location = str(paths[0])
    for argument in (*_ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options, ChromeService(str(paths[1])))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
