"""Searches of a consumer's log group. Bounded: in requests and scanned time by the run's budget, in time by the lease.

First the lines that name the messages: with FilterLogEvents while its filter can hold the ids, else with Logs Insights.
Then the streams that those lines stand in, around them: the line with the error often names no message. Last, for
messages that nothing names, all lines at the times of their receives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from recovery.aws import calling, require_field
from recovery.errors import Refused, Transient
from recovery.failures import LogEvent, LogFinding, LoggedMessage, failures_of
from recovery.logs.budget import LogBudget
from recovery.logs.windows import Sought, Window, grouped, halves, merged
from recovery.logs.wire import QUERY_ROWS, event_of, event_of_row, patterns, queries

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

FILTERED = 100
"""Messages that FilterLogEvents is asked for in one search, 25 in a pattern; more go to Logs Insights."""
STREAMS = 100
"""Names of streams in one request. Source: FilterLogEvents, `logStreamNames`."""
QUERIED = 260
"""Messages in one query: as many ids as its text holds."""
PAGES = 20
"""Pages read of one window before Logs Insights is asked instead; FilterLogEvents may return many empty ones."""
SECONDS = 30.0
"""Time for one search."""
POLL_SECONDS = 0.5
"""Between two polls of a running query."""
AFTER_MILLISECONDS = 900_000
"""Time after a line that names a message in which its stream is read: the longest that a Lambda function may run."""

ACTIONS = {"read": ("logs:FilterLogEvents", "logs:StartQuery", "logs:GetQueryResults", "logs:StopQuery")}


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a search.

    Attributes:
        findings: by message id.
        searched: messages whose window was read to its end.
        timed: messages whose receives were read to their end.
        problem: why the log could not be read to its end, or "".
    """

    findings: Mapping[str, LogFinding] = field(default_factory=dict)
    searched: frozenset[str] = frozenset()
    timed: frozenset[str] = frozenset()
    problem: str = ""


class Logs:
    """Reads consumers' log groups.

    Args:
        client: a boto3 CloudWatch Logs client.
        monotonic: seconds that only grow, for the bound in time.
        sleep: waits for seconds, between two looks at a running query.
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

    def read(self, group: str, sought: Sequence[Sought], budget: LogBudget) -> Found:
        """Find each message's own failure. Never raises: `problem` says what could not be read.

        Args:
            group: name of the log group.
            sought: messages, and when their lines were written.
            budget: of the run; it is spent.
        """
        look = _Search(self._client, self._monotonic, self._sleep, group, budget)
        problem = ""
        try:
            look.naming(sought)
            look.around()
            look.invocations(sought)
        except Refused as error:
            problem = _refused(group, error)
        except Transient as error:
            problem = f"log group {group}: could not be read now ({error.code or 'no answer'})"
        messages = [
            each.message if each.message.id in look.timed else _without_receives(each.message) for each in sought
        ]
        findings = failures_of(look.events, messages)
        if problem or not look.around_is_whole:
            look.searched -= {message_id for message_id, finding in findings.items() if finding.named}
        # Lines that were not read may tell of a later failure, or that this one was overcome.
        whole = look.searched | look.timed
        findings = {message_id: finding for message_id, finding in findings.items() if message_id in whole}
        return Found(findings, frozenset(look.searched), frozenset(look.timed), problem or look.cut)


class _Search:
    """One search: the lines read so far, and the bound that was met."""

    def __init__(
        self,
        client: CloudWatchLogsClient,
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
        group: str,
        budget: LogBudget,
    ) -> None:
        self._client = client
        self._monotonic = monotonic
        self._sleep = sleep
        self._group = group
        self._budget = budget
        self._began = monotonic()
        self._events: dict[tuple[str, int, str], LogEvent] = {}
        self._queries = True
        self.searched: set[str] = set()
        self.timed: set[str] = set()
        self.around_is_whole = True
        self.cut = ""

    @property
    def events(self) -> list[LogEvent]:
        """The lines that were read, each once."""
        return list(self._events.values())

    def naming(self, sought: Sequence[Sought]) -> None:
        """Read the lines that name the messages.

        Raises:
            Refused: the log group does not exist, or may not be read.
            Transient: it could not be read now.
        """
        wanted = [each for each in sought if each.window is not None]
        if len(wanted) > FILTERED and self._queried(wanted):
            return
        for window, some in grouped(wanted, FILTERED):
            left = [each for each in some if each.message.id not in self.searched]
            for pattern, ids in patterns([each.message.id for each in left]):
                if self._is_over() or not self._afford(window):
                    return
                if self._filter(window, PAGES, filterPattern=pattern):
                    self.searched.update(ids)
                elif not self._is_over():
                    self._queried([each for each in left if each.message.id in ids])

    def around(self) -> None:
        """Read the streams of those lines, from the first of them to the longest that its work may last.

        Raises:
            Refused, Transient: as above.
        """
        spans: dict[str, Window] = {}
        for event in self._events.values():
            first, last = spans.get(event.stream, (event.time, event.time))
            spans[event.stream] = (min(first, event.time), max(last, event.time))
        spans.pop("", None)
        names = sorted(spans, key=lambda name: spans[name])
        for place in range(0, len(names), STREAMS):
            some = names[place : place + STREAMS]
            start = min(spans[name][0] for name in some)
            end = max(spans[name][1] for name in some) + AFTER_MILLISECONDS
            if (
                self._is_over()
                or not self._afford((start, end))
                or not self._filter((start, end), PAGES, logStreamNames=some)
            ):
                self.around_is_whole = False
                return

    def invocations(self, sought: Sequence[Sought]) -> None:
        """Read all lines at the receives of messages that no line names.

        Raises:
            Refused, Transient: as above.
        """
        text = "\n".join(event.text for event in self._events.values())
        rest = [
            each
            for each in sought
            if each.around and (each.window is None or each.message.id in self.searched) and each.message.id not in text
        ]
        read: list[Window] = []
        for window in merged(part for each in rest for part in each.around):
            if self._is_over() or not self._afford(window):
                break
            if self._filter(window, PAGES):
                read.append(window)
        for each in rest:
            if all(any(start <= part[0] and part[1] <= end for start, end in read) for part in each.around):
                self.timed.add(each.message.id)

    def _filter(self, window: Window, pages: int, **what: Any) -> bool:
        """Read a window by FilterLogEvents; true when it was read to its end."""
        request: dict[str, Any] = {
            "logGroupName": self._group,
            "startTime": max(0, window[0]),
            "endTime": max(0, window[1]),
            **what,
        }
        for _ in range(pages):
            if not self._request():
                return False
            with calling("logs:FilterLogEvents"):
                answer = self._client.filter_log_events(**request)
            self._keep(event_of(cast("Any", event)) for event in answer.get("events", []))
            if "nextToken" not in answer:
                return True
            if self._is_over():
                return False
            request["nextToken"] = answer["nextToken"]
        self.cut = f"log group {self._group}: holds more lines than are read for one batch"
        return False

    def _queried(self, sought: Sequence[Sought]) -> bool:
        """Ask Logs Insights; false when it cannot be asked, so that filters must do."""
        if not self._queries:
            return False
        whole = True
        try:
            for window, some in grouped(sought, QUERIED):
                for text, ids in queries([each.message.id for each in some]):
                    if self._query(text, ids, window):
                        self.searched.update(ids)
                    else:
                        whole = False
                    if self._is_over() or self._budget.refused:
                        return True
        except (Refused, Transient):
            # No permission for queries, or too many of them at once: many filters answer as well, only slower.
            self._queries = False
            return False
        if whole:
            self.cut = ""
        return True

    def _query(self, text: str, ids: Sequence[str], window: Window) -> bool:
        """One query; an answer at its limit of rows is asked for in halves. True when all of it was read."""
        if self._is_over() or not self._afford(window) or not self._request():
            return False
        try:
            with calling("logs:StartQuery"):
                started = self._client.start_query(
                    logGroupName=self._group,
                    startTime=max(0, window[0] // 1000),
                    endTime=max(0, -(-window[1] // 1000)),
                    queryString=text,
                    limit=QUERY_ROWS,
                )
        except Refused as error:
            if error.code == "MalformedQueryException" and "retention" in str(error):
                return True  # the window is older than the log keeps lines, so there are none
            raise
        rows = self._rows(require_field(started, "queryId", "logs:StartQuery"))
        if rows is None:
            return False
        self._keep(rows)
        if len(rows) < QUERY_ROWS:
            return True
        if len(ids) > 1:
            first, second = ids[: len(ids) // 2], ids[len(ids) // 2 :]
            done = self._query(queries(first)[0][0], first, window)
            return self._query(queries(second)[0][0], second, window) and done
        if window[1] - window[0] > 2_000:
            earlier, later = halves(window)
            done = self._query(text, ids, earlier)
            return self._query(text, ids, later) and done
        self.cut = f"log group {self._group}: holds more lines of one message than are read"
        return False

    def _rows(self, query: str) -> list[LogEvent] | None:
        """The rows of a query; None when the search was over first."""
        while True:
            if not self._request():
                return None
            with calling("logs:GetQueryResults"):
                answer = self._client.get_query_results(queryId=query)
            status = answer.get("status", "Unknown")
            if status == "Complete":
                self._budget.scanned_bytes += float(answer.get("statistics", {}).get("bytesScanned", 0.0))
                return [event_of_row(cast("Any", row)) for row in answer.get("results", [])]
            if status not in ("Scheduled", "Running"):
                raise Transient(f"the query ended as {status}", code=str(status), operation="logs:GetQueryResults")
            if self._is_over():
                with calling("logs:StopQuery"):
                    self._client.stop_query(queryId=query)
                return None
            self._sleep(POLL_SECONDS)

    def _afford(self, window: Window) -> bool:
        return self._within_budget(self._budget.allows(window[1] - window[0]))

    def _request(self) -> bool:
        return self._within_budget(self._budget.request())

    def _within_budget(self, allowed: bool) -> bool:
        if not allowed:
            self.cut = f"log group {self._group}: the run's budget for reading logs is used up"
        return allowed

    def _is_over(self) -> bool:
        if self._monotonic() - self._began > SECONDS:
            self.cut = f"log group {self._group}: reading it took longer than {SECONDS:.0f} s"
            return True
        return False

    def _keep(self, events: Iterable[LogEvent]) -> None:
        for event in events:
            key = (event.stream, event.time, event.text)
            # A line that is read again, with its stream, takes its place there: lines of one instant keep their order.
            self._events.pop(key, None)
            self._events[key] = event


def _without_receives(message: LoggedMessage) -> LoggedMessage:
    return LoggedMessage(message.id, message.receipt_handle, message.trace_header)


def _refused(group: str, error: Refused) -> str:
    if error.code == "ResourceNotFoundException":
        return f"log group {group}: does not exist (the policy's log_group)"
    if "denied" in error.code.lower():
        return f"log group {group}: permission {error.operation} is missing for this role"
    return f"log group {group}: {error}"
