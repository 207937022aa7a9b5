"""The tool with the addresses of several Centrals: which one serves is shown."""

import io
import json
from collections.abc import Sequence
from typing import Any

import pytest
from rich.console import Console

import evd.cli
from evd.adapters.http.central_client import CentralRefused
from evd.adapters.http.refused import STANDING_BY
from evd.adapters.supervisor.protocol import CentralGiven, Program
from evd.cli.centrals import Standing, centrals, seen_of
from evd.cli.cp import not_on
from evd.cli.errors import ToolFailed, is_standby, sentence_of
from evd.cli.network import failure_of_central
from evd.cli.reaching import given_by
from evd.cli.status import draw, take_snapshot
from evd.flags import ConfigError
from tests.network.processes import free_port
from tests.unit.cli.scene import (
    Answer,
    Answers,
    Supervised,
    answering,
    central_at,
    port_of,
    run_verb,
)

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


def serving(*standbys: dict[str, Any]) -> Answer:
    """The answer of a Central that knows who stands by, to each question."""
    status, body, headers = HEALTHY
    return status, {**body, "central_id": "central-1", "standbys": list(standbys)}, headers


def test_one_that_shares_nothing_is_shown_as_ever() -> None:
    """Proves: with one address, of a Central with an SQLite file, no line is added."""
    with answering(Answers([HEALTHY])) as central:
        assert "Central at" not in shown([central.url])


def test_one_that_serves_says_who_stands_by() -> None:
    """Proves: one address is enough to see who stands by, who of them is without Kafka, and that
    nobody does; the JSON has each."""
    b = {"address": "b:8000", "kafka_up": True}
    c = {"address": "c:8000", "kafka_up": False}
    for others, told in (
        ([], "serves; nobody stands by\n"),
        ([b], "serves; b:8000 stands by\n"),
        ([b, c], "serves; b:8000, c:8000 (without Kafka) stand by\n"),
    ):
        with answering(Answers([serving(*others)])) as central:
            assert f"Central at {central.url}: {told}" in shown([central.url])
            given = CentralGiven((central.url,))
            (seen,) = take_snapshot(Supervised([], given=given)).as_json()["centrals"]
        assert [*seen["standbys"]] == others


def test_the_doctor_on_those_who_stand_by() -> None:
    """Proves: a standby without Kafka is a finding; that nobody stands by is one where several
    addresses are known here, to the operator or to a program, and none for a Central alone; two
    that serve from different databases are one."""

    def found(urls: Sequence[str], *programs: Program) -> list[str]:
        supervisor = Supervised([], given=CentralGiven(tuple(urls)))
        return [each.what for each in centrals(supervisor, programs)]

    without = serving({"address": "b:8000", "kafka_up": False})
    with answering(Answers([without])) as central:
        (told,) = found([central.url])
        assert told == "The Central at b:8000 stands by, and Kafka does not answer it."
    monitor = Program("evd-monitor", "CP-1", ("--cp-id", "CP-1", "--central-host", "a,b"), {})
    driver = Program("evd-driver", "d", ("--driver-id", "d", "--central-url", "http://a"), {})
    nobody = serving()
    other = serving()
    other[1]["central_id"] = "central-2"
    with answering(Answers([nobody])) as one, answering(Answers([nobody])) as two:
        told = f"The Central at {one.url} serves, and no other one stands by."
        assert found([one.url]) == found([one.url], driver) == []
        assert found([one.url], driver, monitor) == [told]
        with answering(Answers([STANDS_BY])) as standby:
            assert found([standby.url, one.url]) == [told]
        away = f"http://127.0.0.1:{free_port()}"
        (told,) = found([one.url, away])
        assert "no answer" in told
        # One Central by two names is no second one.
        assert found([one.url, two.url]) == []
        with answering(Answers([other])) as stranger:
            (told,) = found([one.url, stranger.url])
        assert told == f"Several Centrals serve: {one.url}, {stranger.url}."


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
        assert f"{sick.url}: can't serve (the database does not answer)." in its_sentence
        standings = seen_of(Supervised([], given=CentralGiven((standby.url, sick.url))))
        assert [each.standing for each in standings] == [Standing.STANDS_BY, Standing.UNABLE]


def test_a_host_that_may_not_ask_the_centrals() -> None:
    """Proves: where the programs of a host know several Centrals and none of their HTTP ports is
    open to it, that is no finding; it is one for the operator who names them."""
    urls = [f"http://127.0.0.1:{free_port()}" for _ in range(2)]
    assert [*centrals(Supervised([], elsewhere=",".join(urls)))] == []
    assert len([*centrals(Supervised([], given=CentralGiven(tuple(urls))))]) == 3
    with answering(Answers([SICK])) as sick:
        assert len([*centrals(Supervised([], elsewhere=f"{sick.url},{urls[0]}"))]) == 3


def test_a_central_that_stands_by_is_up() -> None:
    """Proves: `evd up` on the host of a standby misses nothing there, and can say who serves; one
    that is ill is missed, and where none runs nothing is.  Charging points are asked of their
    monitors."""
    monitor: Answer = (200, {"status": "healthy"}, {})
    with answering(Answers([STANDS_BY])) as standby, answering(Answers([monitor])) as page:
        flags = ("--cp-id", "CP-1", "--metrics-port", str(port_of(page)))
        own = Program("evd-monitor", "CP-1", flags)
        supervisor = Supervised([central_at(standby), own], is_up=True)
        assert not_on(supervisor) == []
        failure = failure_of_central(supervisor)
        assert failure is not None and is_standby(failure)
    with answering(Answers([SICK])) as sick:
        failure = failure_of_central(Supervised([central_at(sick)]))
        assert failure is not None and not is_standby(failure)
    assert failure_of_central(Supervised([own])) is None


def test_a_switch_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    """Proves: `evd central handover` says who serves soon; where nobody does, or where a standby
    is asked, it is one sentence and the code 1; a script gets the addresses as JSON."""
    done: Answer = (202, {"standbys": ["b:8000", "c:8000"]}, {})
    assert run_verb([done], "central", "handover") == (0, ["POST /central/handover"])
    told = "Central hands over. Within seconds one of these serves: b:8000, c:8000\n"
    assert capsys.readouterr() == (told, "")
    assert run_verb([done], "central", "handover", "--json")[0] == 0
    assert json.loads(capsys.readouterr().out) == {"standbys": ["b:8000", "c:8000"]}
    nobody: Answer = (409, {"error": "no other Central stands by"}, {})
    with pytest.raises(CentralRefused) as refused:
        run_verb([nobody], "central", "handover")
    assert sentence_of(refused.value) == "Central refuses: no other Central stands by."
    with pytest.raises(CentralRefused) as refused:
        run_verb([STANDS_BY], "central", "handover")
    assert sentence_of(refused.value) == "Central does not serve: standing by for a:8000."


def test_a_switch_whose_answer_is_lost() -> None:
    """Proves: Central says nothing more once it hands over, so a lost answer is told as that."""
    with pytest.raises(
        ToolFailed, match=r"is not Central.* It may hand over all the same: `evd st"
    ):
        run_verb([(202, b"{", {})], "central", "handover")


def test_a_switch_by_hand_finds_the_one_that_serves() -> None:
    """Proves: with the addresses of several the one that serves is told, and told once."""
    answers = Answers([(202, {"standbys": ["a:8000"]}, {})])
    with answering(Answers([STANDS_BY])) as standby, answering(answers) as active:
        given = CentralGiven((standby.url, active.url))
        options = evd.cli.parse(["central", "handover"])
        assert options.run(Supervised([], given=given), options) == 0
    assert [each[:2] for each in answers.asked] == [("POST", "/central/handover")]


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
