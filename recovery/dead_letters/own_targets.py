"""The own target of a message that no queue's redrive policy moved: found, and checked, before anything is sent."""

from __future__ import annotations

import re

from recovery.dead_letters.functions import Functions
from recovery.dead_letters.invocations import INVOKED, failed_invocation
from recovery.dead_letters.messages import Message
from recovery.dead_letters.names import short_name
from recovery.errors import Refused
from recovery.failures import Origin

_BETWEEN = re.compile(r"arn:[^:]+:(sns|events):")


def own_target(functions: Functions | None, message: Message, queue: str, named: str | None) -> str:
    """Return the address of a message's own target; "" when there is none that this project calls.

    Args:
        functions: the gateway.
        message: the message.
        queue: ARN of the dead-letter queue, or on-failure destination, that it lies in.
        named: the function that the policy names for messages that do not name theirs.

    Raises:
        Refused: the target is not certain, is gone, or could fail unseen; the message says what to do.
        Transient: AWS could not be asked now.
    """
    invocation = failed_invocation(message.body, message.attributes, message.origin)
    if functions is None or invocation is None or message.origin not in INVOKED:
        return ""
    if not invocation.payload or not invocation.request_id:
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
