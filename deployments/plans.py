"""`reprise plans`: make a plan, list plans, carry one out, pause, resume or cancel it.

Every command works under the rights of the person who types it, and puts that AWS identity beside the name.
"""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from deployments.person import Names, connect, moment, valid, who
from recovery.errors import BadInput

HELP = "Send archived messages back by a plan: reviewed, a few at first, to the end."
COMMANDS = {
    "make": ("deployments.plans:make", "Freeze archived messages as a plan, and show it. Nothing is sent."),
    "list": ("deployments.plans:list_plans", "List plans with their states."),
    "carry-out": ("deployments.plans:carry_out", "Begin a plan that was reviewed."),
    "pause": ("deployments.plans:pause", "Pause a plan."),
    "resume": ("deployments.plans:resume", "Let a paused or stopped plan go on."),
    "cancel": ("deployments.plans:cancel", "Cancel a plan: what it has not sent stays in the archive."),
}


def make(
    *,
    reason: str,
    operator: str = "",
    queue: Names = (),
    kind: Names = (),
    group: Names = (),
    rule: Names = (),
    text: str = "",
    key: Names = (),
    first_seen_from: str = "",
    first_seen_until: str = "",
    patch: Path | None = None,
    destination: str | None = None,
    another_person: bool = False,
    settle_seconds: int = 1800,
    expires_seconds: int = 259_200,
    estate: str = "",
) -> int:
    """Freeze archived messages as a plan, and show it for review. Nothing is sent.

    Args:
        reason: the grounds; they stand in the ledger.
        operator: your name; the name of your login when empty.
        queue, kind, group, rule, text, key: which messages; text in the normalised error, key a message id.
        first_seen_from, first_seen_until: only messages first seen then, as 2026-05-01T09:00Z (UTC).
        patch: file with the change as JSON: body (a JSON Patch), set_attributes, remove_attributes, pattern,
            replacement.
        destination: queue for messages that do not name their source.
        another_person: the person who planned it may not carry it out.
        settle_seconds: away this long: recovered.
        expires_seconds: it must begin within this time.
        estate: name of a Recovery Estate block; the default one when empty.
    """
    from recovery.dead_letters.plans.make import make as make_plan
    from recovery.dead_letters.plans.pages import plan_text
    from recovery.dead_letters.plans.request import PlanRequest
    from tasks.plans import at_desk

    connection = connect(estate)
    request = valid(
        PlanRequest,
        **who(connection, operator, reason),
        queues=queue,
        kinds=kind,
        groups=group,
        rules=rule,
        text=text,
        message_ids=key,
        first_seen_from=moment(first_seen_from, "first_seen_from") if first_seen_from else None,
        first_seen_until=moment(first_seen_until, "first_seen_until") if first_seen_until else None,
        patch=_patch(patch) if patch else {},
        destination=destination,
        another_person=another_person,
        settle_seconds=settle_seconds,
        expires_seconds=expires_seconds,
    )
    with closing(at_desk(connection)) as work:
        print(plan_text(make_plan(work, request)))
    return 0


def list_plans(*, estate: str = "") -> int:
    """List plans with their states, the latest last.

    Args:
        estate: name of a Recovery Estate block; the default one when empty.
    """
    from recovery.dead_letters.plans.book import PlanBook
    from recovery.dead_letters.plans.pages import state_text
    from recovery.records import DamagedRecord

    damaged: list[DamagedRecord] = []
    print(state_text(PlanBook(connect(estate).ledger).all(damaged)))
    for one in damaged:
        print(f"warning: {one}", file=sys.stderr)
    return 0


def carry_out(
    plan_id: str, digest: str, *, reason: str, operator: str = "", yes: bool = False, estate: str = ""
) -> int:
    """Begin a plan that was reviewed: its first step is sent now, and the sweeps go on with it.

    Args:
        plan_id: id of the plan.
        digest: digest of the plan, as its review shows it.
        reason: the grounds; they stand in the ledger.
        operator: your name; the name of your login when empty.
        yes: carry it out.
        estate: name of a Recovery Estate block; the default one when empty.
    """
    from recovery.dead_letters.plans import commands
    from recovery.dead_letters.plans.request import CarryOutRequest
    from tasks.plans import open_run

    connection = connect(estate)
    person = who(connection, operator, reason)
    request = valid(CarryOutRequest, plan_id=plan_id, digest=digest, dry_run=not yes, **person)
    with closing(open_run(connection, request)) as work:
        commands.carry_out(work, request)
        print("\n".join(work.facts))
    return 0


def pause(plan_id: str, *, reason: str, operator: str = "", estate: str = "") -> int:
    """Pause a plan that is under way.

    Args:
        plan_id: id of the plan.
        reason: the grounds; they stand in the ledger.
        operator: your name; the name of your login when empty.
        estate: name of a Recovery Estate block; the default one when empty.
    """
    return _control(plan_id, "pause", reason, operator, estate)


def resume(plan_id: str, *, reason: str, operator: str = "", estate: str = "") -> int:
    """Let a plan go on that was paused, or that stopped itself: its ramp then begins anew.

    Args:
        plan_id: id of the plan.
        reason: the grounds; they stand in the ledger.
        operator: your name; the name of your login when empty.
        estate: name of a Recovery Estate block; the default one when empty.
    """
    return _control(plan_id, "resume", reason, operator, estate)


def cancel(plan_id: str, *, reason: str, operator: str = "", estate: str = "") -> int:
    """Cancel a plan: what it has sent cannot be called back, and the rest stays in the archive.

    Args:
        plan_id: id of the plan.
        reason: the grounds; they stand in the ledger.
        operator: your name; the name of your login when empty.
        estate: name of a Recovery Estate block; the default one when empty.
    """
    return _control(plan_id, "cancel", reason, operator, estate)


def _control(plan_id: str, control: str, reason: str, operator: str, estate: str) -> int:
    from recovery.dead_letters.plans.book import PlanBook
    from recovery.dead_letters.plans.commands import control_plan
    from recovery.dead_letters.plans.request import ControlRequest
    from tasks.plans import at_desk

    connection = connect(estate)
    person = who(connection, operator, reason)
    request = valid(ControlRequest, plan_id=plan_id, control=control, dry_run=False, **person)
    with closing(at_desk(connection)) as work:
        print(control_plan(PlanBook(work.ledger), work, request).headline)
    return 0


def _patch(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"patch: {file} cannot be read: {error.strerror}") from None
    except ValueError:
        raise BadInput(f"patch: {file} is no JSON") from None
