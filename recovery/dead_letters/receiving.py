"""Taking messages up: a round at a time, each queue its share of the run, and what lies behind is not forgotten."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from recovery.dead_letters.batch import Batch
from recovery.dead_letters.messages import BATCH, BATCH_BYTES, Message, Queue, size
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.dead_letters.work import LEASE, Staying, Work
from recovery.errors import RepriseError
from recovery.events.outward import BACKLOG_AT_RISK, of_queue
from recovery.failures import body_shape, recognise

ROUND = 2000
"""Messages in one round: one task run each for receiving, diagnosing, deciding, acting, recording and removing."""
ROUND_BYTES = 64 * 1024 * 1024
"""Bytes of messages that a round takes up, so that memory is bounded for messages of any size."""
POLL_SECONDS = 1
"""Long polling asks all of SQS's servers; a short poll may come back empty from a queue that is not."""
MOST_IN_FLIGHT = 100_000
"""Messages in flight above which the limit of SQS (120,000) is the likely reason for an empty answer."""
EMPTY_POLLS = 5
"""Empty polls in a row after which a drain ends even though SQS still counts messages."""


class Turn:
    """A queue in its turns: its policy, and what a run knows of its backlog.

    Attributes:
        queue, policy: the queue, and how it is treated.
        taken: messages taken up so far.
        oldest: when the oldest of these was sent; None: none yet.
        drained: a standard queue gave all that SQS had counted, and then nothing: asking again would cost two requests.
        bar: id of the bar that shows its progress to people, kept for those who show it; None: there is none.
    """

    def __init__(self, queue: Queue, policy: DeadLetterPolicy, turns: int, limit: int) -> None:
        self.queue = queue
        self.policy = policy
        self.taken = 0
        self.oldest: datetime | None = None
        self.drained = False
        self.bar: object = None
        self._share = max(1, limit // max(1, turns))  # what a run surely takes up of it

    @property
    def name(self) -> str:
        """The queue's name, for task run names."""
        return self.queue.name

    @property
    def sweep(self) -> timedelta:
        """Time between runs."""
        return timedelta(seconds=self.policy.sweep_seconds)

    @property
    def reach(self) -> timedelta:
        """Time until later runs have surely gone through all that lies in the queue."""
        rounds = math.ceil((self.queue.visible + self.queue.in_flight) / self._share)
        return self.sweep * max(2, rounds + 1)

    @property
    def aside(self) -> timedelta:
        """Time for which messages that a run leaves may be hidden: the first run after it has reached the others."""
        return self.reach - 1.5 * self.sweep

    @property
    def behind(self) -> int:
        """Messages that this run has not reached, about."""
        return max(0, self.queue.visible - self.taken)

    def expiring(self, now: datetime) -> tuple[int, datetime] | None:
        """Return how many messages no later run will reach in time at this one's pace, and when they begin to
        expire."""
        if not self.behind or self.oldest is None:
            return None
        ends = self.oldest + self.queue.retention
        runs = max(0, math.floor((ends - now) / self.sweep))
        lost = self.behind - runs * max(self.taken, self._share)
        return (lost, ends) if lost > 0 else None


def turns_of(work: Work, queues: Sequence[Queue]) -> list[Turn]:
    """Return the turns of the queues in which there is anything to be had; the others cost nothing further."""
    full = [queue for queue in queues if queue.visible]
    return [Turn(queue, work.request.policy_for(queue.arn), len(full), work.request.limit) for queue in full]


def receive(work: Work, turn: Turn, share: int) -> Batch:
    """Receive the messages of the next round; an empty batch when the queue is drained, or the limits are reached.

    Args:
        work: the run.
        turn: whose turn it is.
        share: the most that this round may take up, so that each queue has its turn.

    Raises:
        Transient: SQS could not be asked and nothing was received; asking again is safe.
        Refused: the queue may not be read.
    """
    queue = turn.queue
    messages: list[Message] = []
    taken = 0
    empties = 0
    most = min(ROUND, work.room, share)
    visible = turn.behind
    while len(messages) < most and taken < ROUND_BYTES and not work.time_is_up:
        wanted = most - len(messages)
        affordable = (ROUND_BYTES - taken) // (BATCH * work.largest.get(queue.arn, BATCH_BYTES))
        polls = max(1, min(work.threads, -(-wanted // BATCH), -(-visible // BATCH), affordable))
        asked = [BATCH] * (polls - 1) + [wanted - BATCH * (polls - 1)]
        # Messages in hand need not wait: a FIFO group gives no more until its messages are gone.
        wait = POLL_SECONDS if visible and not (queue.fifo and messages) else 0
        answers = work.each(partial(_poll, work, queue, wait), asked)
        got = [message for answer in answers if not isinstance(answer, RepriseError) for message in answer]
        failed = [answer for answer in answers if isinstance(answer, RepriseError)]
        if failed and not got and not messages:
            raise failed[0]
        messages += got
        sizes = [size(message) for message in got]
        taken += sum(sizes)
        if sizes:
            work.largest[queue.arn] = max(1, *sizes, work.largest.get(queue.arn, 0))
        visible = max(0, visible - len(got))
        if failed or (messages and not got):
            turn.drained = not failed and not queue.fifo and turn.taken + len(messages) >= queue.visible
            break
        if not got:
            # One empty poll proves nothing: the drain ends when SQS counts nothing either, or keeps saying nothing.
            empties += 1
            visible = work.sqs.visible(queue)
            if not visible:
                work.groups[queue.arn].is_exhausted = True
                break
            if empties >= EMPTY_POLLS:
                work.groups[queue.arn].is_exhausted = True
                in_flight = work.sqs.inspect(queue.url).held - visible
                if in_flight > MOST_IN_FLIGHT:
                    cause = "it hands out no more than 120,000 at a time"
                elif queue.fifo and turn.taken:
                    cause = "of one group of a FIFO queue it hands out ten while they are hidden, and the rest later"
                else:
                    cause = "another consumer may take them, or the count lags"
                work.warn(
                    f"queue {queue.name}: SQS counts about {visible} messages but hands out none, while {in_flight} are"
                    f" in flight or delayed: {cause}"
                )
                break
    work.taken += len(messages)
    turn.taken += len(messages)
    if messages:
        turn.oldest = min(*(message.sent_at for message in messages), turn.oldest or messages[0].sent_at)
    batch = Batch(queue, turn.policy, [_recognised(message, turn.policy) for message in messages])
    batch.reach, batch.aside = turn.reach, turn.aside
    work.arriving.clear()
    return batch


def report_backlog(work: Work, turns: Sequence[Turn]) -> None:
    """Note which queues were not gone through, and complain of messages that will expire before any run reaches them:
    the run then fails."""
    for turn in turns:
        if turn.behind:
            work.unreached.add(turn.queue.arn)
        found = turn.expiring(work.now())
        if found is not None:
            count, ends = found
            line = (
                f"queue {turn.name}: about {count} of {turn.behind} messages that this run did not reach will expire"
                f" from {ends:%Y-%m-%d %H:%M} UTC on, before later runs reach them: raise the run's limit and time"
                " limit, run more often, or let more workers run"
            )
            work.complain(line)
            at_risk = of_queue(BACKLOG_AT_RISK, turn.name, work.now(), line, count=count, expires=ends.isoformat())
            work.events.append(at_risk)


def _poll(work: Work, queue: Queue, wait: int, most: int) -> list[Message] | RepriseError:
    try:
        got = work.sqs.receive(queue, most, LEASE, wait, work.now())
        work.arriving.extend(Staying(queue, message.receipt, message.lease_until) for message in got)
        return got
    except RepriseError as error:
        return error


def _recognised(message: Message, policy: DeadLetterPolicy) -> Message:
    origin = recognise(message.body, message.attributes, message.system, policy.error_attributes)
    return replace(message, origin=origin, shape=body_shape(message.body))
