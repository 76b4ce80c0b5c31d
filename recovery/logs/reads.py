"""Reads of one log group, page by page and query by query, until a limit is reached. Thin: it decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from recovery.aws import calling, require_field
from recovery.errors import Refused, Transient
from recovery.failures import LogEvent
from recovery.logs.allowance import LogAllowance
from recovery.logs.windows import Window, halves
from recovery.logs.wire import QUERY_ROWS, event_of, event_of_row, queries

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

SECONDS = 30.0
"""Time for one search."""
POLL_SECONDS = 0.5
"""Between two polls of a running query."""

ACTIONS = {"read": ("logs:FilterLogEvents", "logs:StartQuery", "logs:GetQueryResults", "logs:StopQuery")}


class Reads:
    """Reads of one log group, and the limit that was reached.

    Args:
        client, monotonic, sleep: see `recovery.logs.search.Logs`.
        group: name of the log group.
        allowance: of the run; it is spent.

    Attributes:
        cut: why not everything was read, or "".
    """

    def __init__(
        self,
        client: CloudWatchLogsClient,
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
        group: str,
        allowance: LogAllowance,
    ) -> None:
        self._client = client
        self._monotonic = monotonic
        self._sleep = sleep
        self._group = group
        self._allowance = allowance
        self._began = monotonic()
        self._events: dict[tuple[str, int, str], LogEvent] = {}
        self._token = ""
        self.cut = ""

    @property
    def events(self) -> list[LogEvent]:
        """The lines that were read, each once."""
        return list(self._events.values())

    def _filter(self, window: Window, pages: int, token: str = "", **what: Any) -> bool:
        """Read a window by FilterLogEvents, from a token on; true when it was read to its end, else a token is left."""
        request: dict[str, Any] = {
            "logGroupName": self._group,
            "startTime": max(0, window[0]),
            "endTime": max(0, window[1]),
            **what,
            **({"nextToken": token} if token else {}),
        }
        self._token = token
        for _ in range(pages):
            if not self._request():
                return False
            with calling("logs:FilterLogEvents"):
                answer = self._client.filter_log_events(**request)
            self._keep(event_of(cast("Any", event)) for event in answer.get("events", []))
            self._token = answer.get("nextToken", "")
            if not self._token:
                return True
            if self._is_over():
                return False
            request["nextToken"] = self._token
        self.cut = f"log group {self._group}: holds more lines than are read for one batch"
        return False

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
                self._allowance.scanned_bytes += float(answer.get("statistics", {}).get("bytesScanned", 0.0))
                return [event_of_row(cast("Any", row)) for row in answer.get("results", [])]
            if status not in ("Scheduled", "Running"):
                raise Transient(f"the query ended as {status}", code=str(status), operation="logs:GetQueryResults")
            if self._is_over():
                with calling("logs:StopQuery"):
                    self._client.stop_query(queryId=query)
                return None
            self._sleep(POLL_SECONDS)

    def _afford(self, window: Window) -> bool:
        return self._within_allowance(self._allowance.allows(window[1] - window[0]))

    def _request(self) -> bool:
        return self._within_allowance(self._allowance.request())

    def _within_allowance(self, allowed: bool) -> bool:
        if not allowed:
            self.cut = f"log group {self._group}: the run's allowance for reading logs is used up"
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
