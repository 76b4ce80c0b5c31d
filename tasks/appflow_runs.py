"""The verbs of the AppFlow path. Each task is one step for up to a hundred flows.

A step keeps what goes wrong with one flow beside it, and the others go on; a task fails only when AppFlow or the ledger
cannot be asked at all.
"""

from __future__ import annotations

from blocks.connection import Connection
from recovery.appflow_runs import act, look, records, twins
from recovery.appflow_runs.gateway import AppFlowGateway
from recovery.appflow_runs.policy import AppFlowRequest
from recovery.appflow_runs.work import AppFlowRun
from tasks.policies import ONCE
from tasks.steps import step


def open_run(connection: Connection, request: AppFlowRequest) -> AppFlowRun:
    """Return a run's tools, on a connection.

    Raises:
        BadInput: a rules file is wrong, which must be known before anything is read.
    """
    for policy in (request.policy, *request.flow_policies.values()):
        look.rules_of(policy)
    return AppFlowRun(AppFlowGateway(connection.client("appflow")), request, **connection.tools())


find_flows = step(look.find_flows, "find flows", "found the flows")
recall = step(look.recall, "recall", "recalled {batch.count} flows")
tidy_twins = step(twins.tidy_twins, "tidy up twins", "tidied up twins")
look_and_decide = step(look.look, "look and decide", "inspected {batch.count} flows")
act_on = step(act.act, "act", "acted on {batch.due} of {batch.count} flows", ONCE)
notify_people = step(records.notify, "notify people", "notified people", ONCE)
record = step(records.keep, "record", "recorded {batch.count} flows", ONCE)
count = records.note
"""Count what was found and done; no request is made."""
