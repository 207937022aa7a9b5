"""Several Centrals whom a test asks as one: the one that serves answers."""

from collections.abc import Mapping

import httpx

STANDS_BY = 503


class Serving(httpx.BaseTransport):
    """Asks the Central that served last, and the others where it does not any more."""

    def __init__(self, centrals: Mapping[str, httpx.BaseTransport]) -> None:
        self._centrals = dict(centrals)
        # The one that served last, or is asked first.
        self.name = next(iter(centrals))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer of one that serves, else that of one that does not; raises where none is."""
        answer: httpx.Response | None = None
        failure: httpx.TransportError | None = None
        for name in sorted(self._centrals, key=lambda each: each != self.name):
            try:
                another = self._centrals[name].handle_request(request)
            except httpx.TransportError as error:
                failure = error
                continue
            if answer is not None:
                # Left open it would keep one of the pool's hundred connections.
                answer.close()
            answer = another
            if answer.status_code != STANDS_BY:
                self.name = name
                return answer
        if answer is None:
            raise failure or httpx.TransportError("there is no Central")
        return answer

    def close(self) -> None:
        """Let go of all of them."""
        for each in self._centrals.values():
            each.close()
