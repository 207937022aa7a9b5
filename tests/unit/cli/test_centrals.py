"""The tool with the addresses of several Centrals: which one serves is shown."""

import io
from collections.abc import Sequence

import pytest
from rich.console import Console

from evd.adapters.http.central_client import CentralRefused
from evd.adapters.http.refused import STANDING_BY
from evd.adapters.supervisor.protocol import CentralGiven
from evd.cli.centrals import Standing, centrals, seen_of
from evd.cli.errors import sentence_of
from evd.cli.reaching import given_by
from evd.cli.status import draw, take_snapshot
from evd.flags import ConfigError
from tests.network.processes import free_port
from tests.unit.cli.scene import Answer, Answers, Supervised, answering

HEALTHY: Answer = (200, {"charging_points": [], "active_requests": 0}, {})
STANDS_BY: Answer = (503, {"error": "standing by for a:8000", "code": STANDING_BY}, {})
SICK: Answer = (503, {"error": "the database does not answer"}, {})


def shown(urls: Sequence[str]) -> str:
    """The text of `evd status`."""
    found = io.StringIO()
    supervisor = Supervised([], given=CentralGiven(tuple(urls)))
    Console(file=found, width=200).print(draw(take_snapshot(supervisor)))
    return found.getvalue()


def test_each_is_shown() -> None:
    """Proves: of several the status says which one serves, and whose feed it is; the JSON too."""
    away = f"http://127.0.0.1:{free_port()}"
    with answering(Answers([STANDS_BY])) as standby, answering(Answers([HEALTHY])) as active:
        urls = (away, standby.url, active.url)
        text = shown(urls)
        snapshot = take_snapshot(Supervised([], given=CentralGiven(urls)))
    assert f"Central at {away}: no answer (Central at {away} can't be reached" in text
    assert f"Central at {standby.url}: stands by (standing by for a:8000)" in text
    assert f"Central at {active.url}: serves\n" in text
    assert [each["standing"] for each in snapshot.as_json()["centrals"]] == [
        *("no answer", "stands by", "serves")
    ]
    assert snapshot.trouble == ()


def test_one_is_shown_as_ever() -> None:
    """Proves: with one address nothing is added, neither a line nor a question."""
    answers = Answers([HEALTHY])
    with answering(answers) as central:
        text = shown([central.url])
    assert "Central at" not in text
    assert len(answers.asked) == 1


def test_what_the_doctor_finds() -> None:
    """Proves: a standby is no finding; one that is away or sick is, and so is that none serves."""
    away = f"http://127.0.0.1:{free_port()}"
    with (
        answering(Answers([STANDS_BY])) as standby,
        answering(Answers([HEALTHY])) as active,
        answering(Answers([SICK])) as sick,
    ):

        def found(*urls: str) -> list[str]:
            return [each.what for each in centrals(Supervised([], given=CentralGiven(urls)))]

        assert found(active.url, standby.url) == []
        assert found(active.url) == []
        (one,) = found(active.url, away)
        assert away in one and "no answer" in one
        none, its_sentence = found(standby.url, sick.url)
        assert none == "None of 2 Centrals serves."
        assert "can't serve (the database does not answer)" in its_sentence
        standings = seen_of(Supervised([], given=CentralGiven((standby.url, sick.url))))
        assert [each.standing for each in standings] == [Standing.STANDS_BY, Standing.UNABLE]


def test_the_sentence_of_a_standby() -> None:
    """Proves: a Central that stands by is said not to serve, and not to have refused."""
    refused = CentralRefused(503, "standing by for a:8000", code=STANDING_BY)
    assert sentence_of(refused) == "Central does not serve: standing by for a:8000."


def test_a_wrong_list_names_its_flag_or_variable() -> None:
    """Proves: several URLs are read from the flag and from the variable; a wrong list is told by
    the one that has it."""
    assert given_by({}, {"EVD_CENTRAL_URL": "http://a, https://b/"}).urls == (
        "http://a",
        "https://b",
    )
    for text in ("http://a,", "http://a,b", "http://a,http://a:80"):
        with pytest.raises(ConfigError, match=r"^EVD_CENTRAL_URL: "):
            given_by({}, {"EVD_CENTRAL_URL": text})
        with pytest.raises(ConfigError, match=r"^--central-url: "):
            given_by({"--central-url": text}, {})
