"""One run of the path: its gateway, its limits, and the messages it holds."""

from __future__ import annotations

import gc
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Unpack

from recovery.dead_letters.circuits import describe_open
from recovery.dead_letters.destinations import destinations
from recovery.dead_letters.hidden_groups import Hidden
from recovery.dead_letters.messages import Queue
from recovery.dead_letters.names import QueueName, parsed
from recovery.dead_letters.outcomes import is_missing, queue_problem
from recovery.dead_letters.send_intents import SendIntents
from recovery.dead_letters.settling import Unproven
from recovery.errors import Refused, RepriseError
from recovery.logs import LogAllowance
from recovery.paths import Path
from recovery.report import Number
from recovery.run import RecoveryRun, Tools

if TYPE_CHECKING:
    from recovery.alarms import Watch
    from recovery.consumers import Consumers, Load
    from recovery.dead_letters.ages import QueueAges
    from recovery.dead_letters.batch import Batch
    from recovery.dead_letters.callers import Callers
    from recovery.dead_letters.circuit import Circuit
    from recovery.dead_letters.consumer_logs import Place
    from recovery.dead_letters.gateway import Sqs
    from recovery.dead_letters.policy import DeadLetterRequest
    from recovery.dead_letters.replay_request import ReplayRequest
    from recovery.dead_letters.searched import SearchMemory
    from recovery.logs import Logs

PATH = Path.DEAD_LETTERS
LEASE = timedelta(minutes=4)
"""Time for which messages are hidden from others; extended while work goes on, so that a killed run hides them for
minutes, whatever its time limit; within the five minutes for which a FIFO queue remembers a deduplication id."""


@dataclass(frozen=True, slots=True)
class Staying:
    """A message that this run holds and leaves in its queue.

    Attributes:
        queue: where it lies.
        receipt: its handle.
        until: end of its lease.
        aside: how long it may be hidden so that later runs reach what lies behind it; 0: not at all.
    """

    queue: Queue
    receipt: str
    until: datetime
    aside: timedelta = timedelta(0)


class Work(RecoveryRun):
    """One run's tools and counts. Make it, use it, and close it.

    Args:
        sqs, logs, ages, consumers, watch, callers: gateways.
        log_allowance: what it may spend on reading logs.
        request: what the run is asked to do.
        archive_keep: how long the ledger keeps the case of an archived message.
        tools: see `Tools`.

    Attributes:
        places: where the logs of a source's consumer stand, by dead-letter queue and ARN of the source.
        searches: what earlier runs searched in logs, by dead-letter queue.
        loads: by function, from and until (milliseconds), and its load.
        taken_of: messages taken up so far, by queue.
        largest: bytes of the largest message so far, by queue.
        bundles: archive objects written so far.
        visible: messages to be had as the run found them, by queue.
        hidden: messages that this run hid, by queue.
        sent_to: messages sent so far, by destination.
        comebacks: messages that came back to this run, by destination and the time at which they had arrived there.
        by_content: queues of which messages go back that are known by their content alone.
        going: queues and their FIFO groups whose first message is sent by this run.
        removed: ids of messages that this run removed: SQS may hand one out again.
        to_release: messages that stay: let go of at the end of the run.
        unreached: ARNs of queues of which the run did not reach all.
        postponed: messages whose copies are safe, and about which people are still to be notified.
        alerts_of, alerts_sent: alerts that this run sent, by queue and in all.
        circuits: as this run knows them last, by ARN of the queue and name.
        unread: messages of a queue that could still be had once the run had received all it would, by ARN.
        groups: what stays in FIFO queues, by their ARN.
        counted: keys of the sends that this run counted as recovered.
        gated: messages that wait for a circuit, as this run met them, by the same.
        unrecorded: why nothing more may be sent by this run, or "".
    """

    path = PATH

    def __init__(
        self,
        sqs: Sqs,
        logs: Logs,
        ages: QueueAges,
        request: DeadLetterRequest | ReplayRequest,
        *,
        consumers: Consumers | None = None,
        watch: Watch | None = None,
        callers: Callers | None = None,
        log_allowance: LogAllowance | None = None,
        archive_keep: timedelta,
        **tools: Unpack[Tools],
    ) -> None:
        super().__init__(request, **tools)
        self.request: Any = request  # of the one flow or the other, whose steps know which
        self.last_object: dict[str, list[dict[str, Any]]] = {}
        self.sqs = sqs
        self.logs = logs
        self.consumers = consumers
        self.watch = watch
        self._alarms: dict[str, bool] = {}
        self.circuits: dict[tuple[str, str], Circuit] = {}
        self.counted: set[str] = set()
        self.unread: dict[str, int] = {}
        self.groups: defaultdict[str, Hidden] = defaultdict(Hidden)
        self.gated: Counter[tuple[str, str]] = Counter()
        self.callers = callers
        self.destination = destinations(sqs, callers)
        self.log_allowance = log_allowance or LogAllowance()
        self.places: dict[tuple[str, str], Place] = {}
        self.searches: dict[str, SearchMemory | None] = {}
        self.loads: dict[str, tuple[int, int, Load]] = {}
        self.archive_keep = archive_keep
        self.intents = SendIntents(self.ledger)
        self.unproven = Unproven(self.ledger)
        self.ages = ages
        self.comebacks: Counter[tuple[str, datetime]] = Counter()
        self._comeback_times: dict[str, timedelta] = {}
        self.taken_of: Counter[str] = Counter()
        self.largest: dict[str, int] = {}
        self.bundles = 0
        self.visible: dict[str, int] = {}
        self.hidden: Counter[str] = Counter()
        self.sent_to: Counter[str] = Counter()
        self.by_content: set[str] = set()
        self.going: set[tuple[str, str]] = set()
        self.removed: set[str] = set()
        self.to_release: list[Staying] = []
        self.arriving: list[Staying] = []
        self.unreached: set[str] = set()
        self.postponed: list[Batch] = []
        self.alerts_of: Counter[str] = Counter()
        self.alerts_sent = 0
        self.unrecorded = ""
        self._urls: dict[QueueName, str | RepriseError] = {}
        # A round makes tens of thousands of objects. Without this the collector would look again and again through all
        # that Python, boto3 and Prefect have loaded, which took a tenth of a run.
        gc.freeze()
        self.at_close.callback(gc.unfreeze)

    def url_of(self, written: str, home: str) -> str:
        """Return the URL of a queue, or "" when there is none; each is asked for once a run, refusals included.

        Args:
            written: its name, URL or ARN.
            home: ARN of the dead-letter queue: a queue in another region is refused.

        Raises:
            Transient, Refused: SQS could not be asked, or does not let us ask.
            BadInput: it is no queue's name.
        """
        name = parsed(written)
        region = home.split(":")[3] if home.count(":") == 5 else ""
        if name.region and region and name.region != region:
            raise Refused(
                f"queue {name.name} lies in region {name.region}, and this run works in {region}: nothing is sent to"
                " another region",
                code="OtherRegion",
            )
        asked = QueueName(name.name, name.account)  # by its account: a bare name means one of the caller's own
        if asked not in self._urls:
            try:
                url = self.sqs.url(asked.name, asked.account)
                self._urls[asked] = url if parsed(url).account in ("", asked.account) or not asked.account else ""
            except Refused as error:
                self._urls[asked] = "" if is_missing(error) else error
        known = self._urls[asked]
        if isinstance(known, RepriseError):
            raise known
        return known

    def share(self, turns: int) -> int:
        """Return how many messages the next round may take up, so that as many queues have their turn."""
        return max(1, -(-self.room // max(1, turns)))

    def note_trouble(self, queue: Queue, batch: Batch | None, error: Exception) -> None:
        """Let what went wrong with a queue stop that queue only, with one line in the report."""
        if not isinstance(error, RepriseError):
            kind = type(error).__name__
            error = Refused(f"an unexpected {kind}: please report it, with the log of this run", code=kind)
        if batch is not None:
            batch.give_up(error)
        self.complain(queue_problem(queue.name, error))

    def comeback_time(self, url: str) -> timedelta:
        """Return how long a message that was sent to an address may take to come back; asked once a run."""
        if url not in self._comeback_times:
            try:
                self._comeback_times[url] = self.destination(url).comeback()
            except RepriseError as error:
                self._comeback_times[url] = timedelta(0)
                self.warn(
                    f"{self.destination(url).label}: how long a message may take to come back from it is not known, so"
                    f" only the settle time is waited for: {error}"
                )
        return self._comeback_times[url]

    def is_alarmed(self, name: str) -> bool:
        """True while a CloudWatch alarm is in ALARM; asked once a run. One that cannot be read holds nothing back."""
        if name not in self._alarms:
            self._alarms[name] = False
            try:
                state = self.watch.is_alarmed(name) if self.watch is not None else None
            except RepriseError as error:
                self.warn(f"circuit_alarm: alarm {name!r} could not be read, so it holds nothing back: {error}")
                return False
            if state is None:
                self.warn(f"circuit_alarm: there is no CloudWatch alarm {name!r}, so it holds nothing back")
            elif state:
                self.warn(f"circuit_alarm: the CloudWatch alarm {name} is in ALARM: nothing of its queues is sent")
            self._alarms[name] = bool(state)
        return self._alarms[name]

    def note_refusal(self, queue: Queue, error: RepriseError) -> None:
        """Report in one line for each queue what AWS will refuse again until a person changes something."""
        if isinstance(error, Refused):
            self.complain(queue_problem(queue.name, error))

    def conclude(self) -> None:
        """Add the depth of each queue as the run found it, and the cost of reading logs."""
        for line in describe_open(self):
            self.warn(line)
        for name in sorted(self.by_content):
            self.warn(
                f"queue {name}: its consumer sends messages to it that carry no business id. One that comes back with"
                " other content counts as a new message, with all attempts, and the one before as recovered: name"
                " identity_attribute or identity_body_path, or what changes in error_attributes or error_body_paths"
            )
        self.facts += [fact for fact in (self.log_allowance.fact(),) if fact]
        self.numbers += [
            Number(name="VisibleDeadLetters", value=visible, source=queue) for queue, visible in self.visible.items()
        ]
