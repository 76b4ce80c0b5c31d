"""All that is known about one message when it is decided on: pure values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from recovery.cases import Case
from recovery.dead_letters.messages import Message, Queue
from recovery.dead_letters.names import is_queue
from recovery.failures import Diagnosis


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """The send of a message that earlier runs left open (see `recovery.dead_letters.send_intents`).

    Attributes:
        attempt: the attempt whose send was not confirmed.
        tries: how often it was begun.
        sent: the send was confirmed; its case may not be written, and the original was not removed.
        new_id: of the copy, where the send was confirmed.
        intent: id of the send intent that says so.
        same_message: this very message, or only one with the same content (a copy whose send was not confirmed).
    """

    attempt: int
    tries: int
    sent: bool
    same_message: bool
    new_id: str = ""
    intent: str = ""


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate between a message and its send (see `recovery.dead_letters.circuits`).

    Attributes:
        rule: "circuit", or "alarm" where an alarm holds everything back.
        reason: why it waits, or goes as a probe.
        again: when to look at it again, if it waits.
        passes: it may go, as a probe.
        mark: the circuit's round, which a probe carries.
    """

    rule: str
    reason: str
    again: datetime
    passes: bool = False
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """All that one decision rests on.

    Attributes:
        message, queue: the message and where it lies.
        diagnosis: None when nothing speaks of its failure.
        group: fingerprint of alike failures.
        history: the case of its work, or None.
        own: the case of this very message, or None.
        reach: how long it takes until later runs have surely gone through all of its queue.
        removed: this run removed it already: SQS handed it out again.
        unconfirmed: what an interrupted run left open, or None.
        destination: address that it would go back to (a queue, or its own target), or "" when it has none.
        own_target: the destination is where its origin wanted it.
        no_target: why it cannot go to its own target, or "".
        hidden: messages of this queue that are hidden already.
        follows: an earlier message of its FIFO group is sent by this run, after its own wait.
        evidence_pending: the log group could not be read, or has nothing yet: a later run may know more.
        searched: where evidence was looked for, and there is none, or "".
        unread: why no log could be asked for it, or "".
        damaged: where its case stands that cannot be read, or "".
        unreadable: where a send intent of its queue stands that cannot be read, or "".
        gate: what stands between it and its send, or None.
    """

    message: Message
    queue: Queue
    diagnosis: Diagnosis | None
    group: str
    history: Case | None
    unconfirmed: Unconfirmed | None
    destination: str
    no_target: str = ""
    own_target: bool = False
    hidden: int = 0
    follows: bool = False
    evidence_pending: str = ""
    searched: str = ""
    unread: str = ""
    own: Case | None = None
    removed: bool = False
    reach: timedelta = timedelta(0)
    damaged: str = ""
    unreadable: str = ""
    gate: Gate | None = None

    @property
    def takes_no_delay(self) -> bool:
        """SQS takes no delay for a single message of a FIFO queue, whatever it comes from; a function takes none."""
        return self.queue.fifo or self.destination.endswith(".fifo") or self.is_called

    @property
    def is_called(self) -> bool:
        """Its destination is no queue: a function, which is invoked."""
        return self.own_target and not is_queue(self.destination)
