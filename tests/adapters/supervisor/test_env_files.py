"""Files of variables, as systemd reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evd.adapters.supervisor.env_files import EnvFileWrong, read_variables, render_variables


def test_what_systemd_takes_for_a_value() -> None:
    """Proves: comments, blank lines, quotes of both kinds and backslashes mean what they mean to
    systemd, so that the tool knows the settings that a daemon has."""
    text = (
        "# Written by Ansible.\n"
        "; another comment\n"
        "\n"
        "CP_ENGINE_KW_RATE=22.0\n"
        " CP_ENGINE_HEALTH_PORT = 8001 \n"
        'CP_ENGINE_LOCATION="Málaga, \\"C/ Larios\\" \\$5"\n'
        "DRIVER_HTTP_HOSTS='a,b # c'\n"
        "CENTRAL_DB_URL=sqlite:////a\\ b.db\n"
        "EMPTY=\n"
        "CP_ENGINE_KW_RATE=50\n"
    )
    assert read_variables(text) == {
        "CP_ENGINE_KW_RATE": "50",
        "CP_ENGINE_HEALTH_PORT": "8001",
        "CP_ENGINE_LOCATION": 'Málaga, "C/ Larios" $5',
        "DRIVER_HTTP_HOSTS": "a,b # c",
        "CENTRAL_DB_URL": "sqlite:////a b.db",
        "EMPTY": "",
    }


@pytest.mark.parametrize("line", ["CP_ENGINE_KW_RATE", "=22", "A B=1", "1A=2"])
def test_a_line_that_is_no_variable_is_named(line: str) -> None:
    """Proves: a slip in a file is told with its line, and not passed over as systemd does."""
    with pytest.raises(EnvFileWrong, match=r"^line 2: is no NAME=value$"):
        read_variables(f"A=1\n{line}\n")


@given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=60))
def test_what_is_written_is_read_again(value: str) -> None:
    """Proves: no text of a flag, such as a location, changes on its way through a file."""
    assert read_variables(render_variables({"A": value, "B": "1"}, "head")) == {
        "A": value,
        "B": "1",
    }
