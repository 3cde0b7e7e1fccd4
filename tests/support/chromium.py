"""Finding the browser for the tests of the user interface."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.support.processes import is_root

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

MISSING = (
    "No Chromium found: install it (Debian: apt-get install chromium fonts-dejavu-core; "
    "elsewhere: Google Chrome, or playwright install chromium)."
)


class ChromiumMissing(RuntimeError):
    """There is no browser on this machine."""


def _look() -> Path | None:
    for name in _NAMES:
        if found := shutil.which(name):
            return Path(found)
    mac = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
    if mac.exists():
        return mac
    cache = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache/ms-playwright")
    return max(cache.glob("chromium-*/chrome-linux*/chrome"), default=None)


def find_chromium() -> Path:
    """Return the browser's program file; a CI machine that lets us installs it first.

    Raises:
        ChromiumMissing: There is none; the message says what to install.
    """
    found = _look()
    if found is None and os.environ.get("CI") and is_root() and shutil.which("apt-get"):
        packages = ["chromium", "fonts-dejavu-core", "fonts-liberation"]
        for command in (["apt-get", "update"], ["apt-get", "install", "-y", *packages]):
            subprocess.run(
                command,
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                capture_output=True,
                check=False,
            )
        found = _look()
    if found is None:
        raise ChromiumMissing(MISSING)
    return found
