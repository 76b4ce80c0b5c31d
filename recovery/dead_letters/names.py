"""Names of queues, as people and SQS write them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from recovery.errors import BadInput

_HOST = re.compile(r"sqs(?:-fips)?\.([a-z]{2,}(?:-[a-z]+)+-\d+)\.")


@dataclass(frozen=True, slots=True)
class QueueName:
    """A queue as somebody wrote it: by name, URL or ARN.

    Attributes:
        name: the queue's name.
        account, region: "" where they are not stated.
    """

    name: str
    account: str = ""
    region: str = ""


def name_of(written: str) -> str:
    """Return a queue's name from its name, URL or ARN.

    Raises:
        BadInput: nothing is left of it.
    """
    return parsed(written).name


def parsed(written: str) -> QueueName:
    """Read a queue's name, URL or ARN.

    Raises:
        BadInput: it is none of these.
    """
    text = written.strip().rstrip("/")
    account = region = ""
    if text.startswith("arn:"):
        parts = text.split(":")
        region, account = parts[3:5] if len(parts) == 6 else ("", "")
        text = parts[-1]
    elif "://" in text:
        host, _, path = text.partition("://")[2].partition("/")
        of_sqs = _HOST.match(host)
        region = of_sqs[1] if of_sqs else ""
        account, _, text = path.rpartition("/")
        account = account.rsplit("/", 1)[-1]
    if not text or "/" in text or ":" in text:
        raise BadInput(f"queue {written!r}: expected a name, a URL or an ARN")
    return QueueName(text, account if account.isdecimal() else "", region)


def matches(pattern: str, written: str) -> bool:
    """True when a pattern means a queue; what either does not state, account or region, may be any.

    Args:
        pattern: a name, URL or ARN, each of whose parts may be a glob.
        written: the queue's name, URL or ARN.

    Raises:
        BadInput: one of them is no such thing.
    """
    wanted, queue = parsed(pattern), parsed(written)
    return (
        fnmatchcase(queue.name, wanted.name)
        and (not wanted.account or not queue.account or wanted.account == queue.account)
        and (not wanted.region or not queue.region or fnmatchcase(queue.region, wanted.region))
    )


def is_queue(address: str) -> bool:
    """True for a queue's URL, as against the ARN of another target."""
    return address.startswith(("https://", "http://"))


def is_subscription(address: str) -> bool:
    """True for the ARN of a subscription, which is that of its topic with one part more."""
    return ":sns:" in address and address.count(":") == 6


def short_name(address: str) -> str:
    """Return the name of a queue or another target for people, a function's with its version or alias."""
    if function := address.partition(":function:")[2]:
        return function
    return re.split("[/:]", address)[-1]
