"""Several Centrals asked as one."""

from collections.abc import Iterator

import httpx

from tests.network.serving import STANDS_BY, Serving


class Body(httpx.SyncByteStream):
    """A body that says whether it was closed."""

    def __init__(self) -> None:
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield b""

    def close(self) -> None:
        """Note it."""
        self.is_closed = True


def test_an_answer_that_nobody_gets_is_closed() -> None:
    """Proves: the answers of Centrals that stand by keep no connection, however often they are
    asked: a measurement of many takeovers had none left."""
    bodies: list[Body] = []

    def central(status: int) -> httpx.MockTransport:
        def answer(_: httpx.Request) -> httpx.Response:
            bodies.append(Body())
            return httpx.Response(status, stream=bodies[-1])

        return httpx.MockTransport(answer)

    serving = Serving({"a": central(STANDS_BY), "b": central(STANDS_BY), "c": central(200)})
    answer = serving.handle_request(httpx.Request("GET", "http://here/"))
    assert (answer.status_code, serving.name) == (200, "c")
    assert [body.is_closed for body in bodies] == [True, True, False]
