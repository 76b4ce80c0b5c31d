"""python -m proof.recovered: consumers that are down a third of the time, against every "recovered" of a day.

Messages fail at their consumers, die, are brought back, and some of them fail again. Each consumer writes down what it
has done, and when. Sweeps run every five minutes of the simulated AWS's time. Whenever a sweep counts a message as
recovered, its consumer must have done its work by then; at the end nothing may be lost, and nothing may have expired
but what a run announced or archived.
"""

from __future__ import annotations

if __name__ == "__main__":  # before anything that might see a person's accounts is imported; tests are shut in already
    import proof.crash.shut_in as shut_in  # isort: skip

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest import mock

from proof.crash.scene import Findings
from recovery.dead_letters import outlook
from simulated_aws.server import SimulatedAws
from tests.dead_letters_world import ERROR, INVALID, POLICY, STRANGE, TIMEOUT, UNAVAILABLE, DeadLettersWorld, text

STEP = 60
"""Seconds between two looks of a consumer at its queue."""
SWEEP = 5
"""Steps between two sweeps, as `dead-letters/sweep` has it."""
RECEIVES, VISIBILITY = (2, 5, 3), 300
"""Of each source in turn: what fails dies after ten minutes and more, so a comeback takes longer than two sweeps. From
the third receive on CloudWatch's age leaves a message out, and a consumer that stops then leaves it in its queue."""
RETENTION = 6 * 3600
"""Of each dead-letter queue: what nobody triages would expire several times a day."""
PERIOD, DOWN = 180, 60
"""Minutes of a consumer's round, and those at its end in which it takes nothing."""


@dataclass
class Consumer:
    """A queue, its consumer, and the consumer's own record.

    Attributes:
        name, dead: the queues.
        receives: after which a message dies.
        first: minute of the day at which its first round begins.
        sent: bodies, and the number of receives that fail before the work succeeds.
        done: by message id, the body whose work was done with it.
        died: bodies that were seen in the dead-letter queue.
        bad: bodies that cannot succeed: they belong into the archive.
        held: messages whose work is under way.
    """

    name: str
    dead: str
    receives: int
    first: int
    sent: dict[str, int] = field(default_factory=dict)
    done: dict[str, str] = field(default_factory=dict)
    died: set[str] = field(default_factory=set)
    bad: set[str] = field(default_factory=set)
    held: list[Mapping[str, Any]] = field(default_factory=list)

    def is_up(self, minute: int) -> bool:
        """True while it takes messages."""
        return (minute + self.first) % PERIOD < PERIOD - DOWN


class Day:
    """The consumers, the sweeps, and what the sweeps called recovered.

    Args:
        aws: emptied.
        queues: number of queues; every third is FIFO.
        seed: of all chances.
    """

    def __init__(self, aws: SimulatedAws, queues: int, seed: int) -> None:
        self._world = DeadLettersWorld(aws)
        self._aws = aws
        self._chance = random.Random(seed)
        self._consumers = [self._consumer(number) for number in range(queues)]
        self._minute = self._number = 0
        self.called = 0
        self.false: list[str] = []
        self.silent = 0
        self.sweeps = 0

    def _consumer(self, number: int) -> Consumer:
        end = ".fifo" if number % 3 == 2 else ""
        receives = RECEIVES[number % len(RECEIVES)]
        dead = self._world.queue(f"day-dlq{end}", MessageRetentionPeriod=str(RETENTION))
        redrive = {"deadLetterTargetArn": self._world.arn(dead), "maxReceiveCount": receives}
        name = self._world.queue(f"day{end}", RedrivePolicy=json.dumps(redrive), VisibilityTimeout=str(VISIBILITY))
        return Consumer(name, dead, receives, first=60 + number * 37)

    def pass_by(self, minutes: int) -> None:
        """Let so much of the day pass."""
        with self._counted():
            for _ in range(minutes):
                self._minute += 1
                for consumer in self._consumers:
                    if consumer.is_up(self._minute):
                        self._work(consumer)
                    self._send(consumer)
                if self._minute % SWEEP == 0:
                    self._sweep()
                self._aws.clock.advance(STEP)

    def _send(self, consumer: Consumer) -> None:
        """New work for the consumer; most of it fails until it dies, once or twice."""
        if self._chance.random() < 0.5:
            return
        self._number += 1
        body = f"work {self._number}"
        again = self._chance.choice((0, 1, 1, 1, 1, 2))
        error = self._chance.choice((TIMEOUT, UNAVAILABLE, f"{TIMEOUT} request {self._number}"))
        if self._chance.random() < 0.1:
            again, error = 99, self._chance.choice((INVALID, STRANGE))
            consumer.bad.add(body)
        consumer.sent[body] = again * consumer.receives
        message: dict[str, Any] = {"MessageBody": body, "MessageAttributes": {ERROR: text(error)}}
        if consumer.name.endswith(".fifo"):
            message["MessageGroupId"] = f"group {self._number % 4}"
        self._world.send(consumer.name, [message])

    def _work(self, consumer: Consumer) -> None:
        """Work that was under way ends; then the consumer takes all it can get, and keeps some of it under way."""
        sqs, url = self._world.sqs, self._world.url(consumer.name)
        for message in consumer.held:
            self._done(consumer, message)
        consumer.held.clear()
        while got := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in got:
                body = str(message["Body"])
                if consumer.sent[body] > 0:
                    consumer.sent[body] -= 1  # it fails: SQS shows it again, or lets it die
                elif self._chance.random() < 0.2:
                    consumer.held.append(message)
                else:
                    self._done(consumer, message)

    def _done(self, consumer: Consumer, message: Mapping[str, Any]) -> None:
        url = self._world.url(consumer.name)
        self._world.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        consumer.done[str(message["MessageId"])] = str(message["Body"])

    def _sweep(self) -> None:
        for consumer in self._consumers:
            consumer.died |= set(self._world.bodies(consumer.dead))
        report = self._world.recover(*(consumer.dead for consumer in self._consumers), policy=POLICY)
        self.sweeps += 1
        self.silent += any("has not taken all" in line for line in report.warnings)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Look at each case that a sweep counts as recovered, in the moment when it does so."""
        count = outlook._report

        def looked_at(work: Any, queue: Any, pair: Any, found: Any) -> int:
            for case, _ in found.cases:
                self._compare(case.key)
            return count(work, queue, pair, found)

        with (
            mock.patch.object(outlook, "_report", looked_at),
            mock.patch("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None)),
        ):
            yield

    def _compare(self, message: str) -> None:
        """The case of what was sent back bears the id under which it was sent: its consumer has done just that one."""
        self.called += 1
        if any(message in consumer.done for consumer in self._consumers):
            return
        self.false.append(f"{message} was called recovered at {self._aws.clock.now():%H:%M}, and is not done")

    def check(self) -> Findings:
        """Everything is done, archived, or still in a queue."""
        found = Findings(wrong=list(self.false))
        for consumer in self._consumers:
            archived = {str(record["body"]) for record in self._world.archived(consumer.dead)}
            there = {*self._world.bodies(consumer.name), *self._world.bodies(consumer.dead), *archived}
            times = Counter(consumer.done.values())
            found.lost += sorted(set(consumer.sent) - set(times) - there)
            found.doubled.update({body: count for body, count in times.items() if count > 1})
            for body in sorted(consumer.bad & set(times)):
                found.wrong.append(f"{body} cannot succeed, and is done")
        found.excess += [f"{body}: {count} times" for body, count in found.doubled.items()]
        return found

    def figures(self) -> str:
        """One line for the report."""
        sent = sum(len(consumer.sent) for consumer in self._consumers)
        died = sum(len(consumer.died) for consumer in self._consumers)
        done = sum(len(consumer.done) for consumer in self._consumers)
        down = sum(not each.is_up(minute) for each in self._consumers for minute in range(1, self._minute + 1))
        return (
            f"{len(self._consumers)} queues, {self._minute / 60:.0f} hours, consumers down"
            f" {down / max(1, self._minute * len(self._consumers)):.0%} of the time, {self.sweeps} sweeps; {sent} sent,"
            f" {died} died, {done} done, {self.called} called recovered,"
            f" {self.silent} sweeps reported a consumer that takes nothing"
        )


def main() -> int:
    """Play the day; print what was found; the exit code."""
    parser = argparse.ArgumentParser(description="Consumers are down a third of the time; is every recovery true?")
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--queues", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    with SimulatedAws.start() as aws:
        day = Day(aws, given.queues, given.seed)
        day.pass_by(round(given.hours * 60))
        found = day.check()
    sys.stdout.write(f"{day.figures()}; {time.monotonic() - began:.0f} s\n")
    sys.stdout.write(f"lost: {len(found.lost)}; false recoveries: {len(day.false)}; done twice: {len(found.doubled)}\n")
    for line in found.violations:
        sys.stdout.write(f"VIOLATION: {line}\n")
    return 1 if found.violations else 0


if __name__ == "__main__":
    try:
        status = main()
    finally:
        shut_in.tidy_up()
    sys.exit(status)
