"""Answers with a long list, made in pieces."""

import attrs
import pytest
import trio

from evd.adapters.http.json_response import in_pieces
from evd.adapters.json_text import encode
from evd.adapters.pieces import POINTS_AT_ONCE


@attrs.frozen
class Item:
    """One of many."""

    number: int


@attrs.frozen
class Items:
    """An answer with a list."""

    items: list[Item]
    count: int


@pytest.mark.parametrize("count", [0, 1, POINTS_AT_ONCE, POINTS_AT_ONCE + 1, 3 * POINTS_AT_ONCE])
async def test_a_list_made_in_pieces_is_as_one_made_at_once(count: int) -> None:
    """Proves: wherever a long list is cut for others to have their turn, its JSON is the same."""
    content = Items([Item(number) for number in range(count)], count)
    answer = await in_pieces(content)
    assert answer.render(answer.content, "application/json") == encode(content)


async def test_others_have_their_turn_meanwhile() -> None:
    """Proves: between two pieces of a long list another task runs."""
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count_turns)
        await in_pieces(Items([Item(1)] * 20 * POINTS_AT_ONCE, 1))
        nursery.cancel_scope.cancel()
    assert turns >= 15
