"""The order of FIFO groups: a group's rows in the order of their sequence, and nothing past a row that stays behind.

A round takes groups that are under way and groups that are new, so that a busy group never keeps the others waiting.
Of a group that is known only its chain is read: further keys of it in the index of due rows are counted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from recovery.errors import RepriseError
from recovery.outbox_records import changes, rules
from recovery.outbox_records.models import Item, Sent
from recovery.outbox_records.policy import ExhaustedHead
from recovery.outbox_records.reading import read_candidates
from recovery.outbox_records.rounds import Round, RowWork, entry
from recovery.outbox_records.rules import Step
from recovery.outbox_records.settle import announce_held
from recovery.outbox_records.verdicts import Action
from recovery.outbox_records.work import OutboxRun

CHAIN = 25
"""Rows of one group that are taken up at once: as many as one call claims."""
GROUPS = 100
"""Groups of one round."""
KEYS = 1_000
"""Keys of due rows that one round reads in search of new groups."""

Chain = tuple[list[RowWork], bool, RowWork | None]
"""Rows that may go out now, in order; whether there are more of their group; the row that holds the group."""


def take(work: OutboxRun, most: int) -> list[RowWork] | None:
    """Candidates of the next groups, each group's in order; None at the end of the pass."""
    groups = work.groups
    found, fresh, is_over = _new_groups(work, most)
    room = GROUPS - min(len(fresh), GROUPS // 2)
    going, groups.to_go_on = groups.to_go_on[:room], groups.to_go_on[room:]
    names = [*going, *fresh[: GROUPS - len(going)]]
    groups.to_go_on = [*fresh[GROUPS - len(going) :], *groups.to_go_on]
    if not names and not found and is_over:
        _report_held(work)
        return None
    chains = work.each(lambda group: _chain(work, group), names)
    if work.probing:
        names, chains = _only_one(names, chains)
    left = most
    for name, (chain, more, head) in zip(names, chains, strict=True):
        part = chain[: max(left, 0)]
        left -= len(part)
        found += part
        groups.taken.update(each.row.row_id for each in part)
        cut = len(part) < len(chain)
        if cut or (more and chain and chain[-1].verdict.action is Action.DELIVER and not work.dry_run):
            groups.to_go_on.append(name)
        elif head is not None:
            groups.heads[name] = head
    return found


def _new_groups(work: OutboxRun, most: int) -> tuple[list[RowWork], list[str], bool]:
    """Groups that this pass has not met, by reading on in the index of due rows; due rows that belong to none; and
    whether the index was read to its end."""
    assert work.due is not None
    found: list[RowWork] = []
    fresh: list[str] = []
    read = 0
    wanted = 1 if work.probing else GROUPS // 2 if work.groups.to_go_on else GROUPS
    while len(fresh) < wanted and read < KEYS:
        keys = work.due.take(max(10, min(most, GROUPS)), work.each)
        if not keys:
            return found, fresh, True
        read += len(keys)
        while keys:
            firsts, keys = _firsts(work, keys)
            for each in read_candidates(work, firsts):
                group = _place(work, each)
                if not group:
                    found.append(each)
                elif group in work.groups.known:
                    _meet(work, group, each.row.row_id)
                else:
                    work.groups.known.add(group)
                    fresh.append(group)
                    _meet(work, group, each.row.row_id)
    return found, fresh, False


def _firsts(work: OutboxRun, keys: Sequence[Item]) -> tuple[list[Item], list[Item]]:
    """Keys to be read now: one of each group that is not known; and those that must wait for what that shows."""
    now: list[Item] = []
    later: list[Item] = []
    asked: set[str] = set()
    for key in keys:
        group = str(key.get(work.names.group_line, {}).get("S", ""))
        if group and group in work.groups.known:
            _meet(work, group, work.table.identity(key))
        elif group and group in asked:
            later.append(key)
        else:
            asked.add(group)
            now.append(key)
    return now, later


def _meet(work: OutboxRun, group: str, row_id: str) -> None:
    work.groups.met.append((group, row_id))


def _place(work: OutboxRun, candidate: RowWork) -> str:
    """The group of a due row; "" for one that has no place in a group, and whose verdict says so."""
    row, names = candidate.row, work.names
    candidate.verdict = rules.placed(row, candidate.verdict, names)
    if candidate.verdict.action in (Action.GROUP, Action.TIDY, Action.LIST) or candidate.verdict.rule == "no-sequence":
        return ""
    group = row.text(names.group)
    if not group or row.text(names.group_line) != group:
        return ""
    candidate.group = group
    return group


def _chain(work: OutboxRun, group: str) -> Chain:
    """The rows of a group that may go out now."""
    page = work.table.group(group, CHAIN)
    by_id = {each.row.row_id: each for each in read_candidates(work, page.items)}
    chain: list[RowWork] = []
    for key in page.items:
        candidate = by_id.get(work.table.identity(key))
        if candidate is None:
            continue  # deleted; the index lagged behind
        candidate.group = group
        step = rules.step(candidate.row, candidate.verdict, work.policy)
        if step is Step.HOLD:
            if candidate.verdict.action is Action.LIST:
                chain.append(candidate)
            return chain, False, candidate
        if step is Step.STOP:
            return chain, False, None
        if step is Step.SKIP:
            continue
        candidate.wave = sum(each.verdict.action is Action.DELIVER for each in chain)
        chain.append(candidate)
        if step is Step.LAST:
            return chain, False, None
    return chain, page.next is not None, None


def _only_one(names: Sequence[str], chains: Sequence[Chain]) -> tuple[list[str], list[Chain]]:
    """The first row alone, for a probe."""
    for name, (chain, _, _) in zip(names, chains, strict=True):
        head = [each for each in chain if each.verdict.action is Action.DELIVER][:1]
        if head:
            return [name], [(head, False, None)]
    return list(names), [(chain, False, head) for chain, _, head in chains]


def _report_held(work: OutboxRun) -> None:
    """One entry for each group that stands still, at the end of a pass; people are notified of foreign heads."""
    groups = work.groups
    behind: Counter[str] = Counter()
    first: dict[str, str] = {}
    for group, row_id in dict.fromkeys(groups.met):
        head = groups.heads.get(group)
        if row_id not in groups.taken and not (head and row_id == head.row.row_id):
            behind[group] += 1
            first.setdefault(group, row_id)
    heads = []
    for group in dict.fromkeys([*groups.heads, *behind]):
        head = groups.heads.get(group)
        verdict = rules.behind(head.row if head else None, behind[group])
        if head is not None:
            head.verdict = verdict
            heads.append(head)
        work.waiting.append(entry(work, head.row.row_id if head else first[group], verdict, settled=True))
    announce_held(work, heads)


def keep_prefixes(work: OutboxRun, round_: Round) -> None:
    """Give back what we claimed behind a row that we did not get: another worker has it, or its claim failed.

    What cannot be given back at once is not sent either; its lease ends by itself.
    """
    by_group: dict[str, list[RowWork]] = defaultdict(list)
    for each in round_.candidates:
        if each.group and each.wanted:
            by_group[each.group].append(each)
    back: list[RowWork] = []
    for candidates in by_group.values():
        broken = False
        for each in sorted(candidates, key=lambda one: one.wave):
            if not each.token:
                # A row that is gone breaks nothing, but whether it is gone or taken is not worth telling apart here.
                broken = True
            elif broken and each.outcome is None:
                back.append(each)
    if not back:
        return
    for each in back:
        each.verdict = rules.taken_elsewhere()
        each.change = changes.released(each.row, work.names, each.token)
    try:
        work.table.change([each.change for each in back if each.change is not None])
    except RepriseError as error:
        work.warn(f"rows of a group whose head we did not get could not be given back at once: {error}")
    for each in back:
        each.settled = True
        each.change = None


def may_pass(work: OutboxRun, candidate: RowWork) -> bool:
    """True when the rows behind this one may go out."""
    if isinstance(candidate.outcome, Sent):
        return True
    return candidate.verdict.action is Action.EXHAUST and work.policy.exhausted_head is ExhaustedHead.SKIP
