"""Messages in: one consumer, owned by one thread that hands whole batches to Trio.

Commits cross over the other way: the newest for each partition waits until the owner thread
comes by, since librdkafka would let a second thread wait behind its poll.
"""

import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import confluent_kafka
import trio
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from evd.adapters.ending import end_soon
from evd.adapters.kafka.link import (
    EMBEDDED_CLUSTER_PREFIX,
    FETCH_WAIT_S,
    QUERY_TIMEOUT_S,
    REVIEW_INTERVAL_S,
    BrokerLink,
    RareWarning,
    Settings,
    client_settings,
    text_of,
)
from evd.adapters.kafka.pace import Pace
from evd.adapters.kafka.placement import Placement, RawMessage, Reading, Start
from evd.core.wire.partition import Mark, Place

BATCH_MESSAGES_MAX: Final = 500
# Batches handed over and not yet taken; beyond them the owner thread waits, and librdkafka's queue
# fills.
BATCHES_WAITING_MAX: Final = 2
FETCHED_KBYTES_MAX: Final = 4096
# The embedded broker answers a fetch only when its wait is over: there the wait is the latency.
EMBEDDED_FETCH_WAIT_S: Final = 0.02
# Bounds how long a stop, or a commit of an idle reader, waits for the owner thread.
POLL_S: Final = 0.1
COMMIT_INTERVAL_S: Final = 0.1
# The metadata are looked at again after this time: when a look failed, and after a lost connection.
REVIEW_RETRY_S: Final = 0.2
REVIEW_AFTER_LOSS_S: Final = 1.0

Batch = list[RawMessage]


class Consumer:
    """Open it with `open_consumer`."""

    def __init__(
        self,
        settings: Settings,
        link: BrokerLink,
        reading: Reading,
        batch_max: int,
        gather_s: float = 0.0,
    ) -> None:
        self.link = link
        # Set once the reader knows its place in every topic: nothing written later is missed.
        self.placed = trio.Event()
        self._send_batch, self.batches = trio.open_memory_channel[Batch](BATCHES_WAITING_MAX)
        self._settings = settings | {"on_commit": self._on_commit}
        self._embedded_fetch_wait_ms: int = settings["fetch.wait.max.ms"]
        self._client = confluent_kafka.Consumer(self._settings)
        self._placement = Placement(reading)
        self._batch_max = batch_max
        self._reviewed_at_s = time.monotonic()
        self._review_after_s = 0.0
        self._commits: dict[Place, Mark] = {}
        self._commits_lock = threading.Lock()
        self._committed_at_s = time.monotonic()
        self._gather_s = gather_s
        self._pace = Pace()
        self._warning = RareWarning()

    @property
    def healthy(self) -> bool:
        """Whether the reader knows its place and the broker answered within the last seconds."""
        return self.placed.is_set() and self._placement.is_complete and self.link.up

    @property
    def logs_lost_count(self) -> int:
        """How often the broker came back without its data."""
        return self._placement.logs_lost_count

    def commit(self, marks: Mapping[Place, Mark]) -> None:
        """Store, soon, from where this reader's group goes on after a restart.

        Of several for a partition before the next store the last one counts. An outage delays it; a
        crash of ours within COMMIT_INTERVAL_S loses it, and the messages are read again.
        """
        with self._commits_lock:
            self._commits.update(marks)

    def _read_until_cancelled(self) -> None:
        """The owner thread: no other touches the client."""
        try:
            while True:
                trio.from_thread.check_cancelled()
                self._review_if_due()
                self._store_commits_if_due()
                batch = self._next_batch()
                if batch:
                    trio.from_thread.run(self._send_batch.send, batch)
        finally:
            self._store_commits()
            self._close()

    def _close(self) -> None:
        # It waits for the answer to the last commit, which a broker that hangs never gives.
        end_soon(self._client.close)

    def _next_batch(self) -> Batch:
        # A consume that may wait waits its whole time, also when messages come. So the poll
        # waits, and the consume takes what has come with it.
        first = self._client.poll(POLL_S)
        if first is None:
            return []
        if self._gather_s and self._pace.is_busy(time.monotonic()):
            time.sleep(self._gather_s)
        messages = [first, *self._client.consume(self._batch_max - 1, 0)]
        self._pace.note(len(messages), time.monotonic())
        log = self._placement.log
        batch = [_raw(message, log) for message in messages if self._is_good(message)]
        self._placement.advance(batch)
        return batch

    def _is_good(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        self.link.was_lost = True
        self._warning.log("reading: %s", error.str())
        return False

    def _renew(self) -> None:
        """Let a new client take over: it goes on where this one has read."""
        self._close()
        self._client = confluent_kafka.Consumer(self._settings)
        self._placement.forget_client()
        self.link.is_stranded = False

    def _review_if_due(self) -> None:
        if self.link.is_stranded:
            self._warning.log("a new reader takes over: the cluster named no broker")
            self._renew()
        since_s = time.monotonic() - self._reviewed_at_s
        if since_s < (self._review_after_s if self.link.was_lost else REVIEW_INTERVAL_S):
            return
        # Cleared before the look: a loss during it is followed by another look.
        self.link.was_lost = False
        self._review_after_s = REVIEW_AFTER_LOSS_S
        try:
            self._review()
        except KafkaException as error:
            self._warning.log("can't see the topics yet: %s", text_of(error))
            self.link.was_lost = True
            self._review_after_s = REVIEW_RETRY_S
        self._reviewed_at_s = time.monotonic()

    def _review(self) -> None:
        # Answered behind the fetch that waits on the same connection.
        fetch_wait_s = self._settings["fetch.wait.max.ms"] / 1000
        metadata = self._client.list_topics(timeout=fetch_wait_s + QUERY_TIMEOUT_S)
        self.link.on_answer()
        self._adapt_fetch_wait(str(metadata.cluster_id))
        self._placement.update(self._client, metadata)
        if self._placement.is_complete:
            trio.from_thread.run_sync(self.placed.set)
        else:
            self.link.was_lost = True

    def _adapt_fetch_wait(self, cluster_id: str) -> None:
        """Take another client if this cluster wants another fetch wait."""
        is_embedded = cluster_id.startswith(EMBEDDED_CLUSTER_PREFIX)
        wait_ms = self._embedded_fetch_wait_ms if is_embedded else int(FETCH_WAIT_S * 1000)
        if wait_ms == self._settings["fetch.wait.max.ms"]:
            return
        self._settings["fetch.wait.max.ms"] = wait_ms
        self._renew()

    def _store_commits_if_due(self) -> None:
        is_due = time.monotonic() - self._committed_at_s >= COMMIT_INTERVAL_S
        if self._commits and is_due and self.link.up:
            self._store_commits()

    def _store_commits(self) -> None:
        with self._commits_lock:
            commits, self._commits = self._commits, {}
        offsets = [
            TopicPartition(*place, mark.offset, mark.log)
            for place, mark in commits.items()
            if mark.log == self._placement.log
        ]
        if offsets:
            self._client.commit(offsets=offsets, asynchronous=True)
        self._committed_at_s = time.monotonic()

    def _on_commit(self, error: KafkaError | None, offsets: list[TopicPartition]) -> None:
        if error is None:
            return
        self._warning.log("offsets not stored, trying again: %s", error.str())
        with self._commits_lock:
            for each in offsets:
                mark = Mark(each.metadata or "", each.offset)
                self._commits.setdefault((each.topic, each.partition), mark)


def _raw(message: Message, log: str) -> RawMessage:
    # A message without an error has these; only its value and key may be null.
    return RawMessage(
        message.topic(),  # type: ignore[arg-type]
        message.partition(),  # type: ignore[arg-type]
        message.offset(),  # type: ignore[arg-type]
        message.key(),
        message.value() or b"",
        log,
    )


@asynccontextmanager
async def open_consumer(
    bootstrap: str,
    client_id: str,
    topics: Mapping[str, str],
    *,
    start: Start,
    group_id: str | None = None,
    batch_max: int = BATCH_MESSAGES_MAX,
    fetch_wait_s: float = EMBEDDED_FETCH_WAIT_S,
    gather_s: float = 0.0,
) -> AsyncIterator[Consumer]:
    """A reader of `topics` (each to "all", or to the one key whose partition it needs).

    `start` "end" reads what is written from now on; "committed-else-earliest" goes on where
    `group_id` last committed, and needs one. After a loss of the broker's data the first goes on
    at the end, the second at the earliest message. `fetch_wait_s` is how long an idle fetch waits
    at the embedded broker; at any other it is FETCH_WAIT_S. A reader to which more comes than is
    easy (`Pace`) waits `gather_s` for more, since some large batches cost a fraction of many small
    ones. It needs no broker to open, or to close.
    """
    if group_id is None and start != "end":
        raise ValueError(f"group_id: needed for the start {start!r}")
    link = BrokerLink(bootstrap)
    settings: Settings = {
        **client_settings(bootstrap, client_id),
        **link.callbacks(),
        "group.id": group_id or client_id,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "latest" if start == "end" else "earliest",
        "fetch.wait.max.ms": max(1, round(fetch_wait_s * 1000)),
        "fetch.error.backoff.ms": 50,
        "fetch.queue.backoff.ms": 10,
        "fetch.max.bytes": FETCHED_KBYTES_MAX * 1024,
        "queued.max.messages.kbytes": FETCHED_KBYTES_MAX,
        # There is no group to be thrown out of when our work on a batch takes long.
        "max.poll.interval.ms": 86_400_000,
    }
    consumer = Consumer(settings, link, Reading(topics, start), batch_max, gather_s)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_run_owner_thread, consumer)
        try:
            yield consumer
        finally:
            nursery.cancel_scope.cancel()


async def _run_owner_thread(consumer: Consumer) -> None:
    # The limiter is its own, so that it never waits for a free thread.
    await trio.to_thread.run_sync(consumer._read_until_cancelled, limiter=trio.CapacityLimiter(1))
