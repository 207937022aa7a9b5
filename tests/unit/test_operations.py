"""docs/operations.md: every alert has its entry, and every command can be typed as it stands."""

import re
import shlex
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from evd.cli import parse
from evd.cli.topics import TopicsConfig
from evd.flags import given_texts

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "operations.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
GROUPS = yaml.safe_load((ROOT / "etc" / "prometheus" / "rules.yml").read_text())["groups"]
ALERTS = sorted(rule["alert"] for group in GROUPS for rule in group["rules"])

# A line of an indented block, or the words between backticks, up to the comment.
_CODE = re.compile(r"^ {4,}(\S[^#\n]*)|`([^`\n]+)`", re.MULTILINE)
COMMANDS = sorted({(block or span).strip() for block, span in _CODE.findall(TEXT)})
TOOL = [each for each in COMMANDS if re.match(r"evd [a-z]", each)]
PLAYS = [each for each in COMMANDS if "ansible-playbook" in each]
MAKE = [each for each in COMMANDS if each.startswith("make ")]
VALUES = {"SESSION": "session-1", "FILE": "copy.db", "HOST": "kafka-1"}


def section(title: str) -> str:
    """The text below a heading of the second rank."""
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_each_alert_has_its_entry() -> None:
    """Proves: whoever is woken by an alert finds what it means and what to do; no entry is about an
    alert that there is no more."""
    entries = re.split(r"^### ", section("What each alert means"), flags=re.MULTILINE)[1:]
    assert sorted(entry.partition("\n")[0] for entry in entries) == ALERTS
    for entry in entries:
        assert len(entry.split()) > 20, entry


@pytest.mark.parametrize("command", TOOL)
def test_a_command_of_the_tool_exists(command: str) -> None:
    """Proves: each verb in the page is one of the tool's, with the flags that it has."""
    words = [VALUES.get(word, word) for word in shlex.split(command)[1:]]
    if words[0] == "topics":
        bootstrap = "kafka-1:9092"
        assert given_texts(TopicsConfig, [x.replace("HOST:9092", bootstrap) for x in words[1:]])
    else:
        assert parse(words).run


@pytest.mark.parametrize("command", MAKE)
def test_a_target_of_make_exists(command: str) -> None:
    """Proves: each target of make in the page is one of the Makefile's."""
    for target in command.split()[1:]:
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target


@pytest.mark.parametrize("command", PLAYS)
def test_a_playbook_exists(command: str) -> None:
    """Proves: each playbook in the page is there, and knows the variable that it is given."""
    playbooks = re.findall(r"[a-z-]+\.yml", command)
    assert len(playbooks) == 1 or command == "ansible-playbook"
    for playbook in playbooks:
        text = (ROOT / "ansible" / playbook).read_text()
        for variable in re.findall(r"""-e (?:'\{")?(\w+)(?:=|":)""", command):
            assert variable in text, variable


def test_links_lead_somewhere() -> None:
    """Proves: a reader who follows a link of the page arrives."""
    titles = re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        path, _, anchor = target.partition("#")
        assert not path or (ROOT / "docs" / path).exists(), target
        assert path or anchor in anchors, target


def test_there_are_commands() -> None:
    """Proves: the commands of the page are found, and so are those that are wrong."""
    assert len(TOOL) > 30
    assert "evd central accept" in TOOL
    assert MAKE
    assert len(PLAYS) > 8
