"""The messages of one round, and what becomes of each. Plain classes: see `recovery.dead_letters.work`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from recovery.archive import Pointer
from recovery.cases import WAITS_FOR_A_PERSON, Case, DamagedCase
from recovery.dead_letters.circuit import Circuit, Comeback
from recovery.dead_letters.messages import Message, Queue
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.dead_letters.rules import LEASE_MARGIN
from recovery.dead_letters.send_intents import SendIntent
from recovery.dead_letters.situation import Unconfirmed
from recovery.dead_letters.verdicts import AlertVerdict, ArchiveVerdict, Finish, Heal, Hide, Leave, Verdict
from recovery.errors import RepriseError, Transient
from recovery.failures import Diagnosis, Evidence

LEASE_ENDS = "the time for which this run held it ran out; the next run completes it"


class MessageWork:
    """One message on its way through a run; each step fills in what it finds.

    Attributes:
        message: the message.
        identity: key of the case that counts how often this work came back.
        content: its content hash, without what changes each time.
        evidence, diagnosis, group, error: why it failed; `error` is the normalised text.
        log_group: the log group that speaks of it, or "".
        by_time: its evidence was found by the time of its receives, since no line names it.
        pending: why evidence could not be had yet, or "".
        searched: where there was none, or "".
        unread: why no log could be asked, or "".
        read_until: up to when the log was read that its evidence stands in (milliseconds since 1970), or 0.
        history: the case of its work before this run.
        own: the case of this very message: what was done with it, should SQS hand it out again.
        damaged: one of them, if it cannot be read.
        unconfirmed: what an interrupted run left open.
        destination: address that it would go back to, or "".
        own_target: that is where its origin wanted it.
        no_target: why it cannot go to its own target, or "".
        verdict: what was decided.
        pointer: where its archived copy stands.
        new_id: message id of the copy that was sent.
        maybe_sent: a send of it was not answered, so a copy may be on its way.
        failure: why the action did not go through; the message then stays in its queue.
        removed: the original is gone.
        recorded: its cases are written.
        announced: people know of it, where they must.
        sent_to: address that took the copy.
        circuit: name of the circuit that it belongs to, or "".
        spoke_to: name of the circuit to which it says that it came back, or "".
    """

    __slots__ = (
        "announced",
        "by_time",
        "circuit",
        "content",
        "damaged",
        "destination",
        "diagnosis",
        "error",
        "evidence",
        "failure",
        "group",
        "history",
        "identity",
        "log_group",
        "maybe_sent",
        "message",
        "new_id",
        "no_target",
        "own",
        "own_target",
        "pending",
        "pointer",
        "read_until",
        "recorded",
        "removed",
        "searched",
        "sent_to",
        "spoke_to",
        "unconfirmed",
        "unread",
        "verdict",
    )

    def __init__(self, message: Message) -> None:
        self.message = message
        self.identity = message.message_id
        self.content = ""
        self.evidence: Evidence = Evidence()
        self.diagnosis: Diagnosis | None = None
        self.by_time = False
        self.log_group = ""
        self.group = ""
        self.error = ""
        self.pending = ""
        self.searched = ""
        self.unread = ""
        self.read_until = 0
        self.history: Case | None = None
        self.own: Case | None = None
        self.damaged: DamagedCase | None = None
        self.unconfirmed: Unconfirmed | None = None
        self.destination = ""
        self.no_target = ""
        self.own_target = False
        self.verdict: Verdict = Leave("not decided", rule="")
        self.pointer: Pointer | None = None
        self.new_id = ""
        self.maybe_sent = False
        self.failure: RepriseError | None = None
        self.removed = False
        self.recorded = False
        self.announced = False
        self.sent_to = ""
        self.circuit = ""
        self.spoke_to = ""

    @property
    def archives(self) -> bool:
        """True when its verdict puts a copy into the archive."""
        return isinstance(self.verdict, ArchiveVerdict | AlertVerdict)

    @property
    def is_certainly_unsent(self) -> bool:
        """No copy of it is on its way: its send was refused, throttled or never begun."""
        return not self.new_id and not self.maybe_sent

    @property
    def wants_alert(self) -> bool:
        """True when a person must be notified before the message may be removed."""
        if isinstance(self.verdict, AlertVerdict):
            return self.pointer is not None
        if isinstance(self.verdict, Finish) and self.verdict.archived and self.own is not None:
            return bool(self.own.detail.get("alert")) and self.own.state in WAITS_FOR_A_PERSON
        return False

    @property
    def is_gone_for_good(self) -> bool:
        """Its copy is safe and recorded, so the original may be removed."""
        if self.failure is not None:
            return False
        if self.wants_alert and not self.announced:
            return False
        if isinstance(self.verdict, Finish) and self.verdict.archived:
            return True
        if not self.recorded:
            return False
        if isinstance(self.verdict, Finish):
            return True
        return bool(self.new_id) if isinstance(self.verdict, Heal) else self.archives and self.pointer is not None


class Batch:
    """The messages of one round, all of one queue.

    SQS may hand out a message twice. Then the later receipt counts, and the message is one.
    """

    def __init__(self, queue: Queue, policy: DeadLetterPolicy, messages: Sequence[Message]) -> None:
        self.queue = queue
        self.policy = policy
        self.items = [
            MessageWork(message) for message in {message.message_id: message for message in messages}.values()
        ]
        self.intents: list[SendIntent] = []
        self.recorded_at: datetime | None = None
        self.confirmed = False
        self.earlier: Mapping[str, set[str]] = {}  # what earlier runs sent, by the id of their intents
        self.begun: Mapping[str, datetime] = {}  # when each of these was opened, by its id
        self.reach = timedelta(0)  # how long until later runs have gone through all of the queue
        self.aside = timedelta(0)  # how long what is left may be hidden, so that they do
        self.unreadable = ""  # which send intent of the queue cannot be read
        self.stored_circuits: Mapping[str, Circuit] = {}  # by name, as the ledger has them
        self.circuits: dict[str, Circuit] = {}  # the same, with what this round knows and takes
        self.circuit_changes: set[str] = set()  # names of those that are to be written
        self.comebacks: Mapping[str, Sequence[Comeback]] = {}
        self.came_back: dict[str, list[MessageWork]] = defaultdict(list)  # by circuit
        self.probes: dict[str, list[MessageWork]] = defaultdict(list)  # by circuit
        self._by_id = {item.message.message_id: item for item in self.items}

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"<{len(self.items)} messages of {self.queue.name}>"

    @property
    def count(self) -> int:
        """Messages in it, for task run names."""
        return len(self.items)

    @property
    def name(self) -> str:
        """The queue's name, for task run names."""
        return self.queue.name

    @property
    def healing(self) -> int:
        """Messages that are to be sent."""
        return len(self.to_send())

    @property
    def hiding(self) -> int:
        """Messages that wait hidden."""
        return len(self.having(Hide))

    @property
    def archiving(self) -> int:
        """Messages whose copy is not in the archive yet."""
        return len(self.to_archive())

    @property
    def alerting(self) -> int:
        """Messages about which a person must be notified before they may be removed."""
        return len(self.to_announce())

    @property
    def sent(self) -> int:
        """Messages that were sent, or may have been."""
        return sum(not item.is_certainly_unsent for item in self.items)

    @property
    def recording(self) -> int:
        """Messages whose cases can be written."""
        return len(self.to_record())

    @property
    def removing(self) -> int:
        """Messages whose original may be removed."""
        return len(self.to_remove())

    def to_send(self) -> list[MessageWork]:
        """Items that are to be sent and are not yet."""
        return [item for item in self.having(Heal) if not item.new_id]

    def to_archive(self) -> list[MessageWork]:
        """Items whose copy is to be put into the archive and is not yet."""
        return [item for item in self.having(ArchiveVerdict, AlertVerdict) if item.pointer is None]

    def to_record(self) -> list[MessageWork]:
        """Items whose cases can be written and are not yet: what is archived first has its copy."""
        return [
            item
            for item in self.items
            if not item.recorded and not (item.archives and item.pointer is None and item.failure is None)
        ]

    def to_announce(self) -> list[MessageWork]:
        """Items that may be removed only after a person was notified, who was not yet."""
        return [item for item in self.items if item.failure is None and item.wants_alert and not item.announced]

    def to_remove(self) -> list[MessageWork]:
        """Items whose original may be removed and is not yet."""
        return [item for item in self.items if item.is_gone_for_good and not item.removed]

    def to_hide(self) -> list[MessageWork]:
        """Items that wait in their queue for their next attempt."""
        return self.having(Hide)

    def having(self, *kinds: type[Verdict]) -> list[MessageWork]:
        """Items with a verdict of these kinds whose action has not failed so far."""
        return [item for item in self.items if isinstance(item.verdict, kinds) and item.failure is None]

    def split_off(self, items: Sequence[MessageWork]) -> Batch:
        """Return a batch of some of the items, without their bodies; the others stay in this one."""
        part = Batch(self.queue, self.policy, ())
        part.items = list(items)
        part.earlier = self.earlier
        for item in items:
            item.message = replace(item.message, body="", attributes={})
        ours = set(map(id, items))
        self.items = [item for item in self.items if id(item) not in ours]
        return part

    def members(self, intent: SendIntent) -> list[MessageWork]:
        """The items that a send intent speaks of."""
        return [self._by_id[pending_send.message_id] for pending_send in intent.pending]

    def without_circuit(self) -> list[MessageWork]:
        """The items whose circuit should have been written and is not: they may be neither sent nor hidden for it. What
        goes into the archive goes all the same."""
        concerned = [item for name in self.circuit_changes for item in (*self.came_back[name], *self.probes[name])]
        return [item for item in concerned if isinstance(item.verdict, Heal | Hide)]

    def keep_to_leases(self, items: Sequence[MessageWork], now: datetime) -> None:
        """Nothing more is done on messages that another run may hold soon; what was done stands in the ledger."""
        late = [item for item in items if item.message.lease_until - now < LEASE_MARGIN]
        self.give_up(Transient(LEASE_ENDS), late)

    def interrupt(self, error: RepriseError) -> None:
        """The run must end now: all messages go back but those of which a copy may be on its way, which show up by
        themselves when their lease ends."""
        self.give_up(error, [item for item in self.items if not (self.intents and isinstance(item.verdict, Heal))])

    def give_up(self, error: RepriseError, items: Sequence[MessageWork] | None = None) -> None:
        """The step could not be done for these items (all): they stay in their queue, with the reason."""
        for item in self.items if items is None else items:
            if item.failure is None and not item.removed:
                item.failure = error
