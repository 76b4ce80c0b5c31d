"""The target of a message that no queue's redrive policy moved, as the message and AWS show it. Gathers only."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from recovery.dead_letters.actions import DIRECT, Target
from recovery.dead_letters.callers import Callers
from recovery.dead_letters.deliveries import (
    CALLED,
    attribute,
    call_of_schedule,
    event_of,
    put_again,
    subscription_of,
    topic_of,
)
from recovery.dead_letters.functions import Functions
from recovery.dead_letters.invocations import INVOKED, failed_invocation
from recovery.dead_letters.messages import Message
from recovery.dead_letters.names import is_subscription, parsed, short_name
from recovery.errors import Refused
from recovery.failures import Origin

_BETWEEN = re.compile(r"arn:[^:]+:(sns|events):")
_NOT_CALLED = frozenset({"OtherInput", "OtherTarget"})
"""Codes of targets that are there, and cannot be called as their service calls them."""
_KINDS = {
    "lambda": Target.LAMBDA,
    "sqs": Target.SQS,
    "sns": Target.SNS,
    "states": Target.STEP_FUNCTIONS,
    "events": Target.EVENT_BUS,
}


def own_target(
    callers: Callers | None,
    message: Message,
    queue: str,
    *,
    url_of: Callable[[str, str], str],
    named: str | None = None,
    allowed: Collection[Target] = DIRECT,
) -> str:
    """Return the address of a message's own target; "" when its origin has none.

    Args:
        callers: gateways.
        message: the message.
        queue: ARN of the dead-letter queue, or on-failure destination, that it lies in.
        url_of: returns the URL of a queue by its ARN, seen from that queue; "" when it is gone.
        named: the function that the policy names for messages that do not name theirs.
        allowed: targets that the policy, or a person, allows.

    Raises:
        Refused: the target is not certain, is gone, is none that is called, or could fail unseen; the message says why.
        Transient: AWS could not be asked now.
    """
    if message.origin not in CALLED or callers is None:
        return ""
    try:
        target = _target_of(callers, message, queue, named)
        kind = _kind(target)
        if kind not in allowed:
            raise Refused(f"its target is {short_name(target)}, and targets {kind.value} are not allowed")
        return _address(callers, message, queue, target, url_of)
    except Refused as error:
        wide = _wide(message, allowed) if error.code in _NOT_CALLED else ""
        if not wide:
            raise
        _require_home(wide, queue)
        return wide


def _target_of(callers: Callers, message: Message, queue: str, named: str | None) -> str:
    if message.origin in INVOKED:
        return _failed_function(callers.functions, message, queue, named)
    if message.origin is Origin.SNS:
        subscription = subscription_of(message)
        if not subscription:
            raise Refused("the notification does not name its subscription", code="OtherTarget")
        endpoint = callers.routes.endpoint(subscription)
        if endpoint.is_raw:
            raise Refused("its subscription takes raw messages now, and this is an envelope", code="OtherInput")
        if endpoint.protocol in ("http", "https"):
            return subscription  # its address may hold a password, and the target's stands in ledger and reports
        if endpoint.protocol not in ("sqs", "lambda"):
            raise Refused(
                f"its subscription is of protocol {endpoint.protocol}: it is not called here", code="OtherTarget"
            )
        return endpoint.address
    target = attribute(message, "TARGET_ARN")
    if not target:
        raise Refused("the message does not name its target", code="NoTarget")
    if call := call_of_schedule(message):
        name = parsed(call[0])
        partition, _, region, account = queue.split(":")[1:5]
        return f"arn:{partition}:sqs:{name.region or region}:{name.account or account}:{name.name}"
    if message.origin is Origin.EVENTBRIDGE:
        callers.routes.check_rule(attribute(message, "RULE_ARN"), target)
    return target


def _kind(target: str) -> Target:
    service = [*target.split(":", 3), "", ""][2]
    if is_subscription(target):
        return Target.HTTP
    if service not in _KINDS:
        raise Refused(f"its target {target} is of a service that is not called here", code="OtherTarget")
    return _KINDS[service]


def _address(callers: Callers, message: Message, queue: str, target: str, url_of: Callable[[str, str], str]) -> str:
    _require_home(target, queue)
    kind = _kind(target)
    if target.endswith(".fifo"):
        raise Refused("its target is FIFO, and the message does not hold its group", code="OtherInput")
    if kind is Target.SQS:
        if target == queue:
            raise Refused("its target is the dead-letter queue itself", code="SameQueue")
        if url := url_of(target, queue):
            return url
        raise Refused(f"its target, queue {short_name(target)}, is gone", code="QueueDoesNotExist")
    if kind is Target.LAMBDA and message.origin not in INVOKED:
        facts = callers.functions.describe(target)
        if not (facts.dead_letters_to or facts.on_failure):
            raise Refused(
                f"function {short_name(target)} has neither a dead-letter queue nor an on-failure destination, so a"
                " failure would not be seen",
                code="FailuresUnseen",
            )
        if not event_of(message):
            raise Refused("the message holds no event to invoke the function with", code="NoPayload")
    if kind is Target.EVENT_BUS:
        if message.origin is not Origin.EVENTBRIDGE:
            raise Refused("its schedule gives the bus a source and type that the message does not hold", code="NoEvent")
        put_again(message)
    return target


def _wide(message: Message, allowed: Collection[Target]) -> str:
    """Return the address where others get the message again as well, if that is allowed; else ""."""
    if message.origin is Origin.EVENTBRIDGE and Target.ALL_RULES in allowed:
        put_again(message)
        home, _, rule = attribute(message, "RULE_ARN").partition(":rule/")
        return f"{home}:event-bus/{rule.rpartition('/')[0] or 'default'}" if rule else ""
    if message.origin is Origin.SNS and Target.ALL_SUBSCRIBERS in allowed:
        return "" if topic_of(message).endswith(".fifo") else topic_of(message)
    return ""


def _require_home(target: str, queue: str) -> None:
    if _home(target) != _home(queue):
        raise Refused(f"its target {target} is of another account or region than this queue", code="OtherRegion")


def _failed_function(functions: Functions, message: Message, queue: str, named: str | None) -> str:
    invocation = failed_invocation(message.body, message.attributes, message.origin)
    if invocation is None or not invocation.payload or not invocation.request_id:
        raise Refused("the record holds no event or no request id to invoke it with", code="NoPayload")
    function = invocation.function or _function_of(functions, queue, named)
    if _home(function) != _home(queue):
        raise Refused(
            f"function {short_name(function)} is of another account or region than this queue", code="OtherRegion"
        )
    facts = functions.describe(function)
    if message.origin is Origin.LAMBDA_ASYNC and facts.on_failure:
        raise Refused(
            f"function {short_name(function)} also has an on-failure destination, which gets the same failure with its"
            " error: only that record goes back, or the work would be done twice",
            code="TwoRecords",
        )
    end = facts.dead_letters_to if message.origin is Origin.LAMBDA_ASYNC else facts.on_failure
    # A topic or a bus may lie between, and its subscribers are not known here.
    if end != queue and not _BETWEEN.match(end):
        raise Refused(
            f"function {short_name(function)} sends its failures to this queue no more, so a failure would not be seen:"
            " set its dead-letter queue or on-failure destination again",
            code="FailuresUnseen",
        )
    return function


def _function_of(functions: Functions, queue: str, named: str | None) -> str:
    if named:
        return named if named.startswith("arn:") else f"arn:{_home(queue, 'lambda')}:function:{named}"
    found = functions.with_dead_letter_queue(queue)
    if len(found) == 1:
        return found[0]
    if not found:
        raise Refused("no function has this queue as its dead-letter queue: name it in function", code="NoFunction")
    names = ", ".join(short_name(arn) for arn in found[:5])
    raise Refused(f"several functions or versions have this dead-letter queue ({names}): name one in function")


def _home(arn: str, service: str = "") -> str:
    """Return partition, service, region and account of an ARN."""
    _, partition, _, region, account = [*arn.split(":", 5), "", "", "", ""][:5]
    return f"{partition}:{service}:{region}:{account}"
