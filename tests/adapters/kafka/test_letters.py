"""Dead letters on a broker: found from the first on, and sent again once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from evd.adapters.kafka import RawMessage, open_producer
from evd.adapters.kafka.letters import DeadLetters, Letter, LettersFailed, Replay
from evd.adapters.kafka.messenger import Messenger
from evd.core.wire.messages import DEAD_LETTERS, SESSIONS, STATUS
from tests.adapters.conftest import BrokerProcess, broker_in
from tests.network.tap import Heard, Tap


@pytest.fixture
def box(tmp_path: Path) -> Iterator[BrokerProcess]:
    """A broker without a letter."""
    with broker_in(tmp_path) as process:
        process.start_until_ready()
        yield process


async def put_aside(box: BrokerProcess, *messages: RawMessage, error: str = "it is bad") -> None:
    """Put messages aside as a program does that has read them."""
    async with open_producer(box.bootstrap, "p") as producer:
        messenger = Messenger(producer, list[str]().append)
        for message in messages:
            messenger.put_aside(message, error)
        assert await producer.flush(5.0)


def newest(box: BrokerProcess, limit: int = 100, topic: str | None = None) -> list[Letter]:
    """The newest letters."""
    with DeadLetters(box.bootstrap) as letters:
        return letters.newest(limit, topic)


def replay(box: BrokerProcess, topic: str = SESSIONS) -> Replay:
    """Send all of a topic again."""
    with DeadLetters(box.bootstrap) as letters:
        return letters.replay(lambda each: each.origin is not None and each.origin.topic == topic)


def heard(box: BrokerProcess, topic: str) -> list[Heard]:
    """The messages of a topic."""
    return Tap(box.bootstrap).read(topic)


async def test_letters_are_listed_with_all_that_is_known(box: BrokerProcess) -> None:
    """Proves: each letter has its origin, error, size, key and message_id, the newest last, of one
    topic or all; what anybody else wrote there, without headers or with wrong ones, is listed too
    and stops nothing."""
    good_id = b'{"message_id": "m-1"}'
    for number, value in enumerate((good_id, b"\xff", b"[1]", b'{"message_id": "a b"}')):
        await put_aside(box, RawMessage(SESSIONS, 3, number, b"CP-001", value))
    await put_aside(box, RawMessage(STATUS, 0, 7, None, b""), error="no JSON object: é")
    found = newest(box)
    assert [each.origin for each in found] == [
        *((SESSIONS, 3, number) for number in range(4)),
        (STATUS, 0, 7),
    ]
    assert [each.message_id for each in found] == ["m-1", None, None, None, None]
    assert [each.size_bytes for each in found] == [21, 1, 3, 21, 0]
    assert (found[0].key, found[-1].key) == (b"CP-001", None)
    assert found[-1].error == "no JSON object: é"
    assert [each.value for each in found] == [b""] * 5
    assert [each.origin and each.origin.offset for each in newest(box, 2)] == [3, 7]
    assert len(newest(box, 100, STATUS)) == 1
    Tap(box.bootstrap).put(DEAD_LETTERS, "k", b"stranger", None)
    assert [each.origin for each in newest(box)][-2:] == [None, None]
    with DeadLetters(box.bootstrap) as letters:
        for each in found:
            shown = letters.one(each.partition, each.offset)
            assert shown is not None
            assert (shown.origin, len(shown.value)) == (each.origin, each.size_bytes)
        assert letters.one(99, 0) is None
        assert letters.one(found[0].partition, 1_000) is None


async def test_a_letter_is_sent_again_once(box: BrokerProcess) -> None:
    """Proves: a letter goes to its own topic with its key and its bytes, and a second replay sends
    nothing; several letters of one message, put aside by several readers or more than once, are one
    message; letters of other topics are left."""
    first = RawMessage(SESSIONS, 3, 1, b"CP-001", b'{"message_id": "m-1"}')
    twin = RawMessage(SESSIONS, 3, 2, b"CP-001", first.value)
    other = RawMessage(SESSIONS, 1, 9, None, b"\x00\xff")
    await put_aside(box, first, first, twin, other, other, RawMessage(STATUS, 0, 1, b"k", b"?"))
    done = replay(box)
    assert (done.sent, done.sent_before, done.unfit) == ({SESSIONS: 2}, 3, 0)
    sent = [(each.key, each.value) for each in heard(box, SESSIONS)]
    assert sorted(sent, key=str) == [(None, b"\x00\xff"), (b"CP-001", first.value)]
    again = replay(box)
    assert (again.sent, again.sent_before) == ({}, 5)
    assert len(heard(box, SESSIONS)) == 2
    assert heard(box, STATUS) == []
    assert {each.is_replayed for each in newest(box, 100, SESSIONS)} == {True}
    (left,) = newest(box, 100, STATUS)
    assert not left.is_replayed


async def test_a_letter_that_is_bad_again_comes_back_and_does_not_loop(
    box: BrokerProcess,
) -> None:
    """Proves: a message that is put aside a second time is a new letter, which the next replay
    sends once, and the old one stays sent."""
    await put_aside(box, RawMessage(SESSIONS, 0, 1, b"CP-001", b'{"message_id": "m-1"}'))
    assert replay(box).sent == {SESSIONS: 1}
    await put_aside(box, RawMessage(SESSIONS, 0, 2, b"CP-001", b'{"message_id": "m-1"}'))
    assert [each.is_replayed for each in newest(box)] == [True, False]
    assert replay(box).sent == {SESSIONS: 1}
    assert replay(box).sent == {}
    assert len(heard(box, SESSIONS)) == 2


async def test_a_letter_that_is_not_whole_is_not_sent(box: BrokerProcess) -> None:
    """Proves: a message that was too large to be kept whole, and one from no topic of ours, are
    refused with the reason, and hold none of the others up."""
    await put_aside(
        box,
        RawMessage(SESSIONS, 0, 1, b"k", bytes(3_000_000)),
        RawMessage(SESSIONS, 0, 2, b"k", b"?"),
    )
    done = replay(box)
    assert (done.sent, done.unfit) == ({SESSIONS: 1}, 1)
    assert done.first_unfit is not None
    assert done.first_unfit[1] == "it holds only a part of its message, which had 3000000 bytes"
    await put_aside(box, RawMessage("other.topic", 0, 1, b"k", b"?"))
    done = replay(box, "other.topic")
    assert (done.sent, done.unfit) == ({}, 1)


async def test_many_letters_are_sent_in_pieces(box: BrokerProcess) -> None:
    """Proves: more letters than one piece holds are sent each once and in their order."""
    values = [b'{"n": %d}' % number for number in range(450)]
    await put_aside(
        box, *(RawMessage(SESSIONS, 0, n, b"CP-001", value) for n, value in enumerate(values))
    )
    assert replay(box).sent == {SESSIONS: 450}
    assert [each.value for each in heard(box, SESSIONS)] == values
    assert replay(box).sent == {}


def test_no_broker_is_a_sentence(absent_broker: BrokerProcess) -> None:
    """Proves: where no broker answers, that is told with its address within the bound."""
    with (
        DeadLetters(absent_broker.bootstrap, 0.3) as letters,
        pytest.raises(LettersFailed, match=f"no broker answers at {absent_broker.bootstrap}: "),
    ):
        letters.newest(10)
