"""Failed deliveries that go back to their own targets: a topic, a state machine, and a bus with all its rules."""

from __future__ import annotations

import json
from collections.abc import Sequence

from blocks.connection import Connection
from proof.crash.dead_letters_scenes import Messages
from proof.crash.process import Kill, in_child
from proof.crash.scene import Findings, for_one_run, is_open
from recovery.cases import State
from recovery.dead_letters.actions import Target
from simulated_aws.server import SimulatedAws
from tests.dead_letters_world import Pair
from tests.deliveries_world import Deliveries, policy


class Delivered(Messages):
    """Three deliveries whose wait is over: the killed run calls each target, one request a message."""

    policy = policy(Target.SNS, Target.STEP_FUNCTIONS, Target.ALL_RULES)

    def __init__(self, aws: SimulatedAws, connection: Connection) -> None:
        super().__init__(aws, connection)
        self.name = "dead letters, own targets"
        self.declared = "a call that was not confirmed: one more; of an execution none"

    def stage(self) -> None:
        self.made = made = Deliveries(self.world)
        self.subscriber, self.other = self.world.queue("subscriber"), self.world.queue("other-rule")
        topic = made.sns.create_topic(Name=made.name)["TopicArn"]
        made.sns.subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=self.world.arn(self.subscriber),
            Attributes={"RawMessageDelivery": "true"},
        )
        self.machine = made.state_machine()
        target = self.world.queue("shipped")
        rule = made.rule(self.world.arn(target), InputPath="$.detail")
        made.rule(self.world.arn(self.other), of_dead=False)
        self.bodies = {name: made.event(detail={"to": name}) for name in ("topic", "machine", "bus")}
        # Their rules match nothing, or the event that goes to all rules would reach them.
        made.fail_rule(topic, made.rule(topic, source="nobody"), self.bodies["topic"])
        made.fail_rule(self.machine, made.rule(self.machine, source="nobody"), self.bodies["machine"])
        made.fail_rule(self.world.arn(target), rule, self.bodies["bus"])
        self.pair = Pair("", made.dead)
        self.originals = [*self.bodies.values()]
        ended = in_child(lambda: self.run(for_one_run(self._connection, self.world.aws)))
        assert not ended.error, ended.error
        self.world.aws.clock.advance(12)

    def arrived(self) -> dict[str, list[str]]:
        """Return what each target has got, as the event's detail says to whom it goes."""
        started = self.world.aws.client("stepfunctions")
        inputs = [
            str(started.describe_execution(executionArn=each["executionArn"])["input"])
            for each in started.list_executions(stateMachineArn=self.machine)["executions"]
        ]
        put = self.world.bodies(self.other)
        return {
            name: [to for body in bodies if (to := str(json.loads(body)["detail"]["to"]))]
            for name, bodies in (("topic", self.world.bodies(self.subscriber)), ("machine", inputs), ("bus", put))
        }

    def is_safe(self) -> Findings:
        there = {str(json.loads(body)["detail"]["to"]) for body in self.world.bodies(self.pair.dead)}
        arrived = {name for name, got in self.arrived().items() if got}
        return Findings(lost=sorted(set(self.bodies) - there - arrived))

    def is_done(self, kill: Kill | None, operations: Sequence[str]) -> Findings:
        found, world = Findings(), self.world
        found.expect(not world.bodies(self.pair.dead), "left behind")
        for name, operation in (("topic", "Publish"), ("machine", "StartExecution"), ("bus", "PutEvents")):
            open_call = name != "machine" and is_open(kill, operations, operation, "BatchWriteItem", 1)
            found.copies(self.arrived()[name], [name], 2 if open_call else 1)
        sent = [case.attempts for case in world.cases(self.pair.dead).values() if case.state is State.SENT]
        found.expect(sent == [1, 1, 1], f"attempts: {sent}")
        return found
