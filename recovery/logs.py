"""CloudWatch Logs, as evidence of why a message failed. Bounded: in pages, in queries, in time, and in lengths.

One search serves a batch. First the lines that name the messages: with FilterLogEvents while its filter can hold the
ids, else with Logs Insights. Then the streams that those lines stand in, around them: the line with the error
often names no message, only its request, or nothing at all.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from recovery.aws import calling, require_field
from recovery.errors import Refused, Transient
from recovery.failures import Evidence, evidence_from_logs

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

FILTER_LENGTH = 1024
"""Characters of a filter pattern. Source: FilterLogEvents, `filterPattern`."""
QUERY_LENGTH = 10_000
"""Characters of a query. Source: StartQuery, `queryString`."""
QUERY_ROWS = 10_000
"""Rows of a query's answer. Source: StartQuery, `limit`."""
FILTERS = 4
"""Filter patterns (about 25 ids each) in one search; more ids are asked for with Logs Insights."""
QUERIES = 8
"""Queries in one search."""
STREAMS = 100
"""Names of streams in one request. Source: FilterLogEvents, `logStreamNames`."""
PAGES = 20
"""Pages read for one request; a page that is empty still counts, since FilterLogEvents may return many of those."""
SECONDS = 30.0
"""Time for one search."""
POLL_SECONDS = 0.5
"""Between two polls of a running query."""
AFTER_MILLISECONDS = 900_000
"""Time for which a stream is read after a line that names a message: the longest that a Lambda function may run."""

CLOCKS_MILLISECONDS = 120_000
"""Greatest difference between a writer's clock and AWS's: the window is wider by it at both ends."""

ACTIONS = {"evidence": ("logs:FilterLogEvents", "logs:StartQuery", "logs:GetQueryResults", "logs:StopQuery")}

_TERM = re.compile(r"[\w\-]{1,128}")

Event = Mapping[str, Any]
"""As FilterLogEvents returns it: `message`, `timestamp` (milliseconds), `logStreamName`."""


@dataclass(frozen=True, slots=True)
class Found:
    """Result of a search.

    Attributes:
        evidence: by message id.
        problem: the reason for which the log could not be read to its end, or "".
        unnamed: messages that no line names, although it was read to its end: their lines are late, or there are none.
    """

    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    problem: str = ""
    unnamed: frozenset[str] = frozenset()


class Logs:
    """Reads a consumer's log group.

    Args:
        client: a boto3 CloudWatch Logs client.
        monotonic: a clock in seconds that only moves forward, for the bound in time.
        sleep: waits for seconds, between two polls of a running query.
    """

    def __init__(
        self,
        client: CloudWatchLogsClient,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._monotonic = monotonic
        self._sleep = sleep

    def evidence(self, group: str, message_ids: Sequence[str], since: datetime, until: datetime) -> Found:
        """Search the log for these messages. Never raises: `problem` names the part that could not be read.

        Args:
            group: name of the log group.
            message_ids: SQS message ids.
            since, until: the time in which they were being worked on.
        """
        start, end = _milliseconds(since) - CLOCKS_MILLISECONDS, _milliseconds(until) + CLOCKS_MILLISECONDS
        search = _Search(self._client, self._monotonic, self._sleep, group, max(0, start), end)
        problem = ""
        try:
            search.naming(message_ids)
            search.around()
        except Refused as error:
            return Found({}, _refused(group, error))
        except Transient as error:
            problem = f"log group {group}: could not be read now ({error.code or 'no answer'})"
        found = evidence_from_logs(search.events, message_ids)
        problem = problem or search.cut
        return Found(found, problem, frozenset() if problem else search.unnamed(message_ids))


class _Search:
    """One search: the lines read so far, and the bound that it met."""

    def __init__(
        self,
        client: CloudWatchLogsClient,
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
        group: str,
        start: int,
        end: int,
    ) -> None:
        self._client = client
        self._monotonic = monotonic
        self._sleep = sleep
        self._group = group
        self._start = start
        self._end = end
        self._began = monotonic()
        self._events: dict[tuple[str, int, str], Event] = {}
        self.cut = ""

    @property
    def events(self) -> list[Event]:
        """Return the lines that were read, each once."""
        return list(self._events.values())

    def naming(self, message_ids: Sequence[str]) -> None:
        """Read the lines that name the messages.

        Raises:
            Refused: the log group does not exist, or may not be read.
            Transient: it could not be read now.
        """
        made = patterns(message_ids)
        if len(made) > FILTERS:
            try:
                self._query(message_ids)
                return
            except (Refused, Transient):
                # No permission for queries, or too many of them at once: many filters answer as well, only slower.
                pass
        for pattern in made:
            if self._is_over():
                return
            self._read(self._start, self._end, filterPattern=pattern)

    def around(self) -> None:
        """Read the streams of those lines, from the first of them to the longest that its work may last.

        Raises:
            Refused, Transient: as above.
        """
        spans: dict[str, tuple[int, int]] = {}
        for event in self._events.values():
            stamp = int(event.get("timestamp", 0))
            first, last = spans.get(str(event.get("logStreamName", "")), (stamp, stamp))
            spans[str(event.get("logStreamName", ""))] = (min(first, stamp), max(last, stamp))
        spans.pop("", None)
        names = sorted(spans, key=lambda name: spans[name])
        for place in range(0, len(names), STREAMS):
            if self._is_over():
                return
            some = names[place : place + STREAMS]
            start = min(spans[name][0] for name in some)
            end = max(spans[name][1] for name in some) + AFTER_MILLISECONDS
            self._read(start, min(end, self._end), logStreamNames=some)

    def unnamed(self, message_ids: Sequence[str]) -> frozenset[str]:
        """The messages that no line names."""
        text = "\n".join(str(event.get("message", "")) for event in self.events)
        return frozenset(message_id for message_id in message_ids if message_id not in text)

    def _read(self, start: int, end: int, **what: Any) -> None:
        request: dict[str, Any] = {"logGroupName": self._group, "startTime": start, "endTime": end, **what}
        for _ in range(PAGES):
            with calling("logs:FilterLogEvents"):
                answer = self._client.filter_log_events(**request)
            self._keep(answer.get("events", []))
            if "nextToken" not in answer:
                return
            if self._is_over():
                return
            request["nextToken"] = answer["nextToken"]
        self.cut = f"log group {self._group}: holds more lines than are read for one batch"

    def _query(self, message_ids: Sequence[str]) -> None:
        for number, text in enumerate(queries(message_ids)):
            if number == QUERIES:
                self.cut = f"log group {self._group}: more messages than {QUERIES} queries can ask for"
                return
            if self._is_over():
                return
            with calling("logs:StartQuery"):
                started = self._client.start_query(
                    logGroupName=self._group,
                    startTime=self._start // 1000,
                    endTime=-(-self._end // 1000),
                    queryString=text,
                    limit=QUERY_ROWS,
                )
            self._keep(self._rows(require_field(started, "queryId", "logs:StartQuery")))

    def _rows(self, query: str) -> Iterable[Event]:
        while True:
            with calling("logs:GetQueryResults"):
                answer = self._client.get_query_results(queryId=query)
            status = answer.get("status", "Unknown")
            if status == "Complete":
                return [_event(cast("Any", row)) for row in answer.get("results", [])]
            if status not in ("Scheduled", "Running"):
                raise Transient(f"the query ended as {status}", code=str(status), operation="logs:GetQueryResults")
            if self._is_over():
                with calling("logs:StopQuery"):
                    self._client.stop_query(queryId=query)
                return [_event(cast("Any", row)) for row in answer.get("results", [])]
            self._sleep(POLL_SECONDS)

    def _is_over(self) -> bool:
        if self._monotonic() - self._began > SECONDS:
            self.cut = f"log group {self._group}: reading it took longer than {SECONDS:.0f} s"
            return True
        return False

    def _keep(self, events: Iterable[Any]) -> None:
        for event in events:
            key = (str(event.get("logStreamName", "")), int(event.get("timestamp", 0)), str(event.get("message", "")))
            # A line that is read again, with its stream, takes its place there: lines of one instant keep their order.
            self._events.pop(key, None)
            self._events[key] = event


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


def queries(terms: Sequence[str]) -> list[str]:
    """Queries of Logs Insights for lines with any of the terms; terms that are no ids are left out."""
    head, tail = "fields @timestamp, @message, @logStream | filter @message like /", "/ | sort @timestamp asc"
    room = QUERY_LENGTH - len(head) - len(tail)
    made: list[str] = []
    for term in dict.fromkeys(terms):
        if not _TERM.fullmatch(term):
            continue
        if made and len(made[-1]) + 1 + len(term) <= room:
            made[-1] += "|" + term
        else:
            made.append(term)
    return [head + names + tail for names in made]


def _event(row: Iterable[Mapping[str, Any]]) -> Event:
    values = {cell.get("field", ""): cell.get("value", "") for cell in row}
    return {
        "message": values.get("@message", ""),
        "logStreamName": values.get("@logStream", ""),
        "timestamp": _stamp(values.get("@timestamp", "")),
    }


def _stamp(text: str) -> int:
    try:
        return _milliseconds(datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC))
    except ValueError:
        return 0


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _refused(group: str, error: Refused) -> str:
    if error.code == "ResourceNotFoundException":
        return f"log group {group}: does not exist (the policy's log_group)"
    if "denied" in error.code.lower():
        return f"log group {group}: permission {error.operation} is missing for this role"
    return f"log group {group}: {error}"
