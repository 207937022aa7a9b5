"""A monitor's connection to Central, as far as a measurement needs one."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from evd.core.wire import codec
from evd.core.wire.control import EngineStatus, Register
from evd.core.wire.framing import encode
from tests.network.network import Network

READ_BYTES = 4_096
ANSWER_S_MAX = 10.0


@contextmanager
def registered(network: Network) -> Iterator[socket.socket]:
    """The connection of a monitor that has registered."""
    register = Register(
        cp_id="CP-000",
        seq=0,
        engine_status=EngineStatus.OK,
        ko_cause=None,
        instance_id="bench",
        kw_rate=22.0,
        euro_rate=0.3,
    )
    with socket.create_connection(("127.0.0.1", network.control_port), ANSWER_S_MAX) as stream:
        stream.sendall(encode(codec.encode_control(register)))
        stream.recv(READ_BYTES)
        yield stream
