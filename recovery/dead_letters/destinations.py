"""Destinations of messages: a queue takes batches, all other targets one message a request. One interface for all.

An address is a queue's URL or the ARN of another target; it stands in verdicts, plans and the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from recovery.dead_letters.deliveries import event_of, for_queue, publication, put_again
from recovery.dead_letters.messages import Message, batches, entry, size
from recovery.dead_letters.names import is_queue, is_subscription, short_name
from recovery.dead_letters.outcomes import NotSent, Outcome
from recovery.errors import Refused

if TYPE_CHECKING:
    from recovery.dead_letters.callers import Callers
    from recovery.dead_letters.endpoints import Endpoints
    from recovery.dead_letters.functions import Functions
    from recovery.dead_letters.gateway import Sqs
    from recovery.dead_letters.services import Services

RULE_RETRIES = timedelta(hours=24)
"""Longest time that EventBridge tries a delivery ("Retry policy and dead-letter queues", EventBridge user guide)."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message on its way: the message, how long it is kept from the consumer, and the attempt."""

    message: Message
    delay: timedelta
    attempt: int


class Destination(Protocol):
    """A place that messages go back to."""

    @property
    def label(self) -> str:
        """The name of it for people, with its kind."""

    @property
    def fifo(self) -> bool:
        """True when it keeps the order of a group."""

    def parts(self, messages: Sequence[Message]) -> list[list[int]]:
        """Return indexes of the messages that go in one request."""

    def send(self, outgoing: Sequence[Outgoing]) -> list[Outcome]:
        """Send one part; an outcome for each, in their order. Never raises for AWS's words."""

    def comeback(self) -> timedelta:
        """Return how long after its send a message may still come back.

        Raises:
            Refused, Transient: AWS does not say.
        """


class QueueDestination:
    """A queue of SQS, by its URL."""

    def __init__(self, sqs: Sqs, url: str) -> None:
        self._sqs = sqs
        self._url = url

    @property
    def label(self) -> str:
        return f"queue {short_name(self._url)}"

    @property
    def fifo(self) -> bool:
        return self._url.endswith(".fifo")

    def parts(self, messages: Sequence[Message]) -> list[list[int]]:
        return batches([size(message) for message in messages])

    def send(self, outgoing: Sequence[Outgoing]) -> list[Outcome]:
        entries = [
            entry(for_queue(one.message), index, one.delay, fifo=self.fifo, attempt=one.attempt)
            for index, one in enumerate(outgoing)
        ]
        return self._sqs.send(self._url, entries, fifo=self.fifo)

    def comeback(self) -> timedelta:
        return self._sqs.inspect(self._url).comeback


class FunctionDestination:
    """A Lambda function, by its ARN with version or alias: each message is one asynchronous invocation."""

    fifo = False

    def __init__(self, functions: Functions, arn: str) -> None:
        self._functions = functions
        self._arn = arn

    @property
    def label(self) -> str:
        return f"function {short_name(self._arn)}"

    def parts(self, messages: Sequence[Message]) -> list[list[int]]:
        return [[index] for index in range(len(messages))]

    def send(self, outgoing: Sequence[Outgoing]) -> list[Outcome]:
        return [self._invoke(one.message) for one in outgoing]

    def comeback(self) -> timedelta:
        return self._functions.describe(self._arn).comeback

    def _invoke(self, message: Message) -> Outcome:
        event = event_of(message, self._arn)
        if not event:
            return NotSent(Refused("the message holds no event to invoke with", code="NoPayload"), its_own_fault=True)
        return self._functions.invoke(self._arn, event)


class ServiceDestination:
    """A topic, state machine or event bus, by its ARN: each message is one request.

    The service takes the message, and nobody reports to a dead-letter queue any more what became of it then.
    """

    fifo = False

    def __init__(self, services: Services, arn: str) -> None:
        self._services = services
        self._arn = arn
        self._kind, self._send = {
            "sns": ("topic", self._publish),
            "states": ("state machine", self._start),
            "events": ("event bus", self._put),
        }[arn.split(":")[2]]

    @property
    def label(self) -> str:
        return f"{self._kind} {short_name(self._arn)}"

    def parts(self, messages: Sequence[Message]) -> list[list[int]]:
        return [[index] for index in range(len(messages))]

    def send(self, outgoing: Sequence[Outgoing]) -> list[Outcome]:
        return [self._send(one) for one in outgoing]

    def comeback(self) -> timedelta:
        """EventBridge tries a delivery for a day, unless a rule says otherwise; the others do not report back."""
        return RULE_RETRIES if ":events:" in self._arn else timedelta(0)

    def _publish(self, one: Outgoing) -> Outcome:
        return self._services.publish(self._arn, publication(one.message))

    def _start(self, one: Outgoing) -> Outcome:
        # The same name for the same attempt: a run that was killed behind it starts nothing twice.
        return self._services.start(self._arn, f"reprise-{one.message.message_id}-{one.attempt}"[:80], one.message.body)

    def _put(self, one: Outgoing) -> Outcome:
        try:
            return self._services.put(self._arn, put_again(one.message))
        except Refused as error:
            return NotSent(error, its_own_fault=True)


class EndpointDestination:
    """An HTTP endpoint, by the ARN of its subscription: each message is one request."""

    fifo = False

    def __init__(self, endpoints: Endpoints, subscription: str) -> None:
        self._endpoints = endpoints
        self._subscription = subscription

    @property
    def label(self) -> str:
        return f"HTTP endpoint of subscription {short_name(self._subscription)}"

    def parts(self, messages: Sequence[Message]) -> list[list[int]]:
        return [[index] for index in range(len(messages))]

    def send(self, outgoing: Sequence[Outgoing]) -> list[Outcome]:
        return [self._endpoints.post(self._subscription, one.message.body) for one in outgoing]

    def comeback(self) -> timedelta:
        """An endpoint that has answered reports nothing any more."""
        return timedelta(0)


def destinations(sqs: Sqs, callers: Callers | None) -> Callable[[str], Destination]:
    """Return the maker of destinations by address.

    Raises:
        Refused: (the maker) this run has no tools for such an address.
    """

    def of(address: str) -> Destination:
        if is_queue(address):
            return QueueDestination(sqs, address)
        if callers is None:
            raise Refused(f"{short_name(address)}: this run calls no targets but queues", code="NoTools")
        if ":lambda:" in address:
            return FunctionDestination(callers.functions, address)
        if is_subscription(address):
            return EndpointDestination(callers.endpoints, address)
        return ServiceDestination(callers.services, address)

    return of
