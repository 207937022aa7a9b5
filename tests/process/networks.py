"""A whole network of its own for a test: its own folder, its own ports, under supervisord."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from evd.adapters.supervisor.supervisord import Supervisord
from tests.network.processes import free_port

CHECKOUT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
COMMAND_S = 60.0

_PORTS = re.compile(r"(?<=[ :\"])(8[0-9]{3}|9[0-9]{3})(?=[\"\s])")


@attrs.frozen
class Network:
    """A copy of the checkout's `etc` on free ports; what runs in it keeps its state in `root`."""

    root: Path
    # The port here of each port in the checkout's files.
    ports: dict[int, int]

    @property
    def conf(self) -> Path:
        """Its supervisord.conf."""
        return self.root / "etc" / "supervisord.conf"

    def command(self, *arguments: str) -> list[str]:
        """The tool's command line for this network."""
        return [str(BIN / "evd"), "--config", str(self.conf), *arguments]

    def evd(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """The tool, run to its end."""
        return subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def ctl(self, *arguments: str) -> str:
        """What supervisorctl says."""
        done = subprocess.run(
            [str(BIN / "supervisorctl"), "-c", str(self.conf), *arguments],
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        return done.stdout + done.stderr

    def keep(self, *units: str) -> None:
        """Leave only these units, such as `broker` or `cp-CP-001`."""
        for path in (self.root / "etc" / "supervisord.d").glob("*.conf"):
            if path.stem not in units:
                path.unlink()

    def write_unit(self, unit: str, text: str) -> None:
        """Write a unit's file beside those of the checkout."""
        (self.root / "etc" / "supervisord.d" / f"{unit}.conf").write_text(text)


@contextmanager
def network_in(root: Path) -> Iterator[Network]:
    """A network that is not started; it is stopped at the end of the block, if it runs then."""
    shutil.copytree(CHECKOUT / "etc", root / "etc")
    files = [root / "etc" / "supervisord.conf", *(root / "etc" / "supervisord.d").glob("*.conf")]
    named = sorted({int(port) for path in files for port in _PORTS.findall(path.read_text())})
    ports = {port: free_port() for port in named}
    for path in files:
        text = _PORTS.sub(lambda match: str(ports[int(match[0])]), path.read_text())
        path.write_text(text.replace("%(here)s/../.venv/bin", str(BIN)))
    network = Network(root, ports)
    try:
        yield network
    finally:
        if Supervisord(network.conf).pid() is not None:
            network.evd("down")
