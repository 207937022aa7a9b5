"""The settings that all clients share, and whether the broker answers."""

import functools
import logging
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

import orjson
from confluent_kafka import KafkaError, KafkaException

# The embedded broker is librdkafka's mock cluster, and names itself so.
EMBEDDED_CLUSTER_PREFIX: Final = "mockCluster"

STATISTICS_INTERVAL_S: Final = 1.0
# The broker hangs, or the network swallows, when a request has waited so long for its answer.
ANSWER_TIMEOUT_S: Final = 3.0
# Bounds how long a question to the brokers holds up the thread that asks, and so a stop.
QUERY_TIMEOUT_S: Final = 0.3
# A broker answers a fetch at once when something comes in, and else after this time.
FETCH_WAIT_S: Final = 0.5
# The same bound for a client that also fetches: a broker answers the requests of a connection in
# their order, so a question waits for the fetch before it.
READER_QUERY_TIMEOUT_S: Final = FETCH_WAIT_S + QUERY_TIMEOUT_S
# A topic that was made anew, or got more partitions, is known so soon. Until then a writer puts a
# key into another partition than the one in which its reader waits for it.
REVIEW_INTERVAL_S: Final = 5.0
# Twice what a broker takes by default: what fits into a topic is put aside whole, with its headers.
MESSAGE_BYTES_MAX: Final = 2_097_152
# librdkafka tells 20 times a second that the broker is away.
WARNING_INTERVAL_S: Final = 30.0

logger = logging.getLogger(__name__)

Settings = dict[str, Any]


def client_settings(bootstrap: str, client_id: str) -> Settings:
    """librdkafka's settings of every client: a broker that comes back is found in half a second.

    The defaults wait up to 10 s between two attempts to connect, and 60 s for an answer.
    """
    return {
        "bootstrap.servers": bootstrap,
        "client.id": client_id,
        "reconnect.backoff.ms": 250,
        "reconnect.backoff.max.ms": 500,
        # Connected before the first need: that spares a new idempotent producer half a second,
        # and librdkafka most of its work while the brokers are away.
        "enable.sparse.connections": False,
        "retry.backoff.ms": 50,
        "retry.backoff.max.ms": 250,
        "socket.connection.setup.timeout.ms": 2000,
        "socket.timeout.ms": 4000,
        "socket.keepalive.enable": True,
        "socket.nagle.disable": True,
        "topic.metadata.refresh.interval.ms": int(REVIEW_INTERVAL_S * 1000),
        "statistics.interval.ms": int(STATISTICS_INTERVAL_S * 1000),
        "logger": _LibraryLog(),
    }


def text_of(error: KafkaException) -> str:
    """librdkafka's sentence about an error."""
    text: str = error.args[0].str()
    return text


class BrokerLink:
    """Whether the broker answers, from librdkafka's errors and statistics.

    Written by the thread that polls, read by any.
    """

    def __init__(self, bootstrap: str) -> None:
        self.up = False
        # Set at each lost connection, and so at first; the client that has looked anew clears it.
        self.was_lost = True
        # The client knows no address any more and will find none: a new one must take over. A
        # cluster that has just begun may answer that it has no broker, and librdkafka (from 2.10
        # on, its issue 5301) then drops all, the first address too.
        self.is_stranded = False
        self._bootstrap = bootstrap
        self._news = _news_of(bootstrap)

    def callbacks(self) -> Settings:
        """The settings that let librdkafka report to this link."""
        return {"error_cb": self.on_error, "stats_cb": self.on_statistics}

    def on_error(self, error: KafkaError) -> None:
        """Take an error of the client as a whole."""
        self.was_lost = True
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._set_down(error.str())
        else:
            logger.debug("%s: %s", self._bootstrap, error.str())

    def on_statistics(self, statistics: str) -> None:
        """Take librdkafka's statistics, one JSON object."""
        brokers = orjson.loads(statistics)["brokers"].values()
        self.is_stranded = all(broker["source"] == "logical" for broker in brokers)
        if any(_answers(broker) for broker in brokers):
            self.on_answer()
        else:
            self._set_down("no answer")

    def on_answer(self) -> None:
        """Remember that the broker answers."""
        if not self.up:
            self.up = True
            self._news.tell_up()

    def _set_down(self, reason: str) -> None:
        self.was_lost = True
        self.up = False
        self._news.tell_down(reason)


def _answers(broker: Mapping[str, Any]) -> bool:
    # The connections with negative ids (bootstrap, group coordinator) are idle most of the time.
    if broker["state"] != "UP" or broker["nodeid"] < 0:
        return False
    is_asked: bool = broker["waitresp_cnt"] > 0
    # In microseconds since something was last received.
    return not is_asked or broker["rxidle"] < ANSWER_TIMEOUT_S * 1e6


class RareWarning:
    """A log of one warning an interval, and with it how many it has swallowed since the last."""

    def __init__(self, interval_s: float = WARNING_INTERVAL_S) -> None:
        self._interval_s = interval_s
        self._next_s = time.monotonic()
        self._swallowed = 0

    def log(self, text: str, *arguments: object) -> None:
        """Log `text` with its %-arguments, or counts it."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            self._swallowed += 1
            return
        if self._swallowed:
            text, arguments = f"{text} (and %d like it before)", (*arguments, self._swallowed)
        logger.warning(text, *arguments)
        self._next_s, self._swallowed = now_s + self._interval_s, 0


class _News:
    """Tells the log of brokers that go and come: once, however many clients of a process see it."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        # Each client's link is written by a thread of its own.
        self._lock = threading.Lock()
        self._up = False
        self._down_since_s = time.monotonic()
        self._warning = RareWarning()

    def tell_up(self) -> None:
        """A client has an answer that had none before."""
        with self._lock:
            if not self._up:
                self._up = True
                away_s = time.monotonic() - self._down_since_s
                logger.info("broker %s answers, after %.1f s", self._bootstrap, away_s)

    def tell_down(self, reason: str) -> None:
        """A client has no answer."""
        with self._lock:
            if self._up:
                self._up = False
                self._down_since_s = time.monotonic()
            self._warning.log("broker %s does not answer: %s", self._bootstrap, reason)


@functools.cache
def _news_of(bootstrap: str) -> _News:
    return _News(bootstrap)


class _LibraryLog:
    """A log for librdkafka's own lines, which repeat what the link says, and much more often."""

    def log(self, _level: int, text: str, *arguments: object) -> None:
        logger.debug(text, *arguments)
