"""Tables that fit into a terminal: of a narrow one the spare columns are left out."""

from collections.abc import Mapping, Sequence
from typing import Final

import attrs
from rich.table import Table
from rich.text import Text

NOTHING: Final = "-"
GAP_CHARS: Final = 2

Row = Mapping[str, Text]


@attrs.frozen
class Columns:
    """The columns of a table.

    `spare`: those that a narrow terminal goes without, one after the other. A longer value in
    `squeezed` is cut to `squeezed_chars` before a column is left out.
    """

    names: Sequence[str]
    amounts: frozenset[str] = frozenset()
    spare: Sequence[str] = ()
    squeezed: str = ""
    squeezed_chars: int = 12

    def table(self, shown: Sequence[Row], rows: Sequence[Row], width: int) -> Table:
        """The rows of `shown`, in columns wide enough for all `rows`."""
        chars, gap = self._widths(rows, width)
        table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="dim")
        for name, count in chars.items():
            table.add_column(
                name,
                justify="right" if name in self.amounts else "left",
                width=count,
                no_wrap=True,
            )
        for row in shown:
            table.add_row(*(row[name] for name in chars))
        return table

    def _widths(self, rows: Sequence[Row], width: int) -> tuple[dict[str, int], int]:
        """The characters of each column that has room, and those between two."""
        chars = {
            name: max(len(name), *(row[name].cell_len for row in rows), 0) for name in self.names
        }
        whole = chars.get(self.squeezed, 0)
        if whole:
            chars[self.squeezed] = min(whole, max(self.squeezed_chars, len(self.squeezed)))
        gap = GAP_CHARS if _total(chars, GAP_CHARS) <= width else 1
        for spare in self.spare:
            if _total(chars, gap) <= width:
                break
            del chars[spare]
        if self.squeezed in chars:
            room = width - _total(chars, gap)
            chars[self.squeezed] += max(0, min(room, whole - chars[self.squeezed]))
        return chars, gap


def _total(chars: Mapping[str, int], gap: int) -> int:
    return sum(chars.values()) + gap * (len(chars) - 1)


def amount(value: float | None, decimals: int) -> Text:
    """A number with so many decimals, or a dash for none."""
    return Text(NOTHING if value is None else f"{value:.{decimals}f}")
