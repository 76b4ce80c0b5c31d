"""Texts of the alerts about messages. Pure: only normalised text, no body and no value of an error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from recovery.alerts import Alert
from recovery.console import queue as queue_page
from recovery.dead_letters.batch import MessageWork
from recovery.dead_letters.log_links import log_link
from recovery.dead_letters.messages import Queue
from recovery.dead_letters.verdicts import AlertVerdict
from recovery.dead_letters.work import PATH

EXAMPLES = 5
SHOWN = 20
"""Queues or groups that one text names at most."""
SUMMARY = "summary"
"""The group of the alert that speaks of all groups for which there was no room."""
_UNGROUPED = "ungrouped"


@dataclass(frozen=True, slots=True)
class Member:
    """A message that an alert must name, and the queue that it lay in."""

    queue: Queue
    item: MessageWork


def pages(item: MessageWork, queue: Queue) -> tuple[tuple[str, str], ...]:
    """Return labels and addresses of a message's queue and of its consumer's log lines, where they are known."""
    found = (
        ("queue", queue_page(queue.url, queue.region)),
        ("log of its consumer", log_link(item.message, item.log_group, queue.region)),
    )
    return tuple((label, address) for label, address in found if address)


def alert_group(member: Member) -> str:
    """Return the group that the alert speaks of: one cause, whatever queues it is in."""
    past = member.item.own or member.item.history
    return member.item.group or (past.group if past else "") or f"{_UNGROUPED}#{member.queue.name}"


def alert(group: str, members: Sequence[Member]) -> Alert:
    """Return the alert about one group of messages, all of queues of one account and region."""
    first = members[0].item
    queues = named(Counter(member.queue.name for member in members))
    step = first.verdict.next_step if isinstance(first.verdict, AlertVerdict) else "replay once the cause is fixed"
    examples = ", ".join(member.item.message.message_id for member in members[:EXAMPLES])
    kind = kind_of(first)
    lines = [
        f"{len(members)} message(s) of {queues} failed alike and wait for a person. They are safe in the archive.",
        "",
        f"Why: {first.verdict.reason}",
        f"Error: {first.error or '(none)'}",
        f"Kind: {kind or '(not triaged)'}    Group: {group}",
        f"Examples: {examples}" + (f" and {len(members) - EXAMPLES} more" if len(members) > EXAMPLES else ""),
        "",
        f"What to do: {step}.",
        f"Replay: run the deployment dead-letters-replay/replay with {_filter(group)} and dry_run false.",
        "Messages that join this group in the alert window, whatever their queue, are archived without another alert.",
    ]
    subject = f"Reprise: {len(members)} dead letter(s) of {_short(members)} wait for a person ({kind or 'not triaged'})"
    is_group = not group.startswith(_UNGROUPED)
    made = _alert(members[0].queue.home, group, subject, lines, Counter(m.queue.name for m in members), is_group)
    return replace(made, kind=kind, pages=pages(first, members[0].queue))


def summary(groups: Mapping[str, Sequence[Member]]) -> Alert:
    """Return the one alert about all groups that have none of their own in this run.

    Args:
        groups: members by group, the largest first; all of queues of one account and region.
    """
    members = [member for same in groups.values() for member in same]
    queues = named(Counter(member.queue.name for member in members))
    lines = [
        f"{len(members)} message(s) of {queues} wait for a person. They failed in {len(groups)} different ways, which"
        " are too many for a message each. They are safe in the archive.",
        "",
    ]
    for group, same in list(groups.items())[:SHOWN]:
        kind = kind_of(same[0].item) or "not triaged"
        lines.append(f"{len(same)} {kind} of {_short(same)}, group {group}: {same[0].item.error or '(no error)'}")
    if len(groups) > SHOWN:
        lines.append(f"... and {len(groups) - SHOWN} more: see the report of the run")
    lines += [
        "",
        "What to do: see what they have in common. Where one cause has many texts, a rule of your own in rules_file"
        " makes them one group.",
        "Others that find no room in the alert window are archived without another message.",
    ]
    subject = f"Reprise: {len(members)} dead letter(s) of {_short(members)} wait for a person ({len(groups)} groups)"
    counts = Counter(member.queue.name for member in members)
    return _alert(members[0].queue.home, SUMMARY, subject, lines, counts, is_group=False)


def recovery(home: str, group: str, counts: Counter[str]) -> Alert:
    """Return the one notice that a group which people were notified of has recovered.

    Args:
        home: beginning of the ARNs of its queues.
        group: the group.
        counts: recovered messages by queue.
    """
    text = (
        f"The failure group {group} of {named(counts)} has recovered: {counts.total()} message(s) that were sent back"
        " have stayed away for the settle time, and none of the group waits in the archive."
    )
    subject = f"Reprise: a failure group of {_shortly(counts)} has recovered"
    return _alert(home, group, subject, [text], counts, is_group=not group.startswith(_UNGROUPED))


def _alert(home: str, group: str, subject: str, lines: Sequence[str], counts: Counter[str], is_group: bool) -> Alert:
    return Alert(
        PATH,
        _shortly(counts),
        group,
        subject,
        "\n".join(lines),
        counts.total(),
        scope=home,
        sources=tuple(counts),
        is_group=is_group,
    )


def named(counts: Counter[str]) -> str:
    """Return queues in words, those with the most messages first."""
    if len(counts) == 1:
        return next(iter(counts))
    shown = ", ".join(f"{name} ({count})" for name, count in counts.most_common(SHOWN))
    return f"{len(counts)} queues: {shown}" + (f" and {len(counts) - SHOWN} more" if len(counts) > SHOWN else "")


def kind_of(item: MessageWork) -> str:
    """Return the kind of a message's failure, or ""."""
    if item.diagnosis is not None:
        return item.diagnosis.kind.value
    return item.history.kind if item.history else ""


def _short(members: Sequence[Member]) -> str:
    return _shortly(Counter(member.queue.name for member in members))


def _shortly(counts: Counter[str]) -> str:
    return next(iter(counts)) if len(counts) == 1 else f"{len(counts)} queues"


def _filter(group: str) -> str:
    queue = group.removeprefix(f"{_UNGROUPED}#")
    return f'groups ["{group}"]' if queue == group else f'queues ["{queue}"]'
