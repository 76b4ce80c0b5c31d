"""Dead letters: every message is in its queue, back at its source, or in the archive; and at last where it belongs."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from blocks.connection import Connection
from proof.crash.process import Kill, in_child
from proof.crash.scene import Findings, for_one_run, is_open
from recovery.cases import State
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.report import RecoveryReport
from simulated_aws.server import SimulatedAws
from tests.dead_letters_world import AUTH, INVALID, POLICY, TIMEOUT, DeadLettersWorld, Pair

TIME_LIMIT = 60
LEASE = 250
"""Seconds after which all that a killed run held is free: messages (240), alerts (120). Less than the five minutes for
which a FIFO queue remembers a deduplication id."""


def waiting(seconds: float) -> DeadLetterPolicy:
    """Messages that are healed wait so long before each attempt."""
    return POLICY.model_copy(
        update={"backoff": POLICY.backoff.model_copy(update={"base_seconds": seconds, "factor": 1.0})}
    )


def problems(report: RecoveryReport) -> list[str]:
    """Return a run's own complaints."""
    return [*report.problems, *(row.reason for row in report.groups)] if report.failed else []


class Messages:
    """Two messages that are healed, two that a person must fix, two for review; on FIFO also a group of two."""

    policy = waiting(1.0)

    def __init__(self, aws: SimulatedAws, connection: Connection, *, fifo: bool = False) -> None:
        self.name = f"dead letters, {'FIFO' if fifo else 'standard'}"
        self.declared = "none within 5 minutes" if fifo else "a send that was not confirmed: one more copy"
        self.fifo = fifo
        self.world = DeadLettersWorld(aws)
        self._connection = connection
        self.pair = Pair("", "")
        self.originals: list[str] = []

    def stage(self) -> None:
        self.pair = self.world.pair(fifo=self.fifo)
        self.world.die(self.pair, [TIMEOUT, AUTH, INVALID, TIMEOUT, AUTH, INVALID])
        self.healing = {'{"order": 0}', '{"order": 3}'}
        if self.fifo:
            self.world.die(self.pair, [TIMEOUT, TIMEOUT], MessageBody="pair {n}", MessageGroupId="pair")
            self.healing |= {"pair 0", "pair 1"}
        self.originals = self.world.bodies(self.pair.dead)

    def run(self, connection: Connection) -> list[str]:
        return problems(
            self.world.recover(
                self.pair.dead, policy=self.policy, threads=1, time_limit_seconds=TIME_LIMIT, connection=connection
            )
        )

    def later(self) -> None:
        self.world.aws.clock.advance(LEASE)

    def archived(self) -> list[str]:
        return [str(record["body"]) for record in self.world.archived(self.pair.dead)]

    def is_safe(self) -> Findings:
        somewhere = {*self.archived(), *self.world.bodies(self.pair.dead), *self.world.bodies(self.pair.source)}
        return Findings(lost=sorted(set(self.originals) - somewhere))

    def is_done(self, kill: Kill | None, operations: Sequence[str]) -> Findings:
        found = Findings()
        world, pair = self.world, self.pair
        left = world.bodies(pair.dead)
        found.expect(not left, f"left behind: {left}")
        open_send = is_open(kill, operations, "SendMessageBatch", "BatchWriteItem", 1)
        found.copies(world.bodies(pair.source), self.healing, 2 if open_send and not self.fifo else 1)
        if self.fifo:
            order = [body for body in world.bodies(pair.source) if body.startswith("pair")]
            found.expect(order == sorted(order), f"a group out of order: {order}")
        archived = Findings()
        archived.copies(self.archived(), set(self.originals) - self.healing, 99)
        found.lost += archived.lost  # copies in the archive are no duplicates: the ledger names the one that counts
        found.wrong += archived.wrong
        self._ledger_agrees(found)
        open_alert = is_open(kill, operations, "Publish", "PutItem")
        alerts = len(world.alerts(pair.dead))
        found.expect(1 <= alerts <= 1 + open_alert, f"{alerts} alerts for one group")
        self._attempts_hold(found)
        return found

    def after_trouble(self) -> Findings:
        """Each message is back at its source or in the archive: a send may have been made three times for an attempt,
        and a message whose sends were never confirmed is in the archive, for a person."""
        found, world, pair = Findings(), self.world, self.pair
        left = world.bodies(pair.dead)
        found.expect(not left, f"left behind: {left}")
        back = Counter(world.bodies(pair.source))
        kept = set(self.archived())
        found.lost = sorted(set(self.originals) - set(back) - kept)
        found.doubled = Counter({body: count for body, count in back.items() if count > 1})
        found.excess = [f"{body}: {count} times" for body, count in back.items() if count > 3]
        found.expect(set(back) <= self.healing, f"healed although it should not: {set(back) - self.healing}")
        found.expect(len(world.alerts(pair.dead)) >= 1, "nobody was notified")
        return found

    def _ledger_agrees(self, found: Findings) -> None:
        world = self.world
        cases = world.cases(self.pair.dead)
        kept = [case for case in cases.values() if case.state in (State.PARKED, State.ARCHIVED)]
        found.expect(len(kept) == len(self.originals) - len(self.healing), f"{len(kept)} cases of archived messages")
        for case in kept:
            record = _record(world, case.detail.get("archive"))
            found.expect(record.get("message_id") == case.key, f"the copy of {case.key} is not where its case says")
        sent = {case.key for case in cases.values() if case.state is State.SENT}
        there = set(world.ids(self.pair.source))
        found.expect(sent <= there, f"cases of sends that never arrived: {sent - there}")

    def _attempts_hold(self, found: Findings) -> None:
        """Whatever comes back has used one attempt: no crash resets the count of attempts."""
        world = self.world
        world.fail(self.pair.source)
        ended = in_child(lambda: self.run(for_one_run(self._connection, world.aws)))
        found.expect(not ended.error, ended.error)
        attempts = {case.attempts for case in world.cases(self.pair.dead).values() if case.state is State.SENT}
        found.expect(attempts == {2}, f"attempts of messages that came back once: {attempts}")


class Hidden(Messages):
    """Two messages that wait an hour for their first attempt, hidden in their queue."""

    policy = waiting(3600.0)

    def __init__(self, aws: SimulatedAws, connection: Connection) -> None:
        super().__init__(aws, connection)
        self.name, self.declared = "dead letters, waiting", "none"

    def stage(self) -> None:
        self.pair = self.world.pair()
        self.world.die(self.pair, [TIMEOUT, TIMEOUT])
        self.originals = self.world.bodies(self.pair.dead)

    def is_done(self, kill: Kill | None, operations: Sequence[str]) -> Findings:
        found, world, pair = Findings(), self.world, self.pair
        found.copies(world.bodies(pair.dead), self.originals, 1)
        found.expect(world.visible(pair.dead) == 0, "a message that waits is visible")
        found.expect(not world.bodies(pair.source), "a message was sent before it was due")
        cases = {(case.state, case.attempts) for case in world.cases(pair.dead).values()}
        found.expect(cases == {(State.BACKOFF, 0)}, f"cases: {cases}")
        return found


class Due(Hidden):
    """The same, and their wait is over: they are sent now."""

    def __init__(self, aws: SimulatedAws, connection: Connection) -> None:
        super().__init__(aws, connection)
        self.name, self.declared = "dead letters, due", "a send that was not confirmed: one more copy"

    def stage(self) -> None:
        super().stage()
        ended = in_child(lambda: self.run(for_one_run(self._connection, self.world.aws)))
        assert not ended.error, ended.error
        self.world.aws.clock.advance(3700)

    def is_done(self, kill: Kill | None, operations: Sequence[str]) -> Findings:
        found, world, pair = Findings(), self.world, self.pair
        found.expect(not world.bodies(pair.dead), "left behind")
        open_send = is_open(kill, operations, "SendMessageBatch", "BatchWriteItem", 1)
        found.copies(world.bodies(pair.source), self.originals, 2 if open_send else 1)
        sent = [case.attempts for case in world.cases(pair.dead).values() if case.state is State.SENT]
        found.expect(set(sent) == {1}, f"attempts: {sent}")
        return found


class Probed(Messages):
    """Four messages that came back: the killed run opens the circuit of their group and sends one as a probe."""

    policy = waiting(1.0).model_copy(update={"circuit_opens_after": 3})

    def __init__(self, aws: SimulatedAws, connection: Connection) -> None:
        super().__init__(aws, connection)
        self.name, self.declared = "dead letters, circuit opens", "a send that was not confirmed: one more copy"

    def stage(self) -> None:
        self.pair = self.world.pair()
        self.world.die(self.pair, [TIMEOUT] * 4)
        self.originals = self.world.bodies(self.pair.dead)
        self._run_whole()
        self.world.aws.clock.advance(2)
        self.world.fail(self.pair.source)

    def is_done(self, kill: Kill | None, operations: Sequence[str]) -> Findings:
        found, world, pair = Findings(), self.world, self.pair
        back = world.bodies(pair.source)
        open_send = is_open(kill, operations, "SendMessageBatch", "BatchWriteItem", 1)
        found.copies([*back, *world.bodies(pair.dead)], self.originals, 2 if open_send else 1)
        found.expect(len(set(back)) <= 1, f"{len(set(back))} messages probe at once")
        attempts = Counter(case.attempts for case in world.cases(pair.dead).values() if case.state is State.BACKOFF)
        found.expect(not set(attempts) - {1}, f"attempts of those that wait: {attempts}")
        # A run that dies between the circuit's item and its probe, or its alert, leaves both to a later run.
        world.aws.clock.advance(7200)
        self._run_whole()
        found.expect(1 <= len(set(world.bodies(pair.source))) <= 2, "no message probes")
        opened = sum("circuit" in alert for alert in world.alerts(pair.dead))
        open_alert = is_open(kill, operations, "Publish", "PutItem", 2)
        found.expect(1 <= opened <= 1 + open_alert, f"{opened} alerts of one circuit")
        return found

    def _run_whole(self) -> None:
        ended = in_child(lambda: self.run(for_one_run(self._connection, self.world.aws)))
        assert not ended.error, ended.error


class Proven(Probed):
    """The same, and its probe stayed away for good: the killed run counts the proof, and the next step goes."""

    def __init__(self, aws: SimulatedAws, connection: Connection) -> None:
        super().__init__(aws, connection)
        self.name = "dead letters, circuit goes on"

    def stage(self) -> None:
        super().stage()
        self._run_whole()
        self.world.aws.clock.advance(2)
        self.taken = self.world.work_off(self.pair.source)
        self.world.aws.clock.advance(7200)

    def is_safe(self) -> Findings:
        return Findings()  # its probe was taken by the consumer; `is_done` knows all others

    def is_done(self, kill: Kill | None, operations: Sequence[str]) -> Findings:
        found, world, pair = Findings(), self.world, self.pair
        found.expect(self.taken == 1, f"{self.taken} probes went")
        open_send = is_open(kill, operations, "SendMessageBatch", "BatchWriteItem", 1)
        if not world.bodies(pair.source):
            # Killed between the claim of probes and their sends: their place in the ramp is free when it ends.
            world.aws.clock.advance(7200)
            self._run_whole()
        back = world.bodies(pair.source)
        found.lost = sorted(set(self.originals) - {*back, *world.bodies(pair.dead)})[1:]
        found.copies(back, set(back), 2 if open_send else 1)
        # A run that dies between the proof and the circuit's item begins anew with one probe.
        found.expect(len(set(back)) in (1, 3), f"{len(set(back))} messages followed")
        return found


class Replay(Messages):
    """Three archived messages that a person sends back; a killed replay's claims last ten minutes."""

    def __init__(self, aws: SimulatedAws, connection: Connection) -> None:
        super().__init__(aws, connection)
        self.name, self.declared = "dead letters, replay", "a send that was not confirmed: one more copy"

    def stage(self) -> None:
        self.pair = self.world.pair()
        self.world.die(self.pair, [AUTH, AUTH, AUTH])
        self.originals = self.world.bodies(self.pair.dead)
        ended = in_child(lambda: super(Replay, self).run(for_one_run(self._connection, self.world.aws)))
        assert not ended.error, ended.error

    def run(self, connection: Connection) -> list[str]:
        return problems(self.world.replay(queues=[self.pair.dead], threads=1, connection=connection))

    def later(self) -> None:
        self.world.aws.clock.advance(601)

    def is_done(self, kill: Kill | None, operations: Sequence[str]) -> Findings:
        found, world, pair = Findings(), self.world, self.pair
        open_send = is_open(kill, operations, "SendMessageBatch", "BatchWriteItem")
        found.copies(world.bodies(pair.source), self.originals, 2 if open_send else 1)
        states = world.states(pair.dead)
        found.expect(states["replayed"] == len(self.originals), f"states: {states}")
        return found


def _record(world: DeadLettersWorld, pointer: Any) -> dict[str, Any]:
    """The record of the archive that a case points at."""
    if not pointer:
        return {}
    body = world.aws.client("s3").get_object(Bucket=world.bucket, Key=pointer["key"])["Body"].read()
    return dict(json.loads(gzip.decompress(body).splitlines()[pointer["line"]]))
