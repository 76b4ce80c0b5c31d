"""Searches of a consumer's log group, bounded in requests and scanned time by the allowance, in time by the lease.

First the lines that name the messages: with FilterLogEvents while its filter can hold the ids, else with Logs Insights.
Then the streams that those lines stand in, around them: the line with the error often names no message. Last, for
messages that nothing names, all lines at the times of their receives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from recovery.aws import is_silence, silence_of
from recovery.errors import Refused, Transient
from recovery.failures import LogFinding, LoggedMessage, failures_of
from recovery.logs.allowance import LogAllowance
from recovery.logs.reads import Reads
from recovery.logs.windows import Sought, Unfinished, Window, grouped, merged
from recovery.logs.wire import patterns, queries

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
STREAM_PAGES = 20
"""Pages read of the streams around those lines."""
AFTER_MILLISECONDS = 900_000
"""Time after a line that names a message in which its stream is read: the longest that a Lambda function may run."""


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a search.

    Attributes:
        findings: by message id.
        searched: messages whose window was read to its end.
        timed: messages whose receives were read to their end.
        problem: why the log could not be read to its end, or "".
        unfinished: a read to go on from, or None.
        until: milliseconds up to which the log was read, of messages for which that is not the end of their window.
    """

    findings: Mapping[str, LogFinding] = field(default_factory=dict)
    searched: frozenset[str] = frozenset()
    timed: frozenset[str] = frozenset()
    problem: str = ""
    unfinished: Unfinished | None = None
    until: Mapping[str, int] = field(default_factory=dict)


class Logs:
    """Reads consumers' log groups.

    Args:
        client: a boto3 CloudWatch Logs client.
        monotonic: seconds that only grow, for the time limit.
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

    def read(
        self, group: str, sought: Sequence[Sought], allowance: LogAllowance, unfinished: Unfinished | None = None
    ) -> Found:
        """Find each message's own failure. Never raises: `problem` says what could not be read.

        Args:
            group: name of the log group.
            sought: messages, and when their lines were written.
            allowance: of the run; it is spent.
            unfinished: a read of an earlier run, which goes on first.
        """
        if allowance.silence:
            return Found(problem=allowance.silence)
        search = _Search(self._client, self._monotonic, self._sleep, group, allowance)
        problem = ""
        try:
            search.go_on(unfinished, {each.message.id for each in sought})
            search.naming(sought)
            search.around()
            search.invocations(sought)
        except Refused as error:
            problem = _refused(group, error)
        except Transient as error:
            problem = f"log group {group}: could not be read now ({error.code or 'no answer'})"
            if is_silence(error):
                problem = allowance.silence = silence_of("CloudWatch Logs", error)
        messages = [
            each.message if each.message.id in search.timed else _without_receives(each.message) for each in sought
        ]
        findings = failures_of(search.events, messages)
        if problem or not search.around_is_whole:
            search.searched -= {message_id for message_id, finding in findings.items() if finding.named}
        # Lines that were not read may hold a later failure, or that this one was overcome.
        whole = search.searched | search.timed
        findings = {message_id: finding for message_id, finding in findings.items() if message_id in whole}
        return Found(
            findings,
            frozenset(search.searched),
            frozenset(search.timed),
            problem or search.cut,
            search.unfinished,
            search.until,
        )


class _Search(Reads):
    """One search: the lines read so far, and the limit that was reached."""

    def __init__(
        self,
        client: CloudWatchLogsClient,
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
        group: str,
        allowance: LogAllowance,
    ) -> None:
        super().__init__(client, monotonic, sleep, group, allowance)
        self._queries = True
        self._streams: dict[str, Window] = {}
        self.unfinished: Unfinished | None = None
        self.until: dict[str, int] = {}
        self.searched: set[str] = set()
        self.timed: set[str] = set()
        self.around_is_whole = True

    def go_on(self, before: Unfinished | None, wanted: set[str]) -> None:
        """Go on with a read of an earlier run, while messages of it are still looked for.

        Raises:
            Refused, Transient: as below; a token that is too old is no error, and the read then begins anew.
        """
        if before is None or not wanted & set(before.ids):
            return
        made = patterns(before.ids)
        if len(made) != 1 or self._is_over():
            self.unfinished = before
            return
        self.unfinished = before
        try:
            done = self._filter(before.window, PAGES, token=before.token, filterPattern=made[0][0])
        except Refused as error:
            self.unfinished = None
            if error.code != "InvalidParameterException":
                raise
            return
        self._streams.update(before.streams)
        if done:
            self.unfinished = None
            self.searched.update(before.ids)
            self.until.update(dict.fromkeys(before.ids, before.window[1]))
        else:
            self.unfinished = replace(before, token=self._token or before.token, streams=self._spans())

    def naming(self, sought: Sequence[Sought]) -> None:
        """Read the lines that name the messages.

        Raises:
            Refused: the log group does not exist, or may not be read.
            Transient: it could not be read now.
        """
        begun = set(self.unfinished.ids) if self.unfinished else set()
        wanted = [
            each
            for each in sought
            if each.window is not None and each.message.id not in begun and each.message.id not in self.until
        ]
        if len(wanted) > FILTERED and self._queried(wanted):
            return
        for window, some in grouped(wanted, FILTERED):
            left = [each for each in some if each.message.id not in self.searched]
            for pattern, ids in patterns([each.message.id for each in left]):
                if self._is_over() or not self._afford(window):
                    return
                if self._filter(window, PAGES, filterPattern=pattern):
                    self.searched.update(ids)
                elif self._is_over() or not self._queried([each for each in left if each.message.id in ids]):
                    if self.unfinished is None and self._token:
                        self.unfinished = Unfinished(window, tuple(ids), self._token, self._spans())
                    return

    def around(self) -> None:
        """Read the streams of those lines, from the first of them to the longest that its work may last.

        Raises:
            Refused, Transient: as above.
        """
        spans = self._spans()
        names = sorted(spans, key=lambda name: spans[name])
        for place in range(0, len(names), STREAMS):
            some = names[place : place + STREAMS]
            start = min(spans[name][0] for name in some)
            end = max(spans[name][1] for name in some) + AFTER_MILLISECONDS
            if (
                self._is_over()
                or not self._afford((start, end))
                or not self._filter((start, end), STREAM_PAGES, logStreamNames=some)
            ):
                self.around_is_whole = False
                return

    def _spans(self) -> dict[str, Window]:
        """The streams of the lines that were read, with their time."""
        spans = dict(self._streams)
        for event in self._events.values():
            first, last = spans.get(event.stream, (event.time, event.time))
            spans[event.stream] = (min(first, event.time), max(last, event.time))
        spans.pop("", None)
        return spans

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
                    if self._is_over() or self._allowance.refused:
                        return True
        except (Refused, Transient) as error:
            if is_silence(error):
                raise
            # No permission for queries, or too many of them at once: many filters answer as well, only slower.
            self._queries = False
            return False
        if whole:
            self.cut = ""
        return True


def _without_receives(message: LoggedMessage) -> LoggedMessage:
    return LoggedMessage(message.id, message.receipt_handle, message.trace_header)


def _refused(group: str, error: Refused) -> str:
    if error.code == "ResourceNotFoundException":
        return f"log group {group}: does not exist (the policy's log_group)"
    if "denied" in error.code.lower():
        return f"log group {group}: permission {error.operation} is missing for this role"
    return f"log group {group}: {error}"
