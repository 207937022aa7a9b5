"""The tokens that a monitor shows: to whom, and which."""

from pathlib import Path

import orjson
import pytest
import trio

from evd.adapters import tls
from evd.adapters.tcp import DialFailed, serve_framed
from evd.config import monitor_config
from evd.core.monitor.events import Effect, Peer, SendPing, TellCentral
from evd.core.wire.control import EngineStatus, Heartbeat, Ping, Register
from evd.daemons.credentials import Credentials
from evd.daemons.monitor.program import Peers
from evd.daemons.monitor.steps import SendFrame, Step, Tokens, in_order
from tests.network.certificates import Certificates, secret
from tests.network.peers import Central
from tests.network.processes import free_port


def test_tokens_go_where_they_belong() -> None:
    """Proves: Central is shown the token with each REGISTER and never else, an engine with each
    PING where it is to have one; without tokens no frame has such a field."""
    state = {"engine_status": EngineStatus.OK, "ko_cause": None}
    register = Register("CP-001", 1, instance_id="i", kw_rate=22.0, euro_rate=0.3, **state)  # type: ignore[arg-type]
    heartbeat = Heartbeat("CP-001", 2, **state)  # type: ignore[arg-type]
    effects: list[Effect] = [TellCentral(register), TellCentral(heartbeat), SendPing(Ping(1, None))]
    shown = [_fields(step).get("token") for step in in_order(effects, Tokens("central", "engine"))]
    assert shown == ["central", None, "engine"]
    assert not any("token" in _fields(step) for step in in_order(effects))


def _fields(step: Step) -> dict[str, object]:
    assert isinstance(step, SendFrame)
    fields: dict[str, object] = orjson.loads(step.data)
    return fields


def test_which_peer_is_shown_a_token(tmp_path: Path) -> None:
    """Proves: an engine on loopback, whose port may be another program's, gets no token; Central
    and an engine elsewhere get it as the file has it now."""
    token = f"evd_monitor_{'x' * 43}"
    path = secret(tmp_path / "token", token)
    ca = str(Certificates(tmp_path / "c").ca)
    for host, expected in (("127.0.0.1", None), ("192.0.2.1", token)):
        flags = ["--cp-id=CP-001", f"--cp-e-host={host}", "--token-file", str(path)]
        config = monitor_config([*flags, "--tls-ca", ca], {})
        assert Peers(config, Credentials(config)).tokens() == Tokens(token, expected)
    plain = monitor_config(["--cp-id=CP-001"], {})
    assert Peers(plain, Credentials(plain)).tokens() == Tokens()


async def test_a_token_is_read_again_at_each_dial_of_central(tmp_path: Path) -> None:
    """Proves: a monitor that Central refuses shows at its next try what its file then has."""
    old, new = (f"evd_monitor_{each * 43}" for each in "ab")
    path = secret(tmp_path / "token", old)
    flags = ["--cp-id=CP-001", "--central-port", str(free_port()), "--token-file", str(path)]
    config = monitor_config(flags, {})
    peers = Peers(config, Credentials(config))
    path.write_text(new)
    assert peers.tokens().central == old
    with pytest.raises(DialFailed):
        await peers.dialers()[Peer.CENTRAL](config.centrals[0])
    assert peers.tokens().central == new


async def test_each_central_is_checked_by_its_own_name(tmp_path: Path) -> None:
    """Proves: of several addresses each is dialed by TLS under its own name: one whose certificate
    has another name is not believed, and the next one is."""
    certificates = Certificates(tmp_path / "c")
    certificates.issue("localhost")
    side = tls.load_server(certificates.cert, certificates.key)
    hosts = "127.0.0.1,localhost"
    flags = ["--cp-id=CP-001", "--central-host", hosts, "--tls-ca", str(certificates.ca)]
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listener.socket.getsockname()[1]
        listeners = [tls.TlsListener(listener, lambda: side)]
        await nursery.start(serve_framed, listeners, Central().talk)
        config = monitor_config([*flags, "--central-port", str(port)], {})
        dial = Peers(config, Credentials(config)).dialers()[Peer.CENTRAL]
        with trio.fail_after(30):
            with pytest.raises(DialFailed, match="certificate"):
                await dial(config.centrals[0])
            stream = await dial(config.centrals[1])
            await stream.aclose_forcefully()
        nursery.cancel_scope.cancel()
