"""librdkafka's mock cluster, hosted on a socket of our own.

confluent-kafka offers it only on a random port and to its own process. The functions below are
exported by the librdkafka that it ships, so ctypes reaches them: one broker is made, and its
listening descriptor is replaced by a socket that we have bound. Everything is in memory.
"""

import contextlib
import ctypes
import errno
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import attrs
from confluent_kafka import cimpl

from evd.adapters.ending import end_soon

BROKER_ID: Final = 1
QUERY_TIMEOUT_S: Final = 0.8
NUDGE_INTERVAL_S: Final = 0.02
# A restart brings a burst of clients: they wait here instead of being refused.
LISTEN_BACKLOG: Final = 512

_ERROR_BYTES_MAX = 512
_RD_KAFKA_PRODUCER = 0
_HANDLE_SETTINGS = {
    # Warnings and worse; below that it complains of having no bootstrap.servers yet.
    "log_level": "4",
    # Connected at once, and not when a first question has waited for it.
    "enable.sparse.connections": "false",
    "reconnect.backoff.ms": "20",
}
_LIBRARY = ctypes.CDLL(cimpl.__file__)
_Pointer = ctypes.c_void_p
_LogCallback = ctypes.CFUNCTYPE(None, _Pointer, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p)

logger = logging.getLogger(__name__)


class MockClusterFailed(Exception):
    """librdkafka refused to make or to ask the mock cluster; the text says why."""


def _function(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """`name` of librdkafka, found through the extension module that is linked to it."""
    function = getattr(_LIBRARY, name)
    function.restype = result
    function.argtypes = arguments
    return function  # type: ignore[no-any-return]


_conf_new = _function("rd_kafka_conf_new", _Pointer)
_conf_set = _function(
    "rd_kafka_conf_set",
    ctypes.c_int,
    _Pointer,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_size_t,
)
_conf_set_log_cb = _function("rd_kafka_conf_set_log_cb", None, _Pointer, _LogCallback)
_handle_new = _function(
    "rd_kafka_new", _Pointer, ctypes.c_int, _Pointer, ctypes.c_char_p, ctypes.c_size_t
)
_handle_destroy = _function("rd_kafka_destroy", None, _Pointer)
_brokers_add = _function("rd_kafka_brokers_add", ctypes.c_int, _Pointer, ctypes.c_char_p)
_error_text = _function("rd_kafka_err2str", ctypes.c_char_p, ctypes.c_int)
_query_watermarks = _function(
    "rd_kafka_query_watermark_offsets",
    ctypes.c_int,
    _Pointer,
    ctypes.c_char_p,
    ctypes.c_int32,
    ctypes.POINTER(ctypes.c_int64),
    ctypes.POINTER(ctypes.c_int64),
    ctypes.c_int,
)
_cluster_new = _function("rd_kafka_mock_cluster_new", _Pointer, _Pointer, ctypes.c_int)
_cluster_destroy = _function("rd_kafka_mock_cluster_destroy", None, _Pointer)
_cluster_bootstraps = _function("rd_kafka_mock_cluster_bootstraps", ctypes.c_char_p, _Pointer)
_topic_create = _function(
    "rd_kafka_mock_topic_create",
    ctypes.c_int,
    _Pointer,
    ctypes.c_char_p,
    ctypes.c_int,
    ctypes.c_int,
)
_set_host_port = _function(
    "rd_kafka_mock_broker_set_host_port",
    None,
    _Pointer,
    ctypes.c_int32,
    ctypes.c_char_p,
    ctypes.c_int,
)
_set_rtt = _function(
    "rd_kafka_mock_broker_set_rtt", ctypes.c_int, _Pointer, ctypes.c_int32, ctypes.c_int
)
_delete_records = _function(
    "rd_kafka_mock_partition_delete_records",
    ctypes.c_int,
    _Pointer,
    ctypes.c_char_p,
    ctypes.c_int32,
    ctypes.c_int64,
)


@attrs.frozen
class Watermarks:
    """The first offset that a partition still has, and the one that its next message will get."""

    low: int
    high: int


def bound_socket(host: str, port: int) -> socket.socket:
    """A listening, non-blocking socket on `host` and `port` (0: any free one).

    Raises OSError (socket.gaierror for a name that does not resolve).
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # A name that means both (localhost) is IPv4 to most clients.
    found.sort(key=lambda choice: choice[0] != socket.AF_INET)
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(LISTEN_BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def advertised_host(listener: socket.socket) -> str:
    """The address that clients are told to connect to.

    A socket on all addresses has none that means this machine to another one: then it is the
    address with which this machine would reach the outside, or the one that its name stands for.
    """
    host: str = listener.getsockname()[0]
    if host not in ("0.0.0.0", "::"):
        return host
    outside = "192.0.2.1" if listener.family == socket.AF_INET else "2001:db8::1"
    with socket.socket(listener.family, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a datagram socket sends nothing: it only chooses the way out.
            probe.connect((outside, 9))
            return str(probe.getsockname()[0])
        except OSError as error:
            logger.info("no route to the outside (%s): using this host's name", error)
    try:
        return str(socket.getaddrinfo(socket.gethostname(), 0, listener.family)[0][4][0])
    except socket.gaierror as error:
        logger.warning("this host's name does not resolve (%s): only reachable locally", error)
        return "127.0.0.1" if listener.family == socket.AF_INET else "::1"


class MockCluster:
    """One broker with the given topics (name to partitions), serving on `listener`.

    It serves from threads of librdkafka until `close`. Takes `listener` over.
    """

    def __init__(self, listener: socket.socket, topics: Mapping[str, int]) -> None:
        self._host, self._port = advertised_host(listener), listener.getsockname()[1]
        # Kept alive here: librdkafka calls it as long as the handle lives.
        self._log_callback = _LogCallback(_log)
        self._handle = _new_handle(self._log_callback)
        with _signals_kept_off():
            self._cluster = _cluster_new(self._handle, 1)
        if not self._cluster:
            _handle_destroy(self._handle)
            raise MockClusterFailed("librdkafka could not make its mock cluster")
        own_port = int(_cluster_bootstraps(self._cluster).rsplit(b":", 1)[-1])
        # The topics come before any client: one that asks for a topic that is not there makes it.
        with _kept_awake("127.0.0.1", own_port):
            for topic, partitions in topics.items():
                code = _topic_create(self._cluster, topic.encode(), partitions, 1)
                _check(code, f"topic {topic}")
            _set_host_port(self._cluster, BROKER_ID, self._host.encode(), self._port)
            with listener:
                os.dup2(listener.fileno(), _descriptor_listening_on(own_port))
            # Its thread still waits on the socket that was replaced: any command wakes it.
            _set_rtt(self._cluster, BROKER_ID, 0)
        # The same handle is the client with which the cluster is asked for its offsets.
        _brokers_add(self._handle, self.address.encode())

    @property
    def address(self) -> str:
        """Its host and port, as clients take them."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self._port}"

    def watermarks(self, topic: str, partition: int) -> Watermarks:
        """Ask over the network like any client; blocks for QUERY_TIMEOUT_S at the most."""
        low, high = ctypes.c_int64(), ctypes.c_int64()
        code = _query_watermarks(
            self._handle,
            topic.encode(),
            partition,
            ctypes.byref(low),
            ctypes.byref(high),
            int(QUERY_TIMEOUT_S * 1000),
        )
        _check(code, f"offsets of {topic}[{partition}]")
        return Watermarks(low.value, high.value)

    def delete_before(self, topic: str, partition: int, offset: int) -> None:
        """Forget the messages of the partition that come before `offset`."""
        code = _delete_records(self._cluster, topic.encode(), partition, offset)
        _check(code, f"deleting from {topic}[{partition}]")

    def close(self) -> None:
        """End its threads and connections. Call it once."""
        with contextlib.ExitStack() as stack:
            # An address that was taken off its interface only makes this a second slower.
            with contextlib.suppress(OSError):
                stack.enter_context(_kept_awake(self._host, self._port))
            _cluster_destroy(self._cluster)
        end_soon(self._destroy_client)

    def _destroy_client(self) -> None:
        _handle_destroy(self._handle)


@contextmanager
def _signals_kept_off() -> Iterator[None]:
    """Have the threads that are started within the block get no signal.

    The mock's thread takes an interrupted poll for the end: one signal that the main thread has no
    room for, as it has not seen the one before yet, and no client is served any more.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _kept_awake(host: str, port: int) -> Iterator[None]:
    """Wake the mock's thread over a connection of its own while a command takes long.

    It misses a command now and then when several follow each other, and would sleep for a second.
    """
    done = threading.Event()

    def send_until_done() -> None:
        while not done.wait(NUDGE_INTERVAL_S):
            # It closes the connection when these bytes make no request, or at its end.
            with contextlib.suppress(OSError):
                waker.send(b"\0")

    with socket.create_connection((host, port), QUERY_TIMEOUT_S) as waker:
        nudger = threading.Thread(target=send_until_done, name="nudge", daemon=True)
        nudger.start()
        try:
            yield
        finally:
            done.set()
            nudger.join()


def _descriptor_listening_on(port: int) -> int:
    """This process's descriptor of the socket on which the mock cluster listens by itself."""
    for name in os.listdir("/dev/fd"):
        try:
            candidate = socket.socket(fileno=int(name))
        except OSError as error:
            # The directory's own descriptor has gone by now; most others are no sockets.
            if error.errno not in (errno.EBADF, errno.ENOTSOCK):
                raise
            continue
        listens = candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        is_ipv4 = candidate.family == socket.AF_INET
        is_it = listens and is_ipv4 and candidate.getsockname()[1] == port
        # The descriptor was only looked at: it belongs to its opener.
        candidate.detach()
        if is_it:
            return int(name)
    raise MockClusterFailed(f"no descriptor listens on the mock cluster's port {port}")


def _new_handle(log_callback: Any) -> Any:
    conf = _conf_new()
    reason = ctypes.create_string_buffer(_ERROR_BYTES_MAX)
    for name, value in _HANDLE_SETTINGS.items():
        if _conf_set(conf, name.encode(), value.encode(), reason, _ERROR_BYTES_MAX):
            raise MockClusterFailed(reason.value.decode())
    _conf_set_log_cb(conf, log_callback)
    handle = _handle_new(_RD_KAFKA_PRODUCER, conf, reason, _ERROR_BYTES_MAX)
    if not handle:
        raise MockClusterFailed(reason.value.decode())
    return handle


def _log(_handle: int, _level: int, facility: bytes, text: bytes) -> None:
    # Each line concerns one client (a request that the mock does not know): no alarm for us.
    logger.debug("%s: %s", facility.decode(errors="replace"), text.decode(errors="replace"))


def _check(code: int, what: str) -> None:
    if code:
        raise MockClusterFailed(f"{what}: {_error_text(code).decode()}")
