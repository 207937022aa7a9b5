"""`make browser`: brings what the tests in a browser need, where it is missing: Debian's Chromium,
and the packages that drive it, which come with nothing but these tests.
"""

import os
import shutil
import subprocess
import sys
from typing import Final

from tests.browser.chromium import NAMES
from tests.network.processes import CHECKOUT

PACKAGE: Final = "chromium"
_UPDATE: Final = ("apt-get", "update", "-qq")
_INSTALL: Final = ("apt-get", "install", "-qq", "-y", "--no-install-recommends", PACKAGE)
_DRIVER: Final = (
    *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
    *("-c", "constraints.txt", "--no-build-isolation", "--config-settings", "editable_mode=compat"),
    *("-e", ".[browser]"),
)


def main() -> int:
    """The exit code: 0 where both are there."""
    return 0 if _bring_chromium() and _bring_driver() else 1


def _bring_chromium() -> bool:
    if any(shutil.which(name) for name in NAMES):
        return True
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"make browser: Chromium is missing: apt install {PACKAGE}", file=sys.stderr)
        return False
    print("Installing Debian's chromium: the pages are tested in it", flush=True)
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    codes = [subprocess.run(each, env=environ).returncode for each in (_UPDATE, _INSTALL)]
    return codes == [0, 0]


def _bring_driver() -> bool:
    try:
        import axe_playwright_python.base  # noqa: F401
        import playwright.sync_api  # noqa: F401
    except ImportError:
        print("Installing the packages that drive the browser", flush=True)
        return subprocess.run(_DRIVER, cwd=CHECKOUT).returncode == 0
    return True


if __name__ == "__main__":
    sys.exit(main())
