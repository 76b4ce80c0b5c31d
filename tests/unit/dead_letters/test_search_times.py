"""Times at which lines about a message may have been written, and at which its log is read again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from recovery.dead_letters.messages import Message
from recovery.dead_letters.search_times import LATE_MILLISECONDS, Source, Times, is_due, times_of

FIRST = 1_700_000_000_000


def message(**system: str) -> Message:
    given_system = {
        "SentTimestamp": str(FIRST - 5_000),
        "ApproximateFirstReceiveTimestamp": str(FIRST),
        **system,
    }
    until = datetime(2024, 1, 1, tzinfo=UTC)
    return Message("orders-dlq", "m-1", "r", "{}", {}, given_system, until + timedelta(hours=1))


def test_a_message_is_received_one_visibility_timeout_apart() -> None:
    """Until it has been received as often as its source allows."""
    times = times_of(message(), Source(60, 3), 10)
    assert times.receives == (FIRST, FIRST + 60_000, FIRST + 120_000)
    assert all(start <= receive - 10_000 and receive + 10_000 <= end for receive, (start, end) in _pairs(times))
    assert times.start <= FIRST
    assert times.ended == FIRST + 130_000
    assert times.end >= times.ended + LATE_MILLISECONDS


def test_without_a_known_function_the_search_goes_on_for_hours() -> None:
    """A consumer that sets the visibility itself fails later than its queue says."""
    assert times_of(message(), Source(30, 3), None).end - times_of(message(), Source(30, 3), 30).end == 21_600_000


def test_receives_that_is_not_known_are_not_guessed() -> None:
    """No source, too many receives, a batch that waits for minutes, or a FIFO queue."""
    fifo = message(SequenceNumber="18870000000000000001", SentTimestamp=str(FIRST + 600_000))
    for times in (
        times_of(message(), None, 10),
        times_of(message(), Source(30, 1000), 10),
        times_of(message(), Source(30, 3), 10, batching_seconds=60),
        times_of(fifo, Source(30, 3), 10),
    ):
        assert times.receives == ()
        assert times.around == ()


def test_a_fifo_message_was_worked_on_before_its_move() -> None:
    """SQS stamps it anew when it moves it."""
    fifo = message(SequenceNumber="18870000000000000001", SentTimestamp=str(FIRST + 600_000))
    times = times_of(fifo, Source(30, 3), 10)
    assert times.start < FIRST + 600_000 - 90_000
    assert times.end > FIRST + 600_000


@given(st.lists(st.integers(1, 120), max_size=200))
def test_a_log_is_read_again_a_few_times_and_then_never(waits: list[int]) -> None:
    """However often a sweep comes by: while lines may be late, and once more when they cannot be."""
    times = times_of(message(), Source(30, 1), 10)
    now, until, reads = times.ended + 1_000, 0, 0
    for wait in waits:
        if is_due(times, until, now):
            until = min(now, times.end)
            reads += 1
        now += wait * 1_000
    assert reads <= 8
    if until >= times.settled:
        assert not is_due(times, until, now + 10**9)


def _pairs(times: Times) -> list[tuple[int, tuple[int, int]]]:
    return list(zip(times.receives, times.around, strict=True))
