"""A person plans what goes back, reviews the frozen set, and carries exactly that out, a few messages at first.

from flows.plans import carry_out, plan_messages
plan = plan_messages(PlanRequest(groups=["AUTH_FAILURE-1f0c"], operator="ann", reason="the key was renewed"))
carry_out(CarryOutRequest(plan_id=plan.plan_id, digest=plan.digest, operator="bob", reason="reviewed", dry_run=False))
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Failed

from blocks.estate import connect
from recovery.dead_letters.plans.make import PlanReport
from recovery.dead_letters.plans.plan import Plan
from recovery.dead_letters.plans.request import CarryOutRequest, ControlRequest, PlanRequest
from recovery.dead_letters.work import Work
from recovery.errors import RepriseError
from recovery.paths import DEAD_LETTERS
from recovery.report import RecoveryReport
from tasks import plans as do
from tasks.frame import recover, run_name

CARRY_OUT = replace(DEAD_LETTERS, label="plan of messages", key="dead-letters-carry-out")


@flow(name="dead-letters", flow_run_name="plan messages", persist_result=False)
def plan_messages(
    request: PlanRequest = PlanRequest(),  # noqa: B008 - frozen, and the form in the UI shows it
) -> PlanReport | State[PlanReport]:
    """Freeze archived messages as a plan, and show it for review. Nothing is sent.

    Args:
        request: which messages, with what change, by whom and on what grounds.

    Returns:
        The plan, with its id and digest; a failed state with a clear line when it could not be made.
    """
    try:
        with closing(do.at_desk(connect(request.estate))) as work:
            plan = do.make_plan(work, request)
            do.show(plan, request)
            do.announce_plan(work, plan, request)
    except RepriseError as error:
        return Failed(message=str(error), data=error)
    return plan


@flow(name="dead-letters", flow_run_name=run_name(CarryOutRequest), persist_result=False)
def carry_out(
    request: CarryOutRequest = CarryOutRequest(),  # noqa: B008 - frozen, and the form in the UI shows it
) -> RecoveryReport | State[RecoveryReport]:
    """Begin a plan that was reviewed: its first step is sent, and the runs of the path go on with it.

    Args:
        request: the plan and its digest, by whom and on what grounds. Dry by default.

    Returns:
        The report of the run; a failed state with a clear line when it may not begin.
    """

    def story(work: Work) -> None:
        do.carry_out(work, request)

    return recover(CARRY_OUT, do.open_run, request, story)


@flow(name="dead-letters", flow_run_name="control a plan", persist_result=False)
def control_plan(
    request: ControlRequest = ControlRequest(),  # noqa: B008 - frozen, and the form in the UI shows it
) -> Plan | State[Plan]:
    """Pause, resume or cancel a plan. What it has not sent stays in the archive.

    Args:
        request: the plan, by whom and on what grounds. Dry by default.

    Returns:
        The plan; a failed state with a clear line when that means nothing in its state.
    """
    try:
        with closing(do.at_desk(connect(request.estate))) as work:
            return do.control(work, request)
    except RepriseError as error:
        return Failed(message=str(error), data=error)
