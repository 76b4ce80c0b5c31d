"""Dead letters under trouble that lasts: consumers that stop or fail, backlogs, a throttled ledger, silent services."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

from blocks.connection import Connection
from proof.crash.lasting import Reported
from proof.crash.process import Child, in_child
from proof.crash.scene import Findings, for_one_run
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.dead_letters.rules import TRIES
from recovery.report import RecoveryReport
from simulated_aws.server import SimulatedAws
from tests.dead_letters_world import AUTH, ERROR, INVALID, STRANGE, TIMEOUT, DeadLettersWorld, Pair, text


class Lasting:
    """A queue, its dead-letter queue and its consumer, who writes down what it has done.

    Attributes:
        settings: of the policy.
        bounds: of the request.
    """

    name = ""
    sweeps = 8
    seconds = 300.0
    declared = 3
    """Most copies of a message where runs are killed: an attempt is begun three times at most. Else there is one."""
    copies_kept = 1
    """Most copies of a message in the archive where no run is killed; its case names the one that counts."""
    settings: ClassVar[dict[str, Any]] = {}
    bounds: ClassVar[dict[str, Any]] = {}

    def __init__(self, aws: SimulatedAws, connection: Connection) -> None:
        self.world = DeadLettersWorld(aws)
        self._connection = connection
        self.reported = Reported()
        self.taken: Counter[str] = Counter()
        self.bodies: set[str] = set()
        backoff = {"base_seconds": 1, "factor": 1, "cap_seconds": 1}
        given = {"error_attributes": [ERROR], "backoff": backoff, "sweep_seconds": round(self.seconds), **self.settings}
        self.policy = DeadLetterPolicy.model_validate(given)
        self.pair = Pair("", "")

    def stage(self) -> None:
        self.pair = self.world.pair()
        self.die([TIMEOUT] * 20)

    def die(self, errors: list[str], **message: Any) -> None:
        """Let messages fail; each has a body of its own."""
        first = len(self.bodies)
        bodies = [f"message {first + n}" for n in range(len(errors))]
        for error in dict.fromkeys(errors):
            for body in (body for body, its in zip(bodies, errors, strict=True) if its == error):
                self.world.die(self.pair, [error], MessageBody=body, **message)
        self.bodies |= set(bodies)

    def trouble(self, sweep: int) -> None:
        """No fault."""

    def run(self, connection: Connection) -> RecoveryReport:
        return self.world.recover(
            self.pair.dead,
            policy=self.policy,
            threads=1,
            connection=connection,
            **{"time_limit_seconds": 60, **self.bounds},
        )

    def consume(self, sweep: int | None) -> None:
        """Take all that can be had, and write it down."""
        self._take()

    def _take(self) -> None:
        sqs, url = self.world.sqs, self.world.url(self.pair.source)
        while got := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            self.taken.update(message["Body"] for message in got)
            entries = [{"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]} for n, each in enumerate(got)]
            sqs.delete_message_batch(QueueUrl=url, Entries=entries)

    def archived(self) -> Counter[str]:
        """Copies in the archive, by body."""
        return Counter(str(record["body"]) for record in self.world.archived(self.pair.dead))

    def is_safe(self) -> Findings:
        world = self.world
        somewhere = {*self.taken, *self.archived(), *world.bodies(self.pair.dead), *world.bodies(self.pair.source)}
        return Findings(lost=sorted(self.bodies - somewhere))

    def is_done(self, *, killed: bool) -> Findings:
        found = Findings()
        self.copies(found, self.declared if killed else 1)
        left = self.world.bodies(self.pair.dead)
        found.expect(not left, f"left behind: {left[:5]}")
        twice = {body: count for body, count in self.archived().items() if count > self.copies_kept}
        found.expect(killed or not twice, f"archived too often though nothing was killed: {twice}")
        return found

    def copies(self, found: Findings, allowed: int) -> None:
        """No message was done more often than declared."""
        found.doubled = Counter({body: count for body, count in self.taken.items() if count > 1})
        found.excess += [f"{body}: {count} times" for body, count in self.taken.items() if count > allowed]


class StoppedConsumer(Lasting):
    """The consumer of a queue takes nothing for two hours, then works."""

    name = "stopped consumer"
    seconds = 900.0

    def consume(self, sweep: int | None) -> None:
        if sweep is None:
            self._take()

    def is_done(self, *, killed: bool) -> Findings:
        found = super().is_done(killed=killed)
        found.lost += sorted(self.bodies - set(self.taken))
        noticed = any("has not taken all" in line for line in self.reported.warnings)
        found.expect(noticed, "no run reported that the consumer takes nothing")
        found.expect(killed or self.reported.recovered == len(self.bodies), f"recovered: {self.reported.recovered}")
        return found


class Backlog(Lasting):
    """A hundred messages that nobody can triage lie before twenty that heal; a run takes up fifteen."""

    name = "backlog above limit"
    sweeps = 14
    settings: ClassVar[dict[str, Any]] = {"actions": {"UNKNOWN": "leave"}}
    bounds: ClassVar[dict[str, Any]] = {"limit": 15}

    def stage(self) -> None:
        self.pair = self.world.pair(MessageRetentionPeriod="3600")
        self.die([STRANGE] * 100 + [TIMEOUT] * 20)

    def is_safe(self) -> Findings:
        found = super().is_safe()
        if any("will expire" in line for line in self.reported.problems):
            found.lost = []  # a person was notified in time, which is all that can be done
        return found


class ThrottledLedger(Lasting):
    """For five sweeps the ledger takes send intents and confirmations, but no case."""

    name = "throttled ledger"

    def trouble(self, sweep: int) -> None:
        if sweep < 5:
            fault: dict[str, Any] = {"service": "dynamodb", "operation": "BatchWriteItem", "times": None}
            self.world.aws.fault(
                "error", containing="case#dead_letters", code="ThrottlingException", status=400, **fault
            )

    def is_done(self, *, killed: bool) -> Findings:
        found = super().is_done(killed=killed)
        found.lost += sorted(self.bodies - set(self.taken))
        return found


class Hanging(Lasting):
    """A service takes calls and does not answer, for five sweeps: what heals waits for nothing."""

    service = ""

    def stage(self) -> None:
        self.pair = self.world.pair()
        self.die([TIMEOUT] * 20 + [INVALID] * 5 + [AUTH] * 5)
        self.healing = {f"message {n}" for n in range(20)}
        self._was_quick = False

    def trouble(self, sweep: int) -> None:
        if sweep < 5:
            self.world.aws.fault("hold", service=self.service, operation="*", times=None)

    def consume(self, sweep: int | None) -> None:
        self.world.aws.clock.advance(30)  # the delays of what was sent
        super().consume(sweep)
        if sweep == 0:
            self._was_quick = set(self.taken) == self.healing

    def is_done(self, *, killed: bool) -> Findings:
        found = super().is_done(killed=killed)
        found.lost += sorted(self.healing - set(self.taken))
        found.expect(killed or self._was_quick, "what heals has waited for a service that it does not need")
        found.expect(set(self.archived()) == self.bodies - self.healing, f"archived: {sorted(self.archived())}")
        found.expect(len(self.world.alerts(self.pair.dead)) >= 1, "nobody was notified")
        return found


class HangingArchive(Hanging):
    """S3 hangs, and stores in the end what it never answered."""

    name, service = "hanging S3", "s3"
    copies_kept = 6


class HangingTopic(Hanging):
    """SNS hangs."""

    name, service = "hanging SNS", "sns"


class ChangingTexts(Lasting):
    """A consumer that sends its failures to the dead-letter queue itself, with other words each time."""

    name = "changing texts"
    settings: ClassVar[dict[str, Any]] = {"max_attempts": 3}

    def stage(self) -> None:
        self.pair = Pair(self.world.queue("orders"), self.world.queue("dlq"))
        self.policy = self.policy.model_copy(update={"destination": self.pair.source})
        self.bodies = {f"message {n}" for n in range(6)}
        self.sends: Counter[str] = Counter()
        self._number = 0
        self._fail(sorted(self.bodies))

    def _fail(self, bodies: list[str]) -> None:
        for body in bodies:
            self._number += 1
            words = f"HTTP 503 Service Unavailable (request {self._number:08x}, after {3000 + self._number} ms)"
            self.world.send(self.pair.dead, [{"MessageBody": body, "MessageAttributes": {ERROR: text(words)}}])

    def consume(self, sweep: int | None) -> None:
        before = self.taken.copy()
        self.world.aws.clock.advance(30)
        self._take()
        came = self.taken - before
        self.taken = before
        self.sends += came
        self._fail(list(came.elements()))

    def is_done(self, *, killed: bool) -> Findings:
        found = super().is_done(killed=killed)
        allowed = 3 * TRIES if killed else 3
        found.excess += [f"{body} was tried {count} times" for body, count in self.sends.items() if count > allowed]
        found.lost += sorted(self.bodies - set(self.archived()))
        found.expect(self.reported.recovered == 0, f"{self.reported.recovered} called recovered that never worked")
        return found


class FailingFifo(Lasting):
    """A consumer of a FIFO queue fails at once for five sweeps: no attempt is used up in haste, and order is kept."""

    name = "FIFO, failing consumer"
    seconds = 260.0  # a killed run's messages are free by then, and SQS still knows their deduplication ids
    settings: ClassVar[dict[str, Any]] = {"max_attempts": 8}

    def stage(self) -> None:
        self.pair = self.world.pair(fifo=True)
        for group in "abc":
            for n in range(4):
                body = f"{group}{n}"
                self.world.die(self.pair, [TIMEOUT], MessageBody=body, MessageGroupId=group)
                self.bodies.add(body)
        self.order: list[str] = []
        self.hasty: list[str] = []

    def consume(self, sweep: int | None) -> None:
        bodies = self.world.bodies(self.pair.source)
        self.hasty += [body for body, count in Counter(bodies).items() if count > 1]
        if sweep is not None and sweep < 5:
            self.world.fail(self.pair.source)
            return
        self.order += bodies
        self._take()

    def is_done(self, *, killed: bool) -> Findings:
        found = super().is_done(killed=killed)
        found.lost += sorted(self.bodies - set(self.taken))
        for group in "abc":
            done = [body for body in self.order if body.startswith(group)]
            found.expect(done == sorted(done), f"group {group} out of order: {done}")
        attempts = max((case.attempts for case in self.world.cases(self.pair.dead).values()), default=0)
        found.expect(attempts <= 6, f"{attempts} attempts in five failing sweeps and one that worked")
        found.expect(not self.hasty, f"twice in one sweep: {self.hasty}")
        return found


class TwoReplays(Lasting):
    """Two replays of the same thirty archived messages at once, again and again; one of them may be killed."""

    name = "two replays at once"
    sweeps = 4
    seconds = 601.0  # the claims of a killed replay are free again

    def stage(self) -> None:
        self.pair = self.world.pair()
        self.die([AUTH] * 30)
        ended = in_child(lambda: bool(super(TwoReplays, self).run(for_one_run(self._connection, self.world.aws))))
        assert not ended.error, ended.error

    def run(self, connection: Connection) -> RecoveryReport:
        return self.world.replay(queues=[self.pair.dead], threads=1, connection=connection)

    def trouble(self, sweep: int) -> None:
        other = for_one_run(self._connection, self.world.aws)
        self._other = Child(lambda: bool(self.run(other)))

    def consume(self, sweep: int | None) -> None:
        if sweep is not None:
            self._error = self._other.wait().error
        super().consume(sweep)

    def is_done(self, *, killed: bool) -> Findings:
        found = super().is_done(killed=killed)
        found.lost += sorted(self.bodies - set(self.taken))
        found.expect(not self._error, self._error)
        states = self.world.states(self.pair.dead)
        found.expect(states["replayed"] == len(self.bodies), f"states: {states}")
        return found


LASTING = (
    StoppedConsumer,
    Backlog,
    ThrottledLedger,
    HangingArchive,
    HangingTopic,
    ChangingTexts,
    FailingFifo,
    TwoReplays,
)
