"""The order of FIFO groups: a group's rows in the order of their sequence, and nothing past a row that stays behind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from recovery.errors import RepriseError
from recovery.failures import Kind, fingerprint
from recovery.outbox_records import changes
from recovery.outbox_records.models import Row, Sent, Status, number
from recovery.outbox_records.policy import ExhaustedHead
from recovery.outbox_records.reading import read_candidates
from recovery.outbox_records.rounds import Candidate, Round
from recovery.outbox_records.rules import Action, Verdict
from recovery.outbox_records.work import Work

CHAIN = 25
"""Rows of one group that are taken up at once: as many as one call claims."""
GROUPS = 100
"""Groups of one round."""


def take(work: Work, most: int) -> list[Candidate] | None:
    """Candidates of the next groups, each group's in order; None at the end of the pass."""
    assert work.due is not None
    found: list[Candidate] = []
    groups = work.groups_to_go_on[:GROUPS]
    work.groups_to_go_on = work.groups_to_go_on[GROUPS:]
    due: list[Candidate] = []
    if not groups:
        keys = work.due.take(max(10, min(most, GROUPS)), work.each)
        if not keys:
            return None
        for each in read_candidates(work, keys):
            _place(work, each)
            (due if each.group else found).append(each)
        groups = list(dict.fromkeys(each.group for each in due))
    chains = work.each(lambda group: _chain(work, group), groups)
    if work.probing:
        chains = _only_one(chains)
    taken = {each.row.row_id for chain, _ in chains for each in chain}
    for group, (chain, more) in zip(groups, chains, strict=False):
        found += chain
        if more and chain and chain[-1].verdict.action is Action.DELIVER:
            work.groups_to_go_on.append(group)
    for each in due:
        if each.row.row_id not in taken:
            each.verdict = Verdict(
                Action.WAIT,
                "behind-its-group",
                "an earlier row of its group has not gone out",
                next_step="see the earlier row; exhausted_head=skip passes over an exhausted one",
            )
            found.append(each)
    return found


def _place(work: Work, candidate: Candidate) -> None:
    """Say which group a due row belongs to, or what keeps it out of one."""
    row, names = candidate.row, work.names
    if candidate.verdict.action not in (Action.DELIVER, Action.EXHAUST):
        return
    group = row.text(names.group)
    if not group:
        return  # composing it has already said so
    if not _has_sequence(row, names.sequence):
        candidate.verdict = Verdict(
            Action.EXHAUST,
            "no-sequence",
            f"a FIFO topic needs an order, and the row's {names.sequence!r} is missing or not of the index's type",
            kind=Kind.VALIDATION_ERROR,
            group=fingerprint(Kind.VALIDATION_ERROR, "no-sequence"),
            error="no-sequence",
            next_step="mend the row, then run the path with mode=revive",
        )
        return
    if row.text(names.group_line) != group:
        candidate.verdict = Verdict(Action.GROUP, "not-in-its-group", "it is put into its group's index first")
        return
    candidate.group = group


def _has_sequence(row: Row, sequence: str) -> bool:
    value = row.item.get(sequence, {})
    return "S" in value or number(value) is not None


def _chain(work: Work, group: str) -> tuple[list[Candidate], bool]:
    """The rows of a group that may go out now, in order, and whether the index has more of the group."""
    page = work.table.group(group, CHAIN)
    by_id = {each.row.row_id: each for each in read_candidates(work, page.items)}
    chain: list[Candidate] = []
    for key in page.items:
        candidate = by_id.get(work.table.identity(key))
        if candidate is None:
            continue  # deleted; the index lagged behind
        candidate.group = group
        action, status = candidate.verdict.action, candidate.row.status
        if candidate.row.known and status is Status.SUCCESSFUL:
            if action is Action.TIDY:
                chain.append(candidate)
            continue
        if candidate.row.known and status is Status.EXHAUSTED:
            if work.policy.exhausted_head is ExhaustedHead.HOLD:
                return chain, False
            continue
        if action is Action.DELIVER:
            candidate.wave = sum(each.verdict.action is Action.DELIVER for each in chain)
            chain.append(candidate)
        elif action is Action.EXHAUST:
            chain.append(candidate)
            if work.policy.exhausted_head is ExhaustedHead.HOLD:
                return chain, False
        else:
            return chain, False
    return chain, page.next is not None


def _only_one(chains: Sequence[tuple[list[Candidate], bool]]) -> list[tuple[list[Candidate], bool]]:
    """The first row alone, for a probe."""
    for chain, _ in chains:
        head = [each for each in chain if each.verdict.action is Action.DELIVER][:1]
        if head:
            return [(head, False)]
    return [(chain, False) for chain, _ in chains]


def keep_prefixes(work: Work, round_: Round) -> None:
    """Give back what we claimed behind a row that we did not get: another worker has the head of that group.

    Raises:
        Transient, Refused: some could not be given back; their leases end by themselves.
    """
    by_group: dict[str, list[Candidate]] = defaultdict(list)
    for each in round_.candidates:
        if each.group and (each.token or each.verdict.rule in ("not-ours", "not-claimed")):
            by_group[each.group].append(each)
    back: list[Candidate] = []
    for candidates in by_group.values():
        broken = False
        for each in sorted(candidates, key=lambda one: one.wave):
            if not each.token:
                # A row that is gone breaks nothing, but whether it is gone or taken is not worth telling apart here.
                broken = True
            elif broken:
                back.append(each)
    if not back:
        return
    for each in back:
        each.verdict = Verdict(Action.WAIT, "behind-its-group", "another worker has an earlier row of its group")
        each.change = changes.released(each.row, work.names, each.token)
    try:
        work.table.change([each.change for each in back if each.change is not None])
    except RepriseError as error:
        work.warn(f"rows of a group whose head another worker has could not be given back at once: {error}")
    for each in back:
        each.settled = True
        each.change = None


def may_pass(work: Work, candidate: Candidate) -> bool:
    """Whether the rows behind this one may go out."""
    if isinstance(candidate.outcome, Sent):
        return True
    return candidate.verdict.action is Action.EXHAUST and work.policy.exhausted_head is ExhaustedHead.SKIP
