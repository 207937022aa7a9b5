"""The tool for scripts: what is shown or changed is also said as JSON."""

import argparse
import json
from collections.abc import Iterator

import pytest

from evd.cli import make_parser
from evd.cli.errors import ToolFailed
from tests.unit.cli.scene import Answer, run_verb

# These print lines for as long as they run, go by a file that scripts read too, or are programs of
# their own.
LINES = {"run", "logs", "watch", "feed", "export", "topics"}
TAKEN: Answer = (202, {}, {})


def leaves(parser: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, set[str]]]:
    """Each verb, with its actions, and the flags that it takes."""
    groups = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    for group in groups:
        for word, below in group.choices.items():
            yield from leaves(below, f"{name} {word}".strip())
    if not groups:
        yield name, {flag for action in parser._actions for flag in action.option_strings}


def test_every_verb_speaks_json() -> None:
    """Proves: a script finds --json at each verb and each action, apart from those that print
    lines."""
    without = {name for name, flags in leaves(make_parser()) if "--json" not in flags}
    assert without == LINES


@pytest.mark.parametrize(
    ("words", "answers", "told"),
    [
        (["session", "accept", "s-1"], [TAKEN], {"session_id": "s-1", "verdict": "accept"}),
        (["session", "void", "s-1"], [TAKEN], {"session_id": "s-1", "verdict": "void"}),
        (["central", "accept"], [TAKEN], {"recovering": []}),
        (["down"], [TAKEN], {"was_running": False}),
        (
            ["cp", "remove", "--unused", "5", "--yes"],
            [(200, {"charging_points": []}, {})],
            {"removed": [], "said": ["No charging point has been unused for 5 days."]},
        ),
    ],
)
def test_what_was_done_as_json(
    capsys: pytest.CaptureFixture[str], words: list[str], answers: list[Answer], told: object
) -> None:
    """Proves: with --json there is one object on standard output, and nothing else."""
    code, _ = run_verb(answers, *words, "--json")
    assert (code, json.loads(capsys.readouterr().out)) == (0, told)


def test_csv_and_json_at_once() -> None:
    """Proves: nobody is given one of two forms without being told."""
    with pytest.raises(ToolFailed, match="--csv or --json"):
        run_verb([TAKEN], "sessions", "--csv", "--json")
