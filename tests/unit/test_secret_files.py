"""Files of secrets: who may have read them, and what their errors show."""

import os
from pathlib import Path

import pytest

from evd.core.access.roles import Role
from evd.flags import ConfigError
from evd.secret_files import check_secret_file, read_bearer, read_secret, read_token
from tests.network.certificates import secret

TOKEN = "evd_monitor_" + "x" * 43


def test_the_line_of_a_file(tmp_path: Path) -> None:
    """Proves: a secret is its file's one line, whatever the editor put at its end."""
    for text in ("sesame", "sesame\n", "sesame\r\n"):
        assert read_secret(secret(tmp_path / "s", text), "--token-file", {}) == "sesame"
    assert read_secret(secret(tmp_path / "s", " a b \n"), "--db-password-file", {}) == " a b "
    assert read_token(secret(tmp_path / "t", TOKEN + "\n"), "--token-file", Role.MONITOR) == TOKEN


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_file_that_others_may_read_or_write(tmp_path: Path, mode: int) -> None:
    """Proves: a file with any right of others is refused by its flag and its mode, and one in the
    folder that systemd made is taken as it is."""
    path = secret(tmp_path / "token", "sesame")
    path.chmod(mode)
    with pytest.raises(ConfigError, match=rf"^--token-file: .*{mode:04o}.*0600") as caught:
        read_secret(path, "--token-file", {})
    assert "sesame" not in str(caught.value)
    for way in (path, tmp_path / "x" / ".." / "token"):
        given = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
        (tmp_path / "x").mkdir(exist_ok=True)
        assert read_secret(way, "--token-file", given) == "sesame"
    with pytest.raises(ConfigError):
        read_secret(path, "--token-file", {"CREDENTIALS_DIRECTORY": str(tmp_path / "x")})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user(tmp_path: Path) -> None:
    """Proves: what another user may change at any time is no secret of this one."""
    path = secret(tmp_path / "token", "sesame")
    os.chown(path, 12345, 12345)
    with pytest.raises(ConfigError, match=r"^--token-file: .*must belong to the user"):
        check_secret_file(path, "--token-file", {})


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"sesame\nopen", b"\xff\xfe", b"sesame\0", b"x" * 5000],
    ids=["empty", "no_line", "two_lines", "no_utf8", "nul", "long"],
)
def test_what_is_no_secret(tmp_path: Path, content: bytes) -> None:
    """Proves: an empty file, several lines or bytes that are no text are refused, unseen."""
    path = secret(tmp_path / "token", "")
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"^--token-file: ") as caught:
        read_secret(path, "--token-file", {})
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["sesame", TOKEN + "x", TOKEN.replace("monitor", "driver"), TOKEN.upper(), TOKEN[:-1] + "."],
    ids=["word", "long", "of_driver", "capitals", "dot"],
)
def test_what_is_no_token(tmp_path: Path, text: str) -> None:
    """Proves: a token of another form, or of another role, is refused, and not shown."""
    path = secret(tmp_path / "token", text)
    with pytest.raises(ConfigError, match=r"^--token-file: .*evd_monitor_ and 43") as caught:
        read_token(path, "--token-file", Role.MONITOR)
    assert text not in str(caught.value)


@pytest.mark.parametrize("text", ["a b", "sésame"])
def test_what_no_header_carries(tmp_path: Path, text: str) -> None:
    """Proves: a bearer token that no client could send is refused at the start."""
    with pytest.raises(ConfigError, match=r"^--metrics-token-file: "):
        read_bearer(secret(tmp_path / "token", text), "--metrics-token-file")


def test_what_is_no_file(tmp_path: Path) -> None:
    """Proves: a file that is not there, or is none, is refused at once."""
    os.mkfifo(tmp_path / "fifo", 0o600)
    for name in ("missing", "fifo", "."):
        with pytest.raises(ConfigError, match=r"^--token-file: "):
            read_secret(tmp_path / name, "--token-file", {})
