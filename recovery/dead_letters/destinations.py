"""Destinations of messages: a queue takes batches, all other targets one message a request. One interface for all.

An address is a queue's URL or the ARN of another target; it stands in verdicts, plans and the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Protocol

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


@dataclass(frozen=True, slots=True)
class OneByOne:
    """A target that is no queue: each message is one request.

    Attributes:
        label: its name for people, with its kind.
        call: takes one message there; never raises for the target's words.
        comes_back: returns how long after a call a message may still come back.
    """

    label: str
    call: Callable[[Outgoing], Outcome]
    comes_back: Callable[[], timedelta]
    fifo: ClassVar[bool] = False

    def parts(self, messages: Sequence[Message]) -> list[list[int]]:
        return [[index] for index in range(len(messages))]

    def send(self, outgoing: Sequence[Outgoing]) -> list[Outcome]:
        return [self.call(one) for one in outgoing]

    def comeback(self) -> timedelta:
        return self.comes_back()


def function(functions: Functions, arn: str) -> OneByOne:
    """Return a Lambda function, by its ARN with version or alias: each call is an asynchronous invocation."""

    def call(one: Outgoing) -> Outcome:
        event = event_of(one.message)
        if not event:
            return NotSent(Refused("the message holds no event to invoke with", code="NoPayload"), its_own_fault=True)
        return functions.invoke(arn, event)

    return OneByOne(f"function {short_name(arn)}", call, lambda: functions.describe(arn).comeback)


def endpoint(endpoints: Endpoints, subscription: str) -> OneByOne:
    """Return an HTTP endpoint, by the ARN of its subscription. Once it has answered it reports nothing any more."""
    label = f"HTTP endpoint of subscription {short_name(subscription)}"
    return OneByOne(label, lambda one: endpoints.post(subscription, one.message.body), timedelta)


def topic(services: Services, arn: str) -> OneByOne:
    """Return a topic. What becomes of a message behind it nobody reports to this dead-letter queue."""
    return OneByOne(f"topic {short_name(arn)}", lambda one: services.publish(arn, publication(one.message)), timedelta)


def state_machine(services: Services, arn: str) -> OneByOne:
    """Return a state machine. An attempt's execution has one name: a run killed behind it starts none twice."""

    def call(one: Outgoing) -> Outcome:
        return services.start(arn, f"reprise-{one.message.message_id}-{one.attempt}"[:80], one.message.body)

    return OneByOne(f"state machine {short_name(arn)}", call, timedelta)


def event_bus(services: Services, arn: str) -> OneByOne:
    """Return a bus. EventBridge tries the deliveries of its rules for a day, unless a rule says otherwise."""

    def call(one: Outgoing) -> Outcome:
        try:
            return services.put(arn, put_again(one.message))
        except Refused as error:
            return NotSent(error, its_own_fault=True)

    return OneByOne(f"event bus {short_name(arn)}", call, lambda: RULE_RETRIES)


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
        if is_subscription(address):
            return endpoint(callers.endpoints, address)
        service = address.split(":")[2]
        if service == "lambda":
            return function(callers.functions, address)
        return {"sns": topic, "states": state_machine, "events": event_bus}[service](callers.services, address)

    return of
