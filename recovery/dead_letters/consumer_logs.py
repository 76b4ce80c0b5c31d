"""A plain redrive carries no error: the log of its consumer may name it.

The log group is the policy's; without one it is found by the source queue's event source mapping and its function.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from recovery.cases import State
from recovery.consumers import Consumer
from recovery.dead_letters.batch import Batch, MessageWork
from recovery.dead_letters.conclusions import conclude, earlier_search, memory_of
from recovery.dead_letters.search_times import CLOCKS_MILLISECONDS, SOON_MILLISECONDS, Source, Times, is_due, times_of
from recovery.dead_letters.searched import Search, SearchMemory
from recovery.dead_letters.work import Work
from recovery.errors import RepriseError, Transient
from recovery.failures import Evidence, LogFinding, LoggedMessage, Origin
from recovery.failures.logs import NOTHING, Link
from recovery.logs import Sought
from recovery.logs.reads import SECONDS

ASKED_AT_ONCE = 1000
"""Messages in one search of log lines, so that slow queries fit into its time."""
_FROM_QUEUES = (Origin.SQS_REDRIVE, Origin.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Place:
    """The log that speaks of the messages of one source queue.

    Attributes:
        group: name of the log group, "" when none is known.
        reason: why none is known, or "".
        source: the source queue, when it is known.
        consumer: its Lambda consumer, when it was found.
        later: nothing is known only because AWS did not say it now, so that messages must wait for it.
    """

    group: str
    reason: str = ""
    source: Source | None = None
    consumer: Consumer | None = None
    later: bool = False

    def times(self, message: MessageWork) -> Times:
        """Return the times at which lines about a message may have been written."""
        function = self.consumer.function if self.consumer else None
        batching = self.consumer.batching_seconds if self.consumer else 0
        return times_of(message.message, self.source, function.timeout_seconds if function else None, batching)


def ask_logs(work: Work, batch: Batch, mark: int) -> None:
    """Give messages without evidence what the log says of them, or the reason why it says nothing yet.

    Args:
        work: the run.
        batch: its messages.
        mark: of the rules: what others concluded from a log does not count.
    """
    wanted = [item for item in batch.items if _wants_log(item)]
    if not wanted:
        return
    by_source: dict[str, list[MessageWork]] = defaultdict(list)
    for item in wanted:
        by_source[item.message.source_arn].append(item)
    began = work.seconds
    for arn, items in by_source.items():
        place = _place(work, batch, arn)
        if not place.group:
            for item in items:
                item.unread = place.reason
            if place.later:
                _wait(items, place.reason)
            continue
        for item in items:
            item.log_group = place.group
        memory = memory_of(work, batch.queue)
        for start in range(0, len(items), ASKED_AT_ONCE):
            part = items[start : start + ASKED_AT_ONCE]
            if work.seconds - began < SECONDS:
                _ask(work, batch, place, part, memory, mark)
            else:  # the lease of the round does not wait for a slow log
                _wait(part, f"its consumer's log {place.group} was too slow for so many messages at once")


def _wants_log(item: MessageWork) -> bool:
    if item.message.origin not in _FROM_QUEUES:
        return False
    if item.evidence.is_empty:
        # A message that waits was triaged before its wait began.
        return not (item.history is not None and item.history.state is State.BACKOFF and item.history.kind)
    # SQS moved it, so nobody can have written into its attributes since: they are of an earlier failure.
    return _is_stale(item)


def _is_stale(item: MessageWork) -> bool:
    return (
        item.history is not None
        and item.message.origin is Origin.SQS_REDRIVE
        and item.evidence.source == "message attributes"
    )


# -- where -------------------------------------------------------------------------------------------------------


def _place(work: Work, batch: Batch, arn: str) -> Place:
    """The log of a source queue's consumer; asked once a run."""
    key = (batch.queue.name, arn)
    if key not in work.places:
        work.places[key] = _found(work, batch, arn)
    return work.places[key]


def _found(work: Work, batch: Batch, arn: str) -> Place:
    policy = batch.policy
    url = batch.queue.sources.get(arn, "") if arn else ""
    source = None
    if url and (policy.log_group or policy.find_consumer):
        try:
            source = work.sqs.source(url)
        except RepriseError:
            source = None  # only its times are not known then
    if policy.log_group:
        return Place(policy.log_group, source=source)
    if not policy.find_consumer or not arn or work.consumers is None:
        return Place("")
    if "lambda" in work.silent:
        return Place("", work.silent["lambda"], later=True)
    try:
        consumers = work.consumers.of_queue(arn)
    except Transient as error:
        if work.stop_asking("lambda", error, is_needed=False):
            return Place("", work.silent["lambda"], later=True)
        return Place("", f"its consumer could not be looked up now ({error.code or 'no answer'})", later=True)
    except RepriseError as error:
        note = f"permission {error.operation} is missing for this role" if "enied" in error.code else str(error)
        return Place("", f"its consumer could not be looked up: {note}")
    name = arn.rpartition(":")[2]
    running = [consumer for consumer in consumers if consumer.function is not None]
    if not running:
        why = consumers[0].problem if consumers else f"no Lambda function consumes queue {name}"
        return Place("", why)
    if len({consumer.function.log_group for consumer in running if consumer.function}) > 1:
        names = ", ".join(sorted(consumer.name for consumer in running))
        return Place("", f"queue {name} has several consumers ({names}), so none of their logs is surely its own")
    assert running[0].function is not None
    return Place(running[0].function.log_group, source=source, consumer=running[0])


# -- asking ------------------------------------------------------------------------------------------------------


def _ask(
    work: Work, batch: Batch, place: Place, items: Sequence[MessageWork], memory: SearchMemory | None, mark: int
) -> None:
    now = _milliseconds(work.now())
    times = {item.message.message_id: place.times(item) for item in items}
    before = {item.message.message_id: earlier_search(memory, place.group, item, batch.policy, mark) for item in items}
    by_time = batch.policy.match_by_time
    sought = []
    for item in items:
        one = _sought(item, times[item.message.message_id], before[item.message.message_id], now, by_time=by_time)
        if one.window is not None or one.around:
            sought.append(one)
    begun = memory.unfinished(place.group) if memory else None
    if begun is not None and not {one.message.id for one in sought} & set(begun.ids):
        begun = None
    found = work.logs.read(place.group, sought, work.log_allowance, begun) if sought else None
    if found is not None and memory is not None and (begun is not None or found.unfinished is not None):
        memory.note_unfinished(place.group, found.unfinished)
    if found is not None and found.problem and found.problem not in work.warnings:
        work.warnings.append(found.problem)
    asked = {one.message.id for one in sought}
    silent: list[MessageWork] = []
    for item in items:
        key = item.message.message_id
        finding = found.findings.get(key, NOTHING) if found is not None else NOTHING
        if finding.evidence is not None and not (_is_stale(item) and finding.link is Link.TIME):
            _take(item, finding.evidence, finding)
            item.read_until = found.until.get(key, min(now, times[key].end)) if found is not None else 0
            continue
        search = before[key]
        if found is not None and key in asked:
            until = found.until.get(key, min(now, times[key].end)) if key in found.searched else search.until
            search = Search(until, search.timed or key in found.timed, search.concluded)
            if memory is not None:
                memory.note(place.group, key, search)
            if key in found.searched and not finding.named:
                silent.append(item)
        if search.concluded is not None:
            conclude(item, search.concluded)
            continue
        if _is_stale(item) and search.until >= min(times[key].settled, now):
            continue  # the older failure is all there is
        if found is not None and key in asked and found.problem and key not in found.searched | found.timed:
            item.pending = f"its consumer's log could not show yet why it failed: {found.problem}"
        elif search.until < times[key].settled:
            item.pending = f"no line of log group {place.group} names it yet; lines may be late"
        else:
            item.searched = _note(place, finding, by_time=search.timed)
    _throttled(work, place, silent, times)


def _sought(item: MessageWork, times: Times, before: Search, now: int, *, by_time: bool) -> Sought:
    message = item.message
    window = None
    if is_due(times, before.until, now):
        start = max(times.start, before.until - CLOCKS_MILLISECONDS) if before.until else times.start
        window = (start, max(start + 1, min(times.end, now + CLOCKS_MILLISECONDS)))
    around = times.around if by_time and not before.timed and now >= times.ended + SOON_MILLISECONDS else ()
    receives = times.receives if around else ()
    logged = LoggedMessage(message.message_id, trace_header=message.system.get("AWSTraceHeader", ""), receives=receives)
    return Sought(logged, window, around)


def _take(item: MessageWork, evidence: Evidence, finding: LogFinding) -> None:
    item.evidence = replace(evidence, body=item.message.body)
    item.by_time = finding.link is Link.TIME


def _note(place: Place, finding: LogFinding, *, by_time: bool) -> str:
    """The answer of a log that was read to its end and has no evidence."""
    if finding.named:
        return f"lines of log group {place.group} name it, but none shows a failure that is surely its own"
    note = f"no line of log group {place.group} names it"
    if by_time:
        note += ", and the invocations at the times of its receives do not show one cause"
    if place.consumer is not None and place.consumer.silence:
        note += f"; {place.consumer.silence}"
    return note


def _throttled(work: Work, place: Place, silent: Sequence[MessageWork], times: dict[str, Times]) -> None:
    """Messages that nothing names may never have reached the function: Lambda counts what it refused."""
    if not silent or work.consumers is None or place.consumer is None or place.consumer.function is None:
        return
    name = place.consumer.name
    since = min(times[item.message.message_id].start for item in silent)
    until = max(times[item.message.message_id].ended for item in silent)
    known = work.loads.get(name)
    if known is None or known[0] > since or known[1] < until:
        if "cloudwatch" in work.silent:
            return
        try:
            load = work.consumers.load(name, _moment(since), _moment(until))
        except RepriseError as error:
            work.stop_asking("cloudwatch", error, is_needed=False)
            return  # a wish, not a need: the log was searched
        known = work.loads[name] = (since, until, load)
    load = known[2]
    for item in silent:
        receives = times[item.message.message_id].receives
        if receives and all(load.only_throttled(receive, receive) for receive in receives):
            item.evidence = Evidence(
                error=f"TooManyRequestsException: Rate Exceeded. The function {name} was throttled; no log exists",
                body=item.message.body,
                source="lambda metrics",
            )
            item.by_time, item.pending, item.searched = True, "", ""
            item.read_until = until
        elif item.searched and any(load.throttled(receive, receive) for receive in receives):
            item.searched += f"; function {name} was throttled at that time, and then no log exists"


def _wait(items: Sequence[MessageWork], reason: str) -> None:
    for item in items:
        if item.evidence.is_empty:
            item.pending = reason


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
