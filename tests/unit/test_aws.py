"""Errors in our words, counted requests, and a clock that AWS corrects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore import exceptions as boto
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from hypothesis import given
from hypothesis import strategies as st

from recovery.aws import Requests, ServerClock, calling, client_config, is_throttle, translate
from recovery.errors import Conflict, OutcomeUnknown, Refused, RepriseError, Transient


def client_error(code: str, status: int = 400, message: str = "AWS's own words") -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "SendMessage")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        # Certainly not carried out.
        (client_error("RequestThrottled", 403), Transient),
        (client_error("AWS.SimpleQueueService.RequestThrottled", 403), Transient),
        (client_error("OverLimit", 403), Transient),
        (client_error("KmsThrottled"), Transient),
        (client_error("KMS.ThrottlingException"), Transient),
        (client_error("ProvisionedThroughputExceededException"), Transient),
        (client_error("ThrottlingException"), Transient),
        (client_error("TooManyRequestsException", 429), Transient),
        (client_error("TransactionConflictException"), Transient),
        (client_error("SlowDown", 503), Transient),
        (client_error("AnythingElse", 429), Transient),
        (client_error("ExpiredToken", 403), Transient),
        (boto.ConnectTimeoutError(endpoint_url="https://x"), Transient),
        (boto.EndpointConnectionError(endpoint_url="https://x"), Transient),
        (boto.CredentialRetrievalError(provider="role", error_msg="busy"), Transient),
        # Perhaps carried out.
        (client_error("InternalFailure", 500), OutcomeUnknown),
        (client_error("InternalError", 200), OutcomeUnknown),
        (client_error("ServiceUnavailable", 503), OutcomeUnknown),
        (client_error("RequestTimeout", 400), OutcomeUnknown),
        (client_error("", 502), OutcomeUnknown),
        (boto.ReadTimeoutError(endpoint_url="https://x"), OutcomeUnknown),
        (boto.ConnectionClosedError(endpoint_url="https://x"), OutcomeUnknown),
        (boto.HTTPClientError(error=ValueError("reset")), OutcomeUnknown),
        # The same again is refused again.
        (client_error("AccessDenied", 403), Refused),
        (client_error("AccessDeniedException"), Refused),
        (client_error("AWS.SimpleQueueService.NonExistentQueue"), Refused),
        (client_error("InvalidParameterValue"), Refused),
        (client_error("InvalidMessageContents"), Refused),
        (client_error("ResourceNotFoundException"), Refused),
        (client_error("KmsAccessDenied"), Refused),
        (client_error("ReceiptHandleIsInvalid"), Refused),
        (boto.NoCredentialsError(), Refused),
        (boto.NoRegionError(), Refused),
        (boto.ParamValidationError(report="missing"), Refused),
        # Somebody got there first.
        (client_error("ConditionalCheckFailedException"), Conflict),
        (client_error("ConflictException", 409), Conflict),
        (client_error("PreconditionFailed", 412), Conflict),
    ],
)
def test_what_an_error_means_for_its_caller(error: Exception, kind: type[RepriseError]) -> None:
    """Each error is exactly one of four, and says operation and code."""
    translated = translate(error, "sqs:SendMessage")
    assert type(translated) is kind
    assert translated.operation == "sqs:SendMessage"
    assert "sqs:SendMessage" in str(translated)


def test_an_error_keeps_its_code_and_its_words() -> None:
    """The code for the program, AWS's words for a person."""
    translated = translate(client_error("AccessDenied", 403, "  not authorized  "), "sqs:SendMessage")
    assert translated.code == "AccessDenied"
    assert str(translated) == "sqs:SendMessage: AccessDenied: not authorized"


def test_an_error_without_anything_in_it_is_translated() -> None:
    """An answer may lack code, text and status."""
    assert type(translate(ClientError({}, "X"), "sqs:X")) is Refused


def test_calling_translates_only_what_botocore_says() -> None:
    """A mistake of ours stays what it is; the original error is kept as the cause."""
    with pytest.raises(Transient) as throttled, calling("sqs:SendMessage"):
        raise client_error("RequestThrottled", 403)
    assert isinstance(throttled.value.__cause__, ClientError)
    with pytest.raises(KeyError), calling("sqs:SendMessage"):
        raise KeyError("ours")


@given(st.text(), st.integers(100, 599))
def test_no_answer_is_both_certain_and_uncertain(code: str, status: int) -> None:
    """Whatever the code: a 5xx that is no throttle never counts as certainly not carried out."""
    translated = translate(client_error(code, status), "sqs:SendMessage")
    if status >= 500 and type(translated) is Transient:
        assert is_throttle(code) or code in {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}


def test_sends_that_must_not_be_repeated_are_not() -> None:
    """The SDK's own retries are off there, and on elsewhere; every wait is bounded."""
    once: Any = client_config(repeat=False, threads=3)
    often: Any = client_config()
    assert once.retries == {"mode": "standard", "total_max_attempts": 1}
    assert often.retries == {"mode": "standard", "total_max_attempts": 4}
    assert often.read_timeout > 20
    assert once.max_pool_connections == 3


# -- requests ------------------------------------------------------------------------------------------------------


class Events:
    """A client's registry of handlers."""

    def __init__(self) -> None:
        self.handlers: dict[str, list[Any]] = {}

    def register(self, name: str, handler: Any) -> None:
        self.handlers.setdefault(name, []).append(handler)

    def emit(self, name: str, **what: Any) -> list[Any]:
        return [
            handler(event_name=name, **what)
            for prefix, found in self.handlers.items()
            if name.startswith(prefix)
            for handler in found
        ]


def client() -> tuple[Any, Events]:
    events = Events()
    return SimpleNamespace(meta=SimpleNamespace(events=events)), events


def test_requests_are_counted_by_service_and_operation() -> None:
    """Each one that is about to be sent, the SDK's repetitions included; watching changes nothing."""
    requests = Requests()
    watched, events = client()
    requests.watch(watched)
    for name in ("before-send.sqs.SendMessageBatch", "before-send.sqs.SendMessageBatch", "before-send.s3.PutObject"):
        assert events.emit(name) == [None], "an answer would take the place of AWS's"
    assert requests.by_service() == {"s3": 1, "sqs": 2}
    assert requests.by_operation() == {("sqs", "SendMessageBatch"): 2, ("s3", "PutObject"): 1}


# -- clock ---------------------------------------------------------------------------------------------------------

LOCAL = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def answered(date: str | None) -> Any:
    headers = {} if date is None else {"date": date}
    return (SimpleNamespace(headers=headers), {})


def clock_after(*dates: str | None) -> ServerClock:
    clock = ServerClock(lambda: LOCAL.timestamp())
    watched, events = client()
    clock.watch(watched)
    for date in dates:
        assert events.emit("needs-retry.sqs.SendMessage", response=answered(date)) == [None]
    assert events.emit("needs-retry.sqs.SendMessage", response=None) == [None], "no answer came"
    return clock


def header(offset: float) -> str:
    return format_datetime(LOCAL + timedelta(seconds=offset), usegmt=True)


@pytest.mark.parametrize(
    ("offset", "taken"), [(0, 0), (-1, 0), (2, 0), (3, 3), (-3, -3), (600, 600), (-86_400, -86_400)]
)
def test_the_servers_time_counts(offset: int, taken: int) -> None:
    """A difference of two seconds is agreement, since a header shows whole seconds; beyond, AWS is right."""
    assert clock_after(header(offset)).now() == LOCAL + timedelta(seconds=taken)


def test_the_last_answer_counts() -> None:
    """A clock that was wrong once is right again after the next answer."""
    assert clock_after(header(600), header(0)).now() == LOCAL
    assert clock_after(header(600), header(601)).now() == LOCAL + timedelta(seconds=600)


@pytest.mark.parametrize("date", [None, "", "yesterday", "Sun, 01 Mar 2026 12:00:00 -0000", "2026-03-01T12:00:00Z"])
def test_a_date_that_cannot_be_read_changes_nothing(date: str | None) -> None:
    """No header, no date, or one without a zone."""
    assert clock_after(date).now() == LOCAL


@pytest.mark.parametrize(
    ("client_error", "kept"),
    [
        ("User: arn:aws:sts::123456789012:assumed-role/reprise/i-1 is not authorized", "***:assumed-role/reprise/i-1"),
        ("1 validation error detected: Value 'the body' at 'message' failed to satisfy constraint", "*** at 'message'"),
        ("token=the-body-of-it is expired", "token=*** is expired"),
        ("x" * 2_000, "x" * 600),
    ],
)
def test_what_aws_quotes_of_a_value_stays_out_of_messages(client_error: str, kept: str) -> None:
    """AWS's wording reaches reports and alerts: names stay, secrets, account numbers and quoted values do not."""
    error = translate(
        ClientError({"Error": {"Code": "Refused", "Message": client_error}}, "SendMessage"), "sqs:SendMessage"
    )
    assert kept in str(error)
    assert "123456789012" not in str(error)
    assert "body" not in str(error)
    assert len(str(error)) < 700


def test_an_answer_that_cannot_be_parsed_leaves_the_outcome_open() -> None:
    """AWS answered, so what was asked for may have been done; botocore's own error never comes through."""
    with pytest.raises(OutcomeUnknown, match="ResponseParserError"), calling("sqs:SendMessageBatch"):
        raise ResponseParserError("expected a structure")
