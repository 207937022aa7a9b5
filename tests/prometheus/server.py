"""A Prometheus that runs on our configuration, made quick, and watches a network of a test."""

import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import httpx

from evd.adapters.supervisor.protocol import Program as Defined
from evd.cli.targets import write_targets
from tests.network.network import Network
from tests.network.processes import CHECKOUT, Program, free_port
from tests.network.waiting import wait_until
from tests.prometheus.install import Installation
from tests.unit.cli.scene import Supervised

READY_S_MAX = 20.0
# In the place of every duration of the shipped files: how often it looks, and how long an alert
# must last.
LOOK, LASTS = "500ms", "1s"
_INTERVALS = re.compile(r"^( *(?:scrape_interval|evaluation_interval|refresh_interval): ).*$", re.M)
_FOR = re.compile(r"^( +for: ).*$", re.M)

Labels = dict[str, str]


@attrs.frozen
class Prometheus:
    """A running one, asked by its API."""

    http: httpx.Client

    def ask(self, path: str, **params: Any) -> Any:
        """The data of an answer; the test fails where it is an error."""
        answer = self.http.get(f"/api/v1/{path}", params=params).json()
        assert answer["status"] == "success", (params, answer)
        return answer["data"]

    def query(self, expression: str) -> list[tuple[Labels, float]]:
        """The series of an expression as they are now, each with its value."""
        found = self.ask("query", query=expression)["result"]
        return [(each["metric"], float(each["value"][1])) for each in found]

    def firing(self) -> list[Labels]:
        """The labels of each alert that fires."""
        alerts = self.ask("alerts")["alerts"]
        return [each["labels"] for each in alerts if each["state"] == "firing"]

    def families(self, job: str) -> dict[str, str]:
        """Each metric that the targets of a job show, with its type."""
        found = self.ask("targets/metadata", match_target=f'{{job="{job}"}}')
        # A counter is told by the name that its series have.
        return {each["metric"]: each["type"] for each in found}


@contextmanager
def watching(installed: Installation, network: Network, folder: Path) -> Iterator[Prometheus]:
    """A Prometheus with the shipped configuration and rules, for the length of the block.

    Only durations are other than shipped.  Its targets are written as the tool writes them.
    """
    settings = folder / "etc" / "prometheus"
    shutil.copytree(CHECKOUT / "etc" / "prometheus", settings)
    for name in ("prometheus.yml", "rules.yml"):
        text = _INTERVALS.sub(rf"\g<1>{LOOK}", (settings / name).read_text())
        (settings / name).write_text(_FOR.sub(rf"\g<1>{LASTS}", text))
    var = folder / "var"
    var.mkdir()
    write_targets(Supervised([*_defined(network.programs.values())], var=var))
    port = free_port()
    program = Program(
        "prometheus",
        (
            installed.prometheus,
            f"--config.file={settings / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ),
        folder,
    )
    # It ends with the network, and its log is told with those of a test that fails.
    network.programs["prometheus"] = program.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10.0) as http:
        wait_until(lambda: _is_ready(http), READY_S_MAX, "Prometheus is ready")
        yield Prometheus(http)


def _is_ready(http: httpx.Client) -> bool:
    try:
        return http.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False


def _defined(programs: Iterable[Program]) -> Iterator[Defined]:
    """The programs of a test's network, as a supervisor would have them defined."""
    for program in programs:
        group = Path(program.argv[0]).name
        if group.startswith("evd-"):
            environment = {
                name: value
                for name, value in program.env.items()
                if name.startswith(("EVD_BROKER_", "CENTRAL_", "CP_", "DRIVER_"))
            }
            member = program.name.partition(":")[2] or None
            yield Defined(group, member, tuple(program.argv[1:]), environment)
