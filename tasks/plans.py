"""The verbs of plans: make one, show it, carry it out, control it."""

from __future__ import annotations

from datetime import timedelta

from prefect.artifacts import create_markdown_artifact

from blocks.connection import Connection
from recovery.aws import CONNECTIONS
from recovery.dead_letters.ages import QueueAges
from recovery.dead_letters.callers import Callers
from recovery.dead_letters.gateway import Sqs
from recovery.dead_letters.plans import commands
from recovery.dead_letters.plans.book import PlanBook
from recovery.dead_letters.plans.make import PlanReport, make
from recovery.dead_letters.plans.pages import plan_page
from recovery.dead_letters.plans.plan import Plan
from recovery.dead_letters.plans.request import CarryOutRequest, ControlRequest, PlanRequest
from recovery.dead_letters.replay_request import ReplayRequest
from recovery.dead_letters.work import Work
from recovery.events.outward import PLAN_CREATED, Outward
from recovery.logs import Logs
from tasks.events import announce
from tasks.links import find_links
from tasks.policies import ONCE
from tasks.steps import step


def open_run(connection: Connection, request: CarryOutRequest | ReplayRequest) -> Work:
    """Return the tools of a run that carries a plan out."""
    tools = connection.tools()
    tools.setdefault("threads", CONNECTIONS)
    return Work(
        Sqs(connection.client("sqs"), connection.client("sqs", repeat=False)),
        Logs(connection.client("logs")),
        QueueAges(connection.client("cloudwatch")),
        request,  # type: ignore[arg-type]
        callers=Callers(connection.client),
        archive_keep=timedelta(days=connection.archive_days + 30),
        **tools,
    )


def at_desk(connection: Connection) -> Work:
    """Return the tools with which plans are made and controlled; nothing is sent with them."""
    return open_run(connection, ReplayRequest())


make_plan = step(make, "make a plan", "made a plan", ONCE)
carry_out = step(commands.carry_out, "carry the plan out", "carried the plan out", ONCE)


def _control(work: Work, request: ControlRequest) -> Plan:
    return commands.control_plan(PlanBook(work.ledger), work, request)


control = step(_control, "control the plan", "controlled the plan")
"""Pause, resume or cancel it."""


def _show(plan: PlanReport, request: PlanRequest) -> None:
    create_markdown_artifact(
        key="dead-letters-plan", markdown=plan_page(plan, find_links(request)), description=plan.headline
    )


show = step(_show, "show the plan", "showed the plan", ONCE)
"""Show a plan as one page, for review."""


def announce_plan(work: Work, plan: PlanReport, request: PlanRequest) -> None:
    """Emit the event of a new plan."""
    if plan.plan_id:
        payload: dict[str, str | int] = {
            "subject": plan.headline,
            "text": request.reason,
            "planned_by": request.operator,
        }
        announce(work, [Outward(PLAN_CREATED, ("plan", plan.plan_id), plan.digest, work.now(), payload)])
