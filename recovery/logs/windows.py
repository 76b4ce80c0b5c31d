"""Windows of time in which messages are looked for, grouped so that few requests ask for them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from recovery.failures import LoggedMessage

GAP_MILLISECONDS = 300_000
"""Time that nobody asked for and that is read all the same where it saves a request."""
LONGEST_MILLISECONDS = 3_600_000
"""A group of messages shares a window of this length at most, or of twice the longest that one of them needs."""

Window = tuple[int, int]
"""Milliseconds since 1970, from and to."""


@dataclass(frozen=True, slots=True)
class Sought:
    """A message to look for in its consumer's log.

    Attributes:
        message: its ids, and the times of its receives when it may be found by them.
        window: where a line may name it; None when that was searched already.
        around: windows that hold every invocation at one of its receives; empty: it is not looked for by time.
    """

    message: LoggedMessage
    window: Window | None
    around: tuple[Window, ...] = ()


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A read that a limit ended: the next look-up goes on from its token.

    Attributes:
        window: the time that is read.
        ids: the messages that are looked for.
        token: where FilterLogEvents goes on.
        streams: names of streams in which lines named one of them so far, with the time of these lines.
    """

    window: Window
    ids: tuple[str, ...]
    token: str
    streams: Mapping[str, Window]


def grouped(sought: Iterable[Sought], most: int) -> Iterator[tuple[Window, Sequence[Sought]]]:
    """Groups of at most `most` messages whose windows lie together, each with the window of all of them."""
    placed = [(each.window, each) for each in sought if each.window is not None]
    ordered = sorted(placed, key=lambda item: (item[0], item[1].message.id))
    some: list[Sought] = []
    start = end = longest = 0
    for (begin, last), each in ordered:
        joined = max(end, last)
        longest = max(longest, last - begin)
        fits = len(some) < most and begin <= end + GAP_MILLISECONDS
        if some and fits and joined - start <= max(LONGEST_MILLISECONDS, 2 * longest):
            some.append(each)
            end = joined
            continue
        if some:
            yield (start, end), some
        some, start, end, longest = [each], begin, last, last - begin
    if some:
        yield (start, end), some


def merged(windows: Iterable[Window]) -> list[Window]:
    """The same time in as few windows as it takes, none of them overlapping."""
    out: list[Window] = []
    for start, end in sorted(windows):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return out


def halves(window: Window) -> tuple[Window, Window]:
    """Both halves of a window."""
    middle = (window[0] + window[1]) // 2
    return (window[0], middle), (middle, window[1])
