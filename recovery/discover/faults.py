"""Faults of a set-up, and where evidence will be found. Pure.

Sources: the SQS developer guide on dead-letter queues and on visibility timeouts, and Lambda's guide on SQS as an event
source (six times the function's timeout and the batching window, at least five receives, five pollers at first, partial
batch responses, maximum concurrency).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from recovery.consumers.models import Consumer
from recovery.discover.models import Alarm, Fault, LogGroup, Row, Setup, SourceSetup

VISIBILITY_TIMES = 6
FEWEST_RECEIVES = 5
POLLERS = 5
DEPTH = "ApproximateNumberOfMessagesVisible"
AGE = "ApproximateAgeOfOldestMessage"
SENT = "NumberOfMessagesSent"
METRICS = (DEPTH, AGE, SENT)


@dataclass(frozen=True, slots=True)
class _Evidence:
    found: bool
    text: str
    log_group: str = ""


def row_of(setup: Setup) -> Row:
    """Return what the survey says of a dead-letter queue."""
    answers = [_evidence_of(source) for source in setup.sources]
    groups = {each.log_group for each in answers if each.log_group}
    if not answers:
        text = "no queue's messages die into it; its messages carry their error where AWS or a consumer writes one"
        return Row(setup, text, found=False, faults=tuple(_faults(setup)))
    return Row(
        setup,
        "; ".join(dict.fromkeys(each.text for each in answers)),
        found=all(each.found for each in answers),
        faults=tuple(_faults(setup)),
        log_group=groups.pop() if len(groups) == 1 and len(answers) == 1 else "",
    )


def _evidence_of(source: SourceSetup) -> _Evidence:
    name = source.queue.name
    if source.consumers is None:
        return _Evidence(False, f"{name}: its consumer could not be looked up")
    functions = [consumer.function for consumer in source.consumers if consumer.function]
    if not source.consumers:
        return _Evidence(False, f"{name}: no Lambda function consumes it; name its consumer's log_group")
    if not functions:
        return _Evidence(False, f"{name}: {source.consumers[0].problem}")
    groups = sorted({function.log_group for function in functions})
    if len(groups) > 1:
        return _Evidence(False, f"{name}: {len(groups)} log groups ({', '.join(groups)}), none of them surely its own")
    known = {group.name: group for group in source.log_groups}.get(groups[0])
    if known is not None and not known.exists:
        return _Evidence(False, f"{name}: log group {groups[0]} does not exist")
    if known is not None and known.log_class == "DELIVERY":
        return _Evidence(False, f"{name}: log group {groups[0]} is of the class DELIVERY, which cannot be searched")
    how = "by message id" if source.queue.fifo else "by message id, else by time"
    return _Evidence(True, f"{name}: log of {functions[0].name} ({functions[0].log_format}), {how}", groups[0])


def _faults(setup: Setup) -> Iterator[Fault]:
    queue = setup.queue
    if not setup.exists:
        names = ", ".join(source.queue.name for source in setup.sources)
        yield Fault("missing", f"it does not exist, so messages of {names} are tried until they expire")
        return
    yield from _alarm_faults(setup.alarms)
    for consumer in setup.consumers:
        yield Fault("consumed", f"function {consumer.name} consumes it as well, and takes its messages away")
    if queue.dead_arn:
        yield Fault("chained", "it has a dead-letter queue of its own: every look at a message counts as a receive")
    if len(setup.sources) > 1:
        names = ", ".join(source.queue.name for source in setup.sources)
        yield Fault("shared", f"several queues share it ({names}): one failing consumer fills it for all")
    if queue.fifo:
        yield Fault(
            "fifo",
            "it is of a FIFO queue: a message that died lets later ones of its group pass, and comes back behind them",
        )
    for source in setup.sources:
        yield from _source_faults(setup, source)


def _alarm_faults(alarms: Sequence[Alarm] | None) -> Iterator[Fault]:
    if alarms is None:
        return
    useful = [alarm for alarm in alarms if alarm.metric in (DEPTH, AGE)]
    if not useful and alarms:
        yield Fault(
            "alarm-on-sent",
            f"alarm {alarms[0].name} watches {SENT}, which does not count messages that SQS moves: watch {DEPTH}",
        )
    elif not useful:
        yield Fault("no-alarm", f"no alarm watches it: set one on {DEPTH} above 0")
    elif not any(alarm.notifies for alarm in useful):
        yield Fault("silent-alarm", f"alarm {useful[0].name} notifies nobody: it is off, or has no action")


def _source_faults(setup: Setup, source: SourceSetup) -> Iterator[Fault]:
    dead, queue = setup.queue, source.queue
    if dead.admits == "denyAll" or (dead.admits == "byQueue" and queue.arn not in dead.admitted):
        yield Fault("not-admitted", f"its redrive allow policy does not admit {queue.name}, so nothing can be moved")
    if dead.retention_seconds <= queue.retention_seconds and not queue.fifo:
        yield Fault(
            "retention",
            f"it keeps messages no longer ({_days(dead.retention_seconds)}) than {queue.name}"
            f" ({_days(queue.retention_seconds)}): a moved message keeps its age, so it may expire soon after",
        )
    for consumer in source.consumers or ():
        yield from _consumer_faults(source, consumer, dead.retention_seconds)
    if source.consumers and 0 < queue.max_receives < FEWEST_RECEIVES:
        yield Fault(
            "few-receives",
            f"{queue.name} moves messages after {queue.max_receives} receive(s): with fewer than {FEWEST_RECEIVES},"
            " throttled invocations alone fill it",
        )


def _consumer_faults(source: SourceSetup, consumer: Consumer, retention_seconds: int) -> Iterator[Fault]:
    if consumer.silence:
        yield Fault("consumer-off", f"{source.queue.name}: {consumer.silence}")
    function = consumer.function
    if function is None:
        return
    if consumer.batch_size > 1 and not consumer.reports_items:
        yield Fault(
            "whole-batch",
            f"function {function.name} takes {consumer.batch_size} messages at once and does not report which failed:"
            " one bad message lets all of its batch die",
        )
    if function.reserved and function.reserved < POLLERS and not consumer.most_at_once:
        yield Fault(
            "throttled",
            f"function {function.name} has a reserved concurrency of {function.reserved}, and Lambda polls with"
            f" {POLLERS} from the start: set a maximum concurrency on the mapping, or throttled messages die",
        )
    if function.log_level == "FATAL":
        yield Fault("log-level", f"function {function.name} logs nothing below FATAL, so its errors leave no line")
    least = VISIBILITY_TIMES * function.timeout_seconds + consumer.batching_seconds
    if source.queue.visibility_seconds < least:
        yield Fault(
            "visibility",
            f"{source.queue.name} hides messages for {source.queue.visibility_seconds} s; for function"
            f" {function.name} it should be {least} s (six times its timeout of {function.timeout_seconds} s)",
        )
    groups: Mapping[str, LogGroup] = {group.name: group for group in source.log_groups}
    group = groups.get(function.log_group)
    if group is not None and not group.exists:
        yield Fault("no-log", f"log group {group.name} does not exist: {function.name} never logged, or may not")
    elif group is not None and group.retention_days is not None and group.retention_days * 86_400 < retention_seconds:
        yield Fault(
            "log-retention",
            f"log group {group.name} keeps lines for {group.retention_days} days, less than the dead-letter queue"
            f" keeps messages ({_days(retention_seconds)})",
        )


def _days(seconds: int) -> str:
    return f"{seconds / 86_400:g} days" if seconds >= 86_400 else f"{seconds} s"
