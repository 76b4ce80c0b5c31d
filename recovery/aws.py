"""Talking to AWS: client settings, translated errors, counted requests, and a clock that AWS corrects.

Only `blocks/` makes clients; gateways get them. Everything that clients share stands here.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import botocore
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProxyConnectionError,
    SSLError,
)
from botocore.parsers import ResponseParserError

from recovery.errors import Conflict, OutcomeUnknown, Refused, RepriseError, Transient
from recovery.failures.masks import mask

THREADS = 16
"""Calls under way at once in one run, unless its path says otherwise."""
CONNECTIONS = 32
"""The size of each client's connection pool: the most calls under way at once."""

# botocore's own lists leave some of these out, although all of them pass by themselves (measured with botocore 1.44.5).
# ServiceUnavailable is not one of them: it is a 503 that leaves open whether the work was done.
_THROTTLES = frozenset(
    {
        "AWS.SimpleQueueService.RequestThrottled",
        "BandwidthLimitExceeded",
        "KMS.ThrottlingException",
        "KmsThrottled",
        "KMSThrottling",
        "KMSThrottlingFault",
        "OverLimit",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingError",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_CONFLICTS = frozenset(
    {
        "ConditionalCheckFailedException",
        "ConditionalCheckFailed",
        "ConflictException",
        "DuplicateItemException",
        "DuplicateItem",
        "InvalidResourceStateFault",
        "PreconditionFailed",
    }
)
# The answer is an error, but what was asked for may have been done all the same.
_UNKNOWN = frozenset(
    {"InternalFailure", "InternalError", "InternalServerError", "RequestTimeout", "RequestTimeoutException"}
)
# Credentials that ran out in the middle of a run are renewed by the next session, so the next run may succeed.
_CREDENTIALS = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_SILENCES = frozenset(
    {
        "ReadTimeoutError",
        "ConnectTimeoutError",
        "ConnectionClosedError",
        "EndpointConnectionError",
        "HTTPClientError",
        "ProxyConnectionError",
    }
)
REDACTED_LENGTH = 600
"""Characters of AWS's own words that a message keeps."""
# "value: {...}, type: <class ...>" of botocore's own checks, and values that services quote: both are of requests.
_QUOTED_VALUE = re.compile(r"(?s)(\b[Vv]alue:? )(?:'[^']*'|\S.*?(?=, type: | at ')|\{.*)")
_NEVER_SENT = (
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    ProxyConnectionError,
    SSLError,
)
_SETUP = (NoCredentialsError, PartialCredentialsError, NoRegionError, ParamValidationError)


UNCHECKED = frozenset({"sqs", "dynamodb"})
"""Services whose requests botocore does not check again: there are many, with many entries, all built by gateways, and
the check takes a fifth of the time of a call. AWS itself refuses what is wrong with them."""


HELPERS = frozenset({"s3", "sns", "logs", "cloudwatch", "lambda"})
"""Services that help the work and answer within a second or two; a hanging one must not delay the rest."""
HELPER_TIMEOUT = 8.0
"""Seconds to wait for an answer of one of these; each call is tried twice."""


def client_config(
    *,
    repeat: bool = True,
    threads: int = CONNECTIONS,
    read_timeout: float = 30.0,
    attempts: int = 4,
    check: bool = True,
) -> Config:
    """The settings of every client: pinned retry mode, bounded waits (seconds), a pool as large as the threads.

    Args:
        repeat: False for sends that cannot be made idempotent: the SDK then never repeats one unseen.
        threads: calls under way at once.
        read_timeout: seconds to wait for an answer; by default longer than the longest long poll (20 s).
        attempts: times that the SDK tries a call that may be repeated.
        check: True lets botocore check parameters before it sends them.
    """
    return Config(
        retries={"mode": "standard", "total_max_attempts": attempts if repeat else 1},
        connect_timeout=5,
        read_timeout=read_timeout,
        max_pool_connections=threads,
        parameter_validation=check,
        # Named in full: botocore otherwise builds it anew for each call, which takes another fifth.
        user_agent=f"reprise Botocore/{botocore.__version__}",
    )


def is_silence(error: RepriseError) -> bool:
    """True when nobody answered: each further call would wait as long."""
    return error.code in _SILENCES


def silence_of(service: str, error: RepriseError) -> str:
    """Report in one line that a service does not answer, and that it is not waited for again."""
    return f"{service} does not answer ({error.code}): what needs it is left to the next run"


def is_throttle(code: str) -> bool:
    """True for an error code that means "not now": certainly not carried out, worth trying later."""
    return code in _THROTTLES


def translate(error: Exception, operation: str) -> RepriseError:
    """A botocore exception as one of ours.

    The text names the operation and AWS's own words, never the request: it goes into reports and alerts, so secrets,
    account numbers and whatever AWS quotes of a value are masked, and it is bounded.
    """
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        words = redact(str(error.response.get("Error", {}).get("Message", "")))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if error.operation_name == "AssumeRole":  # renewed for the call, which was never sent
            operation = "sts:AssumeRole"
        text = f"{operation}: {code}: {words}"
        kind: type[RepriseError]
        if code in _THROTTLES or status == 429:
            kind = Transient
        elif code in _CONFLICTS:
            kind = Conflict
        elif code in _CREDENTIALS:
            kind = Transient
        elif status >= 500 or code in _UNKNOWN:
            kind = OutcomeUnknown
        else:
            kind = Refused
        return kind(text, code=code, operation=operation)
    name = type(error).__name__
    text = f"{operation}: {name}: {redact(str(error))}"
    if isinstance(error, _SETUP):
        return Refused(text, code=name, operation=operation)
    if isinstance(error, _NEVER_SENT):
        return Transient(text, code=name, operation=operation)
    return OutcomeUnknown(text, code=name, operation=operation)


def redact(words: str) -> str:
    """Mask secrets, account numbers and quoted values in AWS's own words, and bound their length."""
    return mask(_QUOTED_VALUE.sub(r"\1***", words.strip()))[:REDACTED_LENGTH]


@contextmanager
def calling(operation: str) -> Iterator[None]:
    """Turn what botocore raises inside into the project's errors.

    Args:
        operation: "service:Operation", as in IAM, for the message.

    Raises:
        Transient, OutcomeUnknown, Refused, Conflict: see `recovery.errors`.
    """
    try:
        yield
    except (ClientError, BotoCoreError, ResponseParserError) as error:
        raise translate(error, operation) from error


def require_field(answer: Any, name: str, operation: str) -> Any:
    """Return a required field of an answer; a missing one means unknown, not empty.

    Args:
        answer: AWS's answer, as botocore parsed it.
        name: the field.
        operation: "service:Operation", as in IAM, for the message.

    Raises:
        OutcomeUnknown: it is not there (a proxy answered in AWS's place, say).
    """
    if not isinstance(answer, Mapping) or name not in answer:
        raise OutcomeUnknown(
            f"{operation}: the answer has no {name}", code=f"no {name} in the answer", operation=operation
        )
    return answer[name]


class Requests:
    """Counts every HTTP request that the watched clients send, the SDK's own repetitions included."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def watch(self, client: Any) -> None:
        """Count what `client` (a boto3 client) sends from now on."""
        client.meta.events.register("before-send", self._count)

    def _count(self, event_name: str = "", **_: object) -> None:
        service, operation = ([*event_name.split("."), "", ""])[1:3]
        with self._lock:
            self._counts[service, operation] += 1

    def by_service(self) -> dict[str, int]:
        """Requests sent so far, by service."""
        totals: Counter[str] = Counter()
        for (service, _), count in self.by_operation().items():
            totals[service] += count
        return dict(sorted(totals.items()))

    def by_operation(self) -> Mapping[tuple[str, str], int]:
        """Requests sent so far, by service and operation."""
        with self._lock:
            return dict(self._counts)


class ServerClock:
    """The time by AWS's clock: this machine's clock, corrected by the `Date` header of the last answer.

    A header has whole seconds, so differences within 2 s are taken as agreement. Leases, due times and ages all go
    by this clock, so two machines whose clocks differ by minutes still agree.
    """

    _AGREES = timedelta(seconds=2)

    def __init__(self, local: Callable[[], float] = time.time) -> None:
        self._local = local
        self._offset = timedelta(0)

    def watch(self, client: Any) -> None:
        """Learn from the answers to `client` (a boto3 client)."""
        client.meta.events.register("needs-retry", self._learn)

    def now(self) -> datetime:
        """The corrected time, aware, in UTC."""
        return datetime.fromtimestamp(self._local(), UTC) + self._offset

    def _learn(self, response: Any = None, **_: object) -> None:
        header = response[0].headers.get("date") if response else None
        if not header:
            return
        try:
            sent = parsedate_to_datetime(header)
        except ValueError:
            return
        if sent.tzinfo is None:
            return
        if abs(sent - self.now()) > self._AGREES:
            self._offset = sent.astimezone(UTC) - datetime.fromtimestamp(self._local(), UTC)
