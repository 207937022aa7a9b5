"""The time from a question to its answer, by the monotonic clock, for a histogram."""

from typing import Final

OPEN_MAX: Final = 10_000
# Upper bounds in seconds: from an idle machine on a desk to the time-out of a driver.
ANSWER_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Timings:
    """The questions that are not answered yet; beyond OPEN_MAX the oldest is given up."""

    def __init__(self) -> None:
        self._asked_s: dict[str, float] = {}

    def ask(self, question_id: str, now_s: float) -> None:
        """A question came in; a repeated one counts from its first time."""
        self._asked_s.setdefault(question_id, now_s)
        if len(self._asked_s) > OPEN_MAX:
            del self._asked_s[next(iter(self._asked_s))]

    def end(self, question_id: str, now_s: float) -> float | None:
        """The seconds that the question waited; None where nobody saw it come."""
        asked_s = self._asked_s.pop(question_id, None)
        return None if asked_s is None else now_s - asked_s
