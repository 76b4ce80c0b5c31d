"""A consumer's log as evidence: what is asked of CloudWatch Logs, how much, and what is said when it cannot tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import boto3
import pytest
from botocore.config import Config
from botocore.stub import ANY, Stubber

from recovery.failures import Kind, diagnose
from recovery.logs import (
    AFTER_MILLISECONDS,
    CLOCKS_MILLISECONDS,
    FILTER_LENGTH,
    PAGES,
    QUERY_LENGTH,
    QUERY_ROWS,
    SECONDS,
    Logs,
    patterns,
    queries,
)

GROUP = "/aws/lambda/orders"
SINCE = datetime(2024, 1, 1, 10, 0, tzinfo=UTC)
UNTIL = datetime(2024, 1, 1, 11, 0, tzinfo=UTC)
START = 1_704_103_200_000
END = START + 3_600_000
EARLY, LATE = START - CLOCKS_MILLISECONDS, END + CLOCKS_MILLISECONDS
"""The clock of whoever wrote a line is not the clock of AWS."""
R1 = "11111111-1111-4111-8111-111111111111"


def ids(count: int) -> list[str]:
    return [str(UUID(int=number + 1)) for number in range(count)]


def event(text: str, offset: int, stream: str = "s") -> dict[str, Any]:
    return {"message": text, "timestamp": START + offset, "logStreamName": stream, "eventId": str(offset)}


class Ticks:
    """A clock that moves by a step at each look."""

    def __init__(self, step: float) -> None:
        self.now = 0.0
        self.step = step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture
def client() -> Any:
    config = Config(retries={"total_max_attempts": 1, "mode": "standard"})
    return boto3.client(
        "logs", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x", config=config
    )


@pytest.fixture
def stub(client: Any) -> Iterator[Stubber]:
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def asked(**more: Any) -> dict[str, Any]:
    return {"logGroupName": GROUP, "startTime": ANY, "endTime": ANY, **more}


def refuse_to_wait(_: float) -> None:
    raise AssertionError("nothing has to wait here")


def look(
    client: Any, messages: list[str], *, elapsed: Callable[[], float] | None = None, pause: Any = refuse_to_wait
) -> Any:
    return Logs(client, elapsed or Ticks(0.0), pause).evidence(GROUP, messages, SINCE, UNTIL)


def test_lines_that_name_a_message_and_its_stream_around_them(client: Any, stub: Stubber) -> None:
    """The error stands in a line without the message's id: it is found by its request."""
    [message] = ids(1)
    stub.add_response(
        "filter_log_events",
        {"events": [event(f"{R1} working on {message}", 5)]},
        {"logGroupName": GROUP, "startTime": EARLY, "endTime": LATE, "filterPattern": f'?"{message}"'},
    )
    stub.add_response(
        "filter_log_events",
        {
            "events": [
                event(f"START RequestId: {R1}", 5),
                event(f"{R1} working on {message}", 5),
                event("[ERROR] ConnectionError: Connection refused", 6),
                event(f"END RequestId: {R1}", 7),
            ]
        },
        {
            "logGroupName": GROUP,
            "startTime": START + 5,
            "endTime": START + 5 + AFTER_MILLISECONDS,
            "logStreamNames": ["s"],
        },
    )
    found = look(client, [message])
    assert found.problem == ""
    assert diagnose(found.evidence[message]).kind is Kind.DEPENDENCY_FAILURE


def test_all_pages_are_read_even_empty_ones(client: Any, stub: Stubber) -> None:
    """FilterLogEvents may answer with empty pages before the one that matters."""
    [message] = ids(1)
    stub.add_response("filter_log_events", {"events": [], "nextToken": "t"}, asked(filterPattern=ANY))
    stub.add_response(
        "filter_log_events",
        {"events": [event(f"ERROR {message} failed: Read timed out", 5)]},
        asked(filterPattern=ANY, nextToken="t"),
    )
    stub.add_response("filter_log_events", {"events": []}, asked(logStreamNames=["s"]))
    assert diagnose(look(client, [message]).evidence[message]).kind is Kind.TIMEOUT


def test_pages_are_bounded_and_said_so(client: Any, stub: Stubber) -> None:
    """A log that never ends does not hold up the run."""
    for _ in range(PAGES):
        stub.add_response("filter_log_events", {"events": [], "nextToken": "t"})
    found = look(client, ids(1))
    assert "more lines than are read" in found.problem
    assert not found.unnamed, "the rest of the log may name it"


def test_time_is_bounded_and_said_so(client: Any, stub: Stubber) -> None:
    """After half a minute the letters wait for the next run."""
    stub.add_response("filter_log_events", {"events": [], "nextToken": "t"})
    found = look(client, ids(1), elapsed=Ticks(SECONDS / 2 + 1))
    assert f"longer than {SECONDS:.0f} s" in found.problem


def test_messages_that_no_line_names_are_said_so(client: Any, stub: Stubber) -> None:
    """The log may be late: then a letter waits rather than being judged blind."""
    first, second = ids(2)
    stub.add_response("filter_log_events", {"events": [event(f"ERROR {first} failed: Read timed out", 5)]})
    stub.add_response("filter_log_events", {"events": []})
    found = look(client, [first, second])
    assert set(found.evidence) == {first}
    assert (found.unnamed, found.problem) == ({second}, "")


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("ResourceNotFoundException", 400, "does not exist"),
        ("AccessDeniedException", 400, "permission logs:FilterLogEvents is missing"),
        ("ThrottlingException", 400, "could not be read now (ThrottlingException)"),
        ("ServiceUnavailableException", 503, "could not be read now"),
    ],
)
def test_a_log_group_that_cannot_be_read_is_said_so(
    client: Any, stub: Stubber, code: str, status: int, said: str
) -> None:
    """Missing, forbidden or down: the run goes on, and the report tells what to repair."""
    stub.add_client_error("filter_log_events", service_error_code=code, http_status_code=status)
    found = look(client, ids(1))
    assert not found.evidence
    assert said in found.problem


def test_more_ids_than_filters_hold_are_asked_for_with_a_query(client: Any, stub: Stubber) -> None:
    """One query for hundreds of ids, looked at until it is complete."""
    messages = ids(200)
    stub.add_response(
        "start_query",
        {"queryId": "q"},
        {
            "logGroupName": GROUP,
            "startTime": EARLY // 1000,
            "endTime": LATE // 1000,
            "queryString": queries(messages)[0],
            "limit": QUERY_ROWS,
        },
    )
    stub.add_response("get_query_results", {"status": "Running", "results": []}, {"queryId": "q"})
    row = [
        {"field": "@timestamp", "value": "2024-01-01 10:00:00.005"},
        {"field": "@message", "value": f"ERROR {messages[7]} failed: Rate exceeded"},
        {"field": "@logStream", "value": "s"},
        {"field": "@ptr", "value": "p"},
    ]
    stub.add_response("get_query_results", {"status": "Complete", "results": [row]}, {"queryId": "q"})
    stub.add_response("filter_log_events", {"events": []}, asked(logStreamNames=["s"]))
    waited: list[float] = []
    found = look(client, messages, pause=waited.append)
    assert diagnose(found.evidence[messages[7]]).kind is Kind.THROTTLED
    assert len(waited) == 1


@pytest.mark.parametrize("code", ["AccessDeniedException", "LimitExceededException", "ThrottlingException"])
def test_filters_take_the_place_of_a_query_that_may_not_run(client: Any, stub: Stubber, code: str) -> None:
    """Without the permission, or beside too many other queries."""
    messages = ids(200)
    stub.add_client_error("start_query", service_error_code=code)
    for pattern in patterns(messages):
        stub.add_response("filter_log_events", {"events": []}, asked(filterPattern=pattern))
    assert look(client, messages).unnamed == set(messages)


def test_a_query_that_takes_too_long_is_stopped(client: Any, stub: Stubber) -> None:
    """It would go on scanning, and cost."""
    stub.add_response("start_query", {"queryId": "q"})
    stub.add_response("get_query_results", {"status": "Running", "results": []}, {"queryId": "q"})
    stub.add_response("stop_query", {"success": True}, {"queryId": "q"})
    found = look(client, ids(200), elapsed=Ticks(SECONDS * 0.6))
    assert f"longer than {SECONDS:.0f} s" in found.problem


def test_many_streams_are_read_a_hundred_at_a_time(client: Any, stub: Stubber) -> None:
    """As many names as one request takes."""
    messages = ids(20)
    lines = [event(f"ERROR {messages[n % 20]} failed", n, f"s{n:03d}") for n in range(150)]
    stub.add_response("filter_log_events", {"events": lines})
    for count in (100, 50):
        names = [f"s{n:03d}" for n in (range(100) if count == 100 else range(100, 150))]
        stub.add_response("filter_log_events", {"events": []}, asked(logStreamNames=names))
    assert set(look(client, messages).evidence) == set(messages)


def test_patterns_and_queries_keep_to_their_lengths() -> None:
    """And lose no id; an id stands in them once."""
    messages = ids(1_000)
    for made, length in ((patterns(messages + messages), FILTER_LENGTH), (queries(messages + messages), QUERY_LENGTH)):
        assert all(len(text) <= length for text in made)
        assert all(sum(message in text for text in made) == 1 for message in messages)


def test_a_term_that_is_no_id_cannot_change_a_query() -> None:
    """Quotation marks and slashes would end the text that they stand in."""
    assert queries(["a/ | limit 1", "b"]) == queries(["b"])
    assert patterns(['a" ?"b']) == ['?"a ?b"']
