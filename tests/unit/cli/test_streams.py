"""The tool where its output can't be written, or where its network can't be."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import evd.cli
from tests.network.processes import CHECKOUT

EVD = shlex.quote(str(Path(sys.executable).with_name("evd")))


@pytest.mark.parametrize("verb", ["status", "cp remove 9"])
@pytest.mark.parametrize("streams", [">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", "| true"])
def test_output_that_nobody_gets(verb: str, streams: str, tmp_path: Path) -> None:
    """Proves: a closed stream, a full disk and a reader that has gone cost no traceback, and errors
    never go to the standard output in the place of what was asked for."""
    conf = tmp_path / "etc" / "supervisord.conf"
    conf.parent.mkdir()
    conf.write_text("[supervisord]\n[program:evd-central]\ncommand = evd-central --http-port 1\n")
    command = f"{EVD} --config {conf} {verb} {streams}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1)
    told = done.stdout + done.stderr
    assert "Traceback" not in told
    assert "Exception ignored" not in told
    assert "evd: " not in done.stdout


@pytest.mark.parametrize(
    ("verb", "character"),
    [
        *((verb, "%") for verb in ("up", "run", "doctor", "down", "reload", "cp add 7", "logs x")),
        *(("status", character) for character in ("%", "*", "?", "[", '"')),
    ],
)
def test_a_path_that_no_supervisord_can_have(
    verb: str, character: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Proves: a character of the checkout's path that supervisord's files can't hold is named in
    one sentence, with code 2, before anything is made or started."""
    root = tmp_path / f"my{character}net"
    conf = root / "etc" / "supervisord.conf"
    conf.parent.mkdir(parents=True)
    conf.write_bytes((CHECKOUT / "etc" / "supervisord.conf").read_bytes())
    with pytest.raises(SystemExit) as caught:
        evd.cli.main(["--config", str(conf), *verb.split()])
    assert caught.value.code == 2
    assert capsys.readouterr() == (
        "",
        f"evd: The path {root / 'etc'} has a {character} in it, which supervisord's files can't"
        " hold: move the checkout to a path without one.\n",
    )
    assert [each.name for each in root.iterdir()] == ["etc"]


def test_a_verb_loads_what_it_needs() -> None:
    """Proves: the tool starts without the libraries that few of its verbs need."""
    late = "trio, trio_websocket, confluent_kafka, sqlalchemy, litestar"
    code = f"import sys, evd.cli; print(set('{late}'.split(', ')) & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_word_of_the_command_line_steers_no_terminal() -> None:
    """Proves: a word that the tool does not know is shown on one line, without what would colour
    it, clear the screen or begin a line of its own."""
    word = b"st\x1b[31matus\nevd: all is well\xff"
    done = subprocess.run([Path(sys.executable).with_name("evd"), word], capture_output=True)
    assert done.returncode == 2
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("evd: ")
    assert line.isprintable()
