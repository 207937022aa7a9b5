"""Schemathesis against the APIs of real programs: each answer is one that OpenAPI documents.

It makes calls of that document, right ones and wrong ones, and checks each answer: no 5xx, no
status, content type or form that is not documented, no wrong call taken and no right one refused.
"""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.network.network import Network
from tests.network.processes import BIN, free_port

SCHEMATHESIS = BIN / "st"
# The same calls each time.
QUICK = ("--phases", "examples,coverage", "--seed", "1", "--no-shrink")
# Other calls each time; it prints the seed.
LONG = ("--max-examples", "50")
RUN_S_MAX = 1_200.0
DRIVER = "driver-alice"
# No document can say that `since` must not be after `until`, or that a login wants a token, or else
# a user and a password: such a call may be right by all that is written, and yet be refused.  A
# stream of events has no end to wait for.
CONFIG = """
[[operations]]
include-path-regex = "^/(audit|faults|health/history|power|reports|sessions|states|timeline)$"
checks.positive_data_acceptance.enabled = false

[[operations]]
include-path-regex = "^/(auth/login|tokens)$"
checks.positive_data_acceptance.enabled = false

[[operations]]
include-path = "/drivers/{driver_id}/events"
enabled = false
"""
# The id that a path of a driver's page must have to lead anywhere.
OF_DRIVER = f"""
[parameters]
"path.driver_id" = "{DRIVER}"
"""


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """The APIs of a network with a session of the past; no program of it may fail."""
    folder = tmp_path_factory.mktemp("api")
    page_port = free_port()
    with Network(folder) as network:
        network.up("CP-001", engine_flags=("--session-seconds", "0.2"))
        network.driver(DRIVER, flags=("--http-port", str(page_port))).start_until_ready()
        network.wait_request(network.request_charge(DRIVER, "CP-001"), "COMPLETED")
        yield {"central": str(network.http.base_url), "driver": f"http://127.0.0.1:{page_port}"}
        for program in network.programs.values():
            assert "Traceback" not in program.logged(), program.name


def run(url: str, folder: Path, *flags: str, is_central: bool) -> "subprocess.Popen[str]":
    """Schemathesis at work on the API at `url`."""
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG if is_central else OF_DRIVER + CONFIG)
    argv = [str(SCHEMATHESIS), "--config-file", str(config), "run", f"{url}/openapi.json"]
    # Every check is on of itself; to name them here would count more than the file.
    argv += ["--continue-on-failure", "--warnings", "off", "--no-color"]
    return subprocess.Popen(
        [*argv, *flags],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def check(started: "subprocess.Popen[str]") -> None:
    """Fail with what Schemathesis found."""
    with started:
        try:
            printed, _ = started.communicate(timeout=RUN_S_MAX)
        except subprocess.TimeoutExpired:
            started.kill()
            raise
    assert started.returncode == 0, printed


@pytest.mark.slow
def test_each_answer_is_documented(urls: Mapping[str, str], tmp_path: Path) -> None:
    """Proves: the edges of each parameter and body, each wrong type and each wrong method are
    answered as documented, by Central and by a driver's dashboard."""
    started = []
    for name, url in urls.items():
        folder = tmp_path / name
        folder.mkdir()
        started.append(run(url, folder, *QUICK, is_central=name == "central"))
    for each in started:
        check(each)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["central", "driver"])
def test_no_call_finds_an_undocumented_answer(
    urls: Mapping[str, str], tmp_path: Path, name: str
) -> None:
    """Proves: the same of random calls, and of chains of calls about what earlier ones found."""
    check(run(urls[name], tmp_path, *LONG, is_central=name == "central"))
