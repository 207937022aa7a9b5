"""Kafka as the parts may rely on it, and not one bit better.

Order holds inside a partition only; a restart loses every message and every committed offset; a
send that its sender has forgotten may still arrive.  Messages travel as the bytes that the codec
makes of them.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from functools import lru_cache

from evd.core.wire import codec
from evd.core.wire.messages import BEACONS, Message
from evd.core.wire.partition import Mark, Place, partition_for
from tests.sim.world import Process, World

HOST = "broker"
PARTITIONS = 4
# The real producer too drops a message that it could not deliver for so long.
MESSAGE_TIMEOUT_S = 5.0
# A link or a broker that did not answer for so long is taken for down.
ANSWER_S = 2.0
RETRY_S = 0.3
REPLAYED_MAX = 400


@lru_cache(maxsize=4096)
def place_of(topic: str, key: str) -> Place:
    """Return the place of a message with this key."""
    return topic, 0 if topic == BEACONS else partition_for(key.encode(), PARTITIONS)


def places_of(topic: str) -> list[Place]:
    """Return every partition of a topic."""
    return [(topic, number) for number in range(1 if topic == BEACONS else PARTITIONS)]


class Broker:
    """The logs, as long as the broker is up."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.up = True
        # The real broker's cluster id too is another one after each restart.
        self.cluster = 1
        self.logs: dict[Place, list[bytes]] = defaultdict(list)
        self.committed: dict[tuple[str, Place], Mark] = {}
        self.readers: dict[Place, list[Reader]] = defaultdict(list)
        self.down_at_s = -1e9
        # Old messages that a fault may send again.
        self.past: deque[tuple[Place, bytes]] = deque(maxlen=REPLAYED_MAX)

    def go_down(self) -> None:
        """Kill the broker; it comes back within seconds."""
        if self.up:
            self.up = False
            self.down_at_s = self.world.t_s
            self.world.tell("broker", "DIES: killed")
            self.world.at(self.world.rng.uniform(0.5, 8.0), self.come_back)

    def come_back(self) -> None:
        """Start the broker with empty logs."""
        if self.up:
            return
        self.up = True
        self.cluster += 1
        self.logs.clear()
        self.committed.clear()
        self.world.tell("broker", "starts, EMPTY")

    def append(self, place: Place, raw: bytes) -> None:
        """Append a message, unless the broker is down."""
        if not self.up:
            return
        log = self.logs[place]
        log.append(raw)
        self.past.append((place, raw))
        if self.world.has("dup") and self.world.rng.random() < 0.06:
            self.world.faults["dup"] += 1
            log.append(raw)
        for reader in self.readers[place]:
            reader.kick()

    def reachable(self, host: str) -> bool:
        """Whether a host can talk with it, both ways."""
        passes = self.world.passes
        return self.up and passes(host, HOST) and passes(HOST, host)


class Messenger:
    """The producer of one run of a process: a queue for each partition."""

    def __init__(self, process: Process, broker: Broker) -> None:
        self._process = process
        self._broker = broker
        self._life = process.life
        self._number = 0
        self._queues: dict[Place, deque[tuple[float, bytes]]] = defaultdict(deque)
        process.on_death.append(self._die)

    @property
    def is_empty(self) -> bool:
        """Whether all that was sent is at the broker."""
        return not any(self._queues.values())

    def send(self, topic: str, key: str, message: Message) -> None:
        """Queue a message."""
        process = self._process
        process.risk()
        self._number += 1
        message_id = f"{process.name}-{self._life}-{self._number}"
        raw = codec.encode(message, process.now().wall, message_id)
        self.post(place_of(topic, key), raw)

    def post(self, place: Place, raw: bytes) -> None:
        """Queue bytes."""
        queue = self._queues[place]
        queue.append((self._process.world.t_s, raw))
        if len(queue) == 1:
            self._process.later(self._process.world.soon_s(), self._pump, place)

    def _pump(self, place: Place) -> None:
        world, queue = self._process.world, self._queues[place]
        if not (self._broker.up and world.passes(self._process.host, HOST)):
            while queue and world.t_s - queue[0][0] > MESSAGE_TIMEOUT_S:
                queue.popleft()
            if queue:
                self._process.later(RETRY_S, self._pump, place)
            return
        self._broker.append(place, queue.popleft()[1])
        if queue:
            self._process.later(0.001, self._pump, place)

    def _die(self, silent: bool) -> None:
        # Bytes that the kernel had already may still arrive, late.
        world = self._process.world
        for place, queue in self._queues.items():
            if queue and not silent and world.chance(0.4):
                delay_s = world.rng.uniform(0.01, 10.0)
                world.at(delay_s, self._broker.append, place, queue[0][1])


class Reader:
    """The consumer of some partitions for one run of a process.

    `group`: it goes on where that group last committed, else at the earliest; None: at the end.
    """

    def __init__(
        self,
        process: Process,
        broker: Broker,
        group: str | None,
        places: list[Place],
        take: Callable[[list[Message], Mapping[Place, Mark]], None],
        on_bad: Callable[[Place, bytes, codec.BadMessage], None],
    ) -> None:
        self._process = process
        self._broker = broker
        self._group = group
        self._places = places
        self._take = take
        self._on_bad = on_bad
        self._cluster: int | None = None
        self._positions: dict[Place, int] = {}
        self._polling = False
        self._heard_s = -1e9
        # How often the log was found to be another one.
        self.logs_lost_count = 0
        for place in places:
            broker.readers[place].append(self)
        process.on_death.append(self._die)
        process.later(process.world.soon_s(), self._place)

    @property
    def knows_its_place(self) -> bool:
        """Whether nothing that is written from now on is missed."""
        return self._cluster == self._broker.cluster

    def link_up(self) -> bool:
        """Whether the broker was heard within the last seconds; asked a few times a second."""
        t_s = self._process.world.t_s
        if self._broker.reachable(self._process.host):
            self._heard_s = t_s
            if not self.knows_its_place and not self._polling:
                self._polling = True
                self._process.later(self._process.world.rng.uniform(0.05, 1.0), self._place)
        return t_s - self._heard_s < ANSWER_S

    def commit(self, marks: Mapping[Place, Mark]) -> None:
        """Remember at the broker how far this group has come."""
        if self._group is not None and self._broker.up:
            for place, mark in marks.items():
                if mark.log == str(self._cluster):
                    self._broker.committed[self._group, place] = mark

    def kick(self) -> None:
        """Poll soon: there may be something new."""
        if not self._polling and self._cluster is not None:
            self._polling = True
            self._process.later(self._process.world.soon_s(), self._poll)

    def _place(self) -> None:
        self._polling = True
        broker = self._broker
        if not broker.reachable(self._process.host):
            self._process.later(RETRY_S, self._place)
            return
        is_lost = self._cluster not in (None, broker.cluster)
        self._positions = {place: self._first(place, is_lost) for place in self._places}
        self.logs_lost_count += is_lost
        self._cluster = broker.cluster
        self._poll()

    def _first(self, place: Place, is_lost: bool) -> int:
        if self._group is None:
            return len(self._broker.logs[place])
        mark = self._broker.committed.get((self._group, place))
        if is_lost or mark is None or mark.log != str(self._broker.cluster):
            return 0
        return mark.offset

    def _poll(self) -> None:
        process, broker = self._process, self._broker
        if not (broker.up and process.world.passes(HOST, process.host)):
            process.later(RETRY_S, self._poll)
            return
        self._polling = False
        if not self.knows_its_place:
            # `link_up` finds that out after a while.
            return
        messages: list[Message] = []
        marks: dict[Place, Mark] = {}
        places = list(self._places)
        process.world.rng.shuffle(places)
        for place in places:
            log, at = broker.logs[place], self._positions[place]
            if at >= len(log):
                continue
            for raw in log[at:]:
                try:
                    messages.append(codec.decode(place[0], raw))
                except codec.BadMessage as error:
                    self._on_bad(place, raw, error)
            self._positions[place] = len(log)
            marks[place] = Mark(str(broker.cluster), len(log))
        if marks:
            self._take(messages, marks)

    def _die(self, _: bool) -> None:
        for place in self._places:
            self._broker.readers[place].remove(self)
