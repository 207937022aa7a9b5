"""A whole network under supervisord, in a folder and on ports of its own."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from evd.adapters.supervisor.supervisord import Supervisord
from tests.network.processes import BIN, CHECKOUT, free_port

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
        return self.root / "etc" / "supervisord.conf"

    def command(self, *arguments: str) -> list[str]:
        return [str(BIN / "evd"), "--config", str(self.conf), *arguments]

    @property
    def supervisord(self) -> Supervisord:
        return Supervisord(self.conf)

    def evd(
        self, *arguments: str, text: str = "", **env: str
    ) -> "subprocess.CompletedProcess[str]":
        """The tool, run to its end; `text` is its input, `env` are more environment variables."""
        return run(self.command(*arguments), {**os.environ, **env}, text)

    def ctl(self, *arguments: str) -> str:
        done = run([str(BIN / "supervisorctl"), "-c", str(self.conf), *arguments], os.environ)
        return done.stdout + done.stderr

    def pids(self) -> dict[str, int | None]:
        """The process of each program."""
        return {each.name: each.pid for each in self.supervisord.status()}

    def keep(self, *units: str) -> None:
        """Leave only these units, such as `broker` or `cp-CP-001`."""
        for path in (self.root / "etc" / "supervisord.d").glob("*.conf"):
            if path.stem not in units:
                path.unlink()


def run(
    command: Sequence[str], env: Mapping[str, str], text: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, without a terminal and in no particular folder."""
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
        check=False,
        input=text,
        env=env,
    )


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
        if network.supervisord.pid() is not None:
            network.evd("down")
