"""The demo on the terminal: a live table of every scene's items by state, and the story below it.

On a terminal it is redrawn in place; elsewhere (a log of CI) the story is printed line by line as it happens.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from demo.scenes import Row

STORY_LINES = 20
"""Most lines of the story that are kept for the picture."""
STORY_AT_LEAST = 5
"""Lines of it that are shown on the smallest screen; scenes that are settled are folded to one line for that."""
_FRAME = 3
_BAR = 20


class View:
    """The story and the state of all scenes; `say` and `show` may be called from any thread."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._lock = threading.Lock()
        self._story: deque[tuple[float, str]] = deque(maxlen=STORY_LINES)
        self._rows: dict[str, Sequence[Row]] = {}
        self._began = time.monotonic()
        self._live: Live | None = None

    @contextmanager
    def running(self) -> Iterator[View]:
        """Draw until the block ends; afterwards the last picture stays."""
        if not self._console.is_terminal:
            yield self
            return
        with Live(self._picture(), console=self._console, refresh_per_second=4, get_renderable=self._picture) as live:
            self._live = live
            try:
                yield self
            finally:
                self._live = None

    def say(self, text: str) -> None:
        """One line of the story."""
        with self._lock:
            moment = time.monotonic() - self._began
            self._story.append((moment, text))
        if not self._console.is_terminal:
            self._console.print(f"{moment:6.1f} s  {text}", markup=False, soft_wrap=True)

    def show(self, rows: Mapping[str, Sequence[Row]]) -> None:
        """Show the items of each scene by their state now, under the scene's title."""
        with self._lock:
            before, self._rows = self._rows, dict(rows)
        if not self._console.is_terminal:
            for title, states in rows.items():
                if _settled(states) != _settled(before.get(title, ())):
                    self.say(heading(title, states))

    def summary(self) -> None:
        """Print the last picture once more where no live one stays."""
        if not self._console.is_terminal:
            self._console.print(*tables(self._rows), sep="\n")

    def print(self, *lines: str) -> None:
        """Print lines below the picture, when it is no longer live; they may hold rich's markup."""
        self._console.print(*lines, sep="\n", soft_wrap=True)

    def _picture(self) -> RenderableType:
        with self._lock:
            rows, story = dict(self._rows), list(self._story)
        height = self._console.size.height
        folded = set()
        if _lines(rows) + STORY_AT_LEAST + _FRAME > height:
            folded = {title for title, states in rows.items() if all(row.settled for row in states)}
        shown = {title: states for title, states in rows.items() if title not in folded}
        room = height - _lines(shown) - len(folded) - _FRAME
        lines = Text("\n").join(
            Text.assemble((f"{moment:6.1f} s  ", "dim"), text) for moment, text in story[-max(STORY_AT_LEAST, room) :]
        )
        # A line of the story is a line of the screen: what is too long is cut, and stands in the Prefect UI.
        lines.no_wrap, lines.overflow = True, "ellipsis"
        return Group(
            *(Text(heading(title, rows[title]), style="bold green") for title in sorted(folded)),
            *tables(shown),
            Panel(lines, title="what happens", title_align="left", border_style="dim"),
        )


def tables(rows: Mapping[str, Sequence[Row]]) -> list[RenderableType]:
    """One table for each scene: a bar for each state, as long as its share."""
    return [_table(title, states) for title, states in rows.items()]


def _lines(rows: Mapping[str, Sequence[Row]]) -> int:
    return sum(len(states) + 1 for states in rows.values())


def heading(title: str, states: Sequence[Row]) -> str:
    """A scene in one line."""
    return f"{title}: {_settled(states)} of {sum(row.count for row in states)} settled"


def _settled(states: Sequence[Row]) -> int:
    return sum(row.count for row in states if row.settled)


def _table(title: str, states: Sequence[Row]) -> Table:
    total = sum(row.count for row in states)
    table = Table(
        title=heading(title, states),
        title_justify="left",
        title_style="bold",
        box=None,
        show_header=False,
        padding=(0, 1),
    )
    table.add_column("items", justify="right", min_width=5)
    table.add_column("state", min_width=48)
    table.add_column("share", min_width=_BAR)
    for row in states:
        style = "green" if row.settled else "yellow"
        bar = "█" * max(1, round(_BAR * row.count / total)) if row.count else ""
        table.add_row(str(row.count), row.state, Text(bar, style=style), style=None if row.settled else "bold")
    return table
