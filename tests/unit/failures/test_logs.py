"""Evidence from log events: the records of a message, and its last failure among them."""

from __future__ import annotations

from typing import Any

from recovery.failures import Evidence, Kind, LogEvent, LoggedMessage, diagnose, evidence_from_logs, failures_of
from recovery.failures.logs import Link

R1 = "11111111-1111-4111-8111-111111111111"
R2 = "22222222-2222-4222-8222-222222222222"
M1 = "aaaaaaaa-1111-4111-8111-aaaaaaaaaaaa"
M2 = "bbbbbbbb-2222-4222-8222-bbbbbbbbbbbb"


def events(*lines: str, stream: str = "s", start: int = 1_000) -> list[dict[str, Any]]:
    return [{"message": line, "timestamp": start + n, "logStreamName": stream} for n, line in enumerate(lines)]


def test_lines_between_start_and_end_belong_to_the_request() -> None:
    """An error line without any id counts when its request worked on the message."""
    told = evidence_from_logs(
        events(
            f"START RequestId: {R1} Version: $LATEST",
            f"working on {M1}",
            "[ERROR] ConnectionError: Connection refused",
            f"END RequestId: {R1}",
            f"REPORT RequestId: {R1} Duration: 3 ms",
        ),
        [M1],
    )
    assert diagnose(told[M1]).kind is Kind.DEPENDENCY_FAILURE
    assert told[M1].source == "logs"


def test_another_requests_error_is_not_taken() -> None:
    """Two requests of one stream one after another."""
    told = evidence_from_logs(
        events(
            f"START RequestId: {R1}",
            f"working on {M1}",
            "[ERROR] KeyError: 'Records'",
            f"END RequestId: {R1}",
            f"START RequestId: {R2}",
            f"working on {M2}",
            "[ERROR] ReadTimeout: timed out",
            f"END RequestId: {R2}",
        ),
        [M1, M2],
    )
    assert diagnose(told[M1]).kind is Kind.CODE_BUG
    assert diagnose(told[M2]).kind is Kind.TIMEOUT


def test_a_trace_over_many_events_is_put_together() -> None:
    """Frames and causes follow their error line as events of their own; the cause decides."""
    told = evidence_from_logs(
        events(
            f"START RequestId: {R1}",
            f"working on {M1}",
            "com.acme.OrderException: failed",
            "\tat com.acme.A.b(A.java:1)",
            "Caused by: java.net.SocketTimeoutException: Read timed out",
            "\tat com.acme.C.d(C.java:1)",
            "next line of something else",
            f"END RequestId: {R1}",
        ),
        [M1],
    )
    assert "Caused by" in told[M1].error
    assert "something else" not in told[M1].error
    assert diagnose(told[M1]).kind is Kind.TIMEOUT


def test_a_report_that_says_timeout_is_evidence() -> None:
    """A function that is killed writes nothing itself."""
    told = evidence_from_logs(
        events(
            f"START RequestId: {R1}",
            f"working on {M1}",
            f"END RequestId: {R1}",
            f"REPORT RequestId: {R1} Duration: 3000.00 ms Status: timeout",
        ),
        [M1],
    )
    assert diagnose(told[M1]).kind is Kind.TIMEOUT


def test_json_lines_are_read_for_what_they_say_of_the_error() -> None:
    """Structured loggers put class, message and trace into fields."""
    told = evidence_from_logs(
        events(
            '{"level":"INFO","message":"start","message_id":"' + M1 + '","function_request_id":"' + R1 + '"}',
            '{"level":"ERROR","message":"handler failed","exception_name":"ConditionalCheckFailedException",'
            '"function_request_id":"' + R1 + '","message_id":"' + M1 + '"}',
        ),
        [M1],
    )
    assert diagnose(told[M1]).kind is Kind.VALIDATION_ERROR


def test_the_last_of_several_failures_counts() -> None:
    """First throttled, then refused for good: the second is why it is dead."""
    first = events(f"START RequestId: {R1}", f"working on {M1}", "ERROR Rate exceeded", f"END RequestId: {R1}")
    second = events(
        f"START RequestId: {R2}",
        f"working on {M1}",
        "ERROR duplicate key value violates unique constraint",
        f"END RequestId: {R2}",
        start=9_000,
        stream="t",
    )
    for order in (first + second, second + first):
        assert diagnose(evidence_from_logs(order, [M1])[M1]).kind is Kind.VALIDATION_ERROR


def test_in_a_batch_each_message_has_its_own_error() -> None:
    """Several messages in one invocation: a line that names another message is not this one's."""
    told = evidence_from_logs(
        events(
            f"START RequestId: {R1}",
            f"working on {M1}",
            f"working on {M2}",
            f"ERROR message_id={M1} failed: Connection refused",
            f"ERROR message_id={M2} failed: ValidationError: qty is required",
            f"END RequestId: {R1}",
        ),
        [M1, M2],
    )
    assert diagnose(told[M1]).kind is Kind.DEPENDENCY_FAILURE
    assert diagnose(told[M2]).kind is Kind.VALIDATION_ERROR


def test_without_requests_the_lines_after_the_id_count() -> None:
    """A container writes no START and END: the lines that follow, until another message's begin."""
    told = evidence_from_logs(
        events(
            f"received {M1}",
            "java.net.UnknownHostException: pricing",
            "\tat com.acme.A.b(A.java:1)",
            f"received {M2}",
            "java.lang.NullPointerException",
        ),
        [M1, M2],
    )
    assert diagnose(told[M1]).kind is Kind.DEPENDENCY_FAILURE
    assert diagnose(told[M2]).kind is Kind.CODE_BUG


def test_a_message_that_went_well_or_is_not_named_has_no_evidence() -> None:
    """Silence is not evidence."""
    told = evidence_from_logs(
        events(f"START RequestId: {R1}", f"working on {M1}", "stored", f"END RequestId: {R1}"), [M1, M2]
    )
    assert told == {}
    assert evidence_from_logs([], [M1]) == {}


def test_request_ids_in_the_line_count_when_start_is_missing() -> None:
    """A page may begin in the middle; Lambda's own loggers write the id into each line."""
    told = evidence_from_logs(
        [
            {"message": f"2024-01-01T00:00:00Z\t{R1}\tINFO\tworking on {M1}", "timestamp": 1, "logStreamName": "s"},
            {"message": f"2024-01-01T00:00:00Z\t{R2}\tERROR\tKeyError: 'x'", "timestamp": 2, "logStreamName": "s"},
            {"message": f"2024-01-01T00:00:01Z\t{R1}\tERROR\tRead timed out", "timestamp": 3, "logStreamName": "s"},
        ],
        [M1],
    )
    assert diagnose(told[M1]).kind is Kind.TIMEOUT
    assert told[M1].error == "Read timed out"


def logged(*lines: str, stream: str = "s", start: int = 1_000) -> list[LogEvent]:
    return [LogEvent(start + 10 * n, stream, line) for n, line in enumerate(lines)]


ROOT = "1-65f0aaaa-0123456789abcdef01234567"


def test_an_invocation_with_the_trace_of_a_message_is_its_own() -> None:
    """No record names the message; the report of one invocation has the trace that its sender started."""
    found = failures_of(
        logged(
            f"START RequestId: {R1}",
            "[ERROR] ConnectionError: Connection refused",
            f"END RequestId: {R1}",
            f"REPORT RequestId: {R1}\tDuration: 3 ms\tXRAY TraceId: {ROOT}\tSegmentId: 0f\tSampled: true",
        ),
        [LoggedMessage(M1, trace_header=f"Root={ROOT};Parent=53995c3f42cd8ad8;Sampled=1"), LoggedMessage(M2)],
    )
    assert found[M1].link is Link.TRACE
    evidence = found[M1].evidence
    assert evidence is not None
    assert diagnose(evidence).kind is Kind.DEPENDENCY_FAILURE
    assert found[M2].evidence is None
    assert not found[M2].named


def test_a_failure_found_by_time_is_marked_and_can_be_refused() -> None:
    """Nothing names the message, but it was received just before an invocation that failed."""
    log = logged(f"START RequestId: {R1}", "[ERROR] TimeoutError: timed out", f"END RequestId: {R1}", start=100_000)
    message = LoggedMessage(M1, receives=(99_000,))
    found = failures_of(log, [message])[M1]
    assert found.link is Link.TIME
    assert found.evidence is not None
    assert found.evidence.source == "logs, by time"
    assert failures_of(log, [message], by_time=False)[M1].evidence is None
    assert failures_of(log, [LoggedMessage(M1, receives=(5_000,))])[M1].evidence is None


def test_two_causes_at_the_time_of_a_receive_are_no_evidence() -> None:
    """Two invocations ran at that time, and they failed for different reasons."""
    log = [
        *logged(f"START RequestId: {R1}", "[ERROR] TimeoutError: timed out", f"END RequestId: {R1}"),
        *logged(f"START RequestId: {R2}", "[ERROR] KeyError: 'qty'", f"END RequestId: {R2}", stream="t"),
    ]
    assert failures_of(log, [LoggedMessage(M1, receives=(1_000,))])[M1].evidence is None


def test_two_messages_at_once_get_no_failure_by_order() -> None:
    """Both were begun in the same moment, and then two errors without a name follow: nobody can tell whose they are."""
    log = [
        LogEvent(1, "s", f"START RequestId: {R1}"),
        LogEvent(2, "s", f"working on {M1}"),
        LogEvent(2, "s", f"working on {M2}"),
        LogEvent(3, "s", "[ERROR] ConnectionError: Connection refused"),
        LogEvent(4, "s", "[ERROR] KeyError: 'qty'"),
    ]
    found = failures_of(log, [LoggedMessage(M1), LoggedMessage(M2)])
    assert {name: finding.evidence for name, finding in found.items()} == {M1: None, M2: None}
    assert all(finding.named for finding in found.values())


def test_a_level_behind_a_label_in_brackets_is_read() -> None:
    """Winston's usual form: a note at info decides nothing."""
    text = "\n".join(
        [
            "2025-09-01 07:00:00 [packer] info: note from the shop: connection refused",
            "2025-09-01 07:00:01 [packer] error: the box is refused: 403 Forbidden",
            "2025-09-01 07:00:02 [packer] info: next",
        ]
    )
    assert diagnose(Evidence(error=text)).kind is Kind.AUTH_FAILURE


def test_lines_with_a_time_and_no_level_are_a_log() -> None:
    """Tags in place of a level: the last failure decides, and not whatever word stands before it."""
    head = "[2025-09-01T07:00:0{n}] [Jobs] [PackJob] "
    lines = [
        "cache entry was invalid json, read anew",
        "counting boxes",
        "counting labels",
        "Error performing PackJob: Net::OpenTimeout (execution expired)",
    ]
    text = "\n".join(head.format(n=n) + line for n, line in enumerate(lines))
    assert diagnose(Evidence(error=text)).kind is Kind.TIMEOUT


def test_a_warning_that_names_a_class_of_ruby_is_a_failure() -> None:
    """Sidekiq writes what ended a job as a warning."""
    lines = ["polling", "polling", "Packing::Errors::NoRights: Access Denied"]
    levels = ("INFO", "INFO", "WARN")
    text = "\n".join(
        f'{{"ts":"2025-09-01T07:00:00.000Z","lvl":"{level}","msg":"{line}"}}'
        for level, line in zip(levels, lines, strict=True)
    )
    assert diagnose(Evidence(error=text)).kind is Kind.AUTH_FAILURE


def test_a_dropped_message_with_a_stack_trace_is_a_failure() -> None:
    """A dropped cache entry does no harm; a dropped message is the failure that is looked for."""
    text = "\n".join(
        [
            "2025-09-01 07:00:00 INFO Packer:1 - polling",
            "2025-09-01 07:00:01 ERROR Packer:2 - message was dropped",
            "java.net.ConnectException: Connection refused",
            "\tat packing.Packer.run(Packer.java:7)",
        ]
    )
    assert diagnose(Evidence(error=text)).kind is Kind.DEPENDENCY_FAILURE
