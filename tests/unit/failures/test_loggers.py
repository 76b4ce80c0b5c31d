"""Long logs of every logger that is known here: the last failure that was not overcome decides, and nothing else."""

from __future__ import annotations

import random

import pytest

from recovery.failures import Evidence, Kind, LogEvent, LoggedMessage, diagnose, failures_of
from recovery.failures.logs.assembly import read_record
from recovery.failures.logs.lines import read_usual
from tests.unit.failures.loggers import REQUEST, WRITERS, Said, Thrown, Writer

Line = tuple[str, str, dict[str, object]]

QUIET: tuple[Line, ...] = (
    ("info", "took parcel from shelf", {"shelf": 503}),
    ("debug", "price table loaded", {"rows": 429, "took_ms": 401}),
    ("info", "GET /status 200", {"agent": "kube-probe/1.31"}),
    ("info", "connectTimeout=3000 readTimeout=5000 retries=3", {}),
    ("info", "note from buyer", {"note": "my payment timed out, access denied?!"}),
    ("info", 'received {"order": 40123, "remark": "Connection refused by neighbour", "status": 503}', {}),
    ("info", "lease extended by 30 s", {"lease": "l-504"}),
)
OVERCOME: tuple[tuple[Line, ...], ...] = (
    (("warn", "lost connection to broker, reconnecting", {}), ("info", "reconnected to broker", {})),
    (
        ("warn", "geocoder answered 429 Too Many Requests, backing off 200 ms", {}),
        ("info", "geocoder request went through on attempt 2", {}),
    ),
    (("warn", "token expired (401), fetching a new one and retrying", {}), ("info", "obtained new token", {})),
    (("warn", "could not load avatar: 403 Forbidden, using default picture", {}),),
    (("warn", "cached entry could not be parsed (unexpected end of JSON input), ignored", {}),),
    (
        ("error", "inventory call failed: java.net.SocketTimeoutException: Read timed out, retry 1/3", {}),
        ("info", "inventory call succeeded on retry 2", {}),
    ),
    (
        ("warn", "circuit breaker tariffs opened after 5 failures: 503 Service Unavailable", {}),
        ("info", "circuit breaker tariffs closed", {}),
    ),
    (("error", "failed to export 12 spans: connection refused", {}),),
    (("warn", "carrier API timed out, falling back to cached tariff", {}), ("info", "used cached tariff", {})),
    (("warn", "could not reach config server (timed out), will keep old config", {}), ("info", "config loaded", {})),
    (
        ("error", "publish failed: broker not available; scheduling redelivery", {}),
        ("info", "redelivery succeeded", {}),
    ),
    (("warn", "HTTP 503 from tariffs (try 1/4)", {}), ("info", "HTTP 200 from tariffs (try 2/4)", {})),
    (("warn", "circuit for pricing is open: too many failures", {}), ("info", "circuit for pricing is closed", {})),
    (("warn", "lock held by another worker, waiting", {}), ("info", "got the lock after 900 ms", {})),
    (("warn", "primary db unavailable, promoted replica", {}), ("info", "writes flowing to new primary", {})),
    (("warn", "read timed out; retrying in 200ms (1 of 3)", {}), ("info", "done (2 of 3)", {})),
    (("error", "tracing exporter error: UNAVAILABLE", {}),),
)
FAILURES = (
    (Kind.VALIDATION_ERROR, Thrown("ValidationException", "quantity must be greater than or equal to 1")),
    (Kind.CODE_BUG, Thrown("NullPointerException", 'Cannot invoke "Order.getLines()" because "order" is null')),
    (Kind.AUTH_FAILURE, Thrown("AccessDeniedException", "User is not authorized to perform: dynamodb:PutItem")),
    (Kind.DEPENDENCY_FAILURE, Thrown("ConnectException", "Connection refused")),
    (Kind.TIMEOUT, Thrown("ReadTimeout", "Read timed out after 10 s")),
    (Kind.BAD_PAYLOAD, Thrown("JsonParseException", "Unexpected character ('<' (code 60)): expected a valid value")),
    (Kind.THROTTLED, Thrown("ThrottlingException", "Rate exceeded")),
    (
        Kind.VALIDATION_ERROR,
        Thrown("RuntimeError", "could not store order", ("UniqueViolation", "duplicate key value violates constraint")),
    ),
    (Kind.UNKNOWN, Thrown("DepotError", "shelf wobbles")),
)
AFTERWARDS: tuple[tuple[Line, ...], ...] = (
    (),
    (("info", "message will become visible again", {}),),
    (("warn", "giving up after 3 attempts, sending message to dead-letter queue", {}),),
    (("error", "message handling failed", {}),),
    (("info", "next message done, status 200", {}), ("info", "draining, bye", {})),
)


def story(seed: str, thrown: Thrown | None) -> list[Said]:
    """Records of one consumer: quiet ones, trouble that was overcome, the failure, and what is written after one."""
    chance = random.Random(seed)
    said: list[Said] = []

    def add(level: str, text: str, facts: dict[str, object], error: Thrown | None = None) -> None:
        said.append(Said(len(said) * 0.4, level, text, dict(facts), error))

    for _ in range(chance.randint(1, 3)):
        for _ in range(chance.randint(2, 6)):
            add(*chance.choice(QUIET))
        for record in chance.choice(OVERCOME):
            add(*record)
    add(*chance.choice(QUIET))
    if thrown is not None:
        add("error", chance.choice(("could not handle order", "order failed", "unhandled error in inbox")), {}, thrown)
        for record in chance.choice(AFTERWARDS):
            add(*record)
    return said


def lines_of(writer: Writer, said: list[Said]) -> list[str]:
    return [line for record in said for line in writer(record)]


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.__name__)
def test_the_last_failure_decides_in_a_long_text(writer: Writer) -> None:
    """Overcome trouble, settings, dumps, health checks and telemetry before it, and closing words behind it."""
    for number, (kind, thrown) in enumerate(FAILURES):
        for seed in range(2):
            text = "\n".join(lines_of(writer, story(f"{writer.__name__} {number} {seed}", thrown)))
            assert diagnose(Evidence(error=text)).kind is kind, text


@pytest.mark.parametrize("trouble", OVERCOME, ids=lambda trouble: trouble[0][1][:30])
def test_a_last_failure_without_a_cause_does_not_borrow_one(trouble: tuple[Line, ...]) -> None:
    """The job failed for a reason that nobody wrote; earlier trouble was overcome, and is not it."""
    said = [*trouble, *QUIET[:5], ("error", "job failed", {})]
    records = [Said(number * 0.4, level, text, dict(facts)) for number, (level, text, facts) in enumerate(said)]
    for writer in WRITERS:
        text = "\n".join(lines_of(writer, records))
        assert diagnose(Evidence(error=text)).kind is Kind.UNKNOWN, text


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.__name__)
def test_a_log_in_which_all_was_overcome_tells_nothing(writer: Writer) -> None:
    """No failure is left, so no word of it is one."""
    for seed in range(3):
        text = "\n".join(lines_of(writer, story(f"{writer.__name__} {seed}", None)))
        assert diagnose(Evidence(error=text)).kind is Kind.UNKNOWN, text


@pytest.mark.parametrize("one_line_an_event", [False, True], ids=["one record an event", "one line an event"])
@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.__name__)
def test_the_last_failure_is_found_in_events(writer: Writer, one_line_an_event: bool) -> None:
    """A message is named once, at the beginning; its failure comes later, in one event or in one event a line."""
    message = "0b54c1a2-77aa-4b0e-9a3c-2f1e0d9c8b7a"
    for number, (kind, thrown) in enumerate(FAILURES):
        said = [Said(0, "info", f"received message {message}"), *story(f"{writer.__name__} {number} e", thrown)]
        events: list[LogEvent] = [LogEvent(1_000, "s", f"START RequestId: {REQUEST} Version: $LATEST")]
        for record in said:
            time = 2_000 + round(record.number * 1_000)
            lines = writer(record)
            events += [LogEvent(time, "s", line) for line in (lines if one_line_an_event else ["\n".join(lines)])]
        events.append(LogEvent(900_000, "s", f"END RequestId: {REQUEST}"))
        evidence = failures_of(events, [LoggedMessage(message)])[message].evidence
        assert evidence is not None
        assert diagnose(evidence).kind is kind, evidence.error


@pytest.mark.parametrize(
    ("opening", "kind"),
    [
        ("429 Too Many Requests", Kind.THROTTLED),
        ("Failed to reach the tariff service: connection refused", Kind.DEPENDENCY_FAILURE),
        ('duplicate key value violates unique constraint "parcels_pkey"', Kind.VALIDATION_ERROR),
        ("Access Denied", Kind.AUTH_FAILURE),
    ],
)
def test_an_error_put_before_lines_of_a_log_decides(opening: str, kind: Kind) -> None:
    """A sender that puts its log beneath an error puts the error first, in no format."""
    log = "\n".join(
        f"2026-03-04T10:00:0{second}Z INFO depot took parcel {second} from shelf 503" for second in range(6)
    )
    assert diagnose(Evidence(error=f"{opening}\n{log}")).kind is kind


def test_words_before_a_log_that_were_overcome_decide_nothing() -> None:
    """The log itself says that the trouble of its first words passed."""
    text = (
        "connection to tariffs refused, retrying\n"
        "2026-03-04T10:00:00Z INFO depot connection to tariffs established on attempt 2\n"
        "2026-03-04T10:00:01Z INFO depot parcel 7 done"
    )
    assert diagnose(Evidence(error=text)).kind is Kind.UNKNOWN


def test_the_class_of_an_exception_is_no_name_of_a_logger() -> None:
    """Words between the level and a colon name the logger, unless they name what was thrown."""
    text = (
        "2026-03-04T10:00:00.120Z pid=1 tid=a INFO: start\n"
        "2026-03-04T10:00:09.120Z pid=1 tid=a WARN: Net::OpenTimeout: waited too long"
    )
    assert diagnose(Evidence(error=text)).kind is Kind.TIMEOUT


@pytest.mark.parametrize("level", ["WARN", "WARNING"])
def test_a_warning_about_what_is_executing_is_no_failure(level: str) -> None:
    """Only codes in capitals are codes: `executing` is a word like any other."""
    text = (
        f"2026-03-04T10:00:00Z {level} depot executing a slow query, 2100 ms, pool timeout is 3000\n"
        "2026-03-04T10:00:01Z INFO depot parcel 7 done"
    )
    assert diagnose(Evidence(error=text)).kind is Kind.UNKNOWN


@pytest.mark.parametrize("thread", ["", "[worker-3] ", "[io 4] "])
@pytest.mark.parametrize("level", ["INFO", "WARN", "ERROR"])
def test_the_usual_head_is_read_like_any_other(thread: str, level: str) -> None:
    """The short cut for the commonest head gives what the whole reading gives for the same head with a zone."""
    line = f"{{time}} {thread}{level} c.a.orders.Picker - shelf wobbles"
    short = read_record(line.format(time="2026-03-04T10:00:00.123Z"))
    whole = read_record(line.format(time="04/Mar/2026:10:00:00.123"))
    usual = read_usual(line.format(time="2026-03-04T10:00:00.123Z"))
    assert short is not None
    assert whole is not None
    assert (short.level, short.text, short.thread) == (whole.level, whole.text, whole.thread)
    if usual is not None:
        assert (usual.level, usual.text.rpartition(" - ")[2], usual.thread) == (whole.level, whole.text, whole.thread)


def test_two_threads_of_spring_are_told_apart() -> None:
    """The thread stands behind the level there; each message was taken by one, and fails in it."""
    one, other = "0b54c1a2-77aa-4b0e-9a3c-2f1e0d9c8b71", "0b54c1a2-77aa-4b0e-9a3c-2f1e0d9c8b72"
    head = "2026-03-04 10:00:00.{n}00 {level} 1 --- [{thread}] c.acme.depot.Picker  : "
    lines = [
        head.format(n=1, level=" INFO", thread="pick-1") + f"took {one}",
        head.format(n=2, level=" INFO", thread="pick-2") + f"took {other}",
        head.format(n=3, level="ERROR", thread="pick-2") + "NullPointerException: shelf is null",
        head.format(n=4, level="ERROR", thread="pick-1") + "java.net.ConnectException: Connection refused",
    ]
    events = [LogEvent(1_000 + number, "s", line) for number, line in enumerate(lines)]
    found = failures_of(events, [LoggedMessage(one), LoggedMessage(other)])
    kinds = {message: finding.evidence and diagnose(finding.evidence).kind for message, finding in found.items()}
    assert kinds == {one: Kind.DEPENDENCY_FAILURE, other: Kind.CODE_BUG}


def test_the_report_of_an_invocation_does_not_hide_its_cause() -> None:
    """In a text too: a report that only says that the function failed gives way to the words before it."""
    lines = (
        f'{{"time":"2026-03-04T10:00:00Z","type":"platform.start","record":{{"requestId":"{REQUEST}"}}}}',
        f'{{"timestamp":"2026-03-04T10:00:01Z","level":"ERROR","requestId":"{REQUEST}",'
        '"message":"401 Unauthorized from tariffs"}',
        '{"time":"2026-03-04T10:00:02Z","type":"platform.report","record":{"requestId":"'
        f'{REQUEST}","status":"error","errorType":"PickError"}}}}',
    )
    assert diagnose(Evidence(error="\n".join(lines))).kind is Kind.AUTH_FAILURE


def test_an_exception_in_the_json_of_quarkus_is_read_to_its_cause() -> None:
    """Each cause stands one object deeper."""
    cause = '{"exception":{"exceptionType":"java.net.UnknownHostException","message":"tariffs"}}'
    text = (
        '{"timestamp":"2026-03-04T10:00:00Z","level":"INFO","message":"took parcel"}\n'
        '{"timestamp":"2026-03-04T10:00:01Z","level":"ERROR","message":"parcel failed",'
        f'"exception":{{"exceptionType":"com.acme.PickException","message":"no tariff","causedBy":{cause}}}}}'
    )
    assert diagnose(Evidence(error=text)).kind is Kind.DEPENDENCY_FAILURE


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Acme.Cloud.Model.RequestLimitExceededException: the limit of the account", Kind.THROTTLED),
        ("thread 'picker' panicked at src/shelf.rs:4:2:\ncalled `Option::unwrap()` on a `None` value", Kind.CODE_BUG),
        ("App\\Jobs\\Pick has been attempted too many times.", Kind.UNKNOWN),
    ],
)
def test_names_and_quoted_words_are_read_for_what_they_are(text: str, kind: Kind) -> None:
    """A code made a class, a quotation mark that opens, and a bound that names no cause."""
    assert diagnose(Evidence(error=text)).kind is kind


def test_an_unknown_id_behind_the_words_that_name_messages_is_another_message() -> None:
    """A log that names each message alike: the failure of one that nobody asked about is not given to ours."""
    ours, other = "0b54c1a2-77aa-4b0e-9a3c-2f1e0d9c8b71", "0b54c1a2-77aa-4b0e-9a3c-2f1e0d9c8b72"
    lines = (
        f"2026-03-04 10:00:00 INFO depot - took {ours}",
        f"2026-03-04 10:00:04 ERROR depot - {ours} failed: connect timed out",
        f"2026-03-04 10:00:05 INFO depot - took {other}",
        "2026-03-04 10:00:06 ERROR depot - NullPointerException: shelf is null",
    )
    events = [LogEvent(1_000 + number, "s", line) for number, line in enumerate(lines)]
    evidence = failures_of(events, [LoggedMessage(ours)])[ours].evidence
    assert evidence is not None
    assert diagnose(evidence).kind is Kind.TIMEOUT


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (
            '{"level":"error","msg":"recovered panic","panic":"runtime error: index out of range [4] with length 2"}',
            Kind.CODE_BUG,
        ),
        ("2026-03-04 10:00:01 WARN depot - parcel not processed: carrier API 503", Kind.DEPENDENCY_FAILURE),
        ('2026-03-04 10:00:01 ERROR depot - Carrier: 429 - {"error":"slow"}', Kind.THROTTLED),
    ],
)
def test_a_log_ends_in_its_last_words_of_trouble(record: str, kind: Kind) -> None:
    """A panic is no recovery, a warning may end the work, and a status may stand before the answer itself."""
    first = (
        '{"level":"info","msg":"took parcel"}' if record[0] == "{" else "2026-03-04 10:00:00 INFO depot - took parcel"
    )
    assert diagnose(Evidence(error=f"{first}\n{record}")).kind is kind
