"""The page on who may do what: each of its cells has a test that stands for it."""

import re

import pytest

from tests.network.processes import CHECKOUT

PAGE = (CHECKOUT / "docs" / "security.md").read_text()
LETTERS = re.compile(r"\(([a-z](?:, [a-z])*)\)")


def rows(first_head: str) -> list[list[str]]:
    """The cells of each row of the table that begins with this head."""
    table = PAGE.partition(f"| {first_head} |")[2].partition("\n\n")[0]
    lines = [line for line in table.splitlines()[2:] if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


PORTS = rows("port")
PROOFS = [(letter, test) for letter, test in rows("cell")]


def test_each_cell_names_its_proof() -> None:
    """Proves: nothing on the page is only said."""
    proven = {letter for letter, _ in PROOFS}
    assert len(PORTS) == 8
    for port, *cells in PORTS:
        assert len(cells) == 6, port
        for cell in cells:
            found = LETTERS.search(cell)
            assert found, f"{port}: {cell}"
            assert {*found[1].split(", ")} <= proven, f"{port}: {cell}"


def test_each_proof_is_named() -> None:
    """Proves: no line of the list of tests is left over."""
    named = {letter for found in LETTERS.findall(PAGE) for letter in found.split(", ")}
    assert named == {letter for letter, _ in PROOFS}


@pytest.mark.parametrize("test", sorted({test for _, test in PROOFS}))
def test_each_proof_is_a_test(test: str) -> None:
    """Proves: a test that the page names is there, under this name."""
    file, _, name = test.partition("::")
    assert re.search(rf"^(async )?def {name}\(", (CHECKOUT / file).read_text(), re.MULTILINE)
