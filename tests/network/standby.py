"""A Central that stands by, on ports of its own: monitors and HTTP are sent on to another one."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from evd.core.wire import codec, framing
from evd.core.wire.control import MonitorMessage, Nack, NackCode

REASON = "standing by for a:8000"


@attrs.define
class Standby:
    """The port at which it stands by; `heard` is all that monitors have told it there."""

    port: int
    heard: list[MonitorMessage] = attrs.field(factory=list)


@contextmanager
def standing_by() -> Iterator[Standby]:
    """One that answers monitors for as long as the block, and closes each connection then."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            deframer = framing.Deframer()
            while data := self.request.recv(65_536):
                for frame in deframer.feed(data):
                    assert isinstance(frame, bytes)
                    message = codec.structure_monitor(codec.load_object(frame))
                    standby.heard.append(message)
                    nack = Nack(message.seq, REASON, code=NackCode.STANDING_BY)
                    self.request.sendall(framing.encode(codec.encode_control(nack)))
                    return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        standby = Standby(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield standby
        finally:
            server.shutdown()
            thread.join()
