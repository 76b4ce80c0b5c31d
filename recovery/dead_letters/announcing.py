"""Alerts of a run: one for each cause, whatever queues it is in, and only so many before one that sums up the rest.

Messages whose copy is safe wait here, without their bodies, until each queue had its turn. Then people are notified,
and the originals may go. A run that dies before leaves them in their queue, and their case says that people must know.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta

from recovery.alerts import Alert, Announced
from recovery.dead_letters import notices
from recovery.dead_letters.batch import Batch
from recovery.dead_letters.notices import Member
from recovery.dead_letters.work import Work
from recovery.errors import OutcomeUnknown, RepriseError, Transient

MOST_OF_QUEUE = 5
MOST_OF_RUN = 20
"""Alerts that a run sends at most, for one queue and in all; what is left has one summary."""
CONSIDERED = 100
"""Groups of which a run asks the ledger at most whether people know of them: the largest."""
_LOOKS = 5  # a publish takes well under a second; after these seconds its sender is taken for dead


def postpone(work: Work, batch: Batch) -> None:
    """Collect the alerts, until the run has seen all queues."""
    waiting = batch.split_off(batch.to_announce())
    if waiting.items:
        work.postponed.append(waiting)


def announce_groups(work: Work) -> None:
    """Notify people, once for each cause. Messages whose alert is not out yet stay in their queue.

    Raises:
        Transient: SNS or the ledger was throttled before an alert was published; repeating is safe, since an alert
            that is out is known to be out.
    """
    for batch in work.postponed:
        batch.keep_to_leases(batch.to_announce(), work.now())
    groups: dict[tuple[str, str], list[Member]] = defaultdict(list)
    for batch in work.postponed:
        for item in batch.to_announce():
            member = Member(batch.queue, item)
            groups[batch.queue.home, notices.alert_group(member)].append(member)
    throttled: list[Transient] = []
    rest: dict[str, dict[str, Sequence[Member]]] = defaultdict(dict)
    largest = sorted(groups.items(), key=lambda group: -len(group[1]))
    for n, ((home, group), members) in enumerate(largest):
        if n >= CONSIDERED or not _has_room(work, members):
            rest[home][group] = members
        elif _notify(work, notices.alert(group, members), members, throttled) is Announced.SENT:
            work.alerts_of.update({member.queue.arn for member in members})
            work.alerts_sent += 1
    for left in rest.values():
        _notify(work, notices.summary(left), [member for same in left.values() for member in same], throttled)
    if throttled:
        raise throttled[0]


def give_up(work: Work, error: RepriseError) -> None:
    """Leave in their queues the messages of which people could not be notified."""
    for batch in work.postponed:
        batch.give_up(error, batch.to_announce())
        work.note_refusal(batch.queue, error)


def _has_room(work: Work, members: Iterable[Member]) -> bool:
    queues = {member.queue.arn for member in members}
    return work.alerts_sent < MOST_OF_RUN and any(work.alerts_of[arn] < MOST_OF_QUEUE for arn in queues)


def _notify(work: Work, alert: Alert, members: Sequence[Member], throttled: list[Transient]) -> Announced | None:
    """Send an alert and note of its messages that people know; None: it is not out, and the messages say why."""
    windows = {batch.queue.arn: batch.policy.alert_window_seconds for batch in work.postponed}
    window = timedelta(seconds=min(windows[member.queue.arn] for member in members))
    try:
        if "sns" in work.silent:
            raise Transient(work.silent["sns"])
        done = _announce(work, alert, window)
        if done is Announced.ELSEWHERE:
            raise Transient("another run has been sending this group's alert, and it is not known to be out")
    except RepriseError as error:
        is_silent = "sns" in work.silent or work.stop_asking("sns", error)
        if isinstance(error, Transient) and error.code and not is_silent and not isinstance(error, OutcomeUnknown):
            throttled.append(error)
            return None
        for member in members:
            member.item.failure = Transient(work.silent["sns"]) if is_silent else error
        for queue in {member.queue.arn: member.queue for member in members}.values():
            work.note_refusal(queue, error)
        return None
    for member in members:
        member.item.announced = True
    return done


def _announce(work: Work, alert: Alert, window: timedelta) -> Announced:
    """Send an alert, or wait a moment for another run that is sending it right now."""
    done = work.alerts.announce(alert, work.now(), window)
    for _ in range(_LOOKS):
        if done is not Announced.ELSEWHERE:
            break
        work.sleep(1.0)
        done = work.alerts.announce(alert, work.now(), window)
    return done
