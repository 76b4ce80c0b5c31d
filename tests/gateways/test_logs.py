"""A consumer's log as evidence: what is asked of CloudWatch Logs, how much, and what is stated when it cannot know."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import boto3
import pytest
from botocore.config import Config
from botocore.stub import ANY, Stubber

from recovery.failures import Kind, LoggedMessage, diagnose
from recovery.logs import Found, LogAllowance, Logs, Sought, Unfinished, reads
from recovery.logs import search as searching
from recovery.logs.reads import SECONDS
from recovery.logs.search import AFTER_MILLISECONDS, FILTERED, PAGES
from recovery.logs.windows import grouped, merged
from recovery.logs.wire import FILTER_LENGTH, QUERY_LENGTH, QUERY_ROWS, patterns, queries

GROUP = "/aws/lambda/orders"
START = 1_704_103_200_000
END = START + 3_600_000
EARLY, LATE = START, END
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


def sought(*messages: str) -> list[Sought]:
    return [Sought(LoggedMessage(message), (START, END)) for message in messages]


def look(
    client: Any,
    messages: list[str],
    *,
    elapsed: Callable[[], float] | None = None,
    pause: Any = refuse_to_wait,
    allowance: LogAllowance | None = None,
) -> Found:
    return Logs(client, elapsed or Ticks(0.0), pause).read(GROUP, sought(*messages), allowance or LogAllowance())


def kind_of(found: Found, message: str) -> Kind:
    evidence = found.findings[message].evidence
    assert evidence is not None
    return diagnose(evidence).kind


def explained(found: Found) -> set[str]:
    return {message for message, finding in found.findings.items() if finding.evidence is not None}


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
    assert kind_of(found, message) is Kind.DEPENDENCY_FAILURE


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
    assert kind_of(look(client, [message]), message) is Kind.TIMEOUT


def test_a_window_with_too_many_pages_is_asked_for_with_a_query(client: Any, stub: Stubber) -> None:
    """FilterLogEvents may go on for ever with empty pages; a query reads the same window to its end."""
    [message] = ids(1)
    for _ in range(PAGES):
        stub.add_response("filter_log_events", {"events": [], "nextToken": "t"})
    stub.add_response("start_query", {"queryId": "q"})
    stub.add_response("get_query_results", {"status": "Complete", "results": []}, {"queryId": "q"})
    found = look(client, [message])
    assert not found.problem
    assert found.searched == {message}


def test_pages_are_bounded_and_reported(client: Any, stub: Stubber) -> None:
    """Without the right to query, a log that never ends does not hold up the run, and counts as not searched."""
    for _ in range(PAGES):
        stub.add_response("filter_log_events", {"events": [], "nextToken": "t"})
    stub.add_client_error("start_query", service_error_code="AccessDeniedException")
    found = look(client, ids(1))
    assert "more lines than are read" in found.problem
    assert not found.searched, "the rest of the log may name it"


def test_time_is_bounded_and_reported(client: Any, stub: Stubber) -> None:
    """After half a minute the messages wait for the next run."""
    stub.add_response("filter_log_events", {"events": [], "nextToken": "t"})
    found = look(client, ids(1), elapsed=Ticks(SECONDS / 2 + 1))
    assert f"longer than {SECONDS:.0f} s" in found.problem


def test_messages_that_no_line_names_are_reported(client: Any, stub: Stubber) -> None:
    """The log may be late: then a message waits rather than being diagnosed blind."""
    first, second = ids(2)
    stub.add_response("filter_log_events", {"events": [event(f"ERROR {first} failed: Read timed out", 5)]})
    stub.add_response("filter_log_events", {"events": []})
    found = look(client, [first, second])
    assert explained(found) == {first}
    assert not found.problem
    assert found.searched == {first, second}
    assert not found.findings[second].named


@pytest.mark.parametrize(
    ("code", "status", "stated"),
    [
        ("ResourceNotFoundException", 400, "does not exist"),
        ("AccessDeniedException", 400, "permission logs:FilterLogEvents is missing"),
        ("ThrottlingException", 400, "could not be read now (ThrottlingException)"),
        ("ServiceUnavailableException", 503, "could not be read now"),
    ],
)
def test_a_log_group_that_cannot_be_read_is_reported(
    client: Any, stub: Stubber, code: str, status: int, stated: str
) -> None:
    """Missing, forbidden or down: the run goes on, and the report shows what to repair."""
    stub.add_client_error("filter_log_events", service_error_code=code, http_status_code=status)
    found = look(client, ids(1))
    assert not found.findings
    assert not found.searched
    assert stated in found.problem


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
            "queryString": queries(messages)[0][0],
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
    assert kind_of(found, messages[7]) is Kind.THROTTLED
    assert len(waited) == 1


@pytest.mark.parametrize("code", ["AccessDeniedException", "LimitExceededException", "ThrottlingException"])
def test_filters_take_the_place_of_a_query_that_may_not_run(client: Any, stub: Stubber, code: str) -> None:
    """Without the permission, or beside too many other queries."""
    messages = ids(200)
    stub.add_client_error("start_query", service_error_code=code)
    for start in range(0, len(messages), FILTERED):
        for pattern, _ in patterns(messages[start : start + FILTERED]):
            stub.add_response("filter_log_events", {"events": []}, asked(filterPattern=pattern))
    found = look(client, messages)
    assert not found.problem
    assert found.searched == set(messages)


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
    assert explained(look(client, messages)) == set(messages)


def test_patterns_and_queries_keep_to_their_lengths() -> None:
    """And lose no id; an id stands in them once."""
    messages = ids(1_000)
    for made, length in ((patterns(messages + messages), FILTER_LENGTH), (queries(messages + messages), QUERY_LENGTH)):
        assert all(len(text) <= length for text, _ in made)
        assert all(sum(message in text for text, _ in made) == 1 for message in messages)
        assert [message for _, names in made for message in names] == messages


def test_a_term_that_is_no_id_cannot_change_a_query() -> None:
    """Quotation marks and slashes would end the text that they stand in."""
    assert queries(["a/ | limit 1", "b"]) == queries(["b"])
    assert patterns(['a" ?"b']) == [('?"a ?b"', ['a" ?"b'])]


def answer(stub: Stubber, *texts: str) -> None:
    """A query that is complete at once."""
    stub.add_response("start_query", {"queryId": "q"})
    rows = [
        [
            {"field": "@timestamp", "value": f"2024-01-01 10:00:00.{n:03d}"},
            {"field": "@message", "value": text},
            {"field": "@logStream", "value": "s"},
        ]
        for n, text in enumerate(texts)
    ]
    stub.add_response("get_query_results", {"status": "Complete", "results": rows}, {"queryId": "q"})


def test_an_answer_at_its_limit_of_rows_is_asked_for_in_halves(
    client: Any, stub: Stubber, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One chatty message fills the answer: the others are found all the same."""
    monkeypatch.setattr(reads, "QUERY_ROWS", 3)
    monkeypatch.setattr(searching, "FILTERED", 1)
    chatty, quiet = ids(2)
    answer(stub, *[f"INFO {chatty} still working"] * 3)
    answer(stub, f"INFO {chatty} begun", f"ERROR {chatty} failed: HTTP 503")
    answer(stub, f"ERROR {quiet} failed: Read timed out")
    stub.add_response("filter_log_events", {"events": []}, asked(logStreamNames=["s"]))
    found = look(client, [chatty, quiet])
    assert not found.problem
    assert found.searched == {chatty, quiet}
    assert kind_of(found, quiet) is Kind.TIMEOUT


def test_one_message_with_more_lines_than_rows_is_asked_for_by_time(
    client: Any, stub: Stubber, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its window is halved until its lines fit."""
    monkeypatch.setattr(reads, "QUERY_ROWS", 2)
    monkeypatch.setattr(searching, "FILTERED", 0)
    [message] = ids(1)
    answer(stub, *[f"INFO {message} still working"] * 2)
    answer(stub, f"INFO {message} begun")
    answer(stub, f"ERROR {message} failed: Read timed out")
    stub.add_response("filter_log_events", {"events": []}, asked(logStreamNames=["s"]))
    found = look(client, [message])
    assert not found.problem
    assert found.searched == {message}


def test_a_failure_counts_only_when_its_stream_was_read_to_its_end(client: Any, stub: Stubber) -> None:
    """Later lines of the stream may show that the trouble was overcome."""
    [message] = ids(1)
    stub.add_response("filter_log_events", {"events": [event(f"ERROR {message} failed: Read timed out", 5)]})
    for _ in range(PAGES):
        stub.add_response("filter_log_events", {"events": [], "nextToken": "t"})
    found = look(client, [message])
    assert not found.findings
    assert not found.searched


@pytest.mark.parametrize("allowance", [LogAllowance(0, 10_000), LogAllowance(100, 3_599)])
def test_a_bound_that_is_used_up_reads_nothing_and_says_so(client: Any, allowance: LogAllowance) -> None:
    """In requests or in scanned time; the messages are for a later run."""
    found = look(client, ids(3), allowance=allowance)
    assert "allowance for reading logs is used up" in found.problem
    assert not found.searched
    assert "next runs read on" in allowance.fact()


def test_a_bound_counts_requests_and_the_time_of_windows(client: Any, stub: Stubber) -> None:
    """Pages are requests; a window counts once for each time that it is scanned."""
    allowance = LogAllowance()
    stub.add_response("filter_log_events", {"events": [], "nextToken": "t"})
    stub.add_response("filter_log_events", {"events": []})
    look(client, ids(1), allowance=allowance)
    assert (allowance.requests, allowance.seconds) == (2, 3600)
    assert allowance.fact() == "Logs read: 2 requests, 60 min of logs scanned"


def test_invocations_at_the_receives_of_a_message_show_its_failure(client: Any, stub: Stubber) -> None:
    """No line names it: all lines at its receives are read, each window once for all messages."""
    first, second = ids(2)
    around = ((START - 3_000, START + 13_000),)
    wanted = [Sought(LoggedMessage(name, receives=(START,)), (START, END), around) for name in (first, second)]
    stub.add_response("filter_log_events", {"events": []}, asked(filterPattern=ANY))
    lines = [f"START RequestId: {R1}", "[ERROR] ConnectionError: Connection refused", f"END RequestId: {R1}"]
    stub.add_response(
        "filter_log_events",
        {"events": [event(line, 100 + n) for n, line in enumerate(lines)]},
        {"logGroupName": GROUP, "startTime": around[0][0], "endTime": around[0][1]},
    )
    found = Logs(client, Ticks(0.0), refuse_to_wait).read(GROUP, wanted, LogAllowance())
    assert found.timed == {first, second}
    assert [kind_of(found, name) for name in (first, second)] == [Kind.DEPENDENCY_FAILURE] * 2


def test_receives_that_were_not_read_to_their_end_show_nothing(client: Any, stub: Stubber) -> None:
    """An invocation that was not read may have failed for another reason."""
    [message] = ids(1)
    wanted = [Sought(LoggedMessage(message, receives=(START,)), None, ((START - 3_000, START + 13_000),))]
    lines = [f"START RequestId: {R1}", "[ERROR] ConnectionError: Connection refused", f"END RequestId: {R1}"]
    stub.add_response("filter_log_events", {"events": [event(line, 9) for line in lines], "nextToken": "t"})
    for _ in range(PAGES - 1):
        stub.add_response("filter_log_events", {"events": [], "nextToken": "t"})
    found = Logs(client, Ticks(0.0), refuse_to_wait).read(GROUP, wanted, LogAllowance())
    assert not found.timed
    assert not found.findings


def test_windows_are_shared_where_they_lie_together() -> None:
    """Messages of one time are one request; those of another day are another, and nothing between is read."""
    names = ids(5)
    windows = [(0, 10), (5, 20), (400_000, 400_010), (0, 15), (350_000, 350_001)]
    some = [Sought(LoggedMessage(name), window) for name, window in zip(names, windows, strict=True)]
    made = [(window, len(group)) for window, group in grouped(some, 100)]
    assert made == [((0, 20), 3), ((350_000, 400_010), 2)]
    assert [len(group) for _, group in grouped(some[:2] * 3, 4)] == [4, 2]
    assert merged([(5, 9), (0, 5), (20, 30), (6, 8)]) == [(0, 9), (20, 30)]


def test_a_window_older_than_the_log_keeps_lines_has_none(client: Any, stub: Stubber) -> None:
    """Logs Insights refuses such a query; that is an answer, and no reason to ask with hundreds of filters."""
    messages = ids(200)
    stub.add_client_error(
        "start_query",
        service_error_code="MalformedQueryException",
        service_message="end date and time is either before the log groups creation time or exceeds the log groups log"
        " retention settings",
    )
    found = look(client, messages)
    assert found.searched == set(messages)
    assert not found.problem


def test_a_read_that_was_cut_off_goes_on_where_it_stopped(client: Any, stub: Stubber) -> None:
    """Without the right to query: page after page, over as many runs as it takes, and nothing found is lost."""
    [message] = ids(1)
    stub.add_response(
        "filter_log_events", {"events": [event(f"ERROR {message} failed: Read timed out", 5)], "nextToken": "t0"}
    )
    for number in range(1, PAGES):
        stub.add_response("filter_log_events", {"events": [], "nextToken": f"t{number}"})
    stub.add_client_error("start_query", service_error_code="AccessDeniedException")
    stub.add_response("filter_log_events", {"events": []}, asked(logStreamNames=["s"]))
    first = look(client, [message])
    assert not first.searched
    assert not first.findings
    assert first.unfinished is not None
    assert (first.unfinished.token, first.unfinished.streams) == (f"t{PAGES - 1}", {"s": (START + 5, START + 5)})
    stub.add_response("filter_log_events", {"events": []}, asked(filterPattern=ANY, nextToken=f"t{PAGES - 1}"))
    stub.add_response(
        "filter_log_events",
        {"events": [event(f"ERROR {message} failed: Read timed out", 5)]},
        asked(logStreamNames=["s"]),
    )
    second = Logs(client, Ticks(0.0), refuse_to_wait).read(GROUP, sought(message), LogAllowance(), first.unfinished)
    assert second.unfinished is None
    assert second.until == {message: END}
    assert kind_of(second, message) is Kind.TIMEOUT


def test_a_token_that_is_too_old_lets_the_read_begin_anew(client: Any, stub: Stubber) -> None:
    """FilterLogEvents takes its tokens for a day."""
    [message] = ids(1)
    stub.add_client_error("filter_log_events", service_error_code="InvalidParameterException")
    stub.add_response("filter_log_events", {"events": []}, asked(filterPattern=ANY))
    before = Unfinished((START, END), (message,), "old", {})
    found = Logs(client, Ticks(0.0), refuse_to_wait).read(GROUP, sought(message), LogAllowance(), before)
    assert found.searched == {message}
    assert found.unfinished is None


def test_a_read_for_messages_that_are_gone_is_given_up(client: Any, stub: Stubber) -> None:
    """Nobody looks for them any more."""
    old, new = ids(2)
    stub.add_response("filter_log_events", {"events": []}, asked(filterPattern=f'?"{new}"'))
    before = Unfinished((START, END), (old,), "t", {})
    found = Logs(client, Ticks(0.0), refuse_to_wait).read(GROUP, sought(new), LogAllowance(), before)
    assert (found.searched == {new}, found.unfinished) == (True, None)
