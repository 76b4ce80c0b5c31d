"""The link from an archived message to the lines of the log about its failure. Pure.

A queue's consumer logs the message id; a function that something else invoked logs the request's id, or its input's.
"""

from __future__ import annotations

from datetime import timedelta

from recovery.console import log_lines
from recovery.dead_letters.messages import Message
from recovery.failures import Origin
from recovery.failures.evidence import invocation_record, text_of
from recovery.failures.origins import envelope

_SKEW = timedelta(minutes=1)


def log_link(message: Message, log_group: str, region: str) -> str:
    """Return the address of the lines; "" where no log is known.

    Args:
        message: the message.
        log_group: of the consumer, as the policy names it or as it was found; "" if neither.
        region: of the queue.
    """
    function, words = _invocation(message)
    if log_group:
        # A redrive keeps the time of the first send; elsewhere the message is younger than its failure.
        since = message.sent_at - _SKEW if message.origin is Origin.SQS_REDRIVE else None
        return log_lines(region, log_group, words, since)
    parts = function.split(":")
    is_function = len(parts) >= 7 and parts[2] == "lambda"
    return log_lines(parts[3], f"/aws/lambda/{parts[6]}", words) if is_function and words else ""


def _invocation(message: Message) -> tuple[str, str]:
    """ARN of the function that failed, "" if there is none, and words of its log."""
    if message.origin in (Origin.LAMBDA_DESTINATION, Origin.LAMBDA_ESM):
        context = invocation_record(message.body).get("requestContext")
        if isinstance(context, dict):
            return str(context.get("functionArn", "")), str(context.get("requestId", ""))
    if message.origin is Origin.LAMBDA_ASYNC:
        return "", text_of(message.attributes.get("RequestID")) or message.message_id
    if message.origin is Origin.EVENTBRIDGE:
        return text_of(message.attributes.get("TARGET_ARN")), str((envelope(message.body) or {}).get("id", ""))
    return "", message.message_id
