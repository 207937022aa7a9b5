"""The way to Central: its Unix socket, its address, the operator's token and TLS."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest

import evd.cli
from evd.adapters.http.central_client import CentralAway, CentralRefused
from evd.adapters.http.client import NotSent, Way, exchange
from evd.adapters.supervisor.protocol import CentralGiven, Program
from evd.cli.errors import ToolFailed, sentence_of
from evd.cli.programs import central_of, config_of, feeds_of, fetch
from evd.cli.reaching import given_by
from evd.core.access.roles import Role
from evd.core.access.tokens import new_token
from evd.flags import ConfigError
from tests.network.certificates import Certificates
from tests.network.processes import free_port
from tests.unit.cli.scene import Answer, Answers, Supervised, answering, central_at, port_of

TOKEN = new_token(Role.OPERATOR, bytes(32))
POINTS: Answer = (200, {"charging_points": [], "active_requests": 0}, {})
NOBODY = 65534


def network(root: Path, *flags: str, given: CentralGiven | None = None) -> Supervised:
    """A network in the folder `root` whose Central has its state there."""
    central = Program("evd-central", None, ("--state-dir", "central", *flags))
    (root / "central").mkdir(exist_ok=True)
    return Supervised([central], root=root, given=given or CentralGiven())


def token_file(folder: Path, content: str = TOKEN) -> Path:
    """A file that only its user may read."""
    path = folder / "token"
    path.write_text(content + "\n")
    path.chmod(0o600)
    return path


def test_the_socket_comes_before_the_port(tmp_path: Path) -> None:
    """Proves: on Central's host the tool asks over admin.sock and shows no token; where Central has
    none, or nobody listens there any more, it asks over HTTP as ever."""
    by_port, by_socket = Answers([POINTS]), Answers([POINTS])
    at = tmp_path / "central" / "admin.sock"
    with answering(by_port) as central:
        supervisor = network(tmp_path, "--http-port", str(port_of(central)))
        central_of(supervisor).charging_points()
        assert (len(by_port.asked), len(by_socket.asked)) == (1, 0)
        with answering(by_socket, at):
            central_of(supervisor).charging_points()
        assert (len(by_port.asked), len(by_socket.asked)) == (1, 1)
        assert at.exists()
        central_of(supervisor).charging_points()
    assert (len(by_port.asked), len(by_socket.asked)) == (2, 1)
    assert by_port.tokens + by_socket.tokens == [None, None, None]


def test_a_socket_with_a_long_path(tmp_path: Path) -> None:
    """Proves: a Central that made its socket in a folder of a long name is found there."""
    root = tmp_path / ("x" * 120)
    root.mkdir()
    supervisor = network(root, "--http-port", str(free_port()))
    found = Answers([POINTS])
    folder = os.open(root / "central", os.O_PATH)
    with answering(found, Path(f"/proc/self/fd/{folder}/admin.sock")):
        central_of(supervisor).charging_points()
    os.close(folder)
    assert len(found.asked) == 1


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be another user, where the test runs as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_another_user_is_denied(tmp_path: Path) -> None:
    """Proves: for a user who may not open the socket the tool says that permission is denied, and
    not that Central is away."""
    found = Answers([POINTS])
    supervisor = network(tmp_path, "--http-port", str(free_port()), "--auth", "required")
    at = tmp_path / "central" / "admin.sock"
    with answering(found, at):
        at.chmod(0o000)
        with as_nobody(), pytest.raises(CentralRefused) as caught:
            central_of(supervisor).charging_points()
    assert sentence_of(caught.value) == (
        f"Central refuses: permission denied: {at} is another user's."
    )
    assert found.asked == []


def test_a_token_is_sent_and_goes_over_the_port(tmp_path: Path) -> None:
    """Proves: who names a token asks as its holder, also beside the socket; it is in no repr."""
    by_port, by_socket = Answers([POINTS]), Answers([POINTS])
    given = CentralGiven(token_file=token_file(tmp_path))
    with answering(by_port) as central:
        supervisor = network(tmp_path, "--http-port", str(port_of(central)), given=given)
        with answering(by_socket, tmp_path / "central" / "admin.sock"):
            asked = central_of(supervisor)
            asked.charging_points()
    assert by_port.tokens == [f"Bearer {TOKEN}"]
    assert by_socket.asked == []
    assert TOKEN not in repr(asked.way)


def test_a_central_that_the_operator_names(tmp_path: Path) -> None:
    """Proves: --central-url wins over the network's own Central and over what a host knows; the
    feed is at the same host."""
    found = Answers([POINTS])
    with answering(found) as central:
        given = CentralGiven((central.url,))
        own = network(tmp_path, "--http-port", str(free_port()), given=given)
        away = Supervised([], elsewhere=f"http://127.0.0.1:{free_port()}", given=given)
        for supervisor in (own, away):
            central_of(supervisor).charging_points()
            assert feeds_of(supervisor) == ["ws://127.0.0.1:8765/feed"]
    assert len(found.asked) == 2
    given = CentralGiven(("http://localhost:1234",))
    ports = ("--http-port", "1234", "--feed-port", "1235")
    assert feeds_of(network(tmp_path, *ports, given=given)) == ["ws://127.0.0.1:1235/feed"]
    given = CentralGiven(("https://c.example:1", "http://d.example:2"))
    feeds = ["wss://c.example:8765/feed", "ws://d.example:8765/feed"]
    assert feeds_of(Supervised([], given=given)) == feeds


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        (TOKEN, 0o644, "0644"),
        ("evd_admin_short", 0o600, "must be a token"),
        ("", 0o600, "token"),
        (f"{TOKEN}\n{TOKEN}", 0o600, "token"),
    ],
)
def test_a_file_that_holds_no_token(tmp_path: Path, content: str, mode: int, why: str) -> None:
    """Proves: a file that others may read, or that holds something else, is refused with its flag
    before anybody is asked, and nothing of it is shown."""
    path = token_file(tmp_path, content)
    path.chmod(mode)
    with pytest.raises(ToolFailed, match=why) as caught:
        central_of(Supervised([], given=CentralGiven(("http://127.0.0.1:1",), path)))
    assert caught.value.exit_code == 2
    assert "--token-file" in str(caught.value)
    assert not content or content not in str(caught.value)


def test_no_secret_goes_in_clear(tmp_path: Path) -> None:
    """Proves: neither a token nor a password leaves this machine without TLS, and the error has
    neither; a call without either still may."""
    url = "http://192.0.2.1:8000"
    supervisor = Supervised([], given=CentralGiven((url,), token_file(tmp_path)))
    with pytest.raises(NotSent, match=r"sent to http://192\.0\.2\.1:8000") as caught:
        central_of(supervisor).charging_points()
    assert TOKEN not in str(caught.value)
    with pytest.raises(NotSent):
        exchange(Way(url), "POST", "/users", b"{}", answer_s_max=1.0, is_secret=True)
    with pytest.raises(OSError):
        exchange(
            Way("http://127.0.0.1:1"), "POST", "/users", b"{}", answer_s_max=1.0, is_secret=True
        )


def test_a_wrong_token_is_in_no_error() -> None:
    """Proves: a token that no header can carry is not sent and not shown."""
    for wrong in ("a\r\nX: y", "ü", "\x00"):
        way = Way("http://127.0.0.1:1", token=partial(str, wrong))
        with pytest.raises(NotSent) as caught:
            exchange(way, "GET", "/cp", answer_s_max=1.0)
        assert wrong not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            (401, {"error": "a token or a login is wanted"}, {}),
            "Central does not know who asks: a token or a login is wanted."
            " A token of yours is named by --token-file.",
        ),
        (
            (403, {"error": "the role viewer may not do this"}, {}),
            "Central refuses: permission denied: the role viewer may not do this.",
        ),
        (
            (429, {"error": "try again in 3 s"}, {"Retry-After": "3"}),
            "Central is asked too often: try again in 3 s.",
        ),
    ],
)
def test_refusals_are_sentences(answer: Answer, told: str) -> None:
    """Proves: a caller that is not known, may not, or asks too often is told which of them."""
    with answering(Answers([answer])) as central, pytest.raises(CentralRefused) as caught:
        central_of(Supervised([central_at(central)])).charging_points()
    assert sentence_of(caught.value) == told


def test_flags_and_variables(tmp_path: Path) -> None:
    """Proves: a flag wins over its variable, both are checked, and what is wrong is named."""
    env = {"EVD_CENTRAL_URL": "http://a:1/", "EVD_TOKEN_FILE": "/t", "EVD_TLS_CA": ""}
    assert given_by({}, env) == CentralGiven(("http://a:1",), Path("/t"))
    flags = {"--central-url": "https://b:2", "--tls-ca": "ca.pem"}
    assert given_by(flags, env) == CentralGiven(("https://b:2",), Path("/t"), Path("ca.pem"))
    with pytest.raises(ConfigError, match="EVD_CENTRAL_URL: must be an address"):
        given_by({}, {"EVD_CENTRAL_URL": "b:2"})
    for words in (["--tls-ca", "x", "status"], ["status", "--tls-ca", "x"]):
        assert evd.cli.parse(words).tls_ca == "x"
    assert evd.cli.parse(["status"]).tls_ca is None


def test_a_machine_without_a_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proves: with --central-url the tool needs no network here to ask one elsewhere, and what is
    only for a network here is a sentence."""

    def run(*words: str) -> tuple[Any, str, str]:
        with pytest.raises(SystemExit) as caught:
            evd.cli.main([*words])
        told = capsys.readouterr()
        return caught.value.code, told.out, told.err

    # No checkout, and no systemd of evd.
    monkeypatch.setattr("evd.cli.evd.__file__", str(tmp_path / "evd" / "__init__.py"))
    monkeypatch.setattr("evd.cli.listen", lambda: None)
    monkeypatch.chdir(tmp_path)
    with answering(Answers([POINTS])) as central:
        code, out, err = run("--central-url", central.url, "status")
        assert (code, err) == (0, "")
        assert "0 charging points" in out
        code, out, err = run("--central-url", central.url, "up")
        assert (code, err[:32]) == (1, "evd: There is no network here: w")
    assert run("status")[0] == 2


def test_a_central_whose_certificate_is_unknown(tmp_path: Path) -> None:
    """Proves: a file of certificates that can't be read is named, and nothing is sent."""
    (tmp_path / "ca.pem").write_text("no certificate\n")
    for path, why in ((tmp_path / "ca.pem", "no certificate"), (tmp_path / "x", "No such file")):
        given = CentralGiven(("https://127.0.0.1:1",), tls_ca=path)
        with pytest.raises(CentralAway, match=why):
            central_of(Supervised([], given=given)).charging_points()


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    """A site's own authority, and a server's certificate by it."""
    return Certificates(tmp_path / "tls")


def test_a_central_that_speaks_tls(tmp_path: Path, certificates: Certificates) -> None:
    """Proves: with its authority in --tls-ca a Central that speaks TLS is believed and shown the
    token; without it nothing is sent, and the sentence names the flag."""
    found = Answers([POINTS])
    given = CentralGiven(token_file=token_file(tmp_path))
    with answering(found, tls=certificates) as central:
        known = attrs.evolve(given, urls=(central.url,), tls_ca=certificates.ca)
        central_of(Supervised([], given=known)).charging_points()
        assert found.tokens == [f"Bearer {TOKEN}"]
        with pytest.raises(CentralAway, match=r"is not believed: .*--tls-ca names those who vouch"):
            central_of(Supervised([], given=attrs.evolve(given, urls=(central.url,)))).health()
        other = Certificates(tmp_path / "other")
        with pytest.raises(CentralAway, match="is not believed"):
            wrong = attrs.evolve(given, urls=(central.url,), tls_ca=other.ca)
            central_of(Supervised([], given=wrong)).health()
    assert len(found.asked) == 1


def test_a_name_that_is_not_in_the_certificate(tmp_path: Path, certificates: Certificates) -> None:
    """Proves: a server of another name is not believed, whoever vouches for it."""
    certificates.issue("elsewhere.example")
    with answering(Answers([POINTS]), tls=certificates) as central:
        given = CentralGiven((central.url,), tls_ca=certificates.ca)
        with pytest.raises(CentralAway, match="is not believed"):
            central_of(Supervised([], given=given)).charging_points()


def test_the_own_central_is_believed_by_its_file(
    tmp_path: Path, certificates: Certificates
) -> None:
    """Proves: on its host Central is believed by its certificate's own file, whatever names it has,
    and nothing else that listens there is."""
    certificates.issue("central.example")
    found = Answers([POINTS])
    with answering(found, tls=certificates) as central:
        flags = ("--http-port", str(port_of(central)), *certificates.server_flags)
        supervisor = network(tmp_path, *flags)
        central_of(supervisor).charging_points()
        certificates.issue("central.example")
        with pytest.raises(CentralAway, match="is not believed"):
            central_of(supervisor).charging_points()
    assert len(found.asked) == 1


def test_a_page_that_speaks_tls(tmp_path: Path, certificates: Certificates) -> None:
    """Proves: the metrics of a program that speaks TLS are read with the token in its own file."""
    (tmp_path / "m").write_text("metrics\n")
    found = Answers([(200, {}, {})])
    with answering(found, tls=certificates) as page:
        secret = ("--metrics-token-file", "m", *certificates.server_flags)
        flags = ("--cp-id", "CP-1", "--metrics-port", str(port_of(page)), *secret)
        config = config_of(Program("evd-engine", "CP-1", flags))
        assert fetch(Supervised(root=tmp_path), config, "/metrics") is not None
    assert found.tokens == ["Bearer metrics"]
