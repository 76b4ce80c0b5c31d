"""Windows of an incremental flow's data that no successful run has pulled. Pure.

AppFlow starts an incremental window at the last success, so a failed window is normally covered by the next run. Where
it was not (a flow made anew, a run cancelled, a window set by hand), nothing else would ever show.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from recovery.appflow_runs.models import Run, RunStatus

TOUCHING = timedelta(seconds=1)
"""Windows this close are one: AppFlow's times are rounded."""
MOST_WINDOWS = 100
"""Windows kept for each flow; beyond that the oldest are forgotten, gaps between them included."""


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A span of data times, aware; `end` is not before `start`."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Coverage:
    """Windows pulled so far.

    Attributes:
        asked: from the first window ever seen to the end of the last one, whether it was pulled or not; None: none.
        covered: the windows of successful runs, joined, in order.
    """

    asked: Window | None = None
    covered: tuple[Window, ...] = ()

    def with_runs(self, runs: Iterable[Run]) -> Coverage:
        """The coverage after these runs; a run that was counted before changes nothing."""
        asked, covered = self.asked, list(self.covered)
        for run in runs:
            if run.is_under_way or run.pull_start is None or run.pull_end is None or run.pull_end < run.pull_start:
                continue
            window = Window(run.pull_start, run.pull_end)
            asked = Window(min(asked.start, window.start), max(asked.end, window.end)) if asked else window
            if run.status is RunStatus.SUCCESSFUL:
                covered.append(window)
        joined = _joined(covered)
        if len(joined) > MOST_WINDOWS:
            joined = joined[-MOST_WINDOWS:]
            asked = Window(joined[0].start, asked.end) if asked else None
        return Coverage(asked, joined)

    def gaps(self) -> tuple[Window, ...]:
        """Spans that were asked for and that no successful run covered, in order."""
        if self.asked is None:
            return ()
        gaps = []
        reached = self.asked.start
        for window in self.covered:
            if window.start - reached > TOUCHING:
                gaps.append(Window(reached, window.start))
            reached = max(reached, window.end)
        if self.asked.end - reached > TOUCHING:
            gaps.append(Window(reached, self.asked.end))
        return tuple(gaps)


def _joined(windows: list[Window]) -> tuple[Window, ...]:
    joined: list[Window] = []
    for window in sorted(windows):
        if joined and window.start - joined[-1].end <= TOUCHING:
            joined[-1] = Window(joined[-1].start, max(joined[-1].end, window.end))
        else:
            joined.append(window)
    return tuple(joined)
