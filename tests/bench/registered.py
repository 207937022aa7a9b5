"""A monitor's connection to Central, as far as a measurement needs one."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from evd.core.wire import codec
from evd.core.wire.control import EngineStatus, Register
from evd.core.wire.framing import encode
from tests.network.certificates import HOST
from tests.network.network import Network

READ_BYTES = 4_096
ANSWER_S_MAX = 10.0


@contextmanager
def registered(network: Network) -> Iterator[socket.socket]:
    """The connection of a monitor that has registered, by TLS where Central speaks it."""
    register = Register(
        cp_id="CP-000",
        seq=0,
        engine_status=EngineStatus.OK,
        ko_cause=None,
        instance_id="bench",
        kw_rate=22.0,
        euro_rate=0.3,
    )
    with ExitStack() as stack:
        plain = socket.create_connection((HOST, network.control_port), ANSWER_S_MAX)
        stream = stack.enter_context(plain)
        if network.certificates is not None:
            context = network.certificates.trusting()
            stream = stack.enter_context(context.wrap_socket(plain, server_hostname=HOST))
        stream.sendall(encode(codec.encode_control(register)))
        stream.recv(READ_BYTES)
        yield stream
