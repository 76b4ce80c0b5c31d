"""Next steps for a person about a flow. Pure."""

from __future__ import annotations

from recovery.appflow_runs.models import Attempt, Flow, FlowStatus, Means, Refusal, Trigger
from recovery.appflow_runs.texts import BY_RULE
from recovery.appflow_runs.verdicts import twin_name
from recovery.failures.models import Diagnosis, Kind

_CAUSES = {
    Kind.AUTH_FAILURE: "renew the credentials or permissions of its connector profile",
    Kind.VALIDATION_ERROR: "correct the flow's fields, mapping or limits",
    Kind.BAD_PAYLOAD: "correct the data in the source, or the flow's mapping",
    Kind.CODE_BUG: "correct the flow's mapping or filters, or report the connector's error to its maker",
}


def fix(diagnosis: Diagnosis, flow: Flow) -> str:
    """After a cause that does not pass by itself."""
    known = BY_RULE.get(diagnosis.rule)
    return f"{known.step if known else _CAUSES.get(diagnosis.kind, 'fix the cause')}; then {how_to_run(flow)}"


def far_schedule(flow: Flow) -> str:
    """While a failed flow waits long for its next schedule."""
    return (
        "if that is too late, run its transfer by an on-demand copy of the flow, or change its schedule: "
        f"aws appflow describe-flow --flow-name {flow.name}"
    )


def unread_schedule(flow: Flow) -> str:
    """After a schedule of which nobody can know the next run."""
    return f"see when it runs next: aws appflow describe-flow --flow-name {flow.name}"


def find_run(attempt: Attempt, flow: Flow) -> str:
    """After an attempt of which nobody knows what became."""
    if attempt.means is not Means.TWIN:
        return f"look for the run in the AppFlow console; {how_to_run(flow)}"
    twin = twin_name(flow.arn, attempt.failed_run, attempt.number)
    return (
        f"look for the run of flow {twin} in the AppFlow console, and delete that flow when it does not run; "
        f"{how_to_run(flow)}"
    )


def refused(refusal: Refusal) -> str:
    """The reason for no attempt while AppFlow refuses it."""
    return f"AppFlow refuses {refusal.call}: {refusal.words}" if refusal.words else f"AppFlow refuses {refusal.call}"


def unblock(flow: Flow) -> str:
    """After a refusal."""
    return (
        f"remove what stands in the way (permission, quota, setting): it is tried again hourly; or {how_to_run(flow)}"
    )


def how_to_run(flow: Flow) -> str:
    """The way to run or switch on a flow of this kind."""
    if flow.trigger is Trigger.ON_DEMAND:
        return f"run it: aws appflow start-flow --flow-name {flow.name}"
    if flow.status is not FlowStatus.ACTIVE:
        return f"activate it: aws appflow start-flow --flow-name {flow.name}"
    if flow.trigger is Trigger.EVENT:
        return "the next events run it; send those of the failure again from the source if they matter"
    return "the schedule runs it; StartFlow would not"
