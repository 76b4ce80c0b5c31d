"""Destinations of messages: a queue takes batches, a function single asynchronous invocations. One interface for all.

An address is a queue's URL or a function's ARN; it stands in verdicts, plans and the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from recovery.dead_letters.invocations import failed_invocation
from recovery.dead_letters.messages import Message, batches, entry, size
from recovery.dead_letters.names import is_queue, short_name
from recovery.dead_letters.outcomes import NotSent, Outcome
from recovery.errors import Refused

if TYPE_CHECKING:
    from recovery.dead_letters.functions import Functions
    from recovery.dead_letters.gateway import Sqs


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
            entry(one.message, index, one.delay, fifo=self.fifo, attempt=one.attempt)
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
        invocation = failed_invocation(message.body, message.attributes, message.origin)
        if invocation is None or not invocation.payload:
            return NotSent(Refused("the message holds no event to invoke with", code="NoPayload"), its_own_fault=True)
        return self._functions.invoke(self._arn, invocation.payload)


def destinations(sqs: Sqs, functions: Functions | None) -> Callable[[str], Destination]:
    """Return the maker of destinations by address.

    Raises:
        Refused: (the maker) this run has no tools for such an address.
    """

    def of(address: str) -> Destination:
        if is_queue(address):
            return QueueDestination(sqs, address)
        if functions is None:
            raise Refused(f"{short_name(address)}: this run calls no functions", code="NoTools")
        return FunctionDestination(functions, address)

    return of
