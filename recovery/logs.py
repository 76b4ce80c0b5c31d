"""CloudWatch Logs, as evidence of why a message failed. Bounded: in pages, in time, and in the filter's length."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from recovery.aws import calling
from recovery.errors import Refused, Transient
from recovery.failures import Evidence, evidence_from_logs

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

FILTER_LENGTH = 1024
"""Characters of a filter pattern. Source: FilterLogEvents, `filterPattern`."""
PAGES = 20
"""Pages read for one pattern; a page that is empty still counts, since FilterLogEvents may return many of those."""
SECONDS = 30.0
"""Time for one look-up."""

ACTIONS = {"evidence": ("logs:FilterLogEvents",)}


@dataclass(frozen=True, slots=True)
class Found:
    """What a look-up found.

    Attributes:
        evidence: by message id.
        problem: why the rest could not be told, or "" when the log was read to its end.
    """

    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    problem: str = ""


class Logs:
    """Reads a consumer's log group.

    Args:
        client: a boto3 CloudWatch Logs client.
        elapsed: a clock in seconds that only moves forward, for the bound in time.
    """

    def __init__(self, client: CloudWatchLogsClient, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._elapsed = elapsed

    def evidence(self, group: str, message_ids: Sequence[str], since: datetime, until: datetime) -> Found:
        """What the log says of these messages.

        Args:
            group: name of the log group.
            message_ids: SQS message ids.
            since, until: when they were being worked on.
        """
        began = self._elapsed()
        events: list[Mapping[str, Any]] = []
        problem = ""
        try:
            for pattern in patterns(message_ids):
                if self._elapsed() - began > SECONDS:
                    problem = f"log group {group}: reading it took longer than {SECONDS:.0f} s"
                    break
                events += self._events(group, pattern, since, until)
        except Refused as error:
            return Found({}, _refused(group, error))
        except Transient as error:
            problem = f"log group {group}: could not be read now ({error.code or 'no answer'})"
        return Found(evidence_from_logs(events, message_ids), problem)

    def _events(self, group: str, pattern: str, since: datetime, until: datetime) -> Iterator[Mapping[str, Any]]:
        request: dict[str, Any] = {
            "logGroupName": group,
            "filterPattern": pattern,
            "startTime": int(since.timestamp() * 1000),
            "endTime": int(until.timestamp() * 1000) + 1,
        }
        for _ in range(PAGES):
            with calling("logs:FilterLogEvents"):
                answer = self._client.filter_log_events(**request)
            yield from answer.get("events", [])
            if "nextToken" not in answer:
                return
            request["nextToken"] = answer["nextToken"]


def patterns(terms: Sequence[str]) -> list[str]:
    """Filter patterns that match any of the terms, each within the length that CloudWatch Logs takes."""
    made: list[str] = []
    for term in dict.fromkeys(terms):
        piece = '?"' + term.replace('"', "") + '"'
        if made and len(made[-1]) + 1 + len(piece) <= FILTER_LENGTH:
            made[-1] += " " + piece
        else:
            made.append(piece)
    return made


def _refused(group: str, error: Refused) -> str:
    if error.code == "ResourceNotFoundException":
        return f"log group {group}: does not exist (the policy's log_group)"
    if "denied" in error.code.lower():
        return f"log group {group}: permission {error.operation} is missing for this role"
    return f"log group {group}: {error}"
