"""Ledger cases and report entries of replications."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from recovery.cases import Case, State
from recovery.console import replication_task
from recovery.errors import Conflict, RepriseError
from recovery.replication_tasks.memory import Memory
from recovery.replication_tasks.models import PATH
from recovery.replication_tasks.rules import CALL_REFUSED
from recovery.replication_tasks.verdicts import Action, AnyVerdict, Escalate, Leave, ReloadTables, Wait
from recovery.replication_tasks.work import Batch, ReplicationRun, ReplicationWork
from recovery.report import Entry
from recovery.scope import StartedBy

KEEP = timedelta(days=400)
"""The ledger forgets a replication of which it heard nothing for so long."""


def save(run: ReplicationRun, item: ReplicationWork, memory: Memory, state: State) -> None:
    """Write the case of a replication in place of the one that was read.

    Raises:
        Conflict: another run wrote it since.
        Transient, Refused: it is not written.
    """
    now = run.now()
    old = item.case
    window = timedelta(seconds=run.policy.window_seconds)
    memory = memory.forgetting(now, window)
    step = item.verdict.next_step if isinstance(item.verdict, Escalate) else ""  # reported by flows.cases
    case = Case(
        path=PATH,
        key=item.facts.arn,
        source=source_of(item),
        state=state,
        kind=item.kind,
        rule=item.cause,
        group=item.group,
        first_seen=memory.incident or (old.first_seen if old else now),
        changed=old.changed if old and old.state is state and memory.last == Memory.from_json(old.detail).last else now,
        expires=now + KEEP,
        attempts=len(memory.tried),
        due=item.verdict.until if isinstance(item.verdict, Wait) and state is not State.SENT else None,
        reason=item.verdict.reason,
        detail=memory.as_json() | {"name": item.facts.name} | ({"step": step} if step else {}),
    )
    run.ledger.change_case(case, expected=old)
    item.case, item.memory = case, memory


def source_of(item: ReplicationWork) -> str:
    """The replication instance, or "serverless": for reports, metrics and alerts."""
    return "serverless" if item.facts.serverless else item.facts.instance.rsplit(":", 1)[-1] or "dms"


def keep(run: ReplicationRun, batch: Batch) -> None:
    """Write down what was found, where it differs from what the ledger holds."""
    for item in batch.items:
        item.quiet = not _is_news(item)
        if run.dry_run or item.state is None or item.quiet:
            continue
        if item.failure is not None and not item.acted:
            continue
        try:
            save(run, item, item.memory, item.state)
        except Conflict:
            _leave_to_the_other(item)
        except RepriseError as error:
            item.failure = item.failure or error


def _leave_to_the_other(item: ReplicationWork) -> None:
    """Another run has written what it found, which is as new. What this one did stays in its own report only."""
    if not item.acted:
        item.quiet, item.missed, item.recovered_seconds = True, False, None


def note(run: ReplicationRun, batch: Batch) -> None:
    """Count what was found and done, for the report."""
    for item in batch.items:
        if item.recovered_seconds is not None and item.failure is None:
            run.recovered += 1
            run.seconds_to_recover += item.recovered_seconds
        if item.missed and (run.dry_run or _is_written_down(item)):
            run.missed_events += 1
        if item.failure is not None or not item.quiet or run.request.started_by is StartedBy.BY_HAND:
            run.enter(entry(run, item), row(run, item))


def _is_written_down(item: ReplicationWork) -> bool:
    """True when the ledger knows of this incident; of any other the next run finds out, and counts it."""
    incident = item.memory.incident
    return item.case is not None and incident is not None and item.case.detail.get("incident") == incident.isoformat()


def pages(item: ReplicationWork) -> tuple[tuple[str, str], ...]:
    """Return the label and address of the task's page in the AWS console."""
    address = replication_task(item.facts.arn, item.facts.name)
    return (("task", address),) if address else ()


def entry(run: ReplicationRun, item: ReplicationWork) -> Entry:
    """Return the report's entry of one replication."""
    reason = item.verdict.reason
    if item.recovered_seconds is not None:
        reason += f", {item.recovered_seconds:.0f} s after it failed"
    if item.failure is not None and not _is_notified(item):
        reason += f"; did not go through: {item.failure}"
    return Entry(
        key=item.facts.name,
        source=source_of(item),
        action="recovered" if item.recovered_seconds is not None else action_of(item.verdict),
        reason=reason,
        kind=item.kind,
        diagnosis=item.cause,
        rule=item.verdict.rule,
        group=item.group,
        error=item.error,
        attempt=len(item.memory.tried),
        max_attempts=run.policy.max_attempts,
        settled=item.failure is None,
        next_step=item.verdict.next_step if isinstance(item.verdict, Escalate) else "",
        exhausted=isinstance(item.verdict, Escalate) and bool(item.memory.gave_up),
        pages=pages(item),
    )


def _is_notified(item: ReplicationWork) -> bool:
    """True when its verdict speaks of the failure already, as that of a refused call does."""
    refusal = item.memory.refusal if item.verdict.rule == CALL_REFUSED else None
    return refusal is not None and item.failure is not None and item.failure.operation == refusal.operation


def row(run: ReplicationRun, item: ReplicationWork) -> dict[str, Any]:
    """One line of the artifact: what it was, what was decided and why, what happened."""
    shown = entry(run, item)
    kind = "serverless, " if item.facts.serverless else ""
    happened = item.did or ("would be done" if run.dry_run and isinstance(item.verdict, Action) else "nothing to do")
    if item.failure is not None and not _is_notified(item):
        happened = f"did not go through: {item.failure}"
    return {
        # The columns that a person looks for stand to the left: the table is wider than the page.
        "replication": item.facts.name,
        "was": item.was,
        "decided": shown.action,
        "happened": happened,
        "next step": shown.next_step or "-",
        "why": item.verdict.reason,
        "failure": item.error or "-",
        "restarts": f"{shown.attempt} of {shown.max_attempts}",
        "migration": f"{kind}{item.facts.migration.value}",
        "rule": item.verdict.rule,
    }


def action_of(verdict: AnyVerdict) -> str:
    """The decision in one word or two."""
    if isinstance(verdict, ReloadTables):
        return "reload tables"
    return type(verdict).__name__.lower()


def _is_news(item: ReplicationWork) -> bool:
    """True when anything about it differs from the ledger."""
    old = item.case
    if item.failure is not None or item.acted or item.recovered_seconds is not None:
        return True
    if item.state is None:
        return not isinstance(item.verdict, Leave)
    if old is None or old.state is not item.state:
        return True
    # A wait that is put off by a few minutes is no news, and neither is a restart that is still being watched.
    memory = replace(Memory.from_json(old.detail), checkpoint=item.memory.checkpoint)
    return memory != item.memory or (item.state is not State.SENT and old.reason != item.verdict.reason)
