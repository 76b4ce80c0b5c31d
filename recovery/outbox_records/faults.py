"""Whose fault it is that a publish did not go through: the message's, its topic's, or SNS's. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from recovery.outbox_records.models import Fault, NotSent, Outcome, Sent

ROW_CODES = frozenset(
    {
        "InvalidParameter",
        "InvalidParameterException",
        "InvalidParameterValue",
        "InvalidParameterValueException",
        "ParameterValueInvalid",
        "ValidationException",
        "ValidationError",
        "InvalidMessageContents",
        "BatchRequestTooLong",
        "InvalidBatchEntryId",
        "UserError",
        "OptedOut",
    }
)
_ENTRY_TOPIC_CODES = re.compile(
    r"(?i)not ?found|authorization|accessdenied|invalidsecurity|^kms|disabled|expiredtoken|requestexpired|clienttokenid"
)
_THROTTLE_CODES = re.compile(r"(?i)throttl|toomanyrequests|requestlimitexceeded|slowdown|bandwidthlimit")
_INCIDENT_CODES = re.compile(r"(?i)internal|unavailable|servicefailure|time-?d?out")
# "Invalid parameter: TopicArn Reason: ..." is the topic, whatever the message; a name that SNS quotes is not.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|\u201c[^\u201d]*\u201d|\u2018[^\u2019]*\u2019")
_NAMES_THE_TOPIC = re.compile(r"(?i)\binvalid parameter: *(?:topic|target) ?(?:arn|name)?\b|\btopic does not exist")


def blame_call(code: str, text: str, *, unread: bool, entries: int) -> Fault | None:
    """The fault of a whole PublishBatch that was refused.

    Args:
        code: the error code as AWS or the SDK spelled it.
        text: the error's message.
        unread: whether the answer was not read, so that the messages may have been published.
        entries: messages in the batch.

    Returns:
        The fault; None: one of several messages, so each must be tried by itself.
    """
    if unread:
        return Fault.UNKNOWN
    if _THROTTLE_CODES.search(code):
        return Fault.THROTTLE
    if code not in ROW_CODES:
        return Fault.TOPIC
    if entries > 1:
        return None  # even where it names the topic: one message that names it must not stop the others
    return Fault.TOPIC if _names_the_topic(text) else Fault.ROW


def blame_entry(code: str, text: str, *, ours: bool | None = None) -> Fault:
    """The fault of one entry of `Failed[]`.

    Args:
        ours: SNS's `SenderFault`; None where it does not say.
    """
    if _THROTTLE_CODES.search(code):
        return Fault.THROTTLE
    if code in ROW_CODES:
        return Fault.TOPIC if _names_the_topic(text) else Fault.ROW
    if _ENTRY_TOPIC_CODES.search(code):
        return Fault.TOPIC
    return Fault.INCIDENT if ours is False or _INCIDENT_CODES.search(code) else Fault.ROW


def blame_batch(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Outcomes of the messages of a batch, seen together: where one of them went out, the topic takes messages, so
    what SNS refused for its sake or for an incident counts as the fault of those messages alone. A single message
    that is refused with the topic's name proves nothing of the topic."""
    if not any(isinstance(each, Sent) for each in outcomes):
        named = [n for n, each in enumerate(outcomes) if isinstance(each, NotSent) and _may_be_its_own(each)]
        alone = len(named) == 1
        return [
            replace(each, fault=Fault.DOUBT) if alone and n in named and isinstance(each, NotSent) else each
            for n, each in enumerate(outcomes)
        ]
    return [
        replace(each, fault=Fault.ROW)
        if isinstance(each, NotSent) and (each.fault in (Fault.INCIDENT, Fault.DOUBT) or _may_be_its_own(each))
        else each
        for each in outcomes
    ]


def _may_be_its_own(outcome: NotSent) -> bool:
    return outcome.fault is Fault.TOPIC and outcome.code in ROW_CODES


def _names_the_topic(text: str) -> bool:
    return _NAMES_THE_TOPIC.search(_QUOTED.sub("", text)) is not None
