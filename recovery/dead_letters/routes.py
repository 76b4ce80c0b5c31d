"""Subscriptions of SNS and rules of EventBridge, as far as they name the target of a message. Thin: reads only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from recovery.aws import calling, require_field
from recovery.errors import Refused

ACTIONS = {
    "endpoint": ("sns:GetSubscriptionAttributes",),
    "check_rule": ("events:ListTargetsByRule",),
}
"""IAM actions of each method."""
_CHANGES = ("Input", "InputPath", "InputTransformer")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The endpoint of a subscription, with its protocol, and whether it gets raw messages."""

    protocol: str
    address: str
    is_raw: bool


class Routes:
    """Asks once a run for each subscription and target.

    Args:
        sns: a boto3 SNS client.
        events: a boto3 EventBridge client.
    """

    def __init__(self, sns: Any, events: Any) -> None:
        self._sns = sns
        self._events = events
        self._endpoints: dict[str, Endpoint | Refused] = {}
        self._rules: dict[tuple[str, str], str | Refused] = {}

    def endpoint(self, subscription: str) -> Endpoint:
        """Return the endpoint of a subscription.

        Raises:
            Refused: it is gone, or this role may not ask.
            Transient: it could not be asked now.
        """
        if subscription not in self._endpoints:
            try:
                with calling("sns:GetSubscriptionAttributes"):
                    answer = self._sns.get_subscription_attributes(SubscriptionArn=subscription)
                found = require_field(answer, "Attributes", "sns:GetSubscriptionAttributes")
                self._endpoints[subscription] = Endpoint(
                    str(require_field(found, "Protocol", "sns:GetSubscriptionAttributes")),
                    str(require_field(found, "Endpoint", "sns:GetSubscriptionAttributes")),
                    str(found.get("RawMessageDelivery", "false")).lower() == "true",
                )
            except Refused as error:
                self._endpoints[subscription] = error
        known = self._endpoints[subscription]
        if isinstance(known, Refused):
            raise known
        return known

    def check_rule(self, rule: str, target: str) -> None:
        """Check that a rule still has a target, once, and passes it events as they are.

        Raises:
            Refused: it does not, the rule is gone, or this role may not ask.
            Transient: it could not be asked now.
        """
        if (rule, target) not in self._rules:
            try:
                self._rules[rule, target] = self._fault(rule, target)
            except Refused as error:
                self._rules[rule, target] = error
        known = self._rules[rule, target]
        if isinstance(known, Refused):
            raise known
        if known:
            raise Refused(known, code="OtherInput")

    def _fault(self, rule: str, target: str) -> str:
        *bus, name = rule.partition(":rule/")[2].split("/")
        wanted = {"Rule": name, **({"EventBusName": bus[-1]} if bus else {})}
        found: list[dict[str, Any]] = []
        with calling("events:ListTargetsByRule"):
            answer = self._events.list_targets_by_rule(**wanted)
            while True:
                found += require_field(answer, "Targets", "events:ListTargetsByRule")
                if not answer.get("NextToken"):
                    break
                answer = self._events.list_targets_by_rule(**wanted, NextToken=answer["NextToken"])
        same = [each for each in found if each.get("Arn") == target]
        if len(same) != 1:
            return f"rule {name} has this target {len(same)} times, so its input is not certain"
        changed = [field for field in _CHANGES if same[0].get(field) is not None]
        if changed:
            return f"rule {name} gives its target another input ({changed[0]}), which is not made here"
        return ""
