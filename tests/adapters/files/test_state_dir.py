"""The note in a state directory about the release that wrote its files."""

from pathlib import Path

import pytest

from evd.adapters.files.state_dir import FORMAT_FILE, StateDirRefused, held_state_dir
from evd.version import VERSION


def start(folder: Path, known: int) -> str:
    """Hold the directory as a daemon that knows this format; the note afterwards."""
    with held_state_dir(folder, known):
        return (folder / FORMAT_FILE).read_text()


@pytest.mark.parametrize("left", [None, "", "1", "1 0.1.0\n", "nonsense\n", "\xff\n"])
def test_an_older_or_spoiled_note_is_replaced(tmp_path: Path, left: str | None) -> None:
    """Proves: a directory of an older release is taken over, and a note that a crash or a hand
    spoiled keeps no daemon from its files."""
    if left is not None:
        (tmp_path / FORMAT_FILE).write_bytes(left.encode("latin-1"))
    assert start(tmp_path, 1) == f"1 {VERSION}\n"


@pytest.mark.parametrize("note", ["2 9.9.9\n", "2 9.9.9", "10 9.9.9 and more\n"])
def test_a_newer_release_s_files_are_left_alone(tmp_path: Path, note: str) -> None:
    """Proves: a format that this release does not know is refused, in words that name both
    releases, and the note stays as it was."""
    (tmp_path / FORMAT_FILE).write_text(note)
    with pytest.raises(StateDirRefused) as caught:
        start(tmp_path, 1)
    assert "written by evd 9.9.9" in str(caught.value)
    assert f"this is evd {VERSION}" in str(caught.value)
    assert (tmp_path / FORMAT_FILE).read_text() == note


def test_a_newer_release_with_the_same_format_can_be_taken_back(tmp_path: Path) -> None:
    """Proves: a rollback is refused only where the files themselves are new."""
    (tmp_path / FORMAT_FILE).write_text("1 9.9.9\n")
    assert start(tmp_path, 1) == f"1 {VERSION}\n"
