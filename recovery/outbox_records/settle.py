"""Writing down what became of rows: marks, exhausted rows with their alerts, and what somebody else had finished."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

from recovery.alerts import Alert, Announced
from recovery.errors import RepriseError
from recovery.outbox_records import changes, rules
from recovery.outbox_records.gateway import WRITE_BATCH, Changed
from recovery.outbox_records.models import Fault, Held, NotSent, Outcome, Sent
from recovery.outbox_records.policy import ExhaustedHead
from recovery.outbox_records.rounds import Round, RowWork
from recovery.outbox_records.verdicts import Action
from recovery.outbox_records.work import PATH, OutboxRun


def resolve(work: OutboxRun, candidate: RowWork, outcome: Outcome) -> None:
    """Decide what follows from a publish, and prepare the change that says so."""
    row, names, now = candidate.row, work.names, work.now()
    candidate.outcome = outcome
    if isinstance(outcome, Sent):
        candidate.change = changes.delivered(row, names, candidate.token, outcome.message_id, now, work.keep)
        return
    if isinstance(outcome, Held):
        candidate.verdict = rules.held(outcome)
        candidate.change = changes.released(row, names, candidate.token)
        return
    verdict = candidate.verdict = rules.after_failure(row, outcome, work.policy, now, work.jitter())
    if outcome.fault is Fault.THROTTLE:
        candidate.change = changes.released(row, names, candidate.token)
    elif verdict.action is not Action.EXHAUST:
        counts = outcome.fault not in (Fault.TOPIC, Fault.INCIDENT)
        candidate.change = changes.failed(
            row,
            names,
            candidate.token,
            error=verdict.error,
            kind=verdict.kind,
            due=verdict.due or now,
            attempts=row.attempts + (1 if counts else 0),
        )


def resolve_stopped(work: OutboxRun, candidate: RowWork, failure: NotSent) -> None:
    """Not tried, because its topic takes nothing: the row shows the topic's error, and its attempts stay."""
    resolve(work, candidate, NotSent(Fault.TOPIC, failure.code, failure.text))


def prepare(work: OutboxRun, candidate: RowWork) -> None:
    """The change of a row that is not published: tidied, listed, or put into its group's index."""
    row, names = candidate.row, work.names
    if candidate.verdict.action is Action.TIDY:
        candidate.change = changes.tidied(row, names, work.now(), work.keep)
    elif candidate.verdict.action is Action.LIST:
        candidate.change = changes.listed(row, names)
    elif candidate.verdict.action is Action.GROUP:
        candidate.change = changes.grouped(row, names, row.text(names.group))


def write(work: OutboxRun, candidates: Sequence[RowWork]) -> None:
    """Write the prepared changes, on the run's threads. Writing them again is safe.

    Raises:
        Transient, Refused: some were not written; they are not settled.
    """
    waiting = [each for each in candidates if each.change is not None and not each.settled]
    batches = [waiting[start : start + WRITE_BATCH] for start in range(0, len(waiting), WRITE_BATCH)]
    failures = [error for error in work.each(lambda batch: _try_write(work, batch), batches) if error]
    if failures:
        raise failures[0]


def _try_write(work: OutboxRun, batch: Sequence[RowWork]) -> RepriseError | None:
    try:
        write_batch(work, batch)
    except RepriseError as error:
        return error
    return None


def write_batch(work: OutboxRun, batch: Sequence[RowWork]) -> None:
    """Write the changes of at most 25 rows by one call.

    Raises:
        Transient, Refused: the call could not be made.
    """
    ready = [each for each in batch if each.change is not None]
    try:
        results = work.table.change([each.change for each in ready if each.change is not None])
    except RepriseError as error:
        for each in ready:
            each.trouble = _not_written(each, str(error))
        raise
    for candidate, result in zip(ready, results, strict=True):
        _take_result(candidate, result)


def _take_result(candidate: RowWork, result: Changed) -> None:
    if result.problem:
        candidate.trouble = _not_written(candidate, result.problem)
        return
    candidate.settled = True
    candidate.trouble = ""
    if result.done:
        return
    candidate.verdict = rules.overtaken(
        candidate.verdict, sent=isinstance(candidate.outcome, Sent), gone=result.item is None
    )


def _not_written(candidate: RowWork, problem: str) -> str:
    if isinstance(candidate.outcome, Sent):
        return (
            f"it was published, but its status could not be written ({problem}); when its lease ends it is published"
            " a second time, with the same row id"
        )
    return f"its status could not be written ({problem}); it falls due again by itself"


# -- exhausted rows ----------------------------------------------------------------------------------------------


def exhaust(work: OutboxRun, round_: Round) -> None:
    """Announce the groups of exhausted rows, then mark the rows. Where a group could not be announced, its rows stay
    due, so that no run forgets them.

    Raises:
        Transient, Refused: some marks could not be written.
    """
    by_group: dict[str, list[RowWork]] = defaultdict(list)
    for candidate in round_.of(Action.EXHAUST):
        if candidate.change is None:
            by_group[candidate.verdict.group].append(candidate)
    for group, candidates in by_group.items():
        trouble = _announce(work, group, candidates)
        for candidate in candidates:
            _prepare_exhausted(work, candidate, trouble)
    write(work, [each for each in round_.candidates if each.change is not None and not each.settled])


def _prepare_exhausted(work: OutboxRun, candidate: RowWork, trouble: str) -> None:
    row, verdict, now = candidate.row, candidate.verdict, work.now()
    attempts = row.attempts + (1 if candidate.token else 0)
    if not trouble:
        candidate.change = changes.exhausted(
            row,
            work.names,
            candidate.token,
            error=verdict.error,
            kind=verdict.kind,
            attempts=attempts,
            now=now,
            leave_group=work.policy.exhausted_head is ExhaustedHead.SKIP,
        )
        return
    due = now + work.policy.backoff.delay(max(1, attempts), work.jitter())
    candidate.change = changes.failed(
        row, work.names, candidate.token, error=verdict.error, kind=verdict.kind, due=due, attempts=attempts
    )
    candidate.verdict = rules.nobody_notified(verdict, trouble, due)


def _announce(work: OutboxRun, group: str, candidates: Sequence[RowWork]) -> str:
    """Notify people about a group of exhausted rows; "" when they are notified, else why not."""
    if group in work.announced:
        return ""
    verdict = candidates[0].verdict
    holding = [each for each in candidates if each.group] and work.policy.exhausted_head is ExhaustedHead.HOLD
    lines = [
        f"{len(candidates)} or more rows of the outbox table {work.table.name} are Exhausted: not published any more.",
        f"Why: {verdict.reason}",
        f"Kind: {verdict.kind or '-'}. Error: {verdict.error or '-'}",
        f"Rows: {', '.join(each.row.row_id for each in candidates[:5])}",
        f"What to do: {verdict.next_step or '-'}.",
    ]
    if holding:
        lines.append("The rows behind them in their FIFO groups wait (exhausted_head=hold).")
    alert = Alert(
        path=PATH,
        source=work.table.name,
        group=group,
        subject=f"Outbox {work.table.name}: exhausted rows ({verdict.kind or 'unknown'})",
        text="\n".join(lines),
        count=len(candidates),
        kind=verdict.kind or "",
        pages=work.pages,
    )
    try:
        announced = work.alerts.announce(alert, work.now(), timedelta(seconds=work.policy.alert_window_seconds))
    except RepriseError as error:
        work.complain(f"the alert about exhausted rows could not be sent: {error}")
        return "the alert could not be sent"
    if announced is Announced.ELSEWHERE:
        return "another worker is sending the alert right now"
    work.announced.add(group)
    return ""


# -- groups that stand still -------------------------------------------------------------------------------------


def announce_held(work: OutboxRun, heads: Sequence[RowWork]) -> None:
    """Notify people of FIFO groups that stand still behind a row with a foreign status: a person must act."""
    foreign = [each for each in heads if not each.row.known]
    if not foreign or work.dry_run:
        return
    names = ", ".join(each.row.row_id for each in foreign[:5])
    more = f" and {len(foreign) - 5} more" if len(foreign) > 5 else ""
    verdict = foreign[0].verdict
    work.warn(f"{len(foreign)} FIFO group(s) stand still behind a row whose status is none of ours: {names}{more}")
    lines = [
        f"{len(foreign)} FIFO group(s) of the outbox table {work.table.name} stand still.",
        "Why: the first row of each has a status that this path does not know, so it is left alone, and the rows behind"
        " it wait to keep their order.",
        f"Rows: {names}{more}",
        f"What to do: {verdict.next_step}.",
    ]
    alert = Alert(
        path=PATH,
        source=work.table.name,
        group=verdict.rule,
        subject=f"Outbox {work.table.name}: FIFO groups stand still",
        text="\n".join(lines),
        count=len(foreign),
    )
    try:
        work.alerts.announce(alert, work.now(), timedelta(seconds=work.policy.alert_window_seconds))
    except RepriseError as error:
        work.complain(f"the alert about FIFO groups that stand still could not be sent: {error}")
