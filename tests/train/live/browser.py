"""A headless browser for tests: the system's Chromium, driven by Playwright."""

import os
import shutil
import subprocess
from contextlib import contextmanager

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def executable():
    """Find a browser; the gate installs one, since there no test may be passed over."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None and os.environ.get("CI") and os.name == "posix" and os.geteuid() == 0:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-qq", "--no-install-recommends", "chromium"]
        for command in (["apt-get", "update", "-qq"], install):
            subprocess.run([*command, "-y"], env=environment, check=True, capture_output=True)
        found = shutil.which("chromium")
    if found is None:
        message = "needs a browser: install Chromium (on Debian and Ubuntu: apt install chromium)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    return found


@contextmanager
def headless():
    """Start the browser, and end it."""
    playwright = pytest.importorskip("playwright.sync_api", reason="drives the browser")
    # Tests run as root in containers, where Chromium's own sandbox cannot start.
    sandbox = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable(), args=sandbox)
        try:
            yield browser
        finally:
            browser.close()
