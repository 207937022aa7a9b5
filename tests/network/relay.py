"""A TCP relay between two programs: stopped by SIGSTOP, it cuts them off and closes nothing.

Run as `python relay.py LISTEN_PORT TARGET_HOST TARGET_PORT`; it listens on 127.0.0.1.
"""

import contextlib
import socket
import sys
import threading

CHUNK_BYTES = 65_536


def pass_on(source: socket.socket, target: socket.socket) -> None:
    """Copy one direction until it ends; the end is passed on too."""
    with contextlib.suppress(OSError):
        while chunk := source.recv(CHUNK_BYTES):
            target.sendall(chunk)
    for each in (source, target):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def main(listen_port: int, target: tuple[str, int]) -> None:
    """Relay each connection to the target, for ever."""
    with socket.create_server(("127.0.0.1", listen_port)) as listener:
        while True:
            inner, _ = listener.accept()
            try:
                outer = socket.create_connection(target, 5.0)
            except OSError:
                inner.close()
                continue
            outer.settimeout(None)
            for pair in ((inner, outer), (outer, inner)):
                threading.Thread(target=pass_on, args=pair, daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]), (sys.argv[2], int(sys.argv[3])))
