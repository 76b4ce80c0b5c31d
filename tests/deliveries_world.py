"""Failed deliveries of EventBridge, Scheduler and SNS in a simulated AWS, in the form in which each leaves them."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from recovery.backoff import Backoff
from recovery.dead_letters.actions import Target
from recovery.dead_letters.policy import DeadLetterPolicy
from simulated_aws.server import REGION
from tests.dead_letters_world import DeadLettersWorld, text

ACCOUNT = "000000000000"
SOON = Backoff(base_seconds=10, factor=1, cap_seconds=10)
STATES = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}


def policy(*targets: Target, **more: Any) -> DeadLetterPolicy:
    return DeadLetterPolicy(targets=targets, backoff=SOON, settle_seconds=60, **more)


class Deliveries:
    """One dead-letter queue, and what could not be delivered.

    Args:
        world: where it is.
    """

    def __init__(self, world: DeadLettersWorld) -> None:
        self.world = world
        self.dead = world.queue("undelivered-dlq", MessageRetentionPeriod="1209600")
        self.events = world.aws.client("events")
        self.sns = world.aws.client("sns")
        self.name = f"shipped-{uuid4().hex[:8]}"

    def event(self, **fields: Any) -> str:
        """An event of the shop, as EventBridge passes it on."""
        return json.dumps(
            {
                "version": "0",
                "id": str(uuid4()),
                "detail-type": "Order Shipped",
                "source": self.name,
                "account": ACCOUNT,
                "time": "2026-05-04T10:11:12Z",
                "region": REGION,
                "resources": [],
                "detail": {"order": 7, "price": 1.10},
            }
            | fields
        )

    def rule(self, target: str, *, of_dead: bool = True, source: str = "", **more: Any) -> str:
        """A rule with this target; returns its ARN."""
        name = f"{self.name}-{uuid4().hex[:6]}"
        arn = self.events.put_rule(Name=name, EventPattern=json.dumps({"source": [source or self.name]}))["RuleArn"]
        dead = {"DeadLetterConfig": {"Arn": self.world.arn(self.dead)}} if of_dead else {}
        self.events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": target, **dead, **more}])
        return str(arn)

    def state_machine(self) -> str:
        """A state machine that is done at once; returns its ARN."""
        made = self.world.aws.client("stepfunctions").create_state_machine(
            name=self.name, definition=json.dumps(STATES), roleArn=f"arn:aws:iam::{ACCOUNT}:role/states"
        )
        return str(made["stateMachineArn"])

    def fail(self, body: str, **attributes: str) -> None:
        """Put the message into the dead-letter queue, as the service does."""
        given = {name: text(value) for name, value in attributes.items()}
        self.world.send(self.dead, [{"MessageBody": body, **({"MessageAttributes": given} if given else {})}])

    def fail_rule(self, target: str, rule: str = "", body: str = "") -> None:
        """EventBridge could not deliver an event to the rule's target."""
        self.fail(
            body or self.event(),
            RULE_ARN=rule or self.rule(target),
            TARGET_ARN=target,
            ERROR_CODE="THROTTLING",
            ERROR_MESSAGE="Rate exceeded",
            RETRY_ATTEMPTS="185",
            EXHAUSTED_RETRY_CONDITION="MaximumRetryAttempts",
        )

    def fail_schedule(self, target: str, body: str) -> None:
        """Scheduler could not call the target."""
        self.fail(
            body,
            SCHEDULE_ARN=f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/dunning",
            TARGET_ARN=target,
            ERROR_CODE="AWS.Scheduler.InternalServerError",
            ERROR_MESSAGE="Unexpected error occurred while processing the request",
            IS_PAYLOAD_TRUNCATED="false",
            RETRY_ATTEMPTS="185",
        )

    def fail_notification(self, subscription: str, topic: str, **fields: Any) -> str:
        """SNS could not deliver a notification to a subscription; returns its body."""
        body = json.dumps(
            {
                "Type": "Notification",
                "MessageId": str(uuid4()),
                "TopicArn": topic,
                "Message": '{"order": 7}',
                "Timestamp": "2026-05-04T10:11:12.000Z",
                "UnsubscribeURL": f"https://sns.{REGION}.amazonaws.com/?Action=Unsubscribe&SubscriptionArn={subscription}",
                "MessageAttributes": {"country": {"Type": "String", "Value": "PE"}},
            }
            | fields
        )
        self.fail(body)
        return body

    def heal(self, chosen: DeadLetterPolicy) -> Any:
        """Send what is to be sent: to queues with a delay, to others by a second run, when the wait is over."""
        first = self.world.recover(self.dead, policy=chosen)
        self.world.aws.clock.advance(12)
        if set(first.by_action) != {"wait"}:
            return first
        return self.world.recover(self.dead, policy=chosen)

    def bodies(self, queue: str) -> list[str]:
        return [message["body"] for message in self.world.aws.messages(queue)]
