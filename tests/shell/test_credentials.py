"""Certificates and secrets of a program: read again as they change, kept where they are wrong."""

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import trio
import trio.testing

from evd.adapters.http.metrics import Metrics
from evd.adapters.tcp import CONNECTION_OVER, FramedStream, dial_framed, serve_framed
from evd.config import EngineConfig, engine_config, monitor_config
from evd.daemons.credentials import Credentials, Held, WantedToken
from evd.flags import ConfigError
from tests.network.certificates import HOST, Certificates, secret, year
from tests.unit.exposition import PROTECTED, families, sections

OLD, NEW, OTHER = (f"evd_monitor_{each * 43}" for each in "abc")


class Files:
    """The files of an engine whose every port is protected."""

    def __init__(self, folder: Path) -> None:
        self.certificates = Certificates(folder / "tls")
        self.token = secret(folder / "token", OLD)
        self.bearer = secret(folder / "bearer", "sesame")

    def config(self, *more: str) -> EngineConfig:
        flags = [*self.certificates.server_flags, "--token-file", str(self.token)]
        bearer = ["--metrics-token-file", str(self.bearer)]
        return engine_config(["--cp-id=CP-001", *flags, *bearer, *more], {})


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """The files of an engine."""
    return Files(tmp_path)


def test_a_wrong_file_ends_a_start(files: Files) -> None:
    """Proves: a program whose file is wrong at its start does not begin, and names its flag."""
    config = files.config()
    for path, flag in (
        (files.certificates.cert, "--tls-cert"),
        (files.certificates.key, "--tls-key"),
        (files.token, "--token-file"),
        (files.bearer, "--metrics-token-file"),
    ):
        content = path.read_bytes()
        path.write_bytes(b"nonsense\nof two lines")
        with pytest.raises(ConfigError, match=f"^{flag}: ") as caught:
            Credentials(config)
        assert "nonsense" not in str(caught.value)
        path.write_bytes(content)
    files.certificates.key.chmod(0o640)
    with pytest.raises(ConfigError, match=r"^--tls-key: .*0640.*0600"):
        Credentials(config)


def test_a_wrong_authority_ends_a_start(files: Files) -> None:
    """Proves: a file of --tls-ca without a certificate in it is refused by its flag."""
    ca = str(files.certificates.key)
    with pytest.raises(ConfigError, match=r"^--tls-ca: .*no certificate"):
        Credentials(monitor_config(["--cp-id=CP-001", "--tls-ca", ca], {}))


def test_files_that_changed_are_taken(files: Files) -> None:
    """Proves: after a renewal new connections get the new certificate, tokens are the new ones, and
    the certificate's names are those of now."""
    credentials = Credentials(files.config())
    assert credentials.names >= {"central.example", "localhost"}
    files.certificates.issue("renewed.example", ends=year(2040))
    files.token.write_text(NEW)
    credentials.renew()
    assert credentials.token is not None
    assert credentials.token.value == NEW
    assert credentials.names == {"renewed.example"}
    assert credentials.not_after_s == year(2040).timestamp()


@pytest.mark.parametrize(
    ("spoil", "flag"),
    [
        (lambda files: files.certificates.cert.write_text("nonsense"), "tls-cert"),
        (lambda files: files.certificates.cert.unlink(), "tls-cert"),
        (lambda files: files.certificates.key.chmod(0o644), "tls-cert"),
        (lambda files: files.certificates.issue("a.example", ends=year(2020)), "tls-cert"),
        (lambda files: files.token.write_text(NEW[:-1]), "token-file"),
        (lambda files: files.token.chmod(0o644), "token-file"),
        (lambda files: files.bearer.unlink(), "metrics-token-file"),
    ],
)
def test_a_wrong_one_leaves_the_one_before(
    files: Files,
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[Files], object],
    flag: str,
) -> None:
    """Proves: a new file that is wrong, unreadable or over changes nothing: one ERROR line, however
    often it is read, and a metric that names its flag, until it is good again."""
    credentials, metrics = Credentials(files.config()), Metrics()
    credentials.show(metrics)
    (spoiled,) = [each for each in credentials.all if each.flag == f"--{flag}"]
    before = spoiled.value
    spoil(files)
    for _ in range(3):
        credentials.renew()
    assert spoiled.value is before
    errors = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "the one before goes on" in errors[0].getMessage()
    assert NEW[:-1] not in caplog.text
    assert f'evd_tls_reload_failed{{flag="{flag}"}} 1.0' in metrics.render().decode()
    files.certificates.key.chmod(0o600)
    files.certificates.issue()
    secret(files.token, OLD).chmod(0o600)
    secret(files.bearer, "sesame")
    credentials.renew()
    assert f'evd_tls_reload_failed{{flag="{flag}"}} 0.0' in metrics.render().decode()


def test_a_certificate_that_is_over_at_the_start(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    """Proves: a program begins with a certificate whose time is over, since its host's clock may be
    wrong, and says so as an error."""
    files.certificates.issue(ends=year(2020))
    Credentials(files.config())
    assert [each.levelno for each in caplog.records] == [logging.ERROR]
    assert "its time is over" in caplog.text


async def test_plain_clients_are_served_at_the_operators_word(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    """Proves: a port with a certificate takes clients without TLS with --insecure alone; each of
    them is counted, and one line a minute says so."""
    for flags, answered in (((), 0), (("--insecure",), 3)):
        config, metrics = files.config(*flags), Metrics()
        credentials = Credentials(config)
        credentials.show(metrics)
        listeners = await trio.open_tcp_listeners(0, host=HOST)
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_framed, credentials.protected(listeners), _echo)
            port, count = listeners[0].socket.getsockname()[1], 0
            for _ in range(3):
                framed = await dial_framed(HOST, port, 5.0)
                with suppress(*CONNECTION_OVER):
                    await framed.send(b"{}")
                    count += await framed.receive() == [b"{}"]
            nursery.cancel_scope.cancel()
        assert count == answered
        series = f"evd_tls_plain_connections_total {answered:.1f}"
        assert series in metrics.render().decode()
    lines = [each for each in caplog.records if "speaks no TLS" in each.getMessage()]
    assert [each.levelno for each in lines] == [logging.WARNING]


async def _echo(framed: FramedStream) -> None:
    for item in await framed.receive():
        assert isinstance(item, bytes)
        await framed.send(item)


def test_the_page_lists_their_metrics(files: Files) -> None:
    """Proves: docs/metrics.md lists what a program with certificates and tokens shows besides, and
    one without shows none of it."""
    protected, plain = Metrics(), Metrics()
    Credentials(files.config()).show(protected)
    shown = families(protected.render().decode())
    assert {name: shown[name] for name in sections()[PROTECTED]} == sections()[PROTECTED]
    Credentials(engine_config(["--cp-id=CP-001"], {})).show(plain)
    assert families(plain.render().decode()).keys() == shown.keys() - sections()[PROTECTED].keys()


async def test_another_token_reads_the_file_again(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Proves: a token that was renewed in its file is taken with the first who shows it; a stranger
    makes the file be read at most once a second."""
    reads = 0
    path = secret(tmp_path / "token", OLD)

    def load() -> str:
        nonlocal reads
        reads += 1
        return path.read_text()

    wanted = WantedToken(Held("--token-file", load))
    assert wanted.is_right(OLD)
    assert reads == 1
    path.write_text(NEW)
    # Nobody has shown it yet, and its file is not read for the old one.
    assert wanted.is_right(OLD)
    assert wanted.is_right(NEW)
    assert reads == 2
    for shown in (OLD, OTHER, "", None, "\ud800", "é"):
        assert not wanted.is_right(shown)
    assert reads == 2
    await trio.sleep(1.0)
    path.write_text(OTHER)
    assert wanted.is_right(OTHER)
    assert not wanted.is_right(NEW)
    assert reads == 3


def test_no_secret_is_shown(files: Files) -> None:
    """Proves: neither credentials nor what a message carries of them shows a secret where it is
    printed."""
    from evd.core.wire.control import Ping
    from evd.daemons.monitor.steps import Tokens

    credentials = Credentials(files.config())
    shown = f"{credentials!r} {[*credentials.all]!r} {Ping(1, None, token=OLD)!r}"
    assert OLD not in shown + repr(Tokens(OLD, OLD))
    assert "sesame" not in shown
