"""Scenes of people's acts on archived messages: a plan that is carried out with a change, and cases that are closed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing

from blocks.connection import Connection
from flows import plans as flow
from proof.crash.dead_letters_scenes import Replay, problems
from proof.crash.process import Kill
from proof.crash.scene import Findings, is_open
from proof.plain_prefect import play
from recovery.audit import Audit
from recovery.closing.close import close_cases
from recovery.closing.requests import CloseRequest
from recovery.dead_letters.plans.book import PlanBook
from recovery.dead_letters.plans.make import make
from recovery.dead_letters.plans.patch import Patch
from recovery.dead_letters.plans.request import CarryOutRequest, PlanRequest
from simulated_aws.server import SimulatedAws
from tasks.cases import histories_of
from tasks.plans import at_desk, open_run
from tests.dead_letters_world import AUTH

PATCH = Patch(body=({"op": "add", "path": "/fixed", "value": True},))


class CarryOut(Replay):
    """A plan of three messages with a change; a fourth arrives after the review and must stay."""

    def __init__(self, aws: SimulatedAws, connection: Connection) -> None:
        super().__init__(aws, connection)
        self.name = "dead letters, plan"
        self.plan_id = self.digest = ""

    def stage(self) -> None:
        super().stage()
        request = PlanRequest(queues=(self.pair.dead,), patch=PATCH, steps=(), operator="ann", reason="fixed")
        with closing(at_desk(self.world.connection())) as work:
            plan = make(work, request)
        self.plan_id, self.digest = plan.plan_id, plan.digest
        self.world.die(self.pair, [AUTH], MessageBody='{{"late": {n}}}')
        self.world.recover(self.pair.dead, policy=self.policy)
        self.originals = [*self.originals, '{"late": 0}']

    def run(self, connection: Connection) -> list[str]:
        request = CarryOutRequest(
            plan_id=self.plan_id, digest=self.digest, operator="bob", reason="reviewed", dry_run=False
        )
        with closing(open_run(connection, request)) as work:
            work.threads, work.sleep = 1, lambda _: None
            return problems(play(flow.carry_out, request, work))

    def is_done(self, kill: Kill | None, operations: Sequence[str]) -> Findings:
        found, world, pair = Findings(), self.world, self.pair
        open_send = is_open(kill, operations, "SendMessageBatch", "BatchWriteItem")
        planned = [json.dumps({**json.loads(body), "fixed": True}) for body in self.originals[:-1]]
        found.copies(world.bodies(pair.source), planned, 2 if open_send else 1)
        states = world.states(pair.dead)
        found.expect(states["replayed"] == 3, f"states: {states}")
        found.expect(states["parked"] == 1, "a message that was not planned is not where it was")
        plan = PlanBook(world.connection().ledger).read(self.plan_id)
        found.expect((plan.cursor, plan.sent) == (3, 3), f"plan: {plan.headline}")
        return found


class Close(Replay):
    """Three archived messages that a person dismisses."""

    def __init__(self, aws: SimulatedAws, connection: Connection) -> None:
        super().__init__(aws, connection)
        self.name, self.declared = "cases, closed", "none"

    def run(self, connection: Connection) -> list[str]:
        request = CloseRequest(sources=(self.pair.dead,), operator="ann", reason="done by hand", dry_run=False)
        closed = close_cases(histories_of(connection), request)
        return [closed.failed] if closed.failed else []

    def is_done(self, kill: Kill | None, operations: Sequence[str]) -> Findings:
        found, world = Findings(), self.world
        cases = world.cases(self.pair.dead).values()
        found.expect(len(cases) == 3 and all(case.is_closed for case in cases), "a case is not closed")
        found.expect(not world.bodies(self.pair.source), "a dismissed message was sent")
        ledger = world.connection().ledger
        acts = list(Audit(ledger).of_day(world.aws.clock.now().date(), []))
        found.expect(bool(acts), "nobody knows who closed them")
        return found
