"""The status feed for a caller who must say who it is: a ticket for each connection."""

import json
import ssl
from functools import partial
from pathlib import Path

import pytest
import trio
from trio_websocket import WebSocketRequest, serve_websocket

from evd.adapters.feed.client import FeedAway, FeedRefused, FeedWay, follow, open_feed
from evd.adapters.feed.server import PATH
from evd.adapters.supervisor.protocol import CentralGiven, Program
from evd.adapters.trust import client_context
from evd.cli.feed_way import feed_ways
from evd.core.access.roles import Role
from evd.core.access.tokens import new_token
from tests.network.certificates import Certificates
from tests.network.feeds import FakeFeed, snapshot, telling
from tests.unit.cli.scene import Answer, Answers, Supervised, answering, port_of


def a_ticket(text: str) -> Answer:
    """Central's answer to POST /feed/ticket."""
    return (201, {"ticket": text, "expires_at": "2026-01-31T12:00:00Z"}, {})


def network(http_port: int, feed_port: int, token_file: Path | None) -> Supervised:
    """A network whose Central is at these ports."""
    flags = ("--http-port", str(http_port), "--feed-port", str(feed_port))
    given = CentralGiven(token_file=token_file)
    return Supervised([Program("evd-central", None, flags)], given=given)


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """The operator's token."""
    path = tmp_path / "token"
    path.write_text(new_token(Role.VIEWER, bytes(32)))
    path.chmod(0o600)
    return path


async def test_each_connection_has_its_ticket(token_file: Path) -> None:
    """Proves: a feed that is followed anew shows a new ticket, for each is good once; no ticket
    stands in the sentence about its end."""
    answers = Answers([a_ticket("one"), a_ticket("two")])
    told: list[str] = []
    taken: list[str] = []

    async def take(message: str) -> None:
        taken.append(json.loads(message)["type"])

    with answering(answers) as central:
        feed = FakeFeed(snapshot())
        async with trio.open_nursery() as nursery:
            with telling(feed):
                supervisor = network(port_of(central), feed.port, token_file)
                (way,) = feed_ways(supervisor, ["CP-1"])
                nursery.start_soon(follow, [way], take, told.append)
                with trio.fail_after(10):
                    while not taken:
                        await trio.sleep(0.01)
            with telling(feed), trio.fail_after(20):
                while len(taken) < 2:
                    await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
    assert feed.asked[0] == f"{PATH}?cp_id=CP-1&ticket=one"
    assert feed.asked[-1] == f"{PATH}?cp_id=CP-1&ticket=two"
    assert answers.asked[0] == ("POST", "/feed/ticket", None)
    assert not any("ticket=" in each for each in told)


async def test_a_central_that_wants_no_ticket(token_file: Path) -> None:
    """Proves: one of the release before, which knows no tickets, is followed without; and where
    nobody says who asks, none is fetched."""
    unknown: Answer = (404, {"error": "there is no such path"}, {})
    answers = Answers([unknown])
    with answering(answers) as central, telling(FakeFeed(snapshot())) as feed:
        for path in (token_file, None):
            (way,) = feed_ways(network(port_of(central), feed.port, path), [])
            async with open_feed(way) as found:
                assert json.loads(await found.message())["type"] == "snapshot"
    assert feed.asked == [PATH, PATH]
    assert len(answers.asked) == 1


async def test_central_tells_where_its_feed_is(tmp_path: Path, token_file: Path) -> None:
    """Proves: of a Central that is known by the address of its HTTP alone the feed is found by the
    port that comes with the ticket."""
    with telling(FakeFeed(snapshot())) as feed:
        ticket = a_ticket("one")[1] | {"feed_port": feed.port}
        with answering(Answers([(201, ticket, {})])) as central:
            given = CentralGiven((central.url,), token_file)
            async with open_feed(feed_ways(Supervised([], given=given), [])[0]) as found:
                assert json.loads(await found.message())["type"] == "snapshot"
    assert feed.asked == [f"{PATH}?ticket=one"]


async def test_no_ticket_no_feed(token_file: Path) -> None:
    """Proves: a caller whom Central does not know is told so, once and for good; a Central that is
    away is tried again."""
    with answering(Answers([(401, {"error": "who asks?"}, {})])) as central:
        (way,) = feed_ways(network(port_of(central), 1, token_file), [])
        with pytest.raises(FeedRefused, match="who asks"):
            async with open_feed(way):
                pass
    with pytest.raises(FeedAway, match="can't be reached"):
        async with open_feed(way):
            pass


async def test_a_feed_that_speaks_tls(tmp_path: Path) -> None:
    """Proves: a feed is followed over TLS where its certificate is believed, and else the sentence
    says that it is not."""
    certificates = Certificates(tmp_path / "tls")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificates.cert, certificates.key)

    async def say(request: WebSocketRequest) -> None:
        connection = await request.accept()
        await connection.send_message(json.dumps(snapshot()))
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        serve = partial(serve_websocket, say, "127.0.0.1", 0, server)
        port = (await nursery.start(serve)).port
        url = f"wss://127.0.0.1:{port}{PATH}"
        trusting = partial(client_context, certificates.ca)
        async with open_feed(FeedWay(url, context=trusting)) as feed:
            assert json.loads(await feed.message())["type"] == "snapshot"
        for context in (client_context, partial(client_context, Certificates(tmp_path / "x").ca)):
            with pytest.raises(FeedAway, match="certificate"):
                async with open_feed(FeedWay(url, context=context)):
                    pass
        nursery.cancel_scope.cancel()
    with pytest.raises(FeedAway, match=r"can't be trusted: .*"):
        async with open_feed(FeedWay(url, context=partial(client_context, Path("/nowhere")))):
            pass
