"""Each message's own last failure in its consumer's log. Pure.

Records are read (level, order, continuation), each is given to its message, and the last failure that was not overcome
is the evidence. No message gets another's failure: one that cannot be distinguished is nobody's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from recovery.failures.logs.assembly import records_of
from recovery.failures.logs.messages import Directory, LoggedMessage
from recovery.failures.logs.owners import Link, Unit, Work, units_of, works_of
from recovery.failures.logs.payloads import without_payloads
from recovery.failures.logs.records import Level, LogEvent, Record
from recovery.failures.logs.trouble import fails, is_success, last_failure, repeats, says_something
from recovery.failures.models import Evidence

BEFORE_MILLISECONDS = 5_000
"""Time between the receive of a message and the begin of its invocation, at most, when they are matched by time."""
_MAX_TEXT = 12_000


@dataclass(frozen=True, slots=True)
class LogFinding:
    """One message in a log.

    Attributes:
        evidence: its own last failure; None when the log reports none, or when it is not known whose it was.
        link: by what the failure was found to be this message's; None without evidence.
        named: true when any record names the message (by id, receipt handle or trace).
    """

    evidence: Evidence | None = None
    link: Link | None = None
    named: bool = False


NOTHING = LogFinding()


def failures_of(
    events: Iterable[LogEvent], messages: Iterable[LoggedMessage], *, by_time: bool = True
) -> Mapping[str, LogFinding]:
    """Find each message's own last failure in the log events of its consumer.

    Args:
        events: any order; events of one stream and one millisecond in the order in which they were written.
        messages: those that are looked for.
        by_time: whether a message that no record names may be matched to invocations by the times of its receives. It
            counts only when every invocation at one of these times ends in the same failure.

    Returns:
        A finding for every message that has an id. `evidence.source` is "logs", or "logs, by time".
    """
    sought = {message.id: message for message in messages if message.id}
    directory = Directory(sought.values())
    units = units_of(records_of(events), directory)
    works: dict[str, list[Work]] = defaultdict(list)
    named: set[str] = set()
    for unit in units:
        named |= unit.messages
        for work in works_of(unit):
            works[work.message].append(work)
    found: dict[str, LogFinding] = {}
    for message in sought.values():
        if message.id in named:
            found[message.id] = _finding(works[message.id])
        else:
            found[message.id] = _by_trace(message, units) or (_by_time(message, units) if by_time else NOTHING)
    return found


def evidence_from_logs(events: Iterable[Mapping[str, object]], message_ids: Iterable[str]) -> Mapping[str, Evidence]:
    """The same for events as FilterLogEvents returns them, by message id alone; only messages with evidence."""
    given: list[LogEvent] = []
    for event in events:
        text, time = event.get("message"), event.get("timestamp")
        if isinstance(text, str):
            stream = str(event.get("logStreamName", ""))
            given.append(LogEvent(time if isinstance(time, int) else 0, stream, text))
    found = failures_of(given, [LoggedMessage(message_id) for message_id in message_ids])
    return {message_id: finding.evidence for message_id, finding in found.items() if finding.evidence is not None}


def _finding(works: Sequence[Work]) -> LogFinding:
    """The failure of the last piece of work that failed, unless a later one ended well."""
    for work in reversed(works):
        if work.spared:
            continue
        failure, link = _failure_in(work)
        if failure is not None:
            return LogFinding(_evidence(failure), link, named=True)
        if _ended_well(work):
            break
    return LogFinding(named=True)


def _failure_in(work: Work) -> tuple[Record | None, Link]:
    records = _since_success(work)
    own = last_failure([record for record in records if not record.platform])
    fault = _fault(work.faults)
    if fault is None or (own is not None and work.link is not Link.MESSAGE and fault.platform == "report"):
        return own, work.link
    if own is None or not says_something(own):
        return fault, max(work.link, Link.INVOCATION, key=list(Link).index)
    # A report that only repeats how the invocation ended adds nothing to what the consumer wrote of it.
    timed_out = "timed out" in fault.text or "memory" in fault.text
    return (fault, work.link) if timed_out and own.level < Level.FATAL and not own.stack else (own, work.link)


def _fault(faults: Sequence[Record]) -> Record | None:
    """The platform's last word on an invocation; a report that names no cause gives way to the crash before it."""
    if not faults:
        return None
    last = faults[-1]
    if repeats(last):
        return next((fault for fault in reversed(faults) if fault.platform == "fault"), last)
    return last


def _since_success(work: Work) -> list[Record]:
    """The records after the last one that says of this message that it was done."""
    for place in range(len(work.records) - 1, -1, -1):
        if _ended(work.records[place], work.message):
            return work.records[place + 1 :]
    return work.records


def _ended_well(work: Work) -> bool:
    return any(_ended(record, work.message) for record in work.records)


def _ended(record: Record, message: str) -> bool:
    return message in record.raw and is_success(record, message)


def _evidence(record: Record, source: str = "logs") -> Evidence:
    return Evidence(error=without_payloads(record.text)[:_MAX_TEXT], source=source)


def _by_trace(message: LoggedMessage, units: Sequence[Unit]) -> LogFinding | None:
    trace = message.trace
    if not trace:
        return None
    named = False
    for unit in reversed(units):
        if not (unit.trace == trace or any(trace in record.raw for record in unit.records)) or unit.messages:
            continue
        named = True
        failure, _ = _failure_in(_whole(unit))
        if failure is not None:
            return LogFinding(_evidence(failure), Link.TRACE, named=True)
    return LogFinding(named=True) if named else None


def _whole(unit: Unit) -> Work:
    faults = [record for record in unit.records if record.platform and fails(record)]
    return Work("", list(unit.records), Link.INVOCATION, faults)


def _by_time(message: LoggedMessage, units: Sequence[Unit]) -> LogFinding:
    """The failure in which every invocation at one of the message's receives ends, if it is the same."""
    if not message.receives:
        return NOTHING
    from recovery.failures.diagnosis import diagnose

    found: list[Evidence] = []
    causes: set[tuple[str, str]] = set()
    for unit in units:
        start, end = unit.window
        if not unit.bounded or unit.messages:
            continue
        if not any(start - BEFORE_MILLISECONDS <= receive <= end for receive in message.receives):
            continue
        failure, _ = _failure_in(_whole(unit))
        if failure is None:
            return NOTHING
        evidence = _evidence(failure, "logs, by time")
        diagnosis = diagnose(evidence)
        causes.add((diagnosis.kind, diagnosis.rule))
        found.append(evidence)
    if len(causes) != 1:
        return NOTHING
    return LogFinding(found[-1], Link.TIME)
