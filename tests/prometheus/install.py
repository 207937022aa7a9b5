"""`make prometheus`: fetches Debian's package of Prometheus and unpacks its two programs.

Nothing is installed: the package would start a service.  Safe to repeat; where the programs are on
the PATH already, those are taken.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import attrs

PACKAGE: Final = "prometheus"
PROGRAMS: Final = ("prometheus", "promtool")
APT_S_MAX: Final = 300.0
SAID_CHARS_MAX: Final = 500


class NotInstalled(Exception):
    """One sentence says what is missing, and how to get it."""


@attrs.frozen
class Installation:
    """The two programs."""

    prometheus: str
    promtool: str


def find_prometheus() -> Installation:
    """Those on the PATH, else those that `make prometheus` unpacked.  Raises NotInstalled."""
    path = f"{os.environ.get('PATH', '')}:{cache_directory()}"
    found = [shutil.which(program, path=path) for program in PROGRAMS]
    if None in found:
        raise NotInstalled("Prometheus is not installed: run `make prometheus`")
    return Installation(*map(str, found))


def cache_directory() -> Path:
    """The folder of the programs, outside the checkout."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "evd" / "prometheus"


def fetch() -> None:
    """Fetch and unpack the package.  Raises NotInstalled."""
    if any(shutil.which(tool) is None for tool in ("apt-get", "dpkg-deb")):
        raise NotInstalled("this is no Debian: put prometheus and promtool on the PATH")
    print(f"Fetching Debian's package {PACKAGE} (once; 19 MB), unpacked and not installed")
    directory = cache_directory()
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=directory) as scratch:
        try:
            _run(("apt-get", "--quiet=2", "download", PACKAGE), scratch)
        except NotInstalled:
            if os.geteuid() != 0:
                raise
            # The lists of packages may be old, or not there yet.
            _run(("apt-get", "--quiet=2", "update"), scratch)
            _run(("apt-get", "--quiet=2", "download", PACKAGE), scratch)
        (package,) = Path(scratch).glob("*.deb")
        _run(("dpkg-deb", "--extract", str(package), "unpacked"), scratch)
        for program in PROGRAMS:
            os.replace(Path(scratch, "unpacked", "usr", "bin", program), directory / program)


def _run(command: tuple[str, ...], folder: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=APT_S_MAX)
    if done.returncode != 0:
        said = " ".join(done.stderr.split())[-SAID_CHARS_MAX:]
        raise NotInstalled(f"`{' '.join(command)}` failed: {said}")


def main() -> int:
    """Fetch it where it is missing, and say where it is; 1 with one sentence where it can't be."""
    try:
        try:
            installation = find_prometheus()
        except NotInstalled:
            fetch()
            installation = find_prometheus()
    except (NotInstalled, subprocess.TimeoutExpired) as failure:
        print(f"make prometheus: {failure}", file=sys.stderr)
        return 1
    version = subprocess.run((installation.prometheus, "--version"), capture_output=True, text=True)
    print(f"{installation.prometheus}: {(version.stdout or version.stderr).splitlines()[0]}")
    return version.returncode


if __name__ == "__main__":
    sys.exit(main())
